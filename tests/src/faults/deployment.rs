//! Three nodes that share what they cache.

use std::convert::Infallible;
use std::sync::Arc;

use cache_core::log::Log;
use cache_core::{
    Cache, Clock, EntryOptions, Error, Invalidated, MemoryTier, Provider, RedisProviderBuilder,
};

use super::machines::Machines;
use super::{COMMAND_TIMEOUT, Fault, HEARTBEAT, NODES, TOUCH_BOUND};

/// One cache, as a process has it.
pub(super) struct Node {
    pub(super) index: usize,
    pub(super) cache: Cache,
    log: Log,
    clock: Clock,
}

pub(super) struct Deployment {
    nodes: Vec<Arc<Node>>,
    machines: Machines,
}

impl Deployment {
    pub(super) async fn start(fault: Fault) -> Self {
        let start = tokio::task::spawn_blocking(move || Machines::start(fault));
        let machines = start.await.expect("the machines start");
        let mut nodes = Vec::new();
        for index in 0..NODES {
            nodes.push(Arc::new(Node::start(index, machines.provider(index)).await));
        }
        Self { nodes, machines }
    }

    pub(super) fn split(self) -> (Vec<Arc<Node>>, Machines) {
        (self.nodes, self.machines)
    }
}

impl Node {
    async fn start(index: usize, provider: RedisProviderBuilder) -> Self {
        let provider = provider
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
