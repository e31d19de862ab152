//! stale-if-error: an old value in place of an error, and a pause before the next attempt.

use cache_core::cached;
use cache_core::testkit::{Gate, eventually, followers};

use crate::*;

#[tokio::test]
async fn a_stale_value_is_shown_in_place_of_an_error_and_stays_stale() {
    let bench = Bench::stale(forgiving(), SECOND).await;
    bench.source.fails();
    assert_eq!(bench.read().await.unwrap(), "old");
    assert_eq!(bench.get().await, None, "it is no fresher than before");
    let metrics = bench.cache.metrics();
    assert_eq!((metrics.stale, metrics.refreshes), (1, 0));
}

#[tokio::test]
async fn who_has_no_policy_gets_the_error() {
    let bench = Bench::stale(revalidating(), SECOND * 30).await;
    bench.source.fails();
    assert_eq!(failed(bench.read().await), "no");
    let bench = Bench::stale(Policy::new(), TICK).await;
    bench.source.fails();
    assert_eq!(failed(bench.read().await), "no");
}

#[tokio::test]
async fn beyond_its_span_callers_get_the_error() {
    let bench = Bench::stale(forgiving(), SECOND * 30).await;
    bench.source.fails();
    assert_eq!(failed(bench.read().await), "no");
    assert_eq!(bench.borrow().await, Err("no".to_owned()));
    assert_eq!(bench.stale_reads(), 0);
}

#[tokio::test]
async fn a_load_that_succeeds_is_waited_for() {
    let bench = Bench::stale(forgiving(), SECOND).await;
    assert_eq!(bench.read().await.unwrap(), "new");
    assert_eq!(bench.get().await.as_deref(), Some("new"));
    assert_eq!(bench.stale_reads(), 0);
}

#[tokio::test]
async fn after_an_error_the_stale_value_is_shown_without_a_load_for_a_while() {
    for borrows in [false, true] {
        let bench = Bench::stale(forgiving().retry_after(SECOND * 5), TICK).await;
        bench.source.fails();
        let read = async || match borrows {
            true => bench.borrow().await.unwrap(),
            false => bench.read().await.unwrap(),
        };
        for _ in 0..4 {
            assert_eq!(read().await, "old");
        }
        assert_eq!(bench.source.loads(), 2, "the first and the failed one");
        bench.clock.advance(SECOND * 5);
        assert_eq!(read().await, "old");
        assert_eq!(bench.source.loads(), 3);
        assert_eq!(bench.stale_reads(), 5);
    }
}

#[tokio::test]
async fn the_pause_ends_with_the_span_and_with_a_success() {
    let bench = Bench::stale(forgiving().retry_after(TTL), SECOND * 29).await;
    bench.source.fails();
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.clock.advance(SECOND);
    assert_eq!(failed(bench.read().await), "no");
    bench.source.says("new");
    assert_eq!(bench.read().await.unwrap(), "new");
    bench.clock.advance(TTL);
    bench.source.says("newer");
    assert_eq!(bench.read().await.unwrap(), "newer", "no pause is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_wait_for_a_load_that_fails_it_is_tried_once() {
    for borrows in [false, true] {
        let bench = Bench::stale(forgiving(), TICK).await;
        bench.source.fails();
        let (gate, held) = Gate::new();
        bench.source.is_held(held);
        let read = |bench: Bench| async move {
            match borrows {
                true => bench.borrow().await.unwrap(),
                false => bench.read().await.unwrap(),
            }
        };
        let callers = (0..100).map(|_| tokio::spawn(read(bench.clone())));
        let callers: Vec<_> = callers.collect();
        eventually("all others wait", || followers(&bench.cache, KEY) == 99).await;
        gate.open();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), "old");
        }
        assert_eq!(bench.source.loads(), 2);
    }
}

#[cached(cache = bench.cache, key = "city")]
async fn city(bench: &Bench, result: Result<u32, u8>) -> Result<u32, u8> {
    bench.source.loads.fetch_add(1, Ordering::SeqCst);
    result
}

#[cached(cache = bench.cache, key = "found")]
async fn found(bench: &Bench, result: Option<u32>) -> Option<u32> {
    bench.source.loads.fetch_add(1, Ordering::SeqCst);
    result
}

#[tokio::test]
async fn a_functions_error_is_replaced_where_the_policy_of_its_cache_says_so() {
    for (policy, shown) in [(forgiving(), Ok(1)), (Policy::new(), Err(7))] {
        let bench = Bench::new(policy);
        assert_eq!(city(&bench, Ok(1)).await, Ok(1));
        bench.clock.advance(TTL);
        assert_eq!(city(&bench, Err(7)).await, shown);
        assert!(city(&bench, Ok(2)).await.is_ok());
    }
}

#[cached(cache = bench.cache, key_prefix = "towns", key = "town")]
async fn town(bench: &Bench, held: Option<Held>) -> Result<u32, u8> {
    bench.source.loads.fetch_add(1, Ordering::SeqCst);
    let Some(held) = held else {
        return Ok(1);
    };
    held.pass().await;
    Err(7)
}

#[tokio::test]
async fn a_functions_error_is_replaced_for_those_who_wait_too_rest_or_no_rest() {
    let bench = Bench::new(forgiving().retry_after(Duration::ZERO));
    assert_eq!(town(&bench, None).await, Ok(1));
    bench.clock.advance(TTL);
    let (gate, held) = Gate::new();
    let call = || {
        let (bench, held) = (bench.clone(), held.clone());
        tokio::spawn(async move { town(&bench, Some(held)).await })
    };
    let leading = call();
    gate.entered().await;
    let following = call();
    eventually("it waits", || followers(&bench.cache, "towns:town") == 1).await;
    gate.open();
    assert_eq!(leading.await.unwrap(), Ok(1));
    assert_eq!(following.await.unwrap(), Ok(1));
    assert_eq!(bench.source.loads(), 2, "the error was shared");
}

#[tokio::test]
async fn a_functions_none_is_no_error() {
    let bench = Bench::new(forgiving());
    assert_eq!(found(&bench, Some(1)).await, Some(1));
    bench.clock.advance(TTL);
    assert_eq!(found(&bench, None).await, None);
}

#[tokio::test]
async fn many_keys_are_loaded_without_anything_stale() {
    let bench = Bench::stale(forgiving(), TICK).await;
    let load = async |_| Err::<Vec<(String, Result<String, String>)>, _>("no".to_owned());
    let answers = bench
        .cache
        .get_many_or_load::<String, _, _, _, _>(&[KEY], load);
    assert_eq!(answers.await, [Err("no".to_owned())]);
}
