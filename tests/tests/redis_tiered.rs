//! A memory tier in front of Redis: contracts, what other nodes change, and outages.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use cache_core::testkit::{Gate, Nodes, delivered};
use cache_core::{
    Cache, Consistency, EntryOptions, ErrorKind, Invalidated, MemoryTier, RedisProvider,
    RedisProviderBuilder,
};
use cache_tests::redis_node::{build, deaf_node, patient};
use cache_tests::redis_server::RedisServer;

async fn tiered(builder: RedisProviderBuilder, tier: MemoryTier) -> Cache {
    let provider = builder.build().await.expect("the provider is built");
    over(provider, tier)
}

fn over(provider: RedisProvider, tier: MemoryTier) -> Cache {
    let builder = Cache::builder(provider).memory_tier(tier);
    builder.build().expect("the cache is built")
}

async fn node(server: &RedisServer) -> Cache {
    tiered(patient(server), MemoryTier::new()).await
}

async fn two_nodes() -> Nodes {
    let server = RedisServer::start();
    Nodes::two(node(&server).await, node(&server).await).keeping(server)
}

mod conformance {
    cache_core::conformance!(crate::two_nodes());
}

mod race {
    cache_core::race_table!(crate::two_nodes());
}

async fn read(cache: &Cache) -> Option<String> {
    cache.get("k").await.expect("the read")
}

async fn load(cache: &Cache, value: &str) -> String {
    let options = EntryOptions::new().tag("t");
    let load = || async { Ok::<_, Infallible>(value.to_owned()) };
    let Ok(value) = cache.get_or_set_with("k", options, load).await;
    value
}

#[tokio::test]
async fn a_hit_asks_the_server_nothing() {
    let server = RedisServer::start();
    let cache = node(&server).await;
    load(&cache, "v").await;
    let before = (server.calls_of("get"), server.calls_of("mget"));
    for _ in 0..100 {
        assert_eq!(load(&cache, "w").await, "v");
        assert_eq!(read(&cache).await.as_deref(), Some("v"));
    }
    assert_eq!((server.calls_of("get"), server.calls_of("mget")), before);
}

#[tokio::test]
async fn what_another_node_changes_is_seen() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    a.set("k", "one").await.unwrap();
    assert_eq!(read(&b).await.as_deref(), Some("one"));
    a.set("k", "two").await.unwrap();
    becomes(&b, Some("two")).await;
    a.invalidate("k").await.unwrap();
    becomes(&b, None).await;
    a.set("k", "three").await.unwrap();
    becomes(&b, Some("three")).await;
    assert!(a.expire("k", Duration::from_millis(50)).await.unwrap());
    becomes(&b, None).await;
}

/// Waits for a condition that is asked of a server.
async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "still waiting");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn becomes(cache: &Cache, expected: Option<&str>) {
    let is = |read: cache_core::Result<Option<String>>| {
        read.is_ok_and(|value| value.as_deref() == expected)
    };
    until(|| async { is(cache.get("k").await) }).await;
}

/// The first answer of a cache that is out of touch with its server.
async fn first_answer(cache: &Cache) -> Option<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match cache.get("k").await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_number_that_another_node_counts_on_is_not_kept() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    a.set("k", &41).await.unwrap();
    assert_eq!(b.get::<i64>("k").await.unwrap(), Some(41));
    assert_eq!(a.increment("k", 1).await.unwrap(), 42);
    cache_core::testkit::delivered(&b, &a).await;
    assert_eq!(b.get::<i64>("k").await.unwrap(), Some(42));
    assert_eq!(a.increment("k", 1).await.unwrap(), 43);
    assert_eq!(b.get::<i64>("k").await.unwrap(), Some(43), "at once");
}

/// The node hears nothing by itself, so that only what it asks for can reach it.
#[tokio::test]
async fn a_strict_read_sees_what_any_node_has_done_before() {
    let server = RedisServer::start();
    let deaf = over(deaf_node(&server).await, MemoryTier::new());
    let strict = deaf.with_consistency(Consistency::Strict);
    let other = node(&server).await;
    let acts = ["key", "tag", "pattern", "clear", "set"];
    for (round, act) in acts.into_iter().enumerate() {
        let value = format!("v{round}");
        other.set("k", &value).tag("t").await.unwrap();
        assert_eq!(read(&strict).await, Some(value.clone()));
        match act {
            "key" => other.invalidate("k").await.map(drop),
            "tag" => other.invalidate_tag("t").await.map(drop),
            "pattern" => other.invalidate_pattern("*").await.map(drop),
            "clear" => other.clear().await.map(drop),
            _ => other.set("k", "newest").await,
        }
        .unwrap();
        assert_eq!(read(&deaf).await, Some(value), "it has not heard of {act}");
        let newest = (act == "set").then_some("newest");
        assert_eq!(read(&strict).await.as_deref(), newest, "{act}");
    }
}

#[tokio::test]
async fn a_strict_load_does_not_answer_with_what_was_invalidated_elsewhere() {
    let server = RedisServer::start();
    let deaf = over(deaf_node(&server).await, MemoryTier::new());
    let other = node(&server).await;
    assert_eq!(load(&deaf, "old").await, "old");
    other.invalidate_tag("t").await.unwrap();
    assert_eq!(load(&deaf, "new").await, "old", "it has not heard");
    let strict = deaf.with_consistency(Consistency::Strict);
    assert_eq!(load(&strict, "new").await, "new");
}

fn impatient(server: &RedisServer) -> RedisProviderBuilder {
    RedisProvider::builder(server.url())
        .command_timeout(Duration::from_millis(200))
        .heartbeat(Duration::from_millis(50))
        .touch_bound(Duration::from_millis(400))
}

#[tokio::test]
async fn copies_are_shown_no_longer_than_the_node_is_in_touch() {
    let server = RedisServer::start();
    let cache = tiered(impatient(&server), MemoryTier::new()).await;
    assert_eq!(load(&cache, "old").await, "old");
    server.pause();
    until(|| async { load(&cache, "new").await == "new" }).await;
    server.resume();
}

/// A load of "old" that does not end before the gate opens.
async fn hold_a_load(cache: &Cache) -> (Gate, tokio::task::JoinHandle<String>) {
    let (gate, held) = Gate::new();
    let cache = cache.clone();
    let older = tokio::spawn(async move {
        let load = || async {
            held.pass().await;
            Ok::<_, Infallible>("old".to_owned())
        };
        let Ok(value) = cache.get_or_set("k", load).await;
        value
    });
    gate.entered().await;
    (gate, older)
}

/// What is loaded without waiting for anybody.
async fn load_at_once(cache: &Cache, value: &str) -> String {
    let soon = Duration::from_secs(2);
    let loaded = tokio::time::timeout(soon, load(cache, value)).await;
    loaded.expect("an answer of its own")
}

/// Other nodes may have invalidated meanwhile what the load is bringing.
#[tokio::test]
async fn who_is_out_of_touch_does_not_wait_for_a_load_from_before() {
    let server = RedisServer::start();
    let cache = tiered(impatient(&server), MemoryTier::new()).await;
    let (gate, older) = hold_a_load(&cache).await;
    server.pause();
    tokio::time::sleep(Duration::from_millis(450)).await;
    assert_eq!(load_at_once(&cache, "new").await, "new");
    gate.open();
    assert_eq!(older.await.unwrap(), "old");
    server.resume();
}

#[tokio::test]
async fn a_strict_read_that_cannot_ask_the_log_does_not_wait_for_a_load_from_before() {
    let server = RedisServer::start();
    let builder = impatient(&server).touch_bound(Duration::from_secs(3_600));
    let cache = tiered(builder, MemoryTier::new()).await;
    let (gate, older) = hold_a_load(&cache).await;
    server.pause();
    let strict = cache.with_consistency(Consistency::Strict);
    assert_eq!(load_at_once(&strict, "new").await, "new");
    gate.open();
    assert_eq!(older.await.unwrap(), "old");
    server.resume();
}

#[tokio::test]
async fn who_asks_for_it_is_served_copies_while_the_server_is_away() {
    let server = RedisServer::start();
    let tier = MemoryTier::new().serve_while_away(Duration::from_secs(3_600));
    let cache = tiered(impatient(&server), tier).await;
    assert_eq!(load(&cache, "old").await, "old");
    server.pause();
    let away = || async {
        cache
            .without_memory_tier()
            .get::<String>("k")
            .await
            .is_err()
    };
    while !away().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(load(&cache, "new").await, "old");
    let state = cache.invalidate("k").await.unwrap();
    assert_eq!(state, Invalidated::Pending);
    assert_eq!(load(&cache, "new").await, "new", "gone here all the same");
    server.resume();
}

#[tokio::test]
async fn an_invalidation_during_an_outage_holds_here_and_is_delivered_on_return() {
    for act in ["key", "tag", "pattern", "clear"] {
        let server = RedisServer::start();
        let here = tiered(impatient(&server), MemoryTier::new()).await;
        let there = node(&server).await;
        assert_eq!(load(&here, "old").await, "old");
        assert_eq!(load(&there, "old").await, "old");
        server.pause();
        let state = match act {
            "key" => here.invalidate("k").await,
            "tag" => here.invalidate_tag("t").await,
            "pattern" => here.invalidate_pattern("k*").await,
            _ => here.clear().await,
        };
        assert_eq!(state.unwrap(), Invalidated::Pending);
        assert_eq!(
            load(&here, "new").await,
            "new",
            "{act}: at once on this node"
        );
        server.resume();
        becomes(&there, None).await;
        assert_eq!(
            first_answer(&here).await,
            None,
            "{act}: the first answer after the return"
        );
        assert_eq!(load(&there, "newer").await, "newer");
    }
}

#[tokio::test]
async fn a_write_whose_outcome_is_unknown_shows_neither_value() {
    let server = RedisServer::start();
    let here = tiered(impatient(&server), MemoryTier::new()).await;
    let there = node(&server).await;
    here.set("k", "old").await.unwrap();
    assert_eq!(read(&there).await.as_deref(), Some("old"));
    server.pause();
    let error = here.set("k", "new").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    server.resume();
    becomes(&there, None).await;
    assert_eq!(first_answer(&here).await, None);
}

#[tokio::test]
async fn a_silent_server_is_soon_asked_by_the_heartbeat_alone() {
    let server = RedisServer::start();
    let builder = impatient(&server).touch_bound(Duration::from_secs(3_600));
    let cache = tiered(builder, MemoryTier::new()).await;
    server.pause();
    let mut kinds = Vec::new();
    while kinds.last() != Some(&ErrorKind::Connection) {
        assert!(kinds.len() < 20, "{kinds:?}");
        kinds.push(cache.get::<i32>("k").await.unwrap_err().kind());
    }
    server.resume();
    becomes(&cache, None).await;
}

#[tokio::test]
async fn after_two_crossing_sets_memory_and_server_hold_the_same() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let plain = build(patient(&server)).await;
    let plain = Cache::builder(plain).build().expect("the cache is built");
    for round in 0..50 {
        let (left, right) = (format!("left {round}"), format!("right {round}"));
        let (by_one, by_two) = tokio::join!(one.set("k", &left), two.set("k", &right));
        by_one.and(by_two).expect("the sets");
        // Each has the other's record by now, or has it before it shows anything from memory.
        for cache in [&one, &two] {
            cache.get::<String>("k").await.expect("the read");
        }
        delivered(&one, &two).await;
        delivered(&two, &one).await;
        let stored = read(&plain).await;
        assert!(stored == Some(left) || stored == Some(right), "{stored:?}");
        for cache in [&one, &two] {
            assert_eq!(read(cache).await, stored);
        }
    }
}
