//! Indexes in memory and in front of it: races, failures, and a simple model that they agree with.

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_core::testkit::{Chaos, ChaosProvider, Fault, Gate, Operation};
use cache_core::{Cache, ErrorKind, MemoryProvider, MemoryTier};

async fn store(cache: &Cache, key: &str, value: &str) {
    cache.set(key, value).index("i", value).await.expect("set");
}

/// What is found under a value, sorted.
async fn found(cache: &Cache, value: &str) -> Vec<(String, String)> {
    let mut found = cache.get_by_index("i", value).await.expect("get_by_index");
    found.sort();
    found
}

async fn is_found(cache: &Cache, value: &str) -> bool {
    let keys = cache.get_keys_by_index("i", value).await.expect("keys");
    let found = found(cache, value).await;
    assert!(found.iter().map(|(key, _)| key).eq(&keys));
    !keys.is_empty()
}

fn chaotic() -> (Cache, Chaos) {
    let (provider, chaos) = ChaosProvider::remote();
    (Cache::builder(provider).build().expect("a cache"), chaos)
}

#[tokio::test]
async fn a_reader_does_not_take_out_what_was_entered_since_it_looked() {
    for by_keys in [false, true] {
        let (cache, chaos) = chaotic();
        store(&cache, "k", "a").await;
        cache.clear().await.unwrap();
        let (gate, held) = Gate::new();
        chaos.next(Operation::Unlink, Fault::Hold(held));
        let reader = cache.clone();
        let read = tokio::spawn(async move {
            match by_keys {
                true => reader.get_keys_by_index("i", "a").await.map(drop),
                false => reader.get_by_index::<String>("i", "a").await.map(drop),
            }
        });
        gate.entered().await;
        store(&cache, "k", "a").await;
        gate.open();
        read.await.unwrap().unwrap();
        assert!(is_found(&cache, "a").await);
    }
}

#[tokio::test]
async fn an_answer_on_its_way_shows_no_value_under_what_it_did_not_belong_to() {
    let (cache, chaos) = chaotic();
    store(&cache, "k", "a").await;
    let (gate, held) = Gate::new();
    chaos.next(Operation::Members, Fault::HoldAnswer(held));
    let reader = cache.clone();
    let read = tokio::spawn(async move { found(&reader, "a").await });
    gate.entered().await;
    store(&cache, "k", "b").await;
    gate.open();
    assert_eq!(read.await.unwrap(), []);
    assert!(is_found(&cache, "b").await);
}

#[test]
fn no_value_is_found_under_what_another_thread_has_just_given_it() {
    let cache = Cache::memory();
    let over = Arc::new(AtomicBool::new(false));
    let runtime = || tokio::runtime::Builder::new_current_thread().build();
    std::thread::scope(|scope| {
        let writers = ["a", "b"].map(|value| {
            let (cache, runtime) = (cache.clone(), runtime().expect("a runtime"));
            scope.spawn(move || {
                for _ in 0..5_000 {
                    runtime.block_on(store(&cache, "k", value));
                }
            })
        });
        let (reader, ended) = (cache.clone(), Arc::clone(&over));
        scope.spawn(move || {
            let runtime = runtime().expect("a runtime");
            while !ended.load(Ordering::Relaxed) {
                for value in ["a", "b"] {
                    for (_, seen) in runtime.block_on(found(&reader, value)) {
                        assert_eq!(seen, value);
                    }
                }
            }
        });
        writers
            .into_iter()
            .for_each(|writer| writer.join().expect("a writer"));
        over.store(true, Ordering::Relaxed);
    });
    let runtime = runtime().expect("a runtime");
    let standing: Option<String> = runtime.block_on(cache.get("k")).expect("get");
    for value in ["a", "b"] {
        let expected = standing.as_deref() == Some(value);
        assert_eq!(
            runtime.block_on(is_found(&cache, value)),
            expected,
            "{value}"
        );
    }
}

#[tokio::test]
async fn members_come_from_the_remote_tier_and_values_from_memory() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).memory_tier(MemoryTier::new());
    let cache = cache.build().unwrap();
    store(&cache, "k", "a").await;
    assert_eq!(found(&cache, "a").await.len(), 1);
    let before = chaos.calls(Operation::Get);
    assert_eq!(found(&cache, "a").await.len(), 1);
    assert_eq!(chaos.calls(Operation::Get), before, "a copy is shown");
    chaos.next(Operation::Members, Fault::Error(ErrorKind::Connection));
    let error = cache.get_by_index::<String>("i", "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(!error.to_string().contains("a@"), "{error}");
}

#[tokio::test]
async fn a_failure_to_take_stale_members_out_is_nothing_to_the_reader() {
    for operation in [Operation::Inspect, Operation::Unlink] {
        let (cache, chaos) = chaotic();
        store(&cache, "k", "a").await;
        cache.clear().await.unwrap();
        chaos.next(operation, Fault::Error(ErrorKind::Connection));
        assert_eq!(found(&cache, "a").await, []);
    }
}

#[tokio::test]
async fn an_index_that_is_out_of_touch_is_an_error() {
    let (provider, _) = ChaosProvider::out_of_touch();
    let cache = Cache::builder(provider).build().unwrap();
    let error = cache.get_keys_by_index("i", "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
}

#[tokio::test]
async fn what_was_evicted_is_not_found() {
    let provider = MemoryProvider::builder().max_bytes(20_000).build();
    let cache = Cache::builder(provider).build().unwrap();
    for number in 0..2_000 {
        store(&cache, &format!("k{number}"), "a").await;
    }
    let keys = cache.get_keys_by_index("i", "a").await.unwrap();
    assert!(keys.len() < 200, "{} fit", keys.len());
    for (key, _) in found(&cache, "a").await {
        assert!(cache.exists(&key).await.unwrap());
    }
}
