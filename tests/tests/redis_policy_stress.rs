//! Readers on two nodes under all policies at once, while everything is invalidated again and again:
//! nobody is shown what his node knows to be invalidated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::testkit::delivered;
use cache_core::{Cache, LoadError, Loaded, MemoryTier, Policy};
use cache_tests::redis_node::node;
use cache_tests::redis_server::RedisServer;
use tokio::task::JoinHandle;

const ROUNDS: u64 = 100;
const READERS: usize = 4;
/// Short, so that most of what is read has expired.
const TTL: Duration = Duration::from_millis(5);
const MINUTE: Duration = Duration::from_secs(60);

/// What is true now, and how often it was read.
#[derive(Default)]
struct Truth {
    current: AtomicU64,
    reads: AtomicUsize,
}

/// One node, and what everybody on it has to know by now.
#[derive(Clone)]
struct Node {
    cache: Cache,
    known: Arc<AtomicU64>,
}

impl Node {
    async fn on(server: &RedisServer, tier: Option<MemoryTier>) -> Self {
        let policy = Policy::new()
            .stale_while_revalidate(TTL)
            .stale_if_error(MINUTE)
            .retry_after(Duration::from_millis(1))
            .early_refresh(2.0)
            .soft_timeout(Duration::from_millis(1))
            .hard_timeout(MINUTE)
            .jitter(0.5);
        let builder = Cache::builder(node(server).await).policy(policy);
        let builder = match tier {
            Some(tier) => builder.memory_tier(tier),
            None => builder,
        };
        Self {
            cache: builder.default_ttl(TTL).build().unwrap(),
            known: Arc::default(),
        }
    }

    /// Every third value cannot be loaded.
    async fn read(self, truth: Arc<Truth>) {
        while self.known() < ROUNDS {
            let known = self.known();
            let source = Arc::clone(&truth);
            let load = || async move {
                let current = source.current.load(Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(current % 3)).await;
                match current % 3 {
                    0 => Err(()),
                    _ => Ok(Loaded::new(current).tag("t")),
                }
            };
            let read: Result<u64, LoadError<()>> = self.cache.get_or_load("k", load).await;
            if let Ok(value) = read {
                assert!(value >= known, "{value} was shown after {known}");
            }
            truth.reads.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn known(&self) -> u64 {
        self.known.load(Ordering::SeqCst)
    }

    async fn invalidate(&self, round: u64) {
        match round % 4 {
            0 => drop(self.cache.invalidate("k").await.unwrap()),
            1 => drop(self.cache.invalidate_tag("t").await.unwrap()),
            2 => drop(self.cache.invalidate_pattern("?").await.unwrap()),
            _ => drop(self.cache.clear().await.unwrap()),
        }
    }
}

async fn nobody_is_shown_what_was_invalidated(tier: Option<MemoryTier>) {
    let server = RedisServer::start();
    let nodes = [Node::on(&server, tier).await, Node::on(&server, tier).await];
    let truth = Arc::new(Truth::default());
    let reader = |index: usize| tokio::spawn(nodes[index % 2].clone().read(Arc::clone(&truth)));
    let readers: Vec<_> = (0..READERS * 2).map(reader).collect();
    for round in 1..=ROUNDS {
        truth.current.store(round, Ordering::SeqCst);
        let reads = truth.reads.load(Ordering::SeqCst) + READERS * 4;
        while truth.reads.load(Ordering::SeqCst) < reads {
            assert!(!readers.iter().any(JoinHandle::is_finished), "see above");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let [actor, other] = [0, 1].map(|turn| &nodes[(round as usize + turn) % 2]);
        actor.invalidate(round).await;
        actor.known.store(round, Ordering::SeqCst);
        delivered(&other.cache, &actor.cache).await;
        other.known.store(round, Ordering::SeqCst);
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let metrics = nodes.map(|node| node.cache.metrics());
    assert!(
        metrics.iter().all(|it| it.stale > 0 && it.refreshes > 0),
        "{metrics:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_nodes() {
    nobody_is_shown_what_was_invalidated(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_nodes_with_memory_tiers() {
    nobody_is_shown_what_was_invalidated(Some(MemoryTier::new())).await;
}
