//! Freeing what nobody may be shown any more, and counting what leaves by itself.

use std::time::Duration;

use cache_core::provider::{Provider, Usage};
use cache_core::testkit::ChaosProvider;
use cache_core::{Cache, ManualClock, MemoryProvider, MemoryTier};

const HOUR: Duration = Duration::from_secs(3_600);

struct Bench {
    clock: ManualClock,
    cache: Cache,
}

fn bench() -> Bench {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    let cache = Cache::builder(provider).build().unwrap();
    Bench { clock, cache }
}

impl Bench {
    async fn store(&self, keys: impl IntoIterator<Item = &str>) {
        for key in keys {
            let set = self.cache.set(key, "value").ttl(HOUR).tag("all");
            set.await.unwrap();
        }
    }

    fn usage(&self) -> Usage {
        self.cache.usage()
    }
}

#[tokio::test]
async fn what_has_expired_is_freed_at_once_and_counted() {
    let bench = bench();
    bench.store(["a", "b"]).await;
    bench.cache.set("stays", "here").no_ttl().await.unwrap();
    bench.clock.advance(HOUR);
    assert_eq!(bench.cache.sweep().await.unwrap(), 2);
    let usage = bench.usage();
    assert_eq!((usage.entries, usage.expirations), (Some(1), Some(2)));
    assert!(bench.cache.exists("stays").await.unwrap());
    assert_eq!(bench.cache.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn what_an_invalidation_hides_is_freed_and_is_no_expiration() {
    let bench = bench();
    bench.store(["a", "b", "c"]).await;
    bench.cache.invalidate_tag("all").await.unwrap();
    assert_eq!(bench.cache.sweep().await.unwrap(), 3);
    let usage = bench.usage();
    assert_eq!((usage.entries, usage.bytes), (Some(0), Some(0)));
    assert_eq!((usage.expirations, usage.evictions), (Some(0), Some(0)));
}

#[tokio::test]
async fn an_expired_entry_whose_place_is_taken_counts_as_expired() {
    let bench = bench();
    bench.store(["a"]).await;
    bench.store(["a"]).await;
    assert_eq!(bench.usage().expirations, Some(0), "replaced in its time");
    bench.clock.advance(HOUR);
    bench.store(["a"]).await;
    assert_eq!(bench.usage().expirations, Some(1));
}

#[tokio::test]
async fn what_makes_room_for_others_counts_as_evicted() {
    let provider = MemoryProvider::builder().max_bytes(4_096).build();
    let cache = Cache::builder(provider).build().unwrap();
    for index in 0..64 {
        cache
            .set(&index.to_string(), &"x".repeat(512))
            .await
            .unwrap();
    }
    cache.sweep().await.unwrap();
    let usage = cache.usage();
    let (entries, evictions) = (usage.entries.unwrap(), usage.evictions.unwrap());
    assert!(entries < 8 && usage.bytes.unwrap() <= 4_096, "{usage:?}");
    assert_eq!(entries + evictions, 64);
}

#[tokio::test]
async fn the_machines_clock_needs_no_sweep_and_counts_what_it_frees() {
    let cache = Cache::memory();
    cache
        .set("a", "short")
        .ttl(Duration::from_millis(1))
        .await
        .unwrap();
    let freed = async {
        while cache.usage().expirations != Some(1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            cache.set("other", "written").await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed)
        .await
        .unwrap();
}

#[tokio::test]
async fn copies_in_the_memory_tier_are_swept_with_the_entries_behind_them() {
    let (provider, _chaos) = ChaosProvider::over(MemoryProvider::new());
    let tier = MemoryTier::new();
    let cache = Cache::builder(provider).memory_tier(tier).build().unwrap();
    for key in ["a", "b", "not read"] {
        cache.set(key, "value").tag("all").await.unwrap();
    }
    for key in ["a", "b"] {
        assert!(cache.get::<String>(key).await.unwrap().is_some());
    }
    cache.invalidate_tag("all").await.unwrap();
    assert_eq!(cache.sweep().await.unwrap(), 2 + 3);
    assert_eq!(cache.memory_tier_usage().unwrap().entries, Some(0));
    assert_eq!(cache.usage().entries, Some(0));
}

#[tokio::test]
async fn a_provider_without_a_way_to_sweep_has_nothing_to_free() {
    let provider = cache_core::NullProvider::new();
    assert_eq!(provider.usage(), Usage::default());
    let cache = Cache::builder(provider).build().unwrap();
    assert_eq!(cache.sweep().await.unwrap(), 0);
    assert!(cache.memory_tier_usage().is_none());
}
