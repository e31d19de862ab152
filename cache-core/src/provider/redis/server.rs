//! Which server it is, how it is reached, and whether it will do.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, ConnectionInfo, cmd};

use super::address::at;
use super::backplane::Backplane;
use super::error::{configuration, from_redis};
use super::link::{Call, Link, within};
use super::primary::{Current, Primary};
use super::sentinels::Sentinels;
use crate::clock::Timestamp;
use crate::error::Result;

/// The times that bound what is sent to a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connect: Duration,
    pub(super) command: Duration,
    pub(super) touch: Duration,
}

/// A server that may or may not be up, or the one of several that is the primary.
#[derive(Clone)]
pub(super) struct Server {
    info: ConnectionInfo,
    primary: Primary,
    sentinels: Option<Arc<Sentinels>>,
    bounds: Bounds,
    client_name: Option<String>,
    approved: Arc<AtomicBool>,
}

impl Server {
    /// The server that is reached so, or one that is reached likewise where sentinels say. Does
    /// not connect.
    pub(super) fn new(
        info: ConnectionInfo,
        sentinels: Option<Sentinels>,
        bounds: Bounds,
        client_name: Option<String>,
    ) -> Result<Self> {
        if let Some(name) = &client_name
            && !name.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(configuration(
                "a client name has visible ASCII characters only, and no spaces",
            ));
        }
        let server = Self {
            info,
            primary: Primary::default(),
            sentinels: sentinels.map(Arc::new),
            bounds,
            client_name,
            approved: Arc::default(),
        };
        if server.sentinels.is_none() {
            let client = Client::open(server.info.clone()).map_err(from_redis)?;
            server.primary.replace(server.current(client)?);
        }
        Ok(server)
    }

    /// The connection for commands. Connects when it is first used, and again when it breaks or
    /// a heartbeat over it fails.
    pub(super) fn link(&self) -> Link {
        Link::new(self.primary.clone(), self.bounds.command)
    }

    /// How to connect to the primary of the moment.
    pub(super) fn client(&self) -> Result<Client> {
        self.primary.client().map_err(from_redis)
    }

    /// Whether this client reaches the server that is the primary now.
    pub(super) fn is_primary(&self, client: &Client) -> bool {
        self.primary.is(client)
    }

    /// A connection of its own, for reads that block for `period`.
    pub(super) async fn connect(
        &self,
        client: &Client,
        period: Duration,
    ) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.bounds.connect))
            .set_response_timeout(Some(period.saturating_add(self.bounds.command)));
        let connect = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            if let Some(name) = &self.client_name {
                let mut named = cmd("CLIENT");
                named.arg("SETNAME").arg(name);
                named.exec_async(&mut connection).await?;
            }
            Ok(connection)
        };
        within(self.bounds.connect, "no connection to the server", connect).await
    }

    /// One heartbeat; at the first, the server has to prove that it will do.
    pub(super) async fn beat(&self, backplane: &Backplane) -> Result<()> {
        if let Some(sentinels) = &self.sentinels {
            self.follow(sentinels, backplane).await?;
        }
        if !self.approved.load(Ordering::Acquire) {
            let info: String = backplane
                .probe
                .call(Call::command("INFO").arg("server"))
                .await?;
            approve(&info)?;
            self.approved.store(true, Ordering::Release);
        }
        // A connection that came back has lost its name.
        let named = self
            .client_name
            .iter()
            .map(|name| Call::command("CLIENT").arg("SETNAME").arg(name));
        backplane.beat(named.collect()).await
    }

    /// Goes over to another primary if the sentinels name one.
    async fn follow(&self, sentinels: &Sentinels, backplane: &Backplane) -> Result<()> {
        let found = sentinels.primary().await?;
        let info = at(&self.info, found.host, found.port);
        let client = Client::open(info).map_err(from_redis)?;
        if self.primary.is(&client) {
            return Ok(());
        }
        self.go_over(client, backplane).await
    }

    /// Its clock is asked before anything else: the deadlines of writes are its moments.
    async fn go_over(&self, client: Client, backplane: &Backplane) -> Result<()> {
        let mut current = self.current(client)?;
        let sent = Instant::now();
        let ask = async { cmd("TIME").query_async(&mut current.manager).await };
        let time: (u64, u64) =
            within(self.bounds.connect, "the new primary did not answer", ask).await?;
        tracing::info!(primary = %current.client.get_connection_info().addr(), "the sentinels name a primary");
        self.approved.store(false, Ordering::Release);
        self.primary.replace(current);
        let time = Timestamp::from_micros(time.0 * 1_000_000 + time.1);
        backplane.time.start_over(sent, time);
        Ok(())
    }

    fn current(&self, client: Client) -> Result<Current> {
        Current::new(client, self.bounds.connect).map_err(from_redis)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sentinels {
            Some(sentinels) => write!(f, "`{}`, by its sentinels", sentinels.name),
            None => write!(f, "{}", self.info.addr()),
        }
    }
}

/// Whether a server that says this of itself will do.
fn approve(info: &str) -> Result<()> {
    let fields: HashMap<_, _> = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let version = fields.get("redis_version").copied().unwrap_or("unknown");
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < 7) {
        let message = format!("Redis {version} is too old: 7.0 or later is needed");
        return Err(configuration(message));
    }
    match fields.get("redis_mode").copied() {
        Some("standalone") => Ok(()),
        other => Err(configuration(format!(
            "the server runs in {} mode: a standalone server is needed, or one that is found by `sentinels`",
            other.unwrap_or("an unknown")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_standalone_server_of_version_7_or_later_will_do() {
        assert!(approve("redis_version:7.0.15\r\nredis_mode:standalone\r\n").is_ok());
        assert!(approve("redis_version:10.0.0\r\nredis_mode:standalone\r\n").is_ok());
        for (info, reason) in [
            ("redis_version:6.2.7\r\nredis_mode:standalone\r\n", "6.2.7"),
            ("redis_version:7.0.0\r\nredis_mode:cluster\r\n", "cluster"),
            ("redis_version:7.0.0\r\nredis_mode:sentinel\r\n", "sentinel"),
            ("", "unknown"),
        ] {
            let error = approve(info).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
