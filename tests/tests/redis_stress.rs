//! Readers and invalidators on two nodes while the server loses scripts, connections and its log:
//! what a read returns is never older than what was invalidated on its node before it began.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{Cache, EntryOptions, RedisProvider};
use cache_tests::redis_server::RedisServer;

const KEYS: [&str; 3] = ["user:1", "user:2", "team:1"];
const ROUNDS: usize = 300;

/// The truth that is cached: a number that only grows.
#[derive(Default)]
struct Source(AtomicU64);

/// One node, and the newest number that has been invalidated for good on it.
struct Node {
    cache: Cache,
    floor: AtomicU64,
    source: Arc<Source>,
}

impl Node {
    async fn start(server: &RedisServer, source: &Arc<Source>, lock: bool) -> Arc<Self> {
        let provider = RedisProvider::builder(server.url()).heartbeat(Duration::from_millis(50));
        let provider = provider.build().await.expect("the provider is built");
        let builder = Cache::builder(provider).distributed_lock(lock);
        let cache = builder.build().expect("the cache is built");
        Arc::new(Self {
            cache: cache.namespace("stress"),
            floor: AtomicU64::new(0),
            source: Arc::clone(source),
        })
    }

    async fn read(&self, round: usize) {
        let floor = self.floor.load(Ordering::SeqCst);
        let load = || async {
            let number = self.source.0.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(number)
        };
        let options = EntryOptions::new().tag("everything");
        let key = KEYS[round % KEYS.len()];
        let Ok(read) = self.cache.get_or_set_with(key, options, load).await;
        assert!(
            read >= floor,
            "{read} was read after {floor} was invalidated"
        );
    }

    /// The truth moves on, and what is older goes. What fails promises nothing.
    async fn invalidate(&self, round: usize) {
        let number = self.source.0.fetch_add(1, Ordering::SeqCst) + 1;
        let cache = &self.cache;
        let gone = match round % 4 {
            0 => cache.invalidate_tag("everything").await.is_ok(),
            1 => cache.invalidate_pattern("*").await.is_ok(),
            2 => cache.clear().await.is_ok(),
            _ => cache.delete_many(&KEYS).await.is_ok(),
        };
        if gone {
            self.floor.fetch_max(number, Ordering::SeqCst);
        }
    }
}

/// What happens to a server in its life.
fn trouble(server: &RedisServer, round: usize) {
    let what: &[&str] = match round % 6 {
        0 => &["SCRIPT", "FLUSH"],
        1 => &["XTRIM", "{cache}:log", "MAXLEN", "0"],
        2 => &["CLIENT", "KILL", "TYPE", "normal"],
        3 => &["DEL", "{cache}:inv"],
        4 => &["DEL", "{cache}:log"],
        _ => &["FLUSHALL"],
    };
    // It may have killed its own connection.
    let _ = server.try_cli::<redis::Value>(what);
}

async fn run(server: RedisServer, troubled: bool, lock: bool) {
    let source = Arc::<Source>::default();
    let nodes = [
        Node::start(&server, &source, lock).await,
        Node::start(&server, &source, lock).await,
    ];
    let mut tasks = Vec::new();
    for node in &nodes {
        for offset in 0..4 {
            let node = Arc::clone(node);
            tasks.push(tokio::spawn(async move {
                for round in offset..ROUNDS + offset {
                    node.read(round).await;
                    if round % 5 == 0 {
                        node.invalidate(round / 5).await;
                        node.read(round).await;
                    }
                }
            }));
        }
    }
    for round in 0.. {
        if tasks.iter().all(tokio::task::JoinHandle::is_finished) {
            break;
        }
        if troubled {
            trouble(&server, round);
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for task in tasks {
        task.await.expect("no read was stale");
    }
    for node in &nodes {
        assert!(node.floor.load(Ordering::SeqCst) > 0, "nothing was proven");
        assert!(node.cache.metrics().hits > 0, "nothing was proven");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_what_was_invalidated_before_it() {
    run(RedisServer::start(), false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_while_the_server_loses_scripts_connections_and_its_log() {
    run(RedisServer::start(), true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_where_nodes_wait_for_each_others_loads() {
    run(RedisServer::start(), false, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_while_the_server_has_trouble_and_nodes_wait_for_each_other() {
    run(RedisServer::start(), true, true).await;
}
