//! One node, and what it says of itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ::redis::{ConnectionAddr, ConnectionInfo, Value};

use super::map::{Address, Range, ranges_from};
use crate::clock::Clock;
use crate::error::Result;
use crate::provider::redis::call::Call;
use crate::provider::redis::error::{from_redis, unusable};
use crate::provider::redis::link::{Link, read};
use crate::provider::redis::primary::{Current, Primary};
use crate::provider::redis::server::{Bounds, approve, fields};
use crate::provider::redis::server_time::told;

/// A node of a cluster.
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) link: Link,
    /// Which run of the server it was when it was last asked.
    run: Mutex<Option<Box<str>>>,
}

/// How a node is.
pub(super) struct Health {
    /// Whether it sees a cluster that works.
    pub(super) is_ok: bool,
    /// The newest configuration that it knows of.
    pub(super) epoch: u64,
    /// Whether it was started again since it was last asked.
    pub(super) is_another: bool,
}

impl Node {
    /// Does not connect.
    pub(super) fn new(info: ConnectionInfo, bounds: &Bounds, clock: &Clock) -> Result<Arc<Self>> {
        let address = address_of(&info);
        let current = Current::open(info, bounds.connect, clock).map_err(from_redis)?;
        Ok(Arc::new(Self {
            address,
            link: Link::new(Primary::of(current), bounds.command),
            run: Mutex::default(),
        }))
    }

    /// Sends calls. What is read from a node is dated by its clock, so that comes first.
    pub(super) async fn calls(
        &self,
        calls: &[Call],
        until: Instant,
        probes: bool,
    ) -> Result<Vec<Value>> {
        let link = match probes {
            true => self.link.probing(),
            false => self.link.clone(),
        };
        learn_time(&link, until).await?;
        link.calls(calls, until).await
    }

    pub(super) async fn writes(&self, calls: &[Call], until: Instant) -> Result<Vec<Value>> {
        learn_time(&self.link, until).await?;
        self.link.writes(calls, until).await
    }

    /// Asks how it is. A node that does not answer gets a new connection.
    pub(super) async fn ask(&self, naming: &[Call]) -> Result<Health> {
        let health = self.health(naming).await;
        if health.is_err() {
            self.link.primary.reconnect();
        }
        health
    }

    async fn health(&self, naming: &[Call]) -> Result<Health> {
        let mut calls = naming.to_vec();
        calls.push(Call::command("TIME"));
        calls.push(Call::command("INFO").arg("server"));
        calls.push(Call::command("CLUSTER").arg("INFO"));
        let sent = Instant::now();
        let link = self.link.probing();
        let replies = link.calls(&calls, link.until()).await?;
        let mut replies = replies.into_iter().skip(naming.len());
        let mut next = || replies.next().unwrap_or(Value::Nil);
        self.link.observe(sent, told(read(next())?));
        // Before the rest is read: another kind of server refuses it.
        let server: String = read(next())?;
        approve(&server, "cluster")?;
        let cluster: String = read(next())?;
        self.understand(&fields(&server), &fields(&cluster))
            .ok_or_else(unusable)
    }

    fn understand(
        &self,
        server: &HashMap<&str, &str>,
        cluster: &HashMap<&str, &str>,
    ) -> Option<Health> {
        let run = *server.get("run_id")?;
        let mut known = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.replace(run.into());
        Some(Health {
            is_ok: *cluster.get("cluster_state")? == "ok",
            epoch: cluster.get("cluster_current_epoch")?.parse().ok()?,
            is_another: before.is_some_and(|before| *before != *run),
        })
    }

    /// Which nodes have which slots, as this node sees it.
    pub(super) async fn ranges(&self) -> Result<Vec<Range>> {
        let link = self.link.probing();
        let call = Call::command("CLUSTER").arg("SLOTS");
        let replies = link.calls(&[call], link.until()).await?;
        let reply = replies.into_iter().next().unwrap_or(Value::Nil);
        ranges_from(&read(reply)?, &self.address.0).ok_or_else(unusable)
    }
}

async fn learn_time(link: &Link, until: Instant) -> Result<()> {
    let current = link.primary.current().map_err(from_redis)?;
    if current.time.is_known() {
        return Ok(());
    }
    link.bounded(current.ask_time(), until).await
}

fn address_of(info: &ConnectionInfo) -> Address {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            (host.clone(), *port)
        }
        other => (other.to_string(), 0),
    }
}
