//! Locks on real servers: never two holders while the server keeps its memory, and numbers that grow
//! when it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use cache_core::{Cache, ErrorKind, LockGuard, MemoryTier, RedisProvider};
use cache_tests::cluster::PRIMARIES;
use cache_tests::cluster_node::{own_prefix, patient as patient_of, shared};
use cache_tests::redis_node::{build, node, patient, slow, slow_node};
use cache_tests::redis_server::RedisServer;

const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
/// Long enough for a busy machine to come to the next line, short enough to be waited for.
const WHILE: Duration = Duration::from_secs(1);
const PLACE: &str = "{cache::name}:lock";

fn over(provider: RedisProvider) -> Cache {
    let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
    builder.build().expect("the cache is built")
}

async fn cache(server: &RedisServer) -> Cache {
    over(node(server).await)
}

async fn try_lock(cache: &Cache, ttl: Duration) -> Option<LockGuard> {
    cache.try_lock("name").ttl(ttl).await.unwrap()
}

/// The lock, when it is free and the server answers: at once, or when others have been released.
async fn soon(cache: &Cache) -> LockGuard {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match cache.try_lock("name").ttl(MINUTE).await {
            Ok(Some(guard)) => return guard,
            Ok(None) => {}
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        assert!(Instant::now() < deadline, "the lock is not given out");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn one_process_holds_the_lock_and_gives_it_to_the_next() {
    let server = RedisServer::start();
    let (one, two) = (cache(&server).await, cache(&server).await);
    let guard = try_lock(&one, MINUTE).await.unwrap();
    assert!(guard.is_held());
    assert!(try_lock(&two, MINUTE).await.is_none());
    assert!(two.try_lock("another").await.unwrap().is_some());
    let first = guard.fencing();
    assert!(guard.release().await.unwrap());
    let guard = try_lock(&two, MINUTE).await.unwrap();
    assert!(guard.fencing() > first && guard.fencing() < 1 << 53);
}

#[tokio::test]
async fn taking_extending_and_releasing_are_one_round_trip_each() {
    let server = RedisServer::start();
    let cache = over(slow_node(&server).await);
    let round = async || {
        let mut guard = try_lock(&cache, MINUTE).await.unwrap();
        assert!(guard.extend(MINUTE).await.unwrap());
        assert!(guard.release().await.unwrap());
    };
    round().await;
    let _: () = server.cli(&["CONFIG", "RESETSTAT"]);
    round().await;
    assert_eq!(server.calls_of("evalsha"), 3);
}

#[tokio::test]
async fn who_comes_after_the_end_neither_extends_nor_releases() {
    let server = RedisServer::start();
    let (one, two) = (cache(&server).await, cache(&server).await);
    let mut late = try_lock(&one, SHORT).await.unwrap();
    tokio::time::sleep(SHORT).await;
    assert!(!late.is_held());
    assert!(!late.extend(MINUTE).await.unwrap(), "nobody else has it");
    let next = try_lock(&two, MINUTE).await.unwrap();
    assert!(next.fencing() > late.fencing());
    assert!(!late.extend(MINUTE).await.unwrap());
    assert!(!late.is_held());
    assert!(!late.release().await.unwrap());
    assert!(try_lock(&one, MINUTE).await.is_none());
    assert!(next.release().await.unwrap());
}

#[tokio::test]
async fn an_extension_keeps_others_out() {
    let server = RedisServer::start();
    let (one, two) = (cache(&server).await, cache(&server).await);
    let mut guard = try_lock(&one, WHILE).await.unwrap();
    assert!(guard.extend(MINUTE).await.unwrap());
    tokio::time::sleep(WHILE).await;
    assert!(guard.is_held());
    assert!(try_lock(&two, MINUTE).await.is_none());
}

#[tokio::test]
async fn a_lock_that_is_kept_alive_is_held_until_its_guard_is_dropped() {
    let server = RedisServer::start();
    let (one, two) = (cache(&server).await, cache(&server).await);
    let ttl = Duration::from_secs(2);
    let lock = one.try_lock("name").ttl(ttl).keep_alive();
    let guard = lock.await.unwrap().unwrap();
    tokio::time::sleep(ttl * 3 / 2).await;
    assert!(guard.is_held());
    assert!(try_lock(&two, MINUTE).await.is_none());
    drop(guard);
    soon(&two).await;
}

#[tokio::test]
async fn a_dropped_guard_is_released_in_the_background() {
    let server = RedisServer::start();
    let (one, two) = (cache(&server).await, cache(&server).await);
    drop(try_lock(&one, MINUTE * 10).await.unwrap());
    soon(&two).await;
}

#[tokio::test]
async fn a_process_that_dies_holds_it_until_its_time_is_over() {
    let server = RedisServer::start();
    let (one, two) = (cache(&server).await, cache(&server).await);
    std::mem::forget(try_lock(&one, SHORT).await.unwrap());
    let asked = Instant::now();
    let guard = two.lock("name").wait(MINUTE).await.unwrap();
    assert!(guard.is_some());
    assert!(asked.elapsed() < MINUTE / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_two_at_one_moment() {
    let server = RedisServer::start();
    let caches = [cache(&server).await, cache(&server).await];
    let (inside, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = caches
        .iter()
        .cycle()
        .take(8)
        .map(|cache| {
            let (cache, inside, last) = (cache.clone(), Arc::clone(&inside), Arc::clone(&last));
            tokio::spawn(async move {
                for _ in 0..10 {
                    let guard = cache.lock("name").wait(MINUTE).await.unwrap().unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    assert!(last.swap(guard.fencing(), Ordering::SeqCst) < guard.fencing());
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert!(guard.release().await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn the_numbers_grow_though_the_server_comes_back_empty() {
    let mut server = RedisServer::start();
    // A lock that was asked for over a connection that broke is an error after that long.
    let builder = RedisProvider::builder(server.url()).command_timeout(WHILE);
    let cache = over(build(builder).await);
    let before = soon(&cache).await;
    let _: () = server.cli(&["FLUSHALL"]);
    let emptied = soon(&cache).await;
    assert!(emptied.fencing() > before.fencing());
    assert!(!before.release().await.unwrap(), "not its lock any more");
    server.kill();
    server.restart();
    let restarted = soon(&cache).await;
    assert!(restarted.fencing() > emptied.fencing());
    assert!(!emptied.release().await.unwrap());
    assert!(restarted.release().await.unwrap());
}

#[tokio::test]
async fn the_numbers_grow_though_the_servers_clock_has_gone_back() {
    let server = RedisServer::start();
    let cache = cache(&server).await;
    // Given out, and released, when the clock was a century ahead.
    let ahead: u64 = 5_000_000_000_000_000;
    let mut released = vec![0_u8; 8];
    released.extend(ahead.to_be_bytes());
    released.extend(0_u64.to_be_bytes());
    let mut connection = server.connect().unwrap();
    let plant = redis::cmd("SET")
        .arg(PLACE)
        .arg(released)
        .exec(&mut connection);
    plant.unwrap();
    for next in 1..=3 {
        let guard = try_lock(&cache, MINUTE).await.unwrap();
        assert_eq!(guard.fencing(), ahead + next);
        guard.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_that_was_asked_for_in_vain_is_not_taken_later() {
    let server = RedisServer::start();
    let hasty = RedisProvider::builder(server.url()).command_timeout(WHILE);
    let (hasty, other) = (over(build(slow(hasty)).await), cache(&server).await);
    // From here on the server knows the script, and the node its clock.
    let guard = soon(&hasty).await;
    let last = guard.fencing();
    guard.release().await.unwrap();
    server.pause();
    let error = hasty.lock("name").ttl(MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    server.resume();
    // It comes to that attempt before it answers this.
    while hasty.ping().await.is_err() {}
    let number: Vec<u8> = server.cli(&["GETRANGE", PLACE, "8", "15"]);
    assert_eq!(number, last.to_be_bytes(), "not even for a moment");
    assert!(try_lock(&other, MINUTE).await.is_some());
}

#[tokio::test]
async fn a_lock_that_nobody_waits_for_any_more_is_given_back() {
    let server = RedisServer::start();
    let (one, two) = (cache(&server).await, cache(&server).await);
    soon(&one).await.release().await.unwrap();
    server.pause();
    let mut locking = one.lock("name").ttl(MINUTE * 10).into_future();
    let mut context = Context::from_waker(Waker::noop());
    assert!(locking.as_mut().poll(&mut context).is_pending());
    // The connection's own task writes it out.
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(locking);
    server.resume();
    soon(&two).await;
}

#[tokio::test]
async fn a_full_server_gives_out_no_lock_and_takes_back_what_is_held() {
    let server = RedisServer::start();
    let cache = cache(&server).await;
    let mut guard = try_lock(&cache, MINUTE).await.unwrap();
    let _: () = server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = cache.lock("another").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unready, "{error}");
    assert!(guard.extend(MINUTE).await.unwrap());
    assert!(guard.release().await.unwrap());
    let error = cache.lock("name").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unready, "{error}");
}

#[tokio::test]
async fn while_the_server_is_gone_the_holder_believes_no_longer_than_it_was_given() {
    let mut server = RedisServer::start();
    let builder = RedisProvider::builder(server.url()).command_timeout(WHILE);
    let cache = over(build(builder).await);
    let mut guard = try_lock(&cache, SHORT).await.unwrap();
    server.kill();
    let error = guard.extend(MINUTE).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    tokio::time::sleep(SHORT).await;
    assert!(!guard.is_held());
    let error = cache.lock("name").await.unwrap_err();
    assert!(error.is_retryable(), "at once: {error}");
    assert_eq!(error.operation(), "lock");
}

#[tokio::test]
async fn a_lock_is_no_entry() {
    let server = RedisServer::start();
    let often = Duration::from_millis(20);
    let cache = over(build(patient(&server).sweep(often)).await);
    let guard = try_lock(&cache, MINUTE).await.unwrap();
    let mut scan = cache.scan_keys("*", 100).unwrap();
    while let Some(page) = scan.next_page().await.unwrap() {
        assert!(page.is_empty());
    }
    assert_eq!(cache.delete_by_pattern("*").await.unwrap(), 0);
    cache.set("name", "an entry").await.unwrap();
    cache.clear().await.unwrap();
    let freed = || server.cli::<u64>(&["EXISTS", "cache::name"]) == 0;
    cache_core::testkit::eventually("the sweep takes the entry", freed).await;
    assert!(try_lock(&cache, MINUTE).await.is_none());
    assert!(guard.release().await.unwrap());
    let left: i64 = server.cli(&["PTTL", PLACE]);
    assert!((1..=3_600_000).contains(&left), "it is forgotten: {left}");
}

#[tokio::test]
async fn what_is_no_lock_makes_way_for_one() {
    let server = RedisServer::start();
    let cache = cache(&server).await;
    let plant: [&[&str]; 2] = [
        &["SET", PLACE, "no lock"],
        &["RPUSH", PLACE, "no", "string"],
    ];
    for command in plant {
        let _: redis::Value = server.cli(command);
        let guard = try_lock(&cache, MINUTE).await.unwrap();
        assert!(try_lock(&cache, MINUTE).await.is_none());
        assert!(guard.release().await.unwrap());
        let _: () = server.cli(&["DEL", PLACE]);
    }
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_is_taught_them_again() {
    let server = RedisServer::start();
    let cache = cache(&server).await;
    let forget = || server.cli::<()>(&["SCRIPT", "FLUSH"]);
    for _ in 0..2 {
        forget();
        let mut guard = try_lock(&cache, MINUTE).await.unwrap();
        forget();
        assert!(guard.extend(MINUTE).await.unwrap());
        forget();
        assert!(guard.release().await.unwrap());
    }
}

#[tokio::test]
async fn on_a_cluster_each_lock_is_held_where_it_lies_for_all_nodes() {
    let cluster = shared();
    let prefix = own_prefix();
    let node = async || over(build(patient_of(&cluster).key_prefix(&prefix)).await);
    let (one, two) = (node().await, node().await);
    for name in ["{a}b", "}{", "{}", "c", "d", "e", "f"] {
        let mut guard = one.try_lock(name).await.unwrap().unwrap();
        assert!(two.try_lock(name).await.unwrap().is_none());
        assert!(guard.extend(MINUTE).await.unwrap());
        let first = guard.fencing();
        assert!(guard.release().await.unwrap());
        assert!(two.try_lock(name).await.unwrap().unwrap().fencing() > first);
    }
    let locks = |node| -> Vec<String> {
        let keys = format!("{{{prefix}:*");
        cluster.server(node).cli(&["KEYS", &keys])
    };
    let spread = (0..PRIMARIES).filter(|node| !locks(*node).is_empty());
    assert!(spread.count() > 1, "they do not all lie on one node");
}
