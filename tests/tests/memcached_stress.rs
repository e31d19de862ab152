//! Readers and invalidators on three nodes while the server loses its log, its items and
//! connections: what a read returns on any node is never older than what was invalidated on any
//! other before it began. Where the server cannot be asked, that takes strict reads: others may
//! share a load of their process that is under way.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{Cache, Consistency, EntryOptions, Invalidated};
use cache_tests::memcached_node::{LOG, build, patient};
use cache_tests::memcached_server::MemcachedServer;
use cache_tests::tcp_proxy::TcpProxy;

const KEYS: [&str; 3] = ["user:1", "user:2", "team:1"];
const ROUNDS: usize = 300;

/// The truth that is cached, a number that only grows; and the newest that has been invalidated
/// for all nodes.
#[derive(Default)]
struct Source {
    number: AtomicU64,
    floor: AtomicU64,
}

/// One node, and the newest number that has been invalidated for good on it.
struct Node {
    cache: Cache,
    /// Whether its reads know of what other nodes have invalidated.
    knows_all: bool,
    floor: AtomicU64,
    source: Arc<Source>,
}

impl Node {
    async fn start(url: String, source: &Arc<Source>, run: Run) -> Arc<Self> {
        let provider = build(patient(url).command_timeout(Duration::from_secs(1))).await;
        let builder = Cache::builder(provider).distributed_lock(run.lock);
        let cache = builder
            .build()
            .expect("the cache is built")
            .namespace("stress");
        Arc::new(Self {
            cache: match run.strict {
                true => cache.with_consistency(Consistency::Strict),
                false => cache,
            },
            knows_all: run.strict || !run.trouble,
            floor: AtomicU64::new(0),
            source: Arc::clone(source),
        })
    }

    async fn read(&self, round: usize) {
        let floor = match self.knows_all {
            true => &self.source.floor,
            false => &self.floor,
        };
        let floor = floor.load(Ordering::SeqCst);
        let load = || async {
            let number = self.source.number.load(Ordering::SeqCst);
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
        let number = self.source.number.fetch_add(1, Ordering::SeqCst) + 1;
        let cache = &self.cache;
        let gone = match round % 4 {
            0 => cache.invalidate_tag("everything").await.ok(),
            1 => cache.invalidate_pattern("*").await.ok(),
            2 => cache.clear().await.ok(),
            _ => cache
                .delete_many(&KEYS)
                .await
                .ok()
                .map(|_| Invalidated::Applied),
        };
        if gone == Some(Invalidated::Applied) {
            self.source.floor.fetch_max(number, Ordering::SeqCst);
        }
        if gone.is_some() {
            self.floor.fetch_max(number, Ordering::SeqCst);
        }
    }
}

/// What happens to a server, and on the way to it.
fn trouble(server: &MemcachedServer, proxy: &TcpProxy, round: usize) {
    let command = match round % 5 {
        0 => format!("md {LOG}"),
        1 => "flush_all".to_owned(),
        2 => format!("ms {LOG} 5\r\nhello"),
        3 => format!("md cache:stress:{}", KEYS[round % KEYS.len()]),
        _ => return proxy.cut_clients_off(),
    };
    server.cli(&command);
}

/// What is different in a run.
#[derive(Clone, Copy, Default)]
struct Run {
    trouble: bool,
    lock: bool,
    strict: bool,
}

async fn run(run: Run) {
    let server = MemcachedServer::start();
    let proxy = TcpProxy::start(server.address());
    let source = Arc::<Source>::default();
    let nodes = [
        Node::start(server.url(), &source, run).await,
        Node::start(server.url(), &source, run).await,
        Node::start(format!("memcache://{}", proxy.address()), &source, run).await,
    ];
    let mut tasks = Vec::new();
    for node in &nodes {
        for offset in 0..3 {
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
        if run.trouble {
            trouble(&server, &proxy, round);
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for task in tasks {
        task.await.expect("no read was stale");
    }
    assert!(
        source.floor.load(Ordering::SeqCst) > 0,
        "nothing was proven"
    );
    for node in &nodes {
        assert!(node.cache.metrics().hits > 0, "nothing was proven");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_what_was_invalidated_anywhere_before_it() {
    run(Run::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_where_nodes_wait_for_each_others_loads() {
    let lock = true;
    run(Run {
        lock,
        ..Run::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_strict_read_is_even_while_the_server_loses_its_log_its_items_and_connections() {
    for lock in [false, true] {
        let (trouble, strict) = (true, true);
        run(Run {
            trouble,
            lock,
            strict,
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_what_was_invalidated_here_whatever_the_server_loses() {
    for lock in [false, true] {
        let (trouble, strict) = (true, false);
        run(Run {
            trouble,
            lock,
            strict,
        })
        .await;
    }
}
