//! Rate limits in memory, by a clock that the test moves.

use std::time::Duration;

use cache_core::testkit::ChaosProvider;
use cache_core::{
    Cache, Decision, ErrorKind, ManualClock, MemoryProvider, NullProvider, RateLimit, RateLimiter,
    Timestamp,
};
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn cache() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    (Cache::builder(provider).build().unwrap(), clock)
}

fn limiter(limit: RateLimit) -> (RateLimiter, ManualClock) {
    let (cache, clock) = cache();
    (cache.rate_limiter(limit).unwrap(), clock)
}

async fn check(limiter: &RateLimiter) -> Decision {
    limiter.check("k").await.unwrap()
}

async fn allowed(limiter: &RateLimiter) -> bool {
    check(limiter).await.allowed
}

#[tokio::test]
async fn a_fixed_window_begins_with_its_first_call_and_ends_with_all_it_counted() {
    let (limiter, clock) = limiter(RateLimit::fixed_window(2, MINUTE));
    assert!(limiter.peek("k").await.unwrap().allowed);
    clock.advance(SECOND * 40);
    let first = Decision {
        allowed: true,
        limit: 2,
        remaining: 1,
        resets_after: MINUTE,
        retry_after: None,
    };
    assert_eq!(check(&limiter).await, first, "the peek began no window");
    clock.advance(SECOND * 50);
    let second = check(&limiter).await;
    assert_eq!((second.allowed, second.remaining), (true, 0));
    let denied = Decision {
        allowed: false,
        limit: 2,
        remaining: 0,
        resets_after: SECOND * 10,
        retry_after: Some(SECOND * 10),
    };
    assert_eq!(check(&limiter).await, denied);
    clock.advance(SECOND * 10);
    assert_eq!(check(&limiter).await, first);
}

#[tokio::test]
async fn from_a_sliding_window_each_call_goes_by_itself() {
    let (limiter, clock) = limiter(RateLimit::sliding_window(2, MINUTE));
    assert_eq!(check(&limiter).await.resets_after, MINUTE);
    clock.advance(SECOND * 40);
    assert!(allowed(&limiter).await);
    let denied = Decision {
        allowed: false,
        limit: 2,
        remaining: 0,
        resets_after: MINUTE,
        retry_after: Some(SECOND * 20),
    };
    assert_eq!(check(&limiter).await, denied);
    clock.advance(SECOND * 20 - Duration::from_micros(1));
    assert!(!allowed(&limiter).await);
    clock.advance(Duration::from_micros(1));
    assert!(allowed(&limiter).await, "the first is a minute ago");
    assert!(!allowed(&limiter).await, "the second is not");
}

#[tokio::test]
async fn what_is_denied_is_not_counted() {
    for limit in [
        RateLimit::fixed_window(3, MINUTE),
        RateLimit::sliding_window(3, MINUTE),
    ] {
        let (limiter, clock) = limiter(limit);
        assert!(limiter.check_n("k", 2).await.unwrap().allowed);
        let denied = limiter.check_n("k", 2).await.unwrap();
        assert_eq!((denied.allowed, denied.remaining), (false, 1));
        assert!(allowed(&limiter).await, "the one that is left");
        for _ in 0..10 {
            clock.advance(SECOND * 5);
            assert!(!allowed(&limiter).await);
        }
        clock.advance(SECOND * 10);
        assert!(allowed(&limiter).await, "in spite of all that was denied");
    }
}

#[tokio::test]
async fn what_costs_more_than_the_limit_is_denied_for_good() {
    for limit in [
        RateLimit::fixed_window(3, MINUTE),
        RateLimit::sliding_window(3, MINUTE),
    ] {
        let (limiter, _clock) = limiter(limit);
        for cost in [4, u64::MAX] {
            let decision = limiter.check_n("k", cost).await.unwrap();
            assert!(!decision.allowed);
            assert_eq!((decision.retry_after, decision.remaining), (None, 3));
        }
        assert!(limiter.check_n("k", 3).await.unwrap().allowed);
    }
}

#[tokio::test]
async fn a_limit_of_nothing_allows_nothing() {
    let (limiter, _clock) = limiter(RateLimit::sliding_window(0, MINUTE));
    for cost in [0, 1, u64::MAX] {
        let decision = limiter.check_n("k", cost).await.unwrap();
        let none = (false, 0, Duration::ZERO, None);
        let found = (
            decision.allowed,
            decision.remaining,
            decision.resets_after,
            decision.retry_after,
        );
        assert_eq!(found, none);
    }
}

#[tokio::test]
async fn a_peek_tells_what_a_call_would_be_told_and_counts_nothing() {
    let (limiter, clock) = limiter(RateLimit::fixed_window(1, MINUTE));
    for _ in 0..3 {
        let peek = limiter.peek("k").await.unwrap();
        assert_eq!((peek.allowed, peek.remaining), (true, 1));
    }
    assert!(allowed(&limiter).await);
    clock.advance(SECOND);
    let peek = limiter.check_n("k", 0).await.unwrap();
    assert_eq!((peek.allowed, peek.retry_after), (false, Some(SECOND * 59)));
}

#[tokio::test]
async fn the_largest_limit_is_counted_exactly() {
    const MOST: u64 = (1 << 53) - 1;
    let (limiter, clock) = limiter(RateLimit::sliding_window(MOST, MINUTE));
    assert!(limiter.check_n("k", MOST - 1).await.unwrap().allowed);
    clock.advance(SECOND * 10);
    assert_eq!(check(&limiter).await.remaining, 0);
    assert!(!allowed(&limiter).await);
    clock.advance(SECOND * 50);
    assert_eq!(limiter.peek("k").await.unwrap().remaining, MOST - 1);
}

#[tokio::test]
async fn keys_namespaces_kinds_and_windows_count_for_themselves_and_limits_together() {
    let (cache, _clock) = cache();
    let minute = RateLimit::fixed_window(1, MINUTE);
    let spent = cache.rate_limiter(minute).unwrap();
    assert!(allowed(&spent).await);
    assert!(!allowed(&spent).await);
    assert!(spent.check("other").await.unwrap().allowed);
    for (cache, limit) in [
        (cache.namespace("n"), minute),
        (cache.clone(), RateLimit::sliding_window(1, MINUTE)),
        (cache.clone(), RateLimit::fixed_window(1, MINUTE * 2)),
    ] {
        assert!(allowed(&cache.rate_limiter(limit).unwrap()).await);
    }
    let raised = cache
        .rate_limiter(RateLimit::fixed_window(3, MINUTE))
        .unwrap();
    assert_eq!(check(&raised).await.remaining, 1);
    let lowered = check(&spent).await;
    assert_eq!((lowered.allowed, lowered.remaining), (false, 0));
}

#[tokio::test]
async fn what_is_counted_is_no_entry_and_only_a_reset_forgets_it() {
    let (cache, _clock) = cache();
    let limiter = cache
        .rate_limiter(RateLimit::fixed_window(1, MINUTE))
        .unwrap();
    assert!(!limiter.reset("k").await.unwrap(), "nothing yet");
    assert!(allowed(&limiter).await);
    let mut scan = cache.scan_keys("*", 10).unwrap();
    let page = scan.next_page().await.unwrap();
    assert_eq!(page.unwrap_or_default(), [""; 0]);
    assert_eq!(cache.get::<i64>("k").await.unwrap(), None);
    cache.set("k", "v").await.unwrap();
    cache.clear().await.unwrap();
    cache.delete("k").await.unwrap();
    cache.invalidate_pattern("*").await.unwrap();
    assert!(!allowed(&limiter).await);
    assert!(limiter.reset("k").await.unwrap());
    assert!(allowed(&limiter).await);
}

#[test]
fn threads_that_ask_at_one_moment_are_allowed_no_more_than_the_limit() {
    let (cache, _clock) = cache();
    let limiter = cache
        .rate_limiter(RateLimit::sliding_window(1_000, MINUTE))
        .unwrap();
    let asks = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let asked = (0..400).filter(|_| runtime.block_on(allowed(&limiter)));
        asked.count()
    };
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(asks)).collect();
        let counts = threads.into_iter().map(|thread| thread.join().unwrap());
        counts.collect()
    });
    assert_eq!(counts.into_iter().sum::<usize>(), 1_000);
}

#[tokio::test]
async fn what_has_ended_takes_no_room_any_more() {
    let clock = ManualClock::new();
    let provider = std::sync::Arc::new(MemoryProvider::builder().clock(clock.clock()).build());
    let counted = |provider: &MemoryProvider| format!("{provider:?}");
    let limits: &dyn cache_core::Limits = &*provider;
    for key in 0..1_000 {
        let limit = match key % 2 {
            0 => RateLimit::fixed_window(5, MINUTE),
            _ => RateLimit::sliding_window(5, MINUTE),
        };
        limits.check(&key.to_string(), limit, 1).await.unwrap();
    }
    assert!(counted(&provider).contains("rate_limits: 1000,"));
    clock.advance(MINUTE);
    for _ in 0..64 {
        let limit = RateLimit::fixed_window(5, MINUTE);
        limits.check("another", limit, 0).await.unwrap();
    }
    assert!(counted(&provider).contains("rate_limits: 0,"));
}

#[tokio::test]
async fn where_there_is_no_room_to_count_a_check_is_an_error_until_something_ends() {
    let (cache, clock) = cache();
    let minute = RateLimit::fixed_window(1, MINUTE);
    let limiter = cache.rate_limiter(minute).unwrap();
    for key in 0..1 << 17 {
        assert!(limiter.check(&key.to_string()).await.unwrap().allowed);
    }
    let error = limiter.check("one more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unready, "{error}");
    assert!(!limiter.check("7").await.unwrap().allowed);
    clock.advance(MINUTE);
    assert!(limiter.check("one more").await.unwrap().allowed);
}

#[tokio::test]
async fn limits_that_cannot_be_kept_are_refused() {
    let (cache, _clock) = cache();
    for limit in [
        RateLimit::fixed_window(1, Duration::ZERO),
        RateLimit::sliding_window(1, Duration::from_micros(999)),
        RateLimit::sliding_window(1, Duration::MAX),
        RateLimit::fixed_window(1 << 53, MINUTE),
    ] {
        let error = cache.rate_limiter(limit).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
    let limiter = cache
        .rate_limiter(RateLimit::fixed_window(1, MINUTE))
        .unwrap();
    let error = limiter.check("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
}

#[tokio::test]
async fn a_provider_without_limits_says_so_and_what_would_do() {
    let cache = Cache::builder(NullProvider::new()).build().unwrap();
    assert!(!cache.capability().limits);
    let error = cache
        .rate_limiter(RateLimit::fixed_window(1, MINUTE))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message =
        "rate_limit on null: this provider cannot count calls; put rate limits on memory or Redis";
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn while_the_backend_is_away_a_check_is_an_error() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap().namespace("n");
    let limiter = cache
        .rate_limiter(RateLimit::fixed_window(1, MINUTE))
        .unwrap();
    chaos.away(true);
    let error = limiter.check("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!((error.operation(), error.namespace()), ("rate_limit", "n"));
    chaos.away(false);
    assert!(limiter.check("k").await.unwrap().allowed);
}

/// A call: how long after the last one, in milliseconds, and what it costs.
type Step = (u64, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0..400_u64, 0..5_u64), 1..300)
}

const LIMIT: u64 = 8;
const WINDOW: Duration = Duration::from_millis(3_000);

/// All calls that were allowed: when, and at what cost.
#[derive(Default)]
struct Model(Vec<(Timestamp, u64)>);

impl Model {
    /// What was allowed in a time of this length up to now, which begins after `now - span`.
    fn used(&self, now: Timestamp, span: Duration) -> u64 {
        let recent = self.0.iter().filter(|(at, _)| now.since(*at) < span);
        recent.map(|(_, cost)| cost).sum()
    }
}

fn run(limit: RateLimit, steps: &[Step], mut each: impl FnMut(Timestamp, u64, Decision)) {
    let (limiter, clock) = limiter(limit);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for (pause, cost) in steps {
        clock.advance(Duration::from_millis(*pause));
        let decision = runtime.block_on(limiter.check_n("k", *cost)).unwrap();
        each(clock.clock().now(), *cost, decision);
    }
}

proptest! {
    #[test]
    fn a_sliding_window_never_allows_too_much_and_denies_no_longer_than_it_says(steps in steps()) {
        let mut model = Model::default();
        let mut promised: Option<(Timestamp, u64)> = None;
        run(RateLimit::sliding_window(LIMIT, WINDOW), &steps, |now, cost, decision| {
            let asked = cost.max(1);
            let (exact, late) = (model.used(now, WINDOW), model.used(now, WINDOW + WINDOW / 60));
            if decision.allowed {
                assert!(exact + asked <= LIMIT, "{exact} and {asked} are more than {LIMIT}");
                model.0.push((now, cost));
            } else {
                assert!(late + asked > LIMIT, "{late} and {asked} would have been allowed");
                assert!(decision.retry_after.is_none_or(|after| !after.is_zero()));
            }
            if let Some((at, wanted)) = promised.take()
                && now >= at
                && asked <= wanted
            {
                assert!(decision.allowed, "it was said that it would be by now");
            }
            promised = decision.retry_after.map(|after| (now.saturating_add(after), asked));
            let used = model.used(now, WINDOW);
            assert!(decision.remaining <= LIMIT - used);
            assert_eq!(decision.resets_after.is_zero(), decision.remaining == LIMIT);
        });
    }

    #[test]
    fn a_sliding_window_is_exact_where_calls_are_a_sixtieth_apart(
        steps in proptest::collection::vec((50..400_u64, 0..5_u64), 1..200),
    ) {
        let mut model = Model::default();
        run(RateLimit::sliding_window(LIMIT, WINDOW), &steps, |now, cost, decision| {
            let exact = model.used(now, WINDOW);
            assert_eq!(decision.allowed, exact + cost.max(1) <= LIMIT);
            if decision.allowed {
                model.0.push((now, cost));
            }
            assert_eq!(decision.remaining, LIMIT - model.used(now, WINDOW));
        });
    }

    #[test]
    fn a_fixed_window_is_a_count_with_an_end(steps in steps()) {
        let (mut used, mut ends) = (0, Timestamp::default());
        run(RateLimit::fixed_window(LIMIT, WINDOW), &steps, |now, cost, decision| {
            if now >= ends {
                used = 0;
            }
            assert_eq!(decision.allowed, used + cost.max(1) <= LIMIT);
            if decision.allowed && cost > 0 {
                ends = if used == 0 { now.saturating_add(WINDOW) } else { ends };
                used += cost;
            }
            assert_eq!(decision.remaining, LIMIT - used);
            let left = if used == 0 { Duration::ZERO } else { ends.since(now) };
            assert_eq!(decision.resets_after, left);
            assert_eq!(decision.retry_after, (!decision.allowed).then_some(left));
        });
    }
}
