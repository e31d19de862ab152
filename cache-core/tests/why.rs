//! Why a read answered as it did.

use std::time::Duration;

use cache_core::testkit::{Chaos, ChaosProvider};
use cache_core::{
    Cache, Consistency, ErrorKind, ManualClock, MemoryProvider, MemoryTier, Miss, Source, Why,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn in_memory() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    (Cache::builder(provider).build().unwrap(), clock)
}

fn tiered() -> (Cache, Chaos) {
    let (provider, chaos) = ChaosProvider::over(MemoryProvider::new());
    let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
    (builder.build().unwrap(), chaos)
}

async fn why(cache: &Cache, key: &str) -> Why {
    let read = cache.read::<String>(key).await.unwrap();
    assert_eq!(read.value.is_some(), matches!(read.why, Why::Hit { .. }));
    read.why
}

async fn source(cache: &Cache, key: &str) -> Source {
    match why(cache, key).await {
        Why::Hit { from, .. } => from,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_hit_says_how_old_the_value_is() {
    let (cache, clock) = in_memory();
    cache.set("a", "value").ttl(HOUR).await.unwrap();
    let age = Duration::from_secs(90);
    clock.advance(age);
    let from = Source::Memory;
    assert_eq!(why(&cache, "a").await, Why::Hit { from, age });
    assert_eq!(cache.metrics().hits, 1);
}

#[tokio::test]
async fn a_miss_says_its_reason() {
    let (cache, clock) = in_memory();
    assert_eq!(why(&cache, "a").await, Why::Miss(Miss::Absent));
    cache.set("a", "value").ttl(HOUR).tag("t").await.unwrap();
    assert_eq!(
        cache.read::<u8>("a").await.unwrap().why,
        Why::Miss(Miss::Damaged)
    );
    cache.invalidate_tag("t").await.unwrap();
    assert_eq!(why(&cache, "a").await, Why::Miss(Miss::Invalidated));
    cache.set("b", "value").ttl(HOUR).await.unwrap();
    clock.advance(HOUR);
    assert_eq!(why(&cache, "b").await, Why::Miss(Miss::Expired));
    assert_eq!(cache.metrics().misses, 4);
    let error = cache.read::<String>("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
}

#[tokio::test]
async fn a_remote_value_is_told_from_its_copy_in_memory() {
    for consistency in [Consistency::Delivered, Consistency::Strict] {
        let (cache, _chaos) = tiered();
        let cache = cache.with_consistency(consistency);
        cache.set("a", "value").await.unwrap();
        assert_eq!(source(&cache, "a").await, Source::Remote);
        assert_eq!(source(&cache, "a").await, Source::MemoryTier);
        let past = cache.without_memory_tier();
        assert_eq!(source(&past, "a").await, Source::Remote);
    }
}

#[tokio::test]
async fn a_node_out_of_touch_bypasses_and_a_backend_that_fails_is_an_error() {
    let cache = Cache::builder(ChaosProvider::out_of_touch().0)
        .build()
        .unwrap();
    for consistency in [Consistency::Delivered, Consistency::Strict] {
        let cache = cache.with_consistency(consistency);
        assert_eq!(why(&cache, "a").await, Why::Bypass);
    }
    assert_eq!(cache.metrics().bypassed, 2);
    let (cache, chaos) = tiered();
    chaos.away(true);
    let error = cache.read::<String>("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
}
