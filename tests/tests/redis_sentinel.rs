//! Failover by real sentinels: nobody notices but by what has to be computed again.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_core::log::Record;
use cache_core::testkit::eventually;
use cache_core::{
    Cache, Clock, ErrorKind, Invalidated, OnFailover, Provider, RedisProvider, RedisProviderBuilder,
};
use cache_tests::fake_sentinel::FakeSentinel;
use cache_tests::redis_node::{
    build, caught_up, delivered, invalidate, key, refused, set, shown, tagged,
};
use cache_tests::redis_server::RedisServer;
use cache_tests::sentinels::{NAME, Watched};

const TOUCH: Duration = Duration::from_secs(1);

fn builder(watched: &Watched) -> RedisProviderBuilder {
    RedisProvider::builder(format!("redis://{NAME}"))
        .sentinels(watched.urls())
        .heartbeat(Duration::from_millis(100))
        .touch_bound(TOUCH)
        .command_timeout(Duration::from_millis(500))
}

fn in_touch(node: &RedisProvider) -> bool {
    node.log().in_touch(Clock::system().now())
}

/// Waits until the replica is what the node writes to.
async fn goes_over(node: &RedisProvider, watched: &Watched) {
    let arrived = || watched.replica.calls_of("evalsha") > 0 && in_touch(node);
    eventually("the node goes over to the promoted replica", arrived).await;
    caught_up(node).await;
}

#[tokio::test]
async fn an_invalidation_that_the_promoted_replica_never_received_is_not_lost() {
    let mut watched = Watched::start();
    let (one, two) = (
        build(builder(&watched)).await,
        build(builder(&watched)).await,
    );
    let key = key("x");
    // By a node that does not live to record it again.
    let third = build(builder(&watched)).await;
    set(&third, &key, tagged(&third, "old", &["t"])).await;
    drop(third);
    let old = one.log().stamp().incarnation();
    let there = || watched.replica.cli::<u64>(&["EXISTS", &key]) == 1;
    eventually("the entry is replicated", there).await;
    watched.cut_replication();
    invalidate(&one, Record::Tag("t".into())).await;
    watched.primary.kill();
    watched.wait_for_promotion();

    for node in [&one, &two] {
        goes_over(node, &watched).await;
        assert!(there(), "the old entry still stands there");
        assert_eq!(shown(node, &key).await, None);
        assert_ne!(node.log().stamp().incarnation(), old);
    }
    set(&one, &key, tagged(&one, "new", &["t"])).await;
    assert_eq!(shown(&two, &key).await.as_deref(), Some("new"));
    invalidate(&two, Record::Tag("t".into())).await;
    delivered(&two, &one).await;
    assert_eq!(shown(&one, &key).await, None);
}

/// How many connections of nodes the server has.
fn connections(server: &RedisServer) -> usize {
    let list: String = server.cli(&["CLIENT", "LIST"]);
    list.matches(" name=ours ").count()
}

#[tokio::test]
async fn a_primary_that_was_demoted_is_left_although_it_answers() {
    let watched = Watched::start();
    let (one, two) = (
        build(builder(&watched).client_name("ours")).await,
        build(builder(&watched).client_name("ours")).await,
    );
    let connected = || connections(&watched.primary) == 4;
    eventually("all are connected", connected).await;
    let before = key("before");
    set(&one, &before, tagged(&one, "old", &["t"])).await;
    watched.fail_over();
    for node in [&one, &two] {
        goes_over(node, &watched).await;
    }
    let left = || connections(&watched.primary) == 0 && connections(&watched.replica) == 4;
    eventually("all connections go over", left).await;
    let key = key("after");
    set(&one, &key, tagged(&one, "new", &["t"])).await;
    let there: u64 = watched.replica.cli(&["EXISTS", &key]);
    assert_eq!(there, 1);
    invalidate(&two, Record::Tag("t".into())).await;
    delivered(&two, &one).await;
    assert_eq!(shown(&one, &key).await, None);
    assert_eq!(shown(&one, &before).await, None);
}

#[tokio::test]
async fn where_too_few_sentinels_answer_the_node_loses_touch() {
    let mut watched = Watched::start();
    let one = build(builder(&watched)).await;
    watched.kill_sentinels(1);
    let beats = watched.primary.calls_of("evalsha") + 20;
    eventually("two are enough for more heartbeats", || {
        watched.primary.calls_of("evalsha") > beats
    })
    .await;
    assert!(in_touch(&one));
    watched.kill_sentinels(2);
    eventually("it loses touch", || !in_touch(&one)).await;
    let error = refused(builder(&watched).build().await);
    assert_eq!(error.kind(), ErrorKind::Connection);
    let shown = format!("{error:?}");
    assert!(shown.contains("1 of 3 sentinels"), "{shown}");
}

#[tokio::test]
async fn a_primary_that_must_have_a_replica_and_has_none_keeps_nobody_in_touch() {
    let watched = Watched::start();
    let one = build(builder(&watched)).await;
    for setting in ["min-replicas-to-write", "min-replicas-max-lag"] {
        let _: () = watched.primary.cli(&["CONFIG", "SET", setting, "1"]);
    }
    set(&one, &key("x"), tagged(&one, "x", &[])).await;
    watched.replica.pause();
    eventually("it loses touch", || !in_touch(&one)).await;
    watched.replica.resume();
    eventually("it is in touch again", || in_touch(&one)).await;
}

#[tokio::test]
async fn a_name_that_the_sentinels_do_not_know_is_a_configuration_error() {
    let watched = Watched::start();
    let unknown = RedisProvider::builder("redis://unknown").sentinels(watched.urls());
    let error = refused(unknown.build().await);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`unknown`"), "{error}");
}

#[tokio::test]
async fn sentinels_that_cannot_be_are_refused() {
    let server = RedisServer::start();
    let none: [&str; 0] = [];
    for (builder, reason) in [
        (
            RedisProvider::builder("redis://mymaster").sentinels([server.url()]),
            "more than half",
        ),
        (
            RedisProvider::builder("redis://mymaster").sentinels(none),
            "no sentinel",
        ),
        (
            RedisProvider::builder("redis://mymaster").sentinels([server.url(), server.url()]),
            "twice",
        ),
        (
            RedisProvider::builder("redis://mymaster:6380").sentinels([server.url()]),
            "no port",
        ),
        (
            RedisProvider::builder("unix:///socket").sentinels([server.url()]),
            "the primary's name",
        ),
        (
            RedisProvider::builder("redis://mymaster").sentinels(["localhost"]),
            "redis[s]://",
        ),
    ] {
        let error = refused(builder.build().await);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// Settings for sentinels that say what the test has them say.
fn told_by(sentinels: &[FakeSentinel]) -> RedisProviderBuilder {
    RedisProvider::builder(format!("redis://{NAME}"))
        .sentinels(sentinels.iter().map(FakeSentinel::url))
        .heartbeat(Duration::from_millis(20))
}

#[tokio::test]
async fn a_server_that_is_no_primary_is_not_followed_although_the_sentinels_name_it() {
    let primary = RedisServer::start();
    let port = primary.port().to_string();
    let writable = [
        "--replicaof",
        "127.0.0.1",
        &port,
        "--replica-read-only",
        "no",
    ];
    let replica = RedisServer::start_with(&writable);
    let sentinels = [FakeSentinel::start(replica.port(), 0)];
    let error = refused(told_by(&sentinels).build().await);
    assert_eq!(error.kind(), ErrorKind::Unready, "{error:?}");
    let cause = std::error::Error::source(&error).expect("a cause");
    assert!(cause.to_string().contains("no primary"), "{cause}");
}

#[tokio::test]
async fn one_sentinel_of_three_is_too_few_although_no_other_is_listed() {
    let server = RedisServer::start();
    let sentinels = [FakeSentinel::start(server.port(), 2)];
    let error = refused(told_by(&sentinels).build().await);
    let cause = std::error::Error::source(&error).expect("a cause");
    assert!(cause.to_string().contains("1 of 3"), "{cause}");
}

#[tokio::test]
async fn a_sentinel_that_is_always_the_last_to_answer_keeps_its_connection() {
    let server = RedisServer::start();
    let mut sentinels = [0; 3].map(|_| FakeSentinel::start(server.port(), 2));
    sentinels[0].slow_down(Duration::from_millis(50));
    let _node = build(told_by(&sentinels)).await;
    let asked = || sentinels[1].questions() >= 10 && sentinels[0].questions() >= 5;
    eventually("the sentinels are asked", asked).await;
    assert_eq!(sentinels[0].connections(), 1);
}

#[tokio::test]
async fn the_connection_to_the_primary_outlives_a_silence_of_the_sentinels() {
    let server = RedisServer::start();
    let sentinels = [FakeSentinel::start(server.port(), 0)];
    let name = "steady";
    let node = build(told_by(&sentinels).client_name(name)).await;
    let ids = || -> HashSet<String> {
        let list: String = server.cli(&["CLIENT", "LIST"]);
        let ours = list.lines().filter(|line| line.contains("name=steady"));
        ours.filter_map(|line| line.split(' ').next())
            .map(ToOwned::to_owned)
            .collect()
    };
    eventually("both connections have their name", || ids().len() == 2).await;
    let before = ids();
    let asked = sentinels[0].questions();
    sentinels[0].deny();
    let denied = || sentinels[0].questions() >= asked + 5;
    eventually("the sentinel refuses a few times", denied).await;
    sentinels[0].allow();
    eventually("the node is in touch", || in_touch(&node)).await;
    assert_eq!(ids(), before);
}

/// Versions of one row, and when each was announced to all nodes.
#[derive(Default)]
struct Source {
    version: AtomicU64,
    announced: Mutex<Vec<(Instant, u64)>>,
    stop: AtomicBool,
}

impl Source {
    /// The newest version that every node had to know of by now.
    fn known_to_all(&self) -> u64 {
        let slack = TOUCH + Duration::from_millis(500);
        let announced = self.announced.lock().unwrap();
        let old = announced.iter().filter(|(when, _)| when.elapsed() > slack);
        old.map(|(_, version)| *version).max().unwrap_or(0)
    }

    async fn read(&self, cache: &Cache) -> u64 {
        let load = async || Ok::<_, Infallible>(self.version.load(Ordering::SeqCst));
        cache.get_or_set("row", load).await.unwrap()
    }

    /// Writes and invalidates until it is told to stop: the number of invalidations.
    async fn change(&self, cache: &Cache) -> u64 {
        let mut changes = 0;
        while !self.stop.load(Ordering::SeqCst) {
            let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
            let state = cache.invalidate("row").await.expect("the invalidation");
            if state == Invalidated::Applied {
                let announced = (Instant::now(), version);
                self.announced.lock().unwrap().push(announced);
            }
            changes += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        changes
    }

    /// Reads until it is told to stop: how often, and the longest that it took.
    async fn watch(&self, cache: &Cache) -> (u64, Duration) {
        let (mut reads, mut longest) = (0, Duration::ZERO);
        while !self.stop.load(Ordering::SeqCst) {
            let (began, least) = (Instant::now(), self.known_to_all());
            let version = self.read(cache).await;
            assert!(version >= least, "{version} after {least} was announced");
            longest = longest.max(began.elapsed());
            reads += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (reads, longest)
    }
}

async fn cache(watched: &Watched, on_failover: OnFailover) -> Cache {
    let node = build(builder(watched).on_failover(on_failover)).await;
    let cache = Cache::builder(node).build().expect("the cache is built");
    cache.namespace("n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_under_load_fails_no_caller_and_shows_nothing_stale() {
    fail_over_under_load(OnFailover::Hide).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_where_entries_are_kept() {
    fail_over_under_load(OnFailover::Reappend).await;
}

async fn fail_over_under_load(on_failover: OnFailover) {
    let mut watched = Watched::start();
    let (one, two) = (
        cache(&watched, on_failover).await,
        cache(&watched, on_failover).await,
    );
    let source = Arc::new(Source::default());
    let (changing, by) = (Arc::clone(&source), one.clone());
    let changing = tokio::spawn(async move { changing.change(&by).await });
    let watching = [one.clone(), one.clone(), two.clone(), two.clone()].map(|cache| {
        let source = Arc::clone(&source);
        tokio::spawn(async move { source.watch(&cache).await })
    });
    let announced = || source.announced.lock().unwrap().len();
    eventually("invalidations are under way", || announced() > 20).await;
    watched.primary.kill();
    let watched = tokio::task::spawn_blocking(move || {
        watched.wait_for_promotion();
        watched
    });
    let watched = watched.await.unwrap();
    let before = announced();
    eventually("they are again", || announced() > before + 100).await;
    assert!(watched.replica.calls_of("evalsha") > 0);
    source.stop.store(true, Ordering::SeqCst);

    assert!(changing.await.unwrap() > 100);
    for watching in watching {
        let (reads, longest) = watching.await.unwrap();
        assert!(reads > 100);
        assert!(longest < Duration::from_secs(4), "{longest:?}");
    }
    let last = source.version.load(Ordering::SeqCst);
    for cache in [&one, &two] {
        cache_core::testkit::delivered(cache, &one).await;
        assert_eq!(source.read(cache).await, last, "no invalidation is lost");
    }
}
