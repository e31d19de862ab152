//! stale-while-revalidate: nobody waits, one loads.

use cache_core::testkit::{Gate, eventually};
use futures_util::FutureExt;

use crate::*;

#[tokio::test]
async fn a_stale_value_is_shown_at_once_and_loaded_anew_in_the_background() {
    let bench = Bench::stale(revalidating(), SECOND).await;
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.comes_to_hold("new").await;
    assert_eq!(bench.read().await.unwrap(), "new");
    assert_eq!(bench.source.loads(), 2);
    let metrics = bench.cache.metrics();
    assert_eq!((metrics.stale, metrics.refreshes), (1, 1));
    assert_eq!((metrics.hits, metrics.misses), (2, 1));
}

#[tokio::test]
async fn who_has_no_policy_waits_for_the_load() {
    let bench = Bench::stale(Policy::new(), TICK).await;
    assert_eq!(bench.read().await.unwrap(), "new");
    let bench = Bench::stale(revalidating(), TICK).await;
    let source = bench.source.clone();
    let plain = bench.cache.with_policy(Policy::new());
    let read: Result<String, _> = plain.get_or_load(KEY, || source.load()).await;
    assert_eq!(read.unwrap(), "new");
    assert_eq!(bench.stale_reads(), 0);
}

#[tokio::test]
async fn beyond_its_span_callers_wait() {
    let bench = Bench::stale(revalidating(), SECOND * 30 - TICK).await;
    assert_eq!(bench.read().await.unwrap(), "old");
    let bench = Bench::stale(revalidating(), SECOND * 30).await;
    assert_eq!(bench.read().await.unwrap(), "new");
    assert_eq!(bench.cache.metrics().refreshes, 0);
}

#[tokio::test]
async fn a_loader_that_ends_with_its_caller_is_waited_for() {
    let bench = Bench::stale(revalidating(), SECOND).await;
    assert_eq!(bench.borrow().await.unwrap(), "borrowed");
    assert_eq!(bench.stale_reads(), 0);
}

#[tokio::test]
async fn nothing_but_a_load_is_answered_stale() {
    let bench = Bench::stale(revalidating().stale_if_error(TTL), TICK).await;
    let cache = &bench.cache;
    assert_eq!(bench.get().await, None);
    assert_eq!(cache.get_many::<String>(&[KEY]).await.unwrap(), [None]);
    assert!(!cache.exists(KEY).await.unwrap());
    assert_eq!(cache.get_ttl(KEY).await.unwrap(), None);
    assert!(!cache.expire(KEY, TTL).await.unwrap());
    assert!(!cache.delete(KEY).await.unwrap());
    let bench = Bench::stale(revalidating().stale_if_error(TTL), TICK).await;
    assert_eq!(bench.cache.increment(KEY, 7).await.unwrap(), 7);
}

#[tokio::test]
async fn what_was_stored_without_a_policy_is_not_kept() {
    let bench = Bench::new(Policy::new());
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.clock.advance(TTL);
    bench.source.says("new");
    let source = bench.source.clone();
    let cache = bench.cache.with_policy(revalidating());
    let read: Result<String, _> = cache.get_or_load(KEY, || source.load()).await;
    assert_eq!(read.unwrap(), "new");
}

#[tokio::test]
async fn what_was_set_is_shown_stale_as_well() {
    let bench = Bench::new(revalidating());
    bench.cache.set(KEY, "set").await.unwrap();
    bench.clock.advance(TTL);
    assert_eq!(bench.read().await.unwrap(), "set");
    bench.comes_to_hold("old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_of_a_stale_key_cause_one_load_and_none_of_them_waits() {
    let bench = Bench::stale(revalidating(), SECOND).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let callers: Vec<_> = (0..1_000).map(|_| bench.spawn_read()).collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "old");
    }
    gate.entered().await;
    gate.open();
    bench.comes_to_hold("new").await;
    assert_eq!(bench.source.loads(), 2);
    assert_eq!(bench.cache.metrics().refreshes, 1);
}

#[tokio::test]
async fn a_refresh_that_fails_is_tried_again_after_a_while_and_not_before() {
    let bench = Bench::stale(revalidating().retry_after(SECOND * 5), TICK).await;
    bench.source.fails();
    for _ in 0..3 {
        assert_eq!(bench.read().await.unwrap(), "old");
        bench.source.has_loaded(2).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.source.loads(), 2);
    bench.clock.advance(SECOND * 5);
    bench.source.says("new");
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.comes_to_hold("new").await;
    assert_eq!(bench.source.loads(), 3);
}

#[tokio::test]
async fn a_panic_in_the_background_is_counted_and_leaves_the_key_to_others() {
    let bench = Bench::stale(revalidating(), TICK).await;
    bench.source.change(|answer| answer.panics = true);
    assert_eq!(bench.read().await.unwrap(), "old");
    let counted = || bench.cache.metrics().errors == 1;
    eventually("the panic is counted", counted).await;
    assert_eq!(
        bench.read().await.unwrap(),
        "old",
        "it is tried again later"
    );
    assert_eq!(bench.source.loads(), 2);
    bench.source.change(|answer| answer.panics = false);
    bench.clock.advance(SECOND);
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.comes_to_hold("new").await;
}

#[tokio::test]
async fn a_caller_with_nothing_to_show_follows_the_load_in_the_background() {
    let bench = Bench::stale(revalidating(), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    assert_eq!(bench.read().await.unwrap(), "old");
    gate.entered().await;
    let waiting = tokio::spawn({
        let bench = bench.clone();
        async move { bench.borrow().await }
    });
    let waits = || cache_core::testkit::followers(&bench.cache, KEY) == 1;
    eventually("it waits", waits).await;
    gate.open();
    assert_eq!(waiting.await.unwrap().unwrap(), "new");
    assert_eq!(bench.source.loads(), 2);
}

#[test]
fn without_a_runtime_callers_load_in_the_foreground() {
    let policy = revalidating().early_refresh(1e300).hard_timeout(SECOND);
    let bench = Bench::new(policy);
    bench.source.change(|answer| answer.takes = SECOND);
    let read = || bench.read().now_or_never().expect("memory never waits");
    assert_eq!(read().unwrap(), "old");
    assert_eq!(read().unwrap(), "old", "it is fresh");
    bench.clock.advance(TTL);
    bench.source.says("new");
    assert_eq!(read().unwrap(), "new");
    assert_eq!(bench.source.loads(), 2);
}

#[test]
fn a_refresh_that_ends_with_its_runtime_leaves_nothing_locked() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let (gate, held) = Gate::new();
    let first = runtime();
    let bench = first.block_on(async {
        let bench = Bench::stale(revalidating(), TICK).await;
        bench.source.is_held(held);
        assert_eq!(bench.read().await.unwrap(), "old");
        gate.entered().await;
        bench
    });
    drop(first);
    bench.source.change(|answer| answer.held = None);
    runtime().block_on(async {
        assert_eq!(bench.read().await.unwrap(), "old");
        bench.comes_to_hold("new").await;
    });
}

#[tokio::test]
async fn no_more_values_are_loaded_in_the_background_than_there_is_room_for() {
    const MOST: usize = 1_000;
    let bench = Bench::new(revalidating());
    let keys: Vec<_> = (0..=MOST).map(|index| format!("k{index}")).collect();
    for key in &keys {
        assert_eq!(bench.read_at(key).await.unwrap(), "old");
    }
    bench.clock.advance(TTL);
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    for key in &keys {
        assert_eq!(bench.read_at(key).await.unwrap(), "old");
    }
    let loaded = keys.len() + MOST;
    bench.source.has_loaded(loaded).await;
    tokio::task::yield_now().await;
    assert_eq!(bench.source.loads(), loaded);
    gate.open();
    eventually("all have ended", || {
        bench.cache.metrics().loads as usize == loaded
    })
    .await;
    assert_eq!(bench.read_at(&keys[MOST]).await.unwrap(), "old");
    bench.source.has_loaded(loaded + 1).await;
}
