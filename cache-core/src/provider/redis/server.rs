//! Which server it is, how it is reached, and whether it will do.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::{ConnectionManagerConfig, MultiplexedConnection};
use ::redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, cmd};

use super::backplane::Backplane;
use super::error::{configuration, from_redis};
use super::link::{Call, Link, within};
use crate::error::Result;

/// The times that bound what is sent to a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connect: Duration,
    pub(super) command: Duration,
    pub(super) touch: Duration,
}

/// A server that may or may not be up.
#[derive(Clone)]
pub(super) struct Server {
    client: Client,
    bounds: Bounds,
    client_name: Option<String>,
    approved: Arc<AtomicBool>,
}

impl Server {
    /// The server that is reached so. Does not connect.
    pub(super) fn new(
        info: ConnectionInfo,
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
        Ok(Self {
            client: Client::open(info).map_err(from_redis)?,
            bounds,
            client_name,
            approved: Arc::default(),
        })
    }

    /// The connection for commands. Connects when it is first used, and again when it breaks or
    /// a heartbeat over it fails.
    pub(super) fn link(&self) -> Result<Link> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(self.bounds.connect))
            .set_response_timeout(None);
        Link::new(self.client.clone(), config, self.bounds.command).map_err(from_redis)
    }

    /// A connection of its own, for reads that block for `period`.
    pub(super) async fn connect(&self, period: Duration) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.bounds.connect))
            .set_response_timeout(Some(period.saturating_add(self.bounds.command)));
        let connect = async {
            let client = &self.client;
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

    fn address(&self) -> &ConnectionAddr {
        self.client.get_connection_info().addr()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address())
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
            "the server runs in {} mode: a standalone server is needed",
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
