//! Loads in tasks of their own, and those that are in none.

use std::panic::AssertUnwindSafe;

use cache_core::testkit::{Gate, eventually, followers};
use futures_util::FutureExt;

use crate::*;

#[tokio::test]
async fn without_a_timeout_a_load_ends_with_its_caller_and_another_takes_over() {
    let bench = Bench::new(Policy::new());
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let leading = bench.spawn_read();
    gate.entered().await;
    bench.source.change(|answer| answer.held = None);
    bench.source.says("new");
    let following = bench.spawn_read();
    eventually("it waits", || followers(&bench.cache, KEY) == 1).await;
    leading.abort();
    assert_eq!(following.await.unwrap().unwrap(), "new");
    assert_eq!(bench.source.loads(), 2);
}

#[tokio::test]
async fn with_a_timeout_a_load_outlives_its_caller() {
    let bench = Bench::new(Policy::new().hard_timeout(TTL));
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let leading = bench.spawn_read();
    gate.entered().await;
    leading.abort();
    assert!(leading.await.unwrap_err().is_cancelled());
    gate.open();
    bench.comes_to_hold("old").await;
    assert_eq!(bench.source.loads(), 1);
}

#[tokio::test]
async fn a_panic_reaches_the_caller_who_waits_for_the_load() {
    for policy in [Policy::new(), Policy::new().hard_timeout(TTL)] {
        let bench = Bench::new(policy);
        bench.source.change(|answer| answer.panics = true);
        let read = AssertUnwindSafe(bench.read()).catch_unwind().await;
        let panic = read.expect_err("a panic");
        let message = panic.downcast_ref::<&str>();
        assert_eq!(message, Some(&"the test wants it"));
        bench.source.change(|answer| answer.panics = false);
        assert_eq!(bench.read().await.unwrap(), "old", "nothing is locked");
        assert_eq!(bench.cache.metrics().errors, 0);
    }
}

#[tokio::test]
async fn a_panic_that_no_caller_hears_of_is_counted() {
    let bench = Bench::new(Policy::new().hard_timeout(TTL));
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    bench.source.change(|answer| answer.panics = true);
    let leading = bench.spawn_read();
    gate.entered().await;
    leading.abort();
    assert!(leading.await.unwrap_err().is_cancelled());
    gate.open();
    let counted = || bench.cache.metrics().errors == 1;
    eventually("the panic is counted", counted).await;
}

/// Waiting for oneself would last as long as `flight_wait`.
#[tokio::test(start_paused = true)]
async fn a_load_in_a_task_of_its_own_that_asks_for_its_own_key_does_not_wait() {
    let bench = Bench::new(Policy::new().hard_timeout(TTL));
    let inner = bench.clone();
    let start = tokio::time::Instant::now();
    let load = || async move { inner.read().await.map_err(|_| ()) };
    let read: Result<String, LoadError<()>> = bench.cache.get_or_load(KEY, load).await;
    assert_eq!(read.unwrap(), "old");
    assert!(start.elapsed().is_zero());
}

/// Each would wait for the other as long as `flight_wait`.
#[tokio::test(start_paused = true)]
async fn loads_in_tasks_of_their_own_that_ask_for_each_other_do_not_wait_in_a_circle() {
    let bench = Bench::new(Policy::new().hard_timeout(TTL));
    let start = tokio::time::Instant::now();
    let (inner, innermost) = (bench.clone(), bench.clone());
    let load = || async move {
        let load = || async move { innermost.read().await.map_err(|_| ()) };
        let read: Result<String, _> = inner.cache.get_or_load("other", load).await;
        read.map_err(|_| ())
    };
    let read: Result<String, LoadError<()>> = bench.cache.get_or_load(KEY, load).await;
    assert_eq!(read.unwrap(), "old");
    assert!(start.elapsed().is_zero(), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_key_that_cannot_be_stored_is_loaded() {
    let bench = Bench::new(revalidating());
    assert_eq!(bench.read_at("").await.unwrap(), "old");
    assert_eq!(bench.cache.metrics().bypassed, 1);
    bench.source.fails();
    assert_eq!(failed(bench.read_at("").await), "no");
}

#[tokio::test]
async fn what_cannot_be_read_as_the_callers_type_is_loaded() {
    let bench = Bench::new(revalidating());
    for age in [Duration::ZERO, TTL] {
        bench.cache.set(KEY, &7).await.unwrap();
        bench.clock.advance(age);
        assert_eq!(bench.read().await.unwrap(), "old");
    }
    assert_eq!(bench.source.loads(), 2);
}
