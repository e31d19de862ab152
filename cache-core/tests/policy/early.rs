//! Early refresh: by chance, and by how long the last load took.

use crate::*;

/// So large that every draw is early.
fn certain() -> Policy {
    Policy::new().early_refresh(1e300)
}

async fn loaded(policy: Policy, takes: Duration) -> Bench {
    let bench = Bench::new(policy);
    bench.source.change(|answer| answer.takes = takes);
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.source.says("new");
    bench
}

#[tokio::test]
async fn a_fresh_value_is_loaded_anew_in_the_background_when_its_draw_is_early() {
    let bench = loaded(certain(), SECOND).await;
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.comes_to_hold("new").await;
    let metrics = bench.cache.metrics();
    assert_eq!((metrics.refreshes, metrics.stale), (1, 0));
}

#[tokio::test]
async fn what_took_no_time_or_has_no_policy_is_not_loaded_early() {
    for (policy, takes) in [(certain(), Duration::ZERO), (Policy::new(), SECOND)] {
        let bench = loaded(policy, takes).await;
        assert_eq!(bench.read().await.unwrap(), "old");
        tokio::task::yield_now().await;
        assert_eq!(bench.source.loads(), 1);
    }
}

#[tokio::test]
async fn what_was_set_by_hand_is_not_loaded_early() {
    let bench = loaded(certain(), SECOND).await;
    bench.cache.set(KEY, "set").await.unwrap();
    assert_eq!(bench.read().await.unwrap(), "set");
    tokio::task::yield_now().await;
    assert_eq!(bench.source.loads(), 1);
}

#[tokio::test]
async fn a_loader_that_ends_with_its_caller_loads_nothing_early() {
    let bench = loaded(certain(), SECOND).await;
    assert_eq!(bench.borrow().await.unwrap(), "old");
    assert_eq!(bench.source.loads(), 1);
}

#[tokio::test]
async fn an_early_refresh_that_fails_takes_nothing_away_and_is_tried_later() {
    let bench = loaded(certain().retry_after(SECOND * 5), SECOND).await;
    bench.source.fails();
    for _ in 0..3 {
        assert_eq!(bench.read().await.unwrap(), "old");
        bench.source.has_loaded(2).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.source.loads(), 2);
    assert_eq!(bench.get().await.as_deref(), Some("old"));
    bench.clock.advance(SECOND * 5);
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.source.has_loaded(3).await;
}
