//! A memory tier in front of a remote provider that lives in the same process.

use std::convert::Infallible;
use std::time::Duration;

use cache_core::testkit::{Chaos, ChaosProvider, Fault, Gate, Nodes, Operation};
use cache_core::{Cache, ErrorKind, MemoryProvider, MemoryTier};
use tokio::task::JoinHandle;

fn tiered(tier: MemoryTier) -> (Cache, Chaos) {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).memory_tier(tier).build();
    (cache.expect("a cache"), chaos)
}

async fn nodes() -> Nodes {
    Nodes::one(tiered(MemoryTier::new()).0)
}

mod conformance {
    cache_core::conformance!(crate::nodes());
}

mod race {
    cache_core::race_table!(crate::nodes());
}

async fn read(cache: &Cache) -> cache_core::Result<Option<String>> {
    cache.get("k").await
}

#[tokio::test]
async fn what_was_read_from_the_remote_tier_is_read_from_memory_next() {
    let (cache, chaos) = tiered(MemoryTier::new());
    cache.set("k", "v").await.unwrap();
    chaos.away(true);
    assert!(read(&cache).await.is_err(), "a write leaves memory empty");
    chaos.away(false);
    assert_eq!(read(&cache).await.unwrap().as_deref(), Some("v"));
    chaos.away(true);
    assert_eq!(read(&cache).await.unwrap().as_deref(), Some("v"));
    let many = cache.get_many::<String>(&["k", "k"]).await.unwrap();
    assert_eq!(many, [Some("v".to_owned()), Some("v".to_owned())]);
}

#[tokio::test]
async fn what_was_loaded_is_read_from_memory_next() {
    let (cache, chaos) = tiered(MemoryTier::new());
    let load = || async { Ok::<_, Infallible>("v".to_owned()) };
    assert_eq!(cache.get_or_set("k", load).await.unwrap(), "v");
    chaos.away(true);
    assert_eq!(read(&cache).await.unwrap().as_deref(), Some("v"));
}

#[tokio::test]
async fn an_answer_that_was_overtaken_by_a_write_is_not_copied() {
    for invalidates in [false, true] {
        let (cache, chaos) = tiered(MemoryTier::new());
        cache.set("k", "old").await.unwrap();
        let (gate, held) = Gate::new();
        chaos.next(Operation::Get, Fault::HoldAnswer(held));
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { read(&cache).await }
        });
        gate.entered().await;
        if invalidates {
            cache.invalidate("k").await.unwrap();
        } else {
            cache.set("k", "new").await.unwrap();
        }
        gate.open();
        let seen = reader.await.unwrap().unwrap();
        assert_eq!(seen.as_deref(), Some("old"), "it began before the write");
        let expected = (!invalidates).then_some("new");
        assert_eq!(read(&cache).await.unwrap().as_deref(), expected);
    }
}

/// A read that stands at a gate with what the remote tier has answered; `None` if it was a hit in
/// memory.
async fn held_reader(cache: &Cache, chaos: &Chaos) -> Option<(Gate, JoinHandle<()>)> {
    let (gate, held) = Gate::new();
    chaos.next(Operation::Get, Fault::HoldAnswer(held));
    let cache = cache.clone();
    let mut reader = tokio::spawn(async move {
        assert_eq!(read(&cache).await.unwrap().as_deref(), Some("v"));
    });
    tokio::select! {
        () = gate.entered() => Some((gate, reader)),
        read = &mut reader => { read.unwrap(); None }
    }
}

#[tokio::test]
async fn readers_who_overlap_for_ever_do_not_keep_each_other_from_the_copy() {
    let (cache, chaos) = tiered(MemoryTier::new());
    cache.set("k", "v").await.unwrap();
    let mut earlier = held_reader(&cache, &chaos).await.expect("no copy yet");
    for _ in 0..10 {
        let Some(later) = held_reader(&cache, &chaos).await else {
            return;
        };
        earlier.0.open();
        earlier.1.await.unwrap();
        earlier = later;
    }
    panic!("every reader went to the remote tier");
}

#[tokio::test]
async fn a_copy_goes_with_the_tag_pattern_and_namespace_of_its_entry() {
    for way in 0..3 {
        let (cache, _chaos) = tiered(MemoryTier::new());
        cache.set("k", "v").tag("t").await.unwrap();
        assert!(read(&cache).await.unwrap().is_some());
        match way {
            0 => cache.invalidate_tag("t").await.unwrap(),
            1 => cache.invalidate_pattern("k*").await.unwrap(),
            _ => cache.clear().await.unwrap(),
        };
        assert_eq!(read(&cache).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_copy_lives_no_longer_than_the_tier_allows() {
    let (cache, chaos) = tiered(MemoryTier::new().max_ttl(Duration::ZERO));
    cache.set("k", "v").await.unwrap();
    assert!(read(&cache).await.unwrap().is_some());
    chaos.away(true);
    assert!(read(&cache).await.is_err(), "the copy has ended");
}

#[tokio::test]
async fn a_counter_is_never_copied() {
    let (cache, chaos) = tiered(MemoryTier::new());
    cache.increment("k", 1).await.unwrap();
    assert_eq!(cache.get::<i64>("k").await.unwrap(), Some(1));
    chaos.away(true);
    assert!(cache.get::<i64>("k").await.is_err());
}

#[tokio::test]
async fn a_handle_can_go_past_the_memory_tier() {
    let (cache, chaos) = tiered(MemoryTier::new());
    cache.set("k", "v").await.unwrap();
    assert!(read(&cache).await.unwrap().is_some());
    chaos.away(true);
    assert!(read(&cache).await.is_ok());
    assert!(read(&cache.without_memory_tier()).await.is_err());
}

#[test]
fn a_memory_tier_in_front_of_memory_is_refused() {
    let cache = Cache::builder(MemoryProvider::new()).memory_tier(MemoryTier::new());
    let error = cache.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("in memory itself"), "{error}");
}
