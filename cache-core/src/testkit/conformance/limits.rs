//! Rate limits: never too much, counted for all nodes together, and apart from entries.

use std::time::Duration;

use super::{LONG, WHILE, keys, text};
use crate::cache::{Cache, RateLimiter};
use crate::error::ErrorKind;
use crate::provider::RateLimit;

fn limiter(cache: &Cache, limit: RateLimit) -> RateLimiter {
    cache.rate_limiter(limit).expect("a limiter")
}

fn both(limit: u64, window: Duration) -> [RateLimit; 2] {
    [
        RateLimit::fixed_window(limit, window),
        RateLimit::sliding_window(limit, window),
    ]
}

checks! {
    limits as conformance_limits, needs [Limits];

    /// So many calls, all of a call or nothing of it, and what is denied takes nothing.
    async fn a_limit_is_kept_and_what_is_denied_is_not_counted(nodes, cache) {
        for limit in both(5, LONG) {
            let limiter = limiter(cache, limit);
            for (cost, allowed, remaining) in [
                (2, true, 3),
                (4, false, 3),
                (0, true, 3),
                (u64::MAX, false, 3),
                (3, true, 0),
                (1, false, 0),
                (0, false, 0),
            ] {
                let decision = limiter.check_n("k", cost).await.unwrap();
                assert_eq!((decision.allowed, decision.remaining), (allowed, remaining));
                assert_eq!(decision.limit, 5);
                assert_eq!(decision.retry_after.is_some(), !allowed && cost <= 5);
                assert!(!decision.resets_after.is_zero() && decision.resets_after <= LONG);
            }
            assert!(limiter.check("another").await.unwrap().allowed);
        }
    }

    /// All that has been counted counts no more when its window is over.
    async fn what_was_counted_ends(nodes, cache) {
        for limit in both(1, WHILE) {
            let limiter = limiter(cache, limit);
            assert!(limiter.check("k").await.unwrap().allowed);
            let denied = limiter.check("k").await.unwrap();
            assert!(!denied.allowed);
            nodes.elapse(denied.retry_after.unwrap()).await;
            assert!(limiter.check("k").await.unwrap().allowed, "it was said so");
        }
    }

    /// From whichever node they come, calls are counted together, at one moment too.
    async fn all_nodes_count_together(nodes, cache) {
        let other = nodes.reader.namespace("all_nodes_count_together");
        for limit in both(30, LONG) {
            let limiters = [limiter(cache, limit), limiter(&other, limit)];
            let calls: Vec<_> = limiters
                .iter()
                .cycle()
                .take(80)
                .cloned()
                .map(|limiter| tokio::spawn(async move { limiter.check("k").await.unwrap().allowed }))
                .collect();
            let mut allowed = 0;
            for call in calls {
                allowed += u32::from(call.await.unwrap());
            }
            assert_eq!(allowed, 30);
        }
    }

    /// No operation on entries sees or changes what is counted; a reset does.
    async fn what_is_counted_is_no_entry(nodes, cache) {
        let limiter = limiter(cache, RateLimit::fixed_window(1, LONG));
        assert!(!limiter.reset("k").await.unwrap());
        assert!(limiter.check("k").await.unwrap().allowed);
        assert_eq!(text(cache, "k").await, None);
        if cache.capability().scan {
            assert_eq!(keys(cache, "*").await, [""; 0]);
        }
        cache.set("k", "v").await.unwrap();
        cache.delete("k").await.unwrap();
        cache.clear().await.unwrap();
        assert!(!limiter.check("k").await.unwrap().allowed);
        assert!(limiter.reset("k").await.unwrap());
        assert!(limiter.check("k").await.unwrap().allowed);
    }

    /// A window of no length, and a limit that is not exact everywhere, are refused.
    async fn a_limit_that_cannot_be_kept_is_refused(nodes, cache) {
        for limit in [RateLimit::fixed_window(1, Duration::ZERO), RateLimit::sliding_window(u64::MAX, LONG)] {
            let error = cache.rate_limiter(limit).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
        }
    }
}
