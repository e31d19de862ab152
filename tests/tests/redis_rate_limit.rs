//! Rate limits on real servers: one round trip, never too much, whoever asks and from wherever.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::testkit::eventually;
use cache_core::{
    Cache, Decision, ErrorKind, Limits, ManualClock, MemoryProvider, MemoryTier, RateLimit,
    RateLimiter, RedisProvider,
};
use cache_tests::cluster::PRIMARIES;
use cache_tests::cluster_node::{own_prefix, patient as patient_of, shared};
use cache_tests::redis_node::{answers, build, node, patient, slow, slow_node};
use cache_tests::redis_server::RedisServer;
use proptest::test_runner::{Config, TestRunner};

const MINUTE: Duration = Duration::from_secs(60);

fn over(provider: RedisProvider) -> Cache {
    let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
    builder.build().expect("the cache is built")
}

fn limiter(provider: RedisProvider, limit: RateLimit) -> RateLimiter {
    over(provider).rate_limiter(limit).expect("a limiter")
}

fn both(limit: u64, window: Duration) -> [RateLimit; 2] {
    [
        RateLimit::fixed_window(limit, window),
        RateLimit::sliding_window(limit, window),
    ]
}

#[tokio::test]
async fn a_check_is_one_round_trip() {
    for limit in both(5, MINUTE) {
        let server = RedisServer::start();
        let limiter = limiter(slow_node(&server).await, limit);
        // From here on the server knows the script.
        limiter.peek("k").await.unwrap();
        let _: () = server.cli(&["CONFIG", "RESETSTAT"]);
        for call in 0..10 {
            let decision = limiter.check("k").await.unwrap();
            assert_eq!(decision.allowed, call < 5);
        }
        let mut calls = server.calls();
        // What the test asks, and the tail's reads that wait.
        calls.retain(|(name, _)| !name.starts_with("config") && name != "info" && name != "xread");
        calls.sort();
        let expected = [("evalsha", 10), ("get", 10), ("set", 5), ("time", 10)];
        assert_eq!(
            calls,
            expected.map(|(name, calls)| (name.to_owned(), calls))
        );
    }
}

#[tokio::test]
async fn all_nodes_count_together() {
    let server = RedisServer::start();
    for limit in both(100, MINUTE) {
        let one = limiter(node(&server).await, limit);
        let two = limiter(node(&server).await, limit);
        let asks = (0..400).map(|call| {
            let limiter = if call % 2 == 0 {
                one.clone()
            } else {
                two.clone()
            };
            tokio::spawn(async move { limiter.check("k").await.unwrap().allowed })
        });
        let mut allowed = 0;
        for ask in asks.collect::<Vec<_>>() {
            allowed += u32::from(ask.await.unwrap());
        }
        assert_eq!(allowed, 100);
    }
}

/// When a call that was allowed was sent, and when the answer was there.
type Span = (Instant, Instant);

async fn hammer(limiter: RateLimiter, until: Instant) -> Vec<Span> {
    let mut spans = Vec::new();
    while Instant::now() < until {
        let sent = Instant::now();
        if limiter.check("k").await.unwrap().allowed {
            spans.push((sent, Instant::now()));
        }
    }
    spans
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_no_window_more_is_allowed_than_the_limit_to_two_nodes_together() {
    const LIMIT: usize = 20;
    let window = Duration::from_millis(200);
    let server = RedisServer::start();
    let limit = RateLimit::sliding_window(LIMIT as u64, window);
    let nodes = [
        limiter(node(&server).await, limit),
        limiter(node(&server).await, limit),
    ];
    let until = Instant::now() + window * 6;
    let tasks = nodes.iter().cycle().take(6);
    let tasks: Vec<_> = tasks
        .map(|node| tokio::spawn(hammer(node.clone(), until)))
        .collect();
    let mut spans = Vec::new();
    for task in tasks {
        spans.extend(task.await.unwrap());
    }
    assert!(
        spans.len() > LIMIT,
        "windows came and went: {}",
        spans.len()
    );
    for (began, _) in &spans {
        // Each was counted between its two moments, so these were all counted in one window.
        let within = |(sent, answered): &&Span| sent >= began && *answered < *began + window;
        let counted = spans.iter().filter(within).count();
        assert!(counted <= LIMIT, "{counted} in one window");
    }
}

#[tokio::test]
async fn memory_and_redis_decide_alike() {
    let server = RedisServer::start();
    let provider = Arc::new(node(&server).await);
    let redis: &dyn Limits = &*provider;
    let memory = MemoryProvider::new();
    let memory: &dyn Limits = &memory;
    let large = (1 << 53) - 1;
    let plans: [(u64, &[u64]); 5] = [
        (10, &[1, 0, 3, 7, 6, 0, 1, 11, 0]),
        (0, &[0, 1, u64::MAX]),
        (1, &[2, 1, 1, 0]),
        (large, &[large - 1, 2, 1, 1, 0, large, large + 1, u64::MAX]),
        (3, &[1, 1, 1, 1]),
    ];
    for (most, costs) in plans {
        for limit in both(most, MINUTE * 60) {
            let key = format!("cache:n:{most}");
            for cost in costs {
                let one = redis.check(&key, limit, *cost).await.unwrap();
                let other = memory.check(&key, limit, *cost).await.unwrap();
                assert_eq!((one.allowed, one.limit), (other.allowed, other.limit));
                assert_eq!(one.remaining, other.remaining);
                assert_eq!(one.retry_after.is_some(), other.retry_after.is_some());
                let apart = one.resets_after.abs_diff(other.resets_after);
                assert!(apart < MINUTE, "{one:?} {other:?}");
            }
            assert_eq!(
                redis.reset(&key, limit).await.unwrap(),
                memory.reset(&key, limit).await.unwrap()
            );
        }
    }
}

/// Has so many seconds pass for a count: all its moments are so much earlier.
fn age(connection: &mut redis::Connection, place: &str, seconds: i64) {
    let state: Vec<u8> = redis::cmd("GET").arg(place).query(connection).unwrap();
    let mut aged = Vec::new();
    for (index, number) in state.chunks(8).enumerate() {
        let number = i64::from_be_bytes(number.try_into().expect("whole numbers"));
        // When the newest part began; then, of each part, when it ends and what it counts.
        let is_moment = index == 0 || index % 2 == 1;
        let passed = if is_moment { seconds * 1_000_000 } else { 0 };
        aged.extend((number - passed).to_be_bytes());
    }
    let mut set = redis::cmd("SET");
    set.arg(place).arg(aged).arg("KEEPTTL");
    set.exec(connection).unwrap();
}

fn alike(one: &Decision, other: &Decision) {
    assert_eq!(
        (one.allowed, one.remaining),
        (other.allowed, other.remaining)
    );
    assert!(
        one.resets_after.abs_diff(other.resets_after) < MINUTE,
        "{one:?} {other:?}"
    );
    assert_eq!(one.retry_after.is_some(), other.retry_after.is_some());
    let retry = |decision: &Decision| decision.retry_after.unwrap_or_default();
    assert!(
        retry(one).abs_diff(retry(other)) < MINUTE,
        "{one:?} {other:?}"
    );
}

#[test]
fn the_script_decides_as_memory_does_whatever_time_passes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start();
    let connection = RefCell::new(server.connect().unwrap());
    let redis = runtime.block_on(node(&server));
    let redis: &dyn Limits = &redis;
    // Long enough for the test's own time to be nothing.
    let window = MINUTE * 6_000;
    let calls = proptest::collection::vec((0..800_u32, 0..5_u64), 1..40);
    let check = |(steps, slides, most): (Vec<(u32, u64)>, bool, u64)| {
        let limit = both(most, window)[usize::from(slides)];
        let clock = ManualClock::new();
        let memory = MemoryProvider::builder().clock(clock.clock()).build();
        let memory: &dyn Limits = &memory;
        let kind = if slides { 's' } else { 'f' };
        let place = format!("{{k}}:{kind}{}", window.as_micros());
        for (minutes, cost) in steps {
            let one = runtime.block_on(redis.check("k", limit, cost)).unwrap();
            let other = runtime.block_on(memory.check("k", limit, cost)).unwrap();
            alike(&one, &other);
            clock.advance(MINUTE * minutes);
            if server.cli::<u64>(&["EXISTS", &place]) == 1 {
                age(
                    &mut connection.borrow_mut(),
                    &place,
                    i64::from(minutes) * 60,
                );
            }
        }
        runtime.block_on(redis.reset("k", limit)).unwrap();
        Ok(())
    };
    let mut runner = TestRunner::new(Config::with_cases(40));
    let plans = (
        calls,
        proptest::bool::ANY,
        proptest::sample::select(vec![8, 1_000]),
    );
    runner.run(&plans, check).unwrap();
    // As many parts as there can be.
    check((vec![(100, 1); 200], true, 1_000)).unwrap();
}

#[tokio::test]
async fn a_clock_that_has_gone_back_makes_what_is_counted_last_longer() {
    let server = RedisServer::start();
    let mut connection = server.connect().unwrap();
    for limit in both(2, MINUTE) {
        let limiter = limiter(node(&server).await, limit);
        assert!(limiter.check("k").await.unwrap().allowed);
        let place: Vec<String> = server.cli(&["KEYS", "{cache:*"]);
        age(&mut connection, &place[0], -3_600);
        assert_eq!(limiter.check("k").await.unwrap().remaining, 0);
        let denied = limiter.check("k").await.unwrap();
        assert!(!denied.allowed && denied.retry_after > Some(MINUTE * 59));
        assert!(limiter.reset("k").await.unwrap());
    }
}

#[tokio::test]
async fn what_is_counted_ends_with_the_window_and_leaves_nothing_on_the_server() {
    let server = RedisServer::start();
    let window = Duration::from_secs(1);
    let size = || server.cli::<Vec<String>>(&["KEYS", "{cache:*"]).len();
    for limit in both(1, window) {
        let limiter = limiter(node(&server).await, limit);
        let decision = limiter.check("k").await.unwrap();
        assert_eq!(decision.resets_after, window);
        assert_eq!(size(), 1);
        let denied = limiter.check("k").await.unwrap();
        let retry = denied.retry_after.expect("it is denied");
        assert!(retry <= window, "{retry:?}");
        tokio::time::sleep(retry).await;
        let again = limiter.check("k").await.unwrap();
        assert!(again.allowed, "it was said so: {again:?}");
        eventually("the key goes", || size() == 0).await;
    }
}

#[tokio::test]
async fn from_a_sliding_window_each_call_goes_by_itself() {
    let server = RedisServer::start();
    let window = Duration::from_secs(2);
    let limiter = limiter(node(&server).await, RateLimit::sliding_window(2, window));
    assert!(limiter.check("k").await.unwrap().allowed);
    tokio::time::sleep(window / 2).await;
    assert!(limiter.check("k").await.unwrap().allowed);
    let denied = limiter.check("k").await.unwrap();
    let (first, both) = (denied.retry_after.unwrap(), denied.resets_after);
    assert!(first <= window / 2 && both > window / 2, "{denied:?}");
    tokio::time::sleep(first).await;
    assert!(limiter.check("k").await.unwrap().allowed);
}

#[tokio::test]
async fn no_entry_is_counted_and_no_count_is_an_entry() {
    let server = RedisServer::start();
    let often = Duration::from_millis(20);
    let provider = build(patient(&server).sweep(often)).await;
    let cache = over(provider).namespace("n");
    let limiter = cache
        .rate_limiter(RateLimit::fixed_window(1, MINUTE))
        .unwrap();
    assert!(limiter.check("k").await.unwrap().allowed);
    let mut scan = cache.scan_keys("*", 100).unwrap();
    while let Some(page) = scan.next_page().await.unwrap() {
        assert!(page.is_empty());
    }
    assert_eq!(cache.delete_by_pattern("*").await.unwrap(), 0);
    cache.set("k", "v").await.unwrap();
    cache.clear().await.unwrap();
    let freed = || server.cli::<u64>(&["EXISTS", "cache:n:k"]) == 0;
    eventually("the sweep takes the entry", freed).await;
    assert!(!limiter.check("k").await.unwrap().allowed);
    assert!(limiter.reset("k").await.unwrap());
    assert!(!limiter.reset("k").await.unwrap());
    assert!(limiter.check("k").await.unwrap().allowed);
}

#[tokio::test]
async fn a_check_that_nobody_waits_for_any_more_is_not_counted() {
    let server = RedisServer::start();
    let short = Duration::from_secs(1);
    let hasty = RedisProvider::builder(server.url()).command_timeout(short);
    let limiter = limiter(build(slow(hasty)).await, RateLimit::fixed_window(2, MINUTE));
    limiter.check("k").await.unwrap();
    server.pause();
    let asked = Instant::now();
    let error = limiter.check("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(asked.elapsed() < Duration::from_secs(10));
    server.resume();
    let peek = async {
        loop {
            match limiter.peek("k").await {
                Ok(peek) => break peek,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    };
    assert_eq!(peek.await.remaining, 1);
}

#[tokio::test]
async fn while_the_server_is_gone_a_check_is_an_error_and_afterwards_it_begins_anew() {
    let mut server = RedisServer::start();
    let provider = Arc::new(node(&server).await);
    let cache = Cache::builder(node(&server).await).build().unwrap();
    let limiter = cache
        .rate_limiter(RateLimit::fixed_window(1, MINUTE))
        .unwrap();
    assert!(limiter.check("k").await.unwrap().allowed);
    server.kill();
    let error = limiter.check("k").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(error.operation(), "rate_limit");
    server.restart();
    answers(&provider, "cache:n:k").await;
    while limiter.peek("k").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(limiter.check("k").await.unwrap().allowed);
    assert!(!limiter.check("k").await.unwrap().allowed);
}

#[tokio::test]
async fn what_is_no_count_makes_way_for_one() {
    let server = RedisServer::start();
    let limiter = limiter(node(&server).await, RateLimit::fixed_window(1, MINUTE));
    let place = "{cache::k}:f60000000";
    let plant: [&[&str]; 3] = [
        &["SET", place, "no count"],
        &["RPUSH", place, "no", "string"],
        &["SET", place, ""],
    ];
    for command in plant {
        let _: redis::Value = server.cli(command);
        assert!(limiter.check("k").await.unwrap().allowed, "{command:?}");
        assert!(!limiter.check("k").await.unwrap().allowed);
        assert!(limiter.reset("k").await.unwrap());
    }
}

#[tokio::test]
async fn a_full_server_neither_allows_nor_denies() {
    let server = RedisServer::start();
    let limiter = limiter(node(&server).await, RateLimit::fixed_window(1, MINUTE));
    assert!(limiter.check("k").await.unwrap().allowed);
    let _: () = server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = limiter.check("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unready, "{error}");
    assert!(error.to_string().contains("maxmemory"), "{error}");
    assert!(limiter.reset("k").await.unwrap(), "room can be made");
    let _: () = server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(limiter.check("k").await.unwrap().allowed);
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_script_is_taught_it_again() {
    let server = RedisServer::start();
    let limiter = limiter(node(&server).await, RateLimit::sliding_window(3, MINUTE));
    for remaining in [2, 1, 0] {
        let _: () = server.cli(&["SCRIPT", "FLUSH"]);
        assert_eq!(limiter.check("k").await.unwrap().remaining, remaining);
    }
}

#[tokio::test]
async fn on_a_cluster_each_key_is_counted_where_it_lies_for_all_nodes() {
    let cluster = shared();
    let prefix = own_prefix();
    let node = async || over(build(patient_of(&cluster).key_prefix(&prefix)).await);
    let caches = [node().await, node().await];
    for limit in both(3, MINUTE) {
        for key in ["{a}b", "}{", "{}", "c", "d", "e", "f"] {
            for (call, cache) in caches.iter().cycle().take(5).enumerate() {
                let limiter = cache.rate_limiter(limit).unwrap();
                let decision = limiter.check(key).await.unwrap();
                assert_eq!(decision.allowed, call < 3);
            }
        }
    }
    let counts = |node| -> Vec<String> {
        let keys = format!("{{{prefix}:*");
        cluster.server(node).cli(&["KEYS", &keys])
    };
    let spread = (0..PRIMARIES).filter(|node| !counts(*node).is_empty());
    assert!(spread.count() > 1, "they do not all lie on one node");
    assert_eq!(
        (0..PRIMARIES).map(|node| counts(node).len()).sum::<usize>(),
        14
    );
}
