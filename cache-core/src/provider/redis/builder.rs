//! Settings, and the assembly of a provider.

mod check;
#[cfg(any(
    feature = "config",
    feature = "encryption",
    feature = "lz4",
    feature = "zstd"
))]
mod packing;
mod reach;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::runtime::Handle;

use super::RedisProvider;
use super::backplane::Backplane;
use super::entries::Entries;
use super::keys::LogKeys;
use super::on_failover::OnFailover;
use super::reads::Reads;
use super::server::{Bounds, Server};
use super::sweep::Sweeper;
use super::tasks::Tasks;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::clock::Clock;
use crate::codec::Packing;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Caps;
use crate::namespace::Scope;

/// Settings of a [`RedisProvider`]; see [`RedisProvider::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RedisProviderBuilder {
    url: String,
    #[cfg(feature = "tls")]
    tls: Tls,
    sentinels: Option<Vec<String>>,
    #[cfg(feature = "redis-cluster")]
    cluster_nodes: Option<Vec<String>>,
    key_prefix: String,
    client_name: Option<String>,
    bounds: Bounds,
    heartbeat: Duration,
    lease_ttl: Duration,
    packing: Packing,
    sweep: Option<Duration>,
    caps: Caps,
    on_failover: OnFailover,
    clock: Clock,
    lazy: bool,
}

impl RedisProviderBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            #[cfg(feature = "tls")]
            tls: Tls::default(),
            sentinels: None,
            #[cfg(feature = "redis-cluster")]
            cluster_nodes: None,
            key_prefix: "cache".into(),
            client_name: None,
            bounds: Bounds {
                connect: Duration::from_secs(2),
                command: Duration::from_secs(1),
                touch: Duration::from_secs(3),
            },
            heartbeat: Duration::from_secs(1),
            lease_ttl: Duration::from_secs(10),
            packing: Packing::PLAIN,
            sweep: Some(Duration::from_secs(300)),
            caps: Caps::DEFAULT,
            on_failover: OnFailover::Hide,
            clock: Clock::system(),
            lazy: false,
        }
    }

    /// The URLs of the sentinels that watch the server; default none. They tell where it is, when
    /// the provider connects and with every heartbeat, so that it goes over to the replica that
    /// they have promoted. The [URL](RedisProvider::builder) has the name by which they know the
    /// primary for a host, and no port; what else it says holds for every server that they name.
    /// Sentinels can have credentials of their own in their URLs; ports default to 6379 there.
    ///
    /// List all of them, each once. More than half of all that watch the server have to answer
    /// within the [`command_timeout`](Self::command_timeout); those that are not listed, but that
    /// the others know of, count as silent. The answer of the latest failover counts. Where fewer
    /// answer, the provider loses touch as if the server was away: whoever is cut off together with
    /// an old primary would otherwise never hear of the new one. Sentinels that are set up anew
    /// count failovers from the beginning; processes that know of a later one have to be started
    /// again.
    ///
    /// ```no_run
    /// # async fn example() -> cache_core::Result<()> {
    /// use cache_core::RedisProvider;
    ///
    /// let provider = RedisProvider::builder("redis://user:password@mymaster/2")
    ///     .sentinels(["redis://10.0.0.1:26379", "redis://10.0.0.2:26379", "redis://10.0.0.3:26379"])
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sentinels(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.sentinels = Some(urls.into_iter().map(Into::into).collect());
        self
    }

    /// Says that the server is a node of a Redis Cluster, and how others of its nodes are reached;
    /// default none. The nodes that a URL names are where the provider begins to ask; it finds
    /// all others by itself, with what the [URL](RedisProvider::builder) of the provider says of
    /// user, password, TLS and protocol. A cluster has database 0 only, and no unix sockets.
    ///
    /// Keys may lie on any of the nodes, those of the log lie on one. What is one step on a single
    /// server is a few here: a `set` asks for the head of the log, stores, and records. MOVED and
    /// ASK are followed within the [`command_timeout`](Self::command_timeout), and all nodes
    /// are asked how they are once in a [`heartbeat`](Self::heartbeat). While a node is away, what it has is computed, and so is what is
    /// read in one call with it; while the node with the log is, everything.
    ///
    /// ```no_run
    /// # async fn example() -> cache_core::Result<()> {
    /// use cache_core::RedisProvider;
    ///
    /// let provider = RedisProvider::builder("redis://user:password@10.0.0.1:6379")
    ///     .cluster_nodes(["redis://10.0.0.2:6379", "redis://10.0.0.3:6379"])
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis-cluster")]
    pub fn cluster_nodes(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.cluster_nodes = Some(urls.into_iter().map(Into::into).collect());
        self
    }

    /// What the keys of this deployment begin with, 1 to 128 bytes; default `cache`. Processes
    /// share entries and invalidations if they share server, database and prefix. The cache that
    /// is built on the provider must have the same.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// The name that the connections go by in `CLIENT LIST`; default none.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// The certificates, in PEM, of the authorities that may vouch for the server; default those
    /// that the machine trusts. For `rediss://` URLs.
    #[cfg(feature = "tls")]
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.trust(pem.into());
        self
    }

    /// The certificate that the client shows, with those that lead from it to an authority that
    /// the server knows, and its private key, in PEM; default none. For `rediss://` URLs.
    #[cfg(feature = "tls")]
    pub fn tls_client(
        mut self,
        certificate_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.identify(certificate_pem.into(), key_pem.into());
        self
    }

    /// The longest that connecting takes, up to the server's first answer; default 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.bounds.connect = timeout;
        self
    }

    /// The longest that one round trip takes; default 1 s. A value that the server comes to later
    /// than that is not stored.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.bounds.command = timeout;
        self
    }

    /// The time from one heartbeat to the next; default 1 s.
    pub fn heartbeat(mut self, period: Duration) -> Self {
        self.heartbeat = period;
        self
    }

    /// How long answers are given on what is known, counted from the sending of the last heartbeat
    /// that was answered; default 3 s. It bounds how long a node that is cut off misses what
    /// others invalidate. Must be longer than the heartbeat's period.
    pub fn touch_bound(mut self, bound: Duration) -> Self {
        self.bounds.touch = bound;
        self
    }

    /// How long a load keeps its key reserved without being renewed; default 10 s. It is renewed
    /// three times as often while the load runs. With the
    /// [distributed lock](crate::CacheBuilder::distributed_lock) it bounds for how long others wait
    /// for a process that has died, besides their `lock_wait`.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl;
        self
    }

    /// The time from one sweep of the deployment to the next; default 5 min. A sweep frees the
    /// entries that invalidations have hidden, and takes the keys out of indexes whose entries are
    /// gone: one process at a time looks through the database, some 200 keys in a step, and leaves the
    /// server alone for 20 ms or four times as long as the step took, whichever is longer. Where nothing
    /// was invalidated since the last sweep, it lists the keys and looks at the indexes only.
    pub fn sweep(mut self, interval: Duration) -> Self {
        self.sweep = Some(interval);
        self
    }

    /// Lets other processes sweep. Where none does, entries that are hidden and have no time to
    /// live stay until a new value takes their place, or the server evicts them; and their keys in
    /// indexes until somebody reads there.
    pub fn no_sweep(mut self) -> Self {
        self.sweep = None;
        self
    }

    /// How many barriers are kept of each kind, here and on the server; default
    /// [`Caps::DEFAULT`].
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// What becomes of entries when the server restarts with data, or a replica takes its place;
    /// default [`OnFailover::Hide`].
    pub fn on_failover(mut self, on_failover: OnFailover) -> Self {
        self.on_failover = on_failover;
        self
    }

    /// The clock that entries and the touch bound are judged by; must be the cache's own. Default:
    /// the machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds without waiting for the server, and connects in the background. Until then the
    /// provider is out of touch: values are computed, explicit operations return an error.
    pub fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    /// Connects, reads the log, and starts the tasks that follow it. Must be called in a Tokio
    /// runtime, which the provider uses from then on. Dropped halfway, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for settings that cannot
    /// work, a server that is too old or of another kind than the settings say, and a missing runtime;
    /// [`ErrorKind::Connection`](crate::ErrorKind::Connection) or
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if the server does not answer within the
    /// connect timeout, or a step of reading its log takes longer than the command timeout;
    /// [`ErrorKind::Unready`](crate::ErrorKind::Unready) if it cannot serve now. With
    /// [`lazy`](Self::lazy), the server is not waited for.
    pub async fn build(self) -> Result<RedisProvider> {
        self.assemble()
            .await
            .map_err(|error| error.during("build", super::NAME))
    }

    async fn assemble(self) -> Result<RedisProvider> {
        self.check()?;
        let server = self.server()?.named(self.client_name.clone())?;
        let backplane = Arc::new(Backplane::new(
            server.links(),
            LogKeys::new(Scope::root(&self.key_prefix).as_str()),
            self.clock.clone(),
            self.caps,
            self.bounds.touch,
            self.on_failover,
        ));
        if !self.lazy {
            self.first_beat(&server, &backplane).await?;
        }
        let address = server.to_string();
        let freed = Arc::<AtomicU64>::default();
        let tasks = self.tasks(server, &backplane, &freed)?;
        Ok(RedisProvider {
            entries: Entries {
                reads: Reads::over(&backplane.links, Handle::current()),
                backplane,
                lease_ttl: self.lease_ttl,
                packing: self.packing,
            },
            key_prefix: self.key_prefix.into(),
            address: address.into(),
            freed,
            _tasks: tasks,
        })
    }

    fn tasks(
        &self,
        server: Server,
        backplane: &Arc<Backplane>,
        freed: &Arc<AtomicU64>,
    ) -> Result<Tasks> {
        let first = match self.lazy {
            true => Duration::ZERO,
            false => self.heartbeat,
        };
        let sweeper = |interval| Sweeper::new(backplane, interval, Arc::clone(freed));
        let sweeper = self.sweep.map(sweeper).transpose()?;
        let period = self.heartbeat;
        Ok(Tasks::start(server, backplane, first, period, sweeper))
    }

    /// The server has to answer within the connect timeout. How long its log takes to read depends
    /// on what is in there; each step of that is bounded by the command timeout.
    async fn first_beat(&self, server: &Server, backplane: &Backplane) -> Result<()> {
        let bound = self.bounds.connect;
        let met = tokio::time::timeout(bound, server.meet(backplane)).await;
        met.unwrap_or_else(|_| Err(silent(bound)))
            .map_err(|error| {
                told(
                    error,
                    format!("the server at {server} could not be reached"),
                )
            })?;
        let exchanged = server.exchange(backplane).await;
        exchanged.map_err(|error| told(error, format!("the log of {server} could not be read")))
    }
}

fn silent(bound: Duration) -> Error {
    let message = format!("there was no answer within the connect timeout of {bound:?}");
    Error::new(ErrorKind::Timeout, message)
}

/// What an attempt was about, if it is worth another one; a refusal speaks for itself.
fn told(error: Error, what: String) -> Error {
    match error.is_retryable() {
        true => Error::new(error.kind(), what).with_source(error),
        false => error,
    }
}
