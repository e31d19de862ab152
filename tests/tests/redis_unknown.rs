//! Writes whose outcome nobody was told, and what is written after an invalidation that waits.

use std::task::{Context, Waker};
use std::time::Duration;

use cache_core::log::Invalidated;
use cache_core::{Cache, EntryOptions, ErrorKind, MemoryTier, Provider, RedisProvider};
use cache_tests::redis_node::{build, deaf_node, patient, slow};
use cache_tests::redis_server::RedisServer;

const SHORT: Duration = Duration::from_millis(300);

fn over(provider: RedisProvider) -> Cache {
    let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
    builder.build().expect("the cache is built")
}

async fn node(server: &RedisServer) -> Cache {
    over(build(patient(server)).await)
}

/// A node that gives up early, and delivers what waits with its next write only.
async fn hasty(server: &RedisServer) -> RedisProvider {
    let builder = RedisProvider::builder(server.url()).command_timeout(SHORT);
    build(slow(builder)).await
}

/// Sends what the future sends first, while the server stands still, and drops it.
async fn sent_and_dropped<F: Future>(server: &RedisServer, operation: F) {
    server.pause();
    let mut operation = Box::pin(operation);
    let mut context = Context::from_waker(Waker::noop());
    assert!(operation.as_mut().poll(&mut context).is_pending());
    // The connection's own task writes it out.
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(operation);
    server.resume();
}

async fn shows<T: cache_core::Value + PartialEq>(cache: &Cache, key: &str, expected: Option<T>) {
    let shown = async {
        while cache.get::<T>(key).await.expect("the read") != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), shown).await;
    in_time.expect("what others changed is seen");
}

#[tokio::test]
async fn copies_of_a_number_go_although_the_one_who_counted_on_was_gone_before_the_answer() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    // From here on the server knows the script.
    one.increment("warm", 1).await.unwrap();
    one.set("n", &41).await.unwrap();
    for cache in [&one, &two] {
        assert_eq!(cache.get::<i64>("n").await.unwrap(), Some(41));
    }
    sent_and_dropped(&server, one.increment("n", 1)).await;
    for cache in [&one, &two] {
        shows(cache, "n", Some(42_i64)).await;
    }
}

#[tokio::test]
async fn copies_go_although_the_one_who_shortened_their_life_was_gone_before_the_answer() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    // From here on the server knows the script.
    one.expire("warm", None).await.unwrap();
    one.set("k", "v").no_ttl().await.unwrap();
    assert_eq!(two.get::<String>("k").await.unwrap().as_deref(), Some("v"));
    let shorter = Some(Duration::from_millis(100));
    sent_and_dropped(&server, one.expire("k", shorter)).await;
    for cache in [&one, &two] {
        shows::<String>(cache, "k", None).await;
    }
}

/// Has an invalidation of `key` wait for the server, which is back when this returns.
async fn with_a_pending_key(server: &RedisServer, cache: &Cache, key: &str) {
    server.pause();
    let invalidated = cache.invalidate(key).await.unwrap();
    assert_eq!(invalidated, Invalidated::Pending);
    server.resume();
}

#[tokio::test]
async fn a_set_after_an_invalidation_that_waits_is_not_deleted_by_it() {
    let server = RedisServer::start();
    let provider = hasty(&server).await;
    let log = provider.log().clone();
    let (cache, other) = (over(provider), node(&server).await);
    with_a_pending_key(&server, &cache, "k").await;
    cache.set("k", "new").await.unwrap();
    assert!(!log.has_pending(), "it was delivered first");
    for cache in [&cache, &other] {
        assert_eq!(
            cache.get::<String>("k").await.unwrap().as_deref(),
            Some("new")
        );
    }
}

#[tokio::test]
async fn a_counter_whose_invalidation_waits_begins_once_and_counts_on() {
    let server = RedisServer::start();
    let cache = over(hasty(&server).await);
    assert_eq!(cache.increment("n", 5).await.unwrap(), 5);
    with_a_pending_key(&server, &cache, "n").await;
    for expected in 1..=3 {
        assert_eq!(cache.increment("n", 1).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_set_that_the_server_refused_leaves_the_old_value_alone() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    one.set("k", "old").await.unwrap();
    let _: () = server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = one.set("k", "new").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unready);
    for cache in [&one, &two] {
        assert_eq!(
            cache.get::<String>("k").await.unwrap().as_deref(),
            Some("old")
        );
    }
}

#[tokio::test]
async fn an_invalidation_that_the_server_forbids_holds_here_and_goes_on_being_tried() {
    let server = RedisServer::start();
    let rules = [
        "ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all",
    ];
    let _: () = server.cli(&rules);
    let url = server.url().replace("redis://", "redis://limited:secret@");
    let quick = RedisProvider::builder(url).heartbeat(Duration::from_millis(100));
    let (limited, other) = (over(build(quick).await), node(&server).await);
    limited.set("k", "old").await.unwrap();
    let _: () = server.cli(&["ACL", "SETUSER", "limited", "-evalsha"]);
    let error = limited.invalidate("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    let load = || async { Ok::<_, std::convert::Infallible>("new".to_owned()) };
    let Ok(value) = limited.get_or_set("k", load).await;
    assert_eq!(value, "new");
    let _: () = server.cli(&["ACL", "SETUSER", "limited", "+evalsha"]);
    shows::<String>(&other, "k", None).await;
}

#[tokio::test]
async fn a_large_batch_leaves_the_memory_tier_as_it_is() {
    let server = RedisServer::start();
    let cache = over(deaf_node(&server).await);
    cache.set("k", "v").await.unwrap();
    assert_eq!(
        cache.get::<String>("k").await.unwrap().as_deref(),
        Some("v")
    );
    let keys: Vec<_> = (0..3_000).map(|index| format!("k{index}")).collect();
    let values: Vec<_> = keys.iter().map(|key| (key.as_str(), 1)).collect();
    cache.set_many(&values, EntryOptions::new()).await.unwrap();
    let before = server.calls_of("mget") + server.calls_of("get");
    assert_eq!(
        cache.get::<String>("k").await.unwrap().as_deref(),
        Some("v")
    );
    assert_eq!(server.calls_of("mget") + server.calls_of("get"), before);
}
