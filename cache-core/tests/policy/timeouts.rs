//! Soft and hard timeouts: who waits how long, and what becomes of the load.

use cache_core::ErrorKind;
use cache_core::testkit::{Gate, eventually};
use tokio::time::{Duration, Instant, sleep};

use crate::*;

const SOFT: Duration = Duration::from_millis(200);
const HARD: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(1);

fn hard() -> Policy {
    Policy::new().hard_timeout(HARD)
}

/// A read that is not waited for without end, should no timeout end it.
async fn read(bench: &Bench) -> Result<String, LoadError<String>> {
    let read = tokio::time::timeout(HARD * 5, bench.read());
    read.await.expect("nobody waits that long")
}

fn unfinished(read: Result<String, LoadError<String>>) -> ErrorKind {
    match read {
        Err(LoadError::Unfinished(error)) => error.kind(),
        other => panic!("unfinished was expected, not {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_shown_if_the_load_is_slow_which_goes_on_and_is_stored() {
    let bench = Bench::stale(forgiving().soft_timeout(SOFT), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let start = Instant::now();
    assert_eq!(read(&bench).await.unwrap(), "old");
    assert_eq!(start.elapsed(), SOFT);
    assert_eq!((bench.source.loads(), bench.stale_reads()), (2, 1));
    gate.open();
    bench.comes_to_hold("new").await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_quick_enough_is_waited_for() {
    let bench = Bench::stale(forgiving().soft_timeout(SOFT), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let reading = bench.spawn_read();
    gate.entered().await;
    sleep(SOFT - STEP * 10).await;
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap(), "new");
    assert_eq!(bench.stale_reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_anothers_load_waits_no_longer_than_he_was_told() {
    let bench = Bench::stale(forgiving().soft_timeout(SOFT), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let leading = bench.spawn_read();
    gate.entered().await;
    sleep(SOFT / 2).await;
    let start = Instant::now();
    assert_eq!(read(&bench).await.unwrap(), "old");
    assert_eq!(start.elapsed(), SOFT);
    assert_eq!(leading.await.unwrap().unwrap(), "old");
    assert_eq!(bench.source.loads(), 2);
    gate.open();
    bench.comes_to_hold("new").await;
}

/// Who has waited in vain is shown a stale value that has come since, if his own load fails.
#[tokio::test(start_paused = true)]
async fn a_soft_timeout_that_had_nothing_to_show_leaves_stale_if_error_as_it_is() {
    let bench = Bench::stale(forgiving().soft_timeout(SOFT), TICK).await;
    let (first, held) = Gate::new();
    bench.source.is_held(held);
    let leading = bench.spawn_read();
    first.entered().await;
    sleep(SOFT / 2).await;
    let following = bench.spawn_read();
    sleep(SOFT / 4).await;
    bench.cache.delete(KEY).await.unwrap();
    let (second, held) = Gate::new();
    bench.source.is_held(held);
    bench.source.fails();
    second.entered().await;
    bench.cache.set(KEY, "set").await.unwrap();
    bench.clock.advance(TTL);
    second.open();
    assert_eq!(following.await.unwrap().unwrap(), "set");
    first.open();
    assert_eq!(leading.await.unwrap().unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_stale_is_kept_a_soft_timeout_ends_no_wait() {
    let bench = Bench::new(forgiving().soft_timeout(SOFT));
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let reading = bench.spawn_read();
    gate.entered().await;
    sleep(SOFT * 2).await;
    assert!(!reading.is_finished());
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap(), "old");
}

#[tokio::test(start_paused = true)]
async fn no_caller_waits_longer_than_the_hard_timeout_and_the_load_goes_on() {
    let bench = Bench::new(hard());
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let start = Instant::now();
    let leading = tokio::spawn({
        let bench = bench.clone();
        async move { read(&bench).await }
    });
    gate.entered().await;
    let (leading, following) = tokio::join!(leading, read(&bench));
    assert_eq!(unfinished(leading.unwrap()), ErrorKind::Timeout);
    assert_eq!(unfinished(following), ErrorKind::Timeout);
    assert!(start.elapsed() < HARD + STEP * 100, "{:?}", start.elapsed());
    assert_eq!(bench.source.loads(), 1, "nobody loads what is being loaded");
    gate.open();
    bench.comes_to_hold("old").await;
}

#[tokio::test(start_paused = true)]
async fn a_hard_timeout_is_an_error_even_where_something_stale_is_kept() {
    let bench = Bench::stale(forgiving().hard_timeout(HARD), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let start = Instant::now();
    assert_eq!(unfinished(read(&bench).await), ErrorKind::Timeout);
    assert_eq!(start.elapsed(), HARD);
    gate.open();
    bench.comes_to_hold("new").await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_when_its_caller_is_gone_lets_the_key_rest() {
    let bench = Bench::stale(forgiving().soft_timeout(SOFT), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    bench.source.fails();
    assert_eq!(read(&bench).await.unwrap(), "old");
    gate.open();
    eventually("the load ends", || {
        let start = Instant::now();
        let read = futures_util::FutureExt::now_or_never(bench.read());
        read.is_some_and(|read| read.unwrap() == "old") && start.elapsed().is_zero()
    })
    .await;
    assert_eq!(bench.source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_leaves_its_key_to_the_next_caller_after_the_load_timeout() {
    let bench = Bench::new(hard().load_timeout(HARD * 3 / 2));
    let (_gate, held) = Gate::new();
    bench.source.is_held(held);
    let start = Instant::now();
    assert_eq!(unfinished(read(&bench).await), ErrorKind::Timeout);
    bench.source.change(|answer| answer.held = None);
    let following = read(&bench).await;
    assert_eq!(following.unwrap(), "old", "he takes over");
    assert!(
        start.elapsed() <= HARD * 3 / 2 + STEP * 100,
        "{:?}",
        start.elapsed()
    );
    assert_eq!(bench.source.loads(), 2);
    assert_eq!(bench.cache.metrics().errors, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_is_dropped_after_the_load_timeout_and_its_key_rests() {
    let bench = Bench::stale(revalidating().load_timeout(HARD), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    assert_eq!(bench.read().await.unwrap(), "old");
    gate.entered().await;
    bench.source.change(|answer| answer.held = None);
    sleep(HARD + STEP * 100).await;
    assert_eq!(bench.cache.metrics().errors, 1);
    assert_eq!(bench.read().await.unwrap(), "old");
    assert_eq!(bench.source.loads(), 2, "it rests");
    bench.clock.advance(SECOND);
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.comes_to_hold("new").await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_for_a_load_that_is_dropped_is_told() {
    let policy = forgiving().soft_timeout(SOFT).load_timeout(HARD);
    let bench = Bench::stale(policy, TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let reading = bench.spawn_read();
    gate.entered().await;
    bench.cache.delete(KEY).await.unwrap();
    let start = Instant::now();
    assert_eq!(unfinished(reading.await.unwrap()), ErrorKind::Timeout);
    assert!(
        start.elapsed() <= HARD + STEP * 100,
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn the_load_timeout_takes_no_time_from_who_waits_until_the_hard_one() {
    let bench = Bench::new(hard().load_timeout(STEP));
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let reading = bench.spawn_read();
    gate.entered().await;
    sleep(HARD / 2).await;
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap(), "old");
}

/// 5 s is how long callers wait for another's load if nothing else is said.
#[tokio::test(start_paused = true)]
async fn who_has_waited_until_the_hard_timeout_begins_no_load_of_his_own() {
    let wait = Duration::from_secs(5);
    let bench = Bench::new(Policy::new().hard_timeout(wait));
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let callers: Vec<_> = (0..20).map(|_| bench.spawn_read()).collect();
    gate.entered().await;
    for caller in callers {
        assert_eq!(unfinished(caller.await.unwrap()), ErrorKind::Timeout);
    }
    assert_eq!(bench.source.loads(), 1);
}

#[tokio::test]
async fn a_loader_that_ends_with_its_caller_has_no_timeouts() {
    let bench = Bench::stale(forgiving().soft_timeout(SOFT).hard_timeout(STEP), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    let (_, read) = tokio::join!(
        async {
            gate.entered().await;
            tokio::time::sleep(STEP * 20).await;
            gate.open();
        },
        bench.borrow()
    );
    assert_eq!(read.unwrap(), "borrowed");
}
