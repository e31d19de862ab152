//! Locks in memory, by a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use cache_core::testkit::{ChaosProvider, Fault, Gate, Operation};
use cache_core::{Cache, ErrorKind, LockGuard, Locks, ManualClock, MemoryProvider, NullProvider};

const TTL: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

fn cache() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    (Cache::builder(provider).build().unwrap(), clock)
}

async fn try_lock(cache: &Cache) -> Option<LockGuard> {
    cache.try_lock("name").ttl(TTL).await.unwrap()
}

#[tokio::test]
async fn one_holds_the_lock_until_it_is_released() {
    let (cache, _clock) = cache();
    let guard = try_lock(&cache).await.unwrap();
    assert!(guard.is_held());
    assert!(try_lock(&cache).await.is_none());
    assert!(cache.try_lock("another").await.unwrap().is_some());
    assert!(
        cache
            .namespace("n")
            .try_lock("name")
            .await
            .unwrap()
            .is_some()
    );
    assert!(guard.release().await.unwrap());
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test]
async fn a_dropped_guard_gives_the_lock_back() {
    let (cache, _clock) = cache();
    drop(try_lock(&cache).await.unwrap());
    assert!(try_lock(&cache).await.is_some());
}

#[test]
fn it_works_outside_a_runtime_where_nobody_waits() {
    let (cache, _clock) = cache();
    let poll = |lock: cache_core::Lock<'_>| {
        let mut locking = lock.into_future();
        let mut context = Context::from_waker(Waker::noop());
        match locking.as_mut().poll(&mut context) {
            std::task::Poll::Ready(locked) => locked.unwrap(),
            std::task::Poll::Pending => panic!("it waits"),
        }
    };
    let guard = poll(cache.lock("name")).unwrap();
    assert!(poll(cache.lock("name")).is_none());
    drop(guard);
    assert!(poll(cache.lock("name")).is_some());
}

#[tokio::test]
async fn a_lock_ends_with_its_time_and_its_holder_knows_before() {
    let (cache, clock) = cache();
    let guard = try_lock(&cache).await.unwrap();
    // A hundredth and two milliseconds before, for clocks that differ.
    clock.advance(TTL - Duration::from_millis(103));
    assert!(guard.is_held());
    clock.advance(Duration::from_millis(1));
    assert!(!guard.is_held());
    assert!(try_lock(&cache).await.is_none(), "not free yet");
    clock.advance(Duration::from_millis(102));
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test]
async fn an_extension_counts_from_now_and_comes_too_late_after_the_end() {
    let (cache, clock) = cache();
    let mut guard = try_lock(&cache).await.unwrap();
    clock.advance(SECOND * 9);
    assert!(guard.extend(TTL).await.unwrap());
    clock.advance(SECOND * 9);
    assert!(guard.is_held());
    assert!(try_lock(&cache).await.is_none());
    clock.advance(SECOND);
    assert!(!guard.is_held());
    assert!(
        !guard.extend(TTL).await.unwrap(),
        "nobody else has it, still"
    );
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test]
async fn an_extension_can_make_it_shorter() {
    let (cache, clock) = cache();
    let mut guard = try_lock(&cache).await.unwrap();
    assert!(guard.extend(SECOND).await.unwrap());
    clock.advance(SECOND);
    assert!(!guard.is_held());
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test]
async fn who_comes_too_late_does_nothing_to_the_next_holder() {
    let (cache, clock) = cache();
    let mut late = try_lock(&cache).await.unwrap();
    clock.advance(TTL);
    let holder = try_lock(&cache).await.unwrap();
    assert!(!late.extend(TTL).await.unwrap());
    assert!(!late.is_held());
    assert!(!late.release().await.unwrap());
    assert!(try_lock(&cache).await.is_none());
    assert!(holder.release().await.unwrap());
}

#[tokio::test]
async fn a_late_drop_does_nothing_to_the_next_holder() {
    let (cache, clock) = cache();
    let late = try_lock(&cache).await.unwrap();
    clock.advance(TTL);
    let _holder = try_lock(&cache).await.unwrap();
    drop(late);
    assert!(try_lock(&cache).await.is_none());
}

#[tokio::test]
async fn fencing_numbers_grow_over_release_and_end_while_the_clock_stands_still() {
    let (cache, clock) = cache();
    let mut last = 0;
    for round in 0..100 {
        let guard = try_lock(&cache).await.unwrap();
        assert!(guard.fencing() > last);
        assert!(guard.fencing() < 1 << 53);
        last = guard.fencing();
        if round % 3 == 0 {
            clock.advance(TTL);
        } else {
            guard.release().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_has_it_when_it_is_free() {
    let (cache, _clock) = cache();
    let guard = try_lock(&cache).await.unwrap();
    let fencing = guard.fencing();
    let waiter = tokio::spawn({
        let cache = cache.clone();
        async move { cache.lock("name").wait(TTL).await.unwrap() }
    });
    tokio::time::sleep(SECOND).await;
    assert!(!waiter.is_finished());
    guard.release().await.unwrap();
    let next = waiter.await.unwrap().unwrap();
    assert!(next.fencing() > fencing);
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_an_end() {
    let (cache, _clock) = cache();
    let _guard = try_lock(&cache).await.unwrap();
    for wait in [Duration::ZERO, Duration::from_millis(500), TTL] {
        let began = tokio::time::Instant::now();
        assert!(cache.lock("name").wait(wait).await.unwrap().is_none());
        let waited = began.elapsed();
        assert!(
            waited >= wait && waited < wait + Duration::from_millis(5),
            "{waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_end_is_no_overflow() {
    let (cache, _clock) = cache();
    let guard = try_lock(&cache).await.unwrap();
    let wait = cache.lock("name").wait(Duration::MAX).into_future();
    let waited = tokio::time::timeout(TTL, wait).await;
    assert!(waited.is_err());
    drop(guard);
    assert!(cache.lock("name").wait(TTL).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_leaves_no_lock_behind() {
    let (cache, _clock) = cache();
    let guard = try_lock(&cache).await.unwrap();
    let wait = cache.lock("name").wait(TTL).into_future();
    assert!(tokio::time::timeout(SECOND, wait).await.is_err());
    guard.release().await.unwrap();
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_two_at_one_moment() {
    let cache = Cache::memory();
    let (inside, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (cache, inside, last) = (cache.clone(), Arc::clone(&inside), Arc::clone(&last));
            tokio::spawn(async move {
                for _ in 0..20 {
                    let lock = cache.lock("name").wait(Duration::from_secs(60));
                    let guard = lock.await.unwrap().unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    assert!(last.swap(guard.fencing(), Ordering::SeqCst) < guard.fencing());
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert!(guard.release().await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_is_no_entry() {
    let (cache, _clock) = cache();
    let _guard = try_lock(&cache).await.unwrap();
    assert!(!cache.exists("name").await.unwrap());
    let mut scan = cache.scan_keys("*", 10).unwrap();
    let page = scan.next_page().await.unwrap();
    assert_eq!(page.unwrap_or_default(), [""; 0]);
    cache.clear().await.unwrap();
    cache.delete("name").await.unwrap();
    assert!(try_lock(&cache).await.is_none());
}

#[tokio::test]
async fn locks_that_are_free_take_no_room() {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    let locks: &dyn Locks = &provider;
    let token = cache_core::EntryId::random();
    for name in 0..1_000 {
        locks.acquire(&name.to_string(), token, TTL).await.unwrap();
    }
    assert!(format!("{provider:?}").contains("locks: 1000,"));
    locks.unlock("7", token).await.unwrap();
    assert!(format!("{provider:?}").contains("locks: 999,"));
    clock.advance(TTL);
    for _ in 0..64 {
        locks.unlock("7", token).await.unwrap();
    }
    assert!(format!("{provider:?}").contains("locks: 0,"));
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let (cache, _clock) = cache();
    for ttl in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        let error = cache.lock("name").ttl(ttl).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
    let error = cache.lock("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
    let mut guard = try_lock(&cache).await.unwrap();
    let error = guard.extend(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(guard.is_held());
}

#[tokio::test]
async fn a_provider_without_locks_says_so_and_what_would_do() {
    let cache = Cache::builder(NullProvider::new()).build().unwrap();
    assert!(!cache.capability().locks);
    let error = cache.lock("name").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = "lock on null: this provider keeps no locks; put locks on memory or Redis";
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn while_the_backend_is_away_each_call_is_an_error_and_the_holder_believes_less() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap().namespace("n");
    let mut guard = try_lock(&cache).await.unwrap();
    chaos.away(true);
    let error = cache.lock("name").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "at once");
    assert_eq!((error.operation(), error.namespace()), ("lock", "n"));
    let error = guard.extend(TTL * 2).await.unwrap_err();
    assert_eq!(error.operation(), "extend");
    assert!(guard.is_held(), "what it had it has still");
    // It may have been made that short.
    guard.extend(Duration::from_millis(1)).await.unwrap_err();
    assert!(!guard.is_held());
    let error = guard.release().await.unwrap_err();
    assert_eq!(error.operation(), "release");
}

#[tokio::test]
async fn who_goes_away_before_the_answer_leaves_no_lock_behind() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    let (gate, held) = Gate::new();
    chaos.next(Operation::Acquire, Fault::HoldAnswer(held));
    let locking = tokio::spawn({
        let cache = cache.clone();
        async move { try_lock(&cache).await }
    });
    gate.entered().await;
    assert!(try_lock(&cache).await.is_none(), "it has been taken");
    locking.abort();
    assert!(locking.await.unwrap_err().is_cancelled());
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test]
async fn a_lock_whose_answer_was_lost_is_given_back() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    chaos.next(Operation::Acquire, Fault::Lost(ErrorKind::Timeout));
    let error = cache.lock("name").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test]
async fn a_release_that_failed_or_was_dropped_is_tried_again() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    let guard = try_lock(&cache).await.unwrap();
    chaos.next(Operation::Unlock, Fault::Error(ErrorKind::Connection));
    guard.release().await.unwrap_err();
    let guard = try_lock(&cache).await.unwrap();
    let (_gate, held) = Gate::new();
    chaos.next(Operation::Unlock, Fault::Hold(held));
    let released = tokio::time::timeout(Duration::from_millis(10), guard.release());
    assert!(released.await.is_err());
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test]
async fn an_extension_that_was_dropped_leaves_the_earlier_end() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    let mut guard = try_lock(&cache).await.unwrap();
    let (_gate, held) = Gate::new();
    chaos.every(Operation::Extend, Fault::HoldAnswer(held));
    for (ttl, is_held) in [(TTL * 2, true), (Duration::from_millis(2), false)] {
        let extended = tokio::time::timeout(Duration::from_millis(10), guard.extend(ttl));
        assert!(extended.await.is_err());
        assert_eq!(guard.is_held(), is_held);
    }
}

/// Lets time pass by both clocks, in steps that are shorter than the pauses of a keeper.
async fn elapse(clock: &ManualClock, span: Duration) {
    let step = Duration::from_millis(100);
    let mut left = span;
    while !left.is_zero() {
        clock.advance(step);
        tokio::time::sleep(step).await;
        left -= step;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_kept_alive_is_held_as_long_as_its_guard_lives() {
    let (cache, clock) = cache();
    let lock = cache.try_lock("name").ttl(TTL).keep_alive();
    let guard = lock.await.unwrap().unwrap();
    elapse(&clock, TTL * 5).await;
    assert!(guard.is_held());
    assert!(try_lock(&cache).await.is_none());
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    assert_eq!(tasks(), 1);
    drop(guard);
    tokio::task::yield_now().await;
    assert_eq!(tasks(), 0);
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_kept_alive_and_released_is_not_extended_any_more() {
    let (cache, clock) = cache();
    let lock = cache.try_lock("name").ttl(TTL).keep_alive();
    assert!(lock.await.unwrap().unwrap().release().await.unwrap());
    let next = try_lock(&cache).await.unwrap();
    elapse(&clock, TTL).await;
    assert!(!next.is_held());
    assert!(try_lock(&cache).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_its_time_does_not_end_what_is_kept_alive_and_a_longer_one_does() {
    let clock = ManualClock::new();
    let memory = MemoryProvider::builder().clock(clock.clock()).build();
    let (provider, chaos) = ChaosProvider::over(memory);
    let cache = Cache::builder(provider).build().unwrap();
    let lock = cache.try_lock("name").ttl(TTL).keep_alive();
    let guard = lock.await.unwrap().unwrap();
    chaos.next(Operation::Extend, Fault::Error(ErrorKind::Connection));
    elapse(&clock, TTL * 2).await;
    assert!(guard.is_held());
    chaos.away(true);
    elapse(&clock, TTL).await;
    assert!(!guard.is_held());
    chaos.away(false);
    elapse(&clock, TTL).await;
    assert!(!guard.is_held(), "it is not taken anew");
    assert!(try_lock(&cache).await.is_some());
}
