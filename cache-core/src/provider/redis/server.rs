//! Which server it is, how it is reached, and whether it will do.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, ConnectionInfo, cmd, pipe};

use super::address::at;
use super::backplane::Backplane;
use super::call::Call;
#[cfg(feature = "redis-cluster")]
use super::cluster::Cluster;
use super::error::{configuration, from_redis};
use super::link::{Link, within};
use super::links::Links;
use super::primary::{Current, Primary};
use super::sentinels::Sentinels;
use super::server_time::{ServerTime, Told, told};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// The times that bound what is sent to a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connect: Duration,
    pub(super) command: Duration,
    pub(super) touch: Duration,
}

/// A server that may or may not be up, the one of several that is the primary, or a cluster.
#[derive(Clone)]
pub(super) struct Server {
    info: ConnectionInfo,
    links: Links,
    sentinels: Option<Arc<Sentinels>>,
    bounds: Bounds,
    clock: Clock,
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
        clock: Clock,
    ) -> Result<Self> {
        let primary = match sentinels {
            Some(_) => Primary::default(),
            None => {
                let current = Current::open(info.clone(), bounds.connect, &clock);
                Primary::of(current.map_err(from_redis)?)
            }
        };
        Ok(Self {
            info,
            links: Links::One(Link::new(primary, bounds.command)),
            sentinels: sentinels.map(Arc::new),
            bounds,
            clock,
            client_name: None,
            approved: Arc::default(),
        })
    }

    /// The cluster that these are nodes of. Does not connect.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn cluster(seeds: &[ConnectionInfo], bounds: Bounds, clock: Clock) -> Result<Self> {
        let info = seeds[0].clone();
        let cluster = Cluster::new(seeds, bounds, clock.clone())?;
        Ok(Self {
            info,
            links: Links::Cluster(cluster),
            sentinels: None,
            bounds,
            clock,
            client_name: None,
            approved: Arc::default(),
        })
    }

    /// The name that its connections go by.
    pub(super) fn named(mut self, name: Option<String>) -> Result<Self> {
        if let Some(name) = &name
            && !name.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(configuration(
                "a client name has visible ASCII characters only, and no spaces",
            ));
        }
        self.client_name = name;
        Ok(self)
    }

    /// The connections for commands. They are made when they are first used, and again when they
    /// break or a heartbeat over them fails.
    pub(super) fn links(&self) -> Links {
        self.links.clone()
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

    /// One heartbeat.
    pub(super) async fn beat(&self, backplane: &Backplane) -> Result<()> {
        self.meet(backplane).await?;
        self.exchange(backplane).await
    }

    /// The first half of a heartbeat: finds the server, which at first has to prove that it will
    /// do.
    pub(super) async fn meet(&self, backplane: &Backplane) -> Result<()> {
        match &self.links {
            Links::One(link) => {
                // Where the sentinels fail, the connection to the server may be well.
                self.look_up(link).await?;
                renewing(backplane, self.approve(backplane)).await
            }
            #[cfg(feature = "redis-cluster")]
            Links::Cluster(cluster) if !cluster.knows(&backplane.keys.inv) => {
                cluster.survey(&self.naming()).await
            }
            #[cfg(feature = "redis-cluster")]
            Links::Cluster(_) => Ok(()),
        }
    }

    /// The second half: exchanges what is new.
    pub(super) async fn exchange(&self, backplane: &Backplane) -> Result<()> {
        let along = match self.links.are_many() {
            true => Vec::new(),
            false => self.naming(),
        };
        renewing(backplane, backplane.beat(along)).await
    }

    /// What goes on beside the heartbeat: on a cluster, asking how all nodes are. A slow one must
    /// not keep the heartbeat from the node that has the log.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn watch(
        &self,
        backplane: &Arc<Backplane>,
        period: Duration,
    ) -> Option<impl Future<Output = ()> + use<>> {
        match &self.links {
            Links::One(_) => None,
            Links::Cluster(cluster) => {
                let (cluster, naming) = (cluster.clone(), self.naming());
                Some(cluster.watch(naming, Arc::downgrade(backplane), period))
            }
        }
    }

    /// A connection that came back has lost its name.
    fn naming(&self) -> Vec<Call> {
        let name = self.client_name.iter();
        name.map(|name| Call::command("CLIENT").arg("SETNAME").arg(name))
            .collect()
    }

    async fn approve(&self, backplane: &Backplane) -> Result<()> {
        if !self.approved.load(Ordering::Acquire) {
            let info: String = backplane
                .probe
                .call(Call::command("INFO").arg("server"))
                .await?;
            approve(&info, "standalone")?;
            self.approved.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Goes over to another primary if there are sentinels, and they name one.
    async fn look_up(&self, link: &Link) -> Result<()> {
        let Some(sentinels) = &self.sentinels else {
            return Ok(());
        };
        let found = sentinels.primary().await?;
        let info = at(&self.info, found.host, found.port);
        if link.primary.is_at(info.addr()) {
            return Ok(());
        }
        let next = Current::open(info, self.bounds.connect, &self.clock);
        self.go_over(next.map_err(from_redis)?, link).await
    }

    /// Its clock is asked before anything else: the deadlines of writes are its moments. A server
    /// that is no primary is not followed, whoever names it.
    async fn go_over(&self, mut next: Current, link: &Link) -> Result<()> {
        let sent = Instant::now();
        let mut questions = pipe();
        questions.cmd("TIME").cmd("INFO").arg("replication");
        let ask = questions.query_async(&mut next.manager);
        let answers = within(self.bounds.connect, "the new primary did not answer", ask).await?;
        let (time, info): ((u64, u64), String) = answers;
        let told = Told::since(sent, told(time));
        check_role(&info)?;
        tracing::info!(primary = %next.client.get_connection_info().addr(), "the sentinels name a primary");
        self.approved.store(false, Ordering::Release);
        let time = || ServerTime::told_before(self.clock.clone(), told);
        link.primary.replace(|| next.by(time()));
        Ok(())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sentinels {
            Some(sentinels) => write!(f, "`{}`, by its sentinels", sentinels.name),
            None if self.links.are_many() => write!(f, "{}, and its cluster", self.info.addr()),
            None => write!(f, "{}", self.info.addr()),
        }
    }
}

/// Has the connection made anew if the attempt fails, whatever the failure was.
async fn renewing(backplane: &Backplane, attempt: impl Future<Output = Result<()>>) -> Result<()> {
    let outcome = attempt.await;
    if outcome.is_err() {
        backplane.probe.reconnect(&backplane.keys.stream);
    }
    outcome
}

/// Whether a server that says this of itself is a primary. `ROLE` would tell too, but is a right
/// that users of the server may not have.
fn check_role(info: &str) -> Result<()> {
    if info.lines().any(|line| line.trim_end() == "role:master") {
        return Ok(());
    }
    let message = "the server that the sentinels name is no primary yet; they are asked again";
    Err(Error::new(ErrorKind::Unready, message))
}

/// The fields of what `INFO` and the like say.
pub(super) fn fields(text: &str) -> HashMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.trim_end().split_once(':'))
        .collect()
}

/// Whether a server that says this of itself will do.
pub(super) fn approve(info: &str, mode: &str) -> Result<()> {
    let fields = fields(info);
    let version = fields.get("redis_version").copied().unwrap_or("unknown");
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < 7) {
        let message = format!("Redis {version} is too old: 7.0 or later is needed");
        return Err(configuration(message));
    }
    // Valkey has a name of its own for it.
    let found = fields.get("redis_mode").or(fields.get("server_mode"));
    let found = found.copied().unwrap_or("an unknown");
    if found == mode {
        return Ok(());
    }
    let wanted = match mode {
        "cluster" => "with `cluster_nodes`, a node of a cluster is needed",
        _ => "a standalone server is needed, one that is found by `sentinels`, or `cluster_nodes`",
    };
    let message = format!("the server runs in {found} mode: {wanted}");
    Err(configuration(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_of_the_right_kind_and_of_version_7_or_later_will_do() {
        let alone = "redis_version:7.0.15\r\nredis_mode:standalone\r\n";
        assert!(approve(alone, "standalone").is_ok());
        assert!(approve(alone, "cluster").is_err());
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nserver_mode:standalone\r\n";
        assert!(approve(valkey, "standalone").is_ok());
        assert!(approve("redis_version:10.0.0\r\nredis_mode:cluster\r\n", "cluster").is_ok());
        for (info, reason) in [
            ("redis_version:6.2.7\r\nredis_mode:standalone\r\n", "6.2.7"),
            ("redis_version:7.0.0\r\nredis_mode:cluster\r\n", "cluster"),
            ("redis_version:7.0.0\r\nredis_mode:sentinel\r\n", "sentinel"),
            ("", "unknown"),
        ] {
            let error = approve(info, "standalone").unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
