//! The nodes of a history, and the server that they share.

use std::time::{Duration, Instant};

use cache_core::log::Log;
use cache_core::{Cache, Clock, Consistency, MemoryTier, RedisProvider};
use cache_tests::redis_server::RedisServer;
use cache_tests::tcp_proxy::TcpProxy;

use crate::operation::{Asking, KEYS, NAMESPACES, NODES, Name, PROXIED};

/// How long a node may answer without hearing from the server.
pub(crate) const TOUCH_BOUND: Duration = Duration::from_millis(300);
const HEARTBEAT: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const COMMAND_TIMEOUT: Duration = Duration::from_millis(150);
/// Far longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// A server, and a proxy in front of it, for many histories one after another.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) server: RedisServer,
    pub(crate) proxy: TcpProxy,
}

impl Backend {
    pub(crate) fn start() -> Self {
        let server = RedisServer::start();
        let proxy = TcpProxy::start(server.address());
        Self { server, proxy }
    }

    /// As it was before any fault.
    pub(crate) fn mend(&self) {
        self.server.resume();
        self.proxy.release();
    }

    /// Sends a command that may end its own connection.
    pub(crate) fn command(&self, command: &[&str]) {
        let _ = self.server.try_cli::<redis::Value>(command);
    }
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    cache: Cache,
    log: Log,
}

impl Node {
    async fn start(url: &str, prefix: &str) -> Self {
        let provider = provider(url, prefix).await;
        let log = cache_core::Provider::log(&provider).clone();
        let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
        let cache = builder.build().expect("the cache is built");
        Self { cache, log }
    }

    /// The root of both namespaces.
    pub(crate) fn root(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn namespace(&self, namespace: usize) -> Cache {
        self.cache.namespace(NAMESPACES[namespace])
    }

    /// The handle that is asked so.
    pub(crate) fn asked(&self, asking: Asking) -> Cache {
        let cache = self.namespace(asking.name.namespace);
        match asking.strict {
            true => cache.with_consistency(Consistency::Strict),
            false => cache,
        }
    }

    fn has_caught_up_with(&self, other: &Self) -> bool {
        self.log.stamp() == other.log.stamp()
            && self.log.pending().0.is_empty()
            && self.log.in_touch(Clock::system().now())
    }

    /// Asks the server for what is new, until it answers.
    async fn catch_up(&self, deadline: Instant) -> Result<(), String> {
        let strict = self.cache.with_consistency(Consistency::Strict);
        while let Err(error) = strict.exists("nothing").await {
            if Instant::now() > deadline {
                return Err(format!("the server is not reached again: {error}"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

/// A provider with short times, which a busy machine may exceed at first.
async fn provider(url: &str, prefix: &str) -> RedisProvider {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let builder = RedisProvider::builder(url)
            .key_prefix(prefix)
            .heartbeat(HEARTBEAT)
            .touch_bound(TOUCH_BOUND)
            .command_timeout(COMMAND_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT);
        match builder.build().await {
            Ok(provider) => return provider,
            Err(error) => assert!(Instant::now() < deadline, "no provider: {error}"),
        }
    }
}

/// The nodes of one deployment.
#[derive(Debug)]
pub(crate) struct Nodes(pub(crate) Vec<Node>);

impl Nodes {
    pub(crate) async fn start(backend: &Backend, prefix: &str) -> Self {
        let mut nodes = Vec::with_capacity(NODES);
        for index in 0..NODES {
            let url = match index {
                PROXIED => format!("redis://{}", backend.proxy.address()),
                _ => backend.server.url(),
            };
            nodes.push(Node::start(&url, prefix).await);
        }
        Self(nodes)
    }

    /// Waits until every node has heard of all, and nothing waits to be told.
    pub(crate) async fn settle(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        for node in &self.0 {
            node.catch_up(deadline).await?;
        }
        while !self
            .0
            .iter()
            .all(|node| node.has_caught_up_with(&self.0[0]))
        {
            if Instant::now() > deadline {
                return Err(format!("not everything is delivered: {self:?}"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

/// The key's name in its namespace.
pub(crate) fn text(name: Name) -> &'static str {
    KEYS[name.key]
}
