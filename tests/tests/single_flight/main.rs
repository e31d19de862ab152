//! One load per cluster: nodes on one server, each of which waits for the others' loads.

mod contracts;
mod ends;
mod joining;
mod outages;
mod paths;
mod sharing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::testkit::{Gate, Held, eventually, followers};
use cache_core::{Cache, CacheBuilder, EntryOptions, Provider, RedisProviderBuilder};
use cache_tests::redis_node::patient;
use cache_tests::redis_server::RedisServer;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const KEY: &str = "k";
const TAG: &str = "t";
/// Callers of a herd on one node.
const CALLERS: usize = 10;
/// Far beyond what a test takes: a wait that ends by its bound is a failure.
const FAR: Duration = Duration::from_secs(60);
/// Long for a busy machine, and much less than that.
const SOON: Duration = Duration::from_secs(20);

type Loaded = Result<String, &'static str>;

/// A node, and how often it has loaded.
#[derive(Clone)]
struct Node {
    cache: Cache,
    loads: Arc<AtomicUsize>,
}

/// Settings under which only the end of the other's load ends a wait.
fn over(provider: impl Provider) -> CacheBuilder {
    let builder = Cache::builder(provider).flight_wait(FAR * 2).lock_wait(FAR);
    builder.distributed_lock(true)
}

async fn node(server: &RedisServer) -> Node {
    built(patient(server)).await
}

async fn built(builder: RedisProviderBuilder) -> Node {
    let provider = builder.build().await.expect("the provider is built");
    Node::new(over(provider))
}

impl Node {
    fn new(builder: CacheBuilder) -> Self {
        Self::on(builder.build().expect("the cache is built"))
    }

    fn on(cache: Cache) -> Self {
        let loads = Arc::default();
        Self { cache, loads }
    }

    async fn run(&self, result: Loaded, held: Option<Held>) -> Loaded {
        let options = EntryOptions::new().tag(TAG);
        let load = || async {
            self.loads.fetch_add(1, Ordering::SeqCst);
            if let Some(held) = held {
                held.pass().await;
            }
            result
        };
        self.cache.get_or_set_with(KEY, options, load).await
    }

    async fn load(&self, value: &str) -> String {
        let loaded = timeout(SOON, self.run(Ok(value.into()), None)).await;
        loaded.expect("no long wait").expect("the load succeeds")
    }

    /// A load that has begun, and stands at the gate.
    async fn hold(&self, result: Result<&str, &'static str>) -> (Gate, JoinHandle<Loaded>) {
        let (gate, held) = Gate::new();
        let load = self.spawn(result, Some(held));
        gate.entered().await;
        (gate, load)
    }

    fn spawn(&self, result: Result<&str, &'static str>, held: Option<Held>) -> JoinHandle<Loaded> {
        let (node, result) = (self.clone(), result.map(str::to_owned));
        tokio::spawn(async move { node.run(result, held).await })
    }

    /// Callers of which all but the leader follow.
    async fn herd(&self, value: &str) -> Herd {
        let herd = (0..CALLERS).map(|_| self.spawn(Ok(value), None)).collect();
        self.followed_by(CALLERS - 1).await;
        Herd(herd)
    }

    /// Callers that all follow the load that is held.
    async fn herd_behind_it(&self, value: &str) -> Herd {
        let herd = (0..CALLERS).map(|_| self.spawn(Ok(value), None)).collect();
        self.followed_by(CALLERS).await;
        Herd(herd)
    }

    async fn followed_by(&self, count: usize) {
        let all_follow = || followers(&self.cache, KEY) == count;
        eventually("all but the leader follow", all_follow).await;
    }

    async fn stored(&self) -> Option<String> {
        self.cache.get(KEY).await.expect("the read")
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

struct Herd(Vec<JoinHandle<Loaded>>);

impl Herd {
    /// All of them have this value, and long before the bound.
    async fn has(self, value: &str) {
        for caller in self.0 {
            assert_eq!(ended(caller).await.as_deref(), Ok(value));
        }
    }
}

async fn ended(load: JoinHandle<Loaded>) -> Loaded {
    let ended = timeout(SOON, load).await.expect("no long wait");
    ended.expect("no panic")
}

/// Waits until somebody has found another's lease, and looked again later.
async fn somebody_looks_again(server: &RedisServer) {
    let looks = || server.calls_of("getrange");
    let before = looks();
    // A look at a lease reads its header twice, a renewal once.
    eventually("somebody waits for the lease", || looks() >= before + 6).await;
}
