//! The way to the server: a connection that comes back by itself, and bounds on time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use super::address::Address;
use super::connection::Connection;
use super::error::{timed_out, unreachable};
use super::reply::Reply;
use super::request::Request;
use crate::error::Result;
use crate::provider::breaker::Breaker;

/// Some 30 years.
const FOREVER: Duration = Duration::from_secs(86_400 * 365 * 30);

/// One server; clones share the connection to it.
#[derive(Clone)]
pub(super) struct Link {
    server: Arc<Server>,
    breaker: Breaker,
}

struct Server {
    address: Address,
    connect_timeout: Duration,
    command_timeout: Duration,
    current: Mutex<Option<Arc<Connection>>>,
    connections: AtomicU64,
    /// What drives the connections, whoever's call needs one.
    runtime: Handle,
}

impl Link {
    pub(super) fn new(
        address: Address,
        connect_timeout: Duration,
        command_timeout: Duration,
        runtime: Handle,
    ) -> Self {
        Self {
            server: Arc::new(Server {
                address,
                connect_timeout,
                command_timeout,
                current: Mutex::new(None),
                connections: AtomicU64::new(1),
                runtime,
            }),
            breaker: Breaker::new(),
        }
    }

    /// The same connection for the heartbeat, which tries it while the breaker is open to others.
    pub(super) fn probing(&self) -> Self {
        Self {
            breaker: self.breaker.probing(),
            ..self.clone()
        }
    }

    /// One operation's time with the server, over one connection, unless the breaker is open.
    pub(super) async fn session(&self) -> Result<Session> {
        self.breaker.check()?;
        let until = after(self.server.command_timeout);
        let connected = timeout_at(until, self.server.connection()).await;
        let connected = connected.unwrap_or_else(|_| Err(timed_out().without_effect()));
        if connected.is_err() {
            self.breaker.note(&connected);
        }
        Ok(Session {
            connection: connected?,
            until,
            breaker: self.breaker.clone(),
        })
    }

    /// Gives the connection up; the next operation makes a new one. Operations that are under way
    /// keep theirs.
    pub(super) async fn reconnect(&self) {
        *self.server.current.lock().await = None;
    }
}

impl Server {
    /// The connection, or a new one. That goes on being made when the caller who needed it first
    /// has no more time.
    async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>> {
        if let Some(connection) = self.current.lock().await.as_ref().and_then(alive) {
            return Ok(connection);
        }
        let server = Arc::clone(self);
        let opened = self.runtime.spawn(async move { server.open().await });
        let opened = opened.await;
        opened.unwrap_or_else(|error| Err(unreachable(io::Error::other(error))))
    }

    async fn open(&self) -> Result<Arc<Connection>> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().and_then(alive) {
            return Ok(connection);
        }
        let connecting = connect(&self.address);
        let stream = match timeout(self.connect_timeout, connecting).await {
            Ok(stream) => stream.map_err(unreachable)?,
            Err(_) => return Err(unreachable(io::ErrorKind::TimedOut.into())),
        };
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::new(stream, number));
        *current = Some(Arc::clone(&connection));
        Ok(connection)
    }
}

fn alive(connection: &Arc<Connection>) -> Option<Arc<Connection>> {
    connection.is_alive().then(|| Arc::clone(connection))
}

async fn connect(address: &Address) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection, and until when an operation may use it.
pub(super) struct Session {
    connection: Arc<Connection>,
    pub(super) until: Instant,
    breaker: Breaker,
}

impl Session {
    /// Which connection this is.
    pub(super) fn number(&self) -> u64 {
        self.connection.number
    }

    /// Sends the commands in one write, and waits for their replies.
    pub(super) async fn ask(&self, requests: &[Request<'_>]) -> Result<Vec<Reply>> {
        let outcome = match timeout_at(self.until, self.connection.ask(requests)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out()),
        };
        self.breaker.note(&outcome);
        outcome
    }
}

/// The moment after this span, or one that nobody lives to see if clocks do not count so far.
fn after(span: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(span.min(FOREVER)).unwrap_or(now)
}
