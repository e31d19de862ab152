//! Three nodes, each behind a proxy of its own, on one server.

use std::convert::Infallible;
use std::sync::Arc;

use cache_core::log::Log;
use cache_core::{
    Cache, Clock, EntryOptions, Error, Invalidated, MemoryTier, Provider, RedisProvider,
};

use super::{COMMAND_TIMEOUT, Fault, HEARTBEAT, NODES, TOUCH_BOUND};
use crate::redis_server::RedisServer;
use crate::tcp_proxy::TcpProxy;

/// One cache, as a process has it.
pub(super) struct Node {
    pub(super) index: usize,
    pub(super) cache: Cache,
    log: Log,
    clock: Clock,
}

/// What can break.
pub(super) struct Machines {
    pub(super) server: RedisServer,
    pub(super) proxies: Vec<TcpProxy>,
}

pub(super) struct Deployment {
    nodes: Vec<Arc<Node>>,
    machines: Machines,
}

impl Deployment {
    pub(super) async fn start(fault: Fault) -> Self {
        let server = RedisServer::start_with(fault.server_arguments());
        let proxy = |_| TcpProxy::start(server.address());
        let proxies: Vec<_> = (0..NODES).map(proxy).collect();
        let mut nodes = Vec::new();
        for (index, proxy) in proxies.iter().enumerate() {
            nodes.push(Arc::new(Node::start(index, proxy).await));
        }
        let machines = Machines { server, proxies };
        Self { nodes, machines }
    }

    pub(super) fn split(self) -> (Vec<Arc<Node>>, Machines) {
        (self.nodes, self.machines)
    }
}

impl Node {
    async fn start(index: usize, proxy: &TcpProxy) -> Self {
        let provider = RedisProvider::builder(format!("redis://{}", proxy.address()))
            .connect_timeout(COMMAND_TIMEOUT)
            .command_timeout(COMMAND_TIMEOUT)
            .heartbeat(HEARTBEAT)
            .touch_bound(TOUCH_BOUND)
            .build()
            .await
            .expect("the node reaches the server");
        let (log, clock) = (provider.log().clone(), provider.clock());
        let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
        let builder = builder.flight_wait(2 * COMMAND_TIMEOUT);
        Self {
            index,
            cache: builder.build().expect("the cache is built"),
            log,
            clock,
        }
    }

    pub(super) async fn read(&self, key: usize, load: impl AsyncFnOnce() -> u64) -> u64 {
        let (name, tag) = (format!("k{key}"), format!("t{key}"));
        let options = EntryOptions::new().tag(tag);
        let load = async || Ok::<_, Infallible>(load().await);
        let Ok(version) = self.cache.get_or_set_with(&name, options, load).await;
        version
    }

    /// Invalidates a value by one of the three ways to name it.
    pub(super) async fn invalidate(&self, key: usize, way: u64) -> Result<Invalidated, Error> {
        match way % 3 {
            0 => self.cache.invalidate(&format!("k{key}")).await,
            1 => self.cache.invalidate_tag(&format!("t{key}")).await,
            _ => self.cache.invalidate_pattern(&format!("k{key}")).await,
        }
    }

    pub(super) fn is_in_touch(&self) -> bool {
        self.log.in_touch(self.clock.now())
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.log.pending().0.is_empty()
    }
}
