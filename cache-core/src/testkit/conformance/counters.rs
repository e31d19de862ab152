//! Counters: exact, within their range, and never in the place of something else.

use std::convert::Infallible;

use super::{LONG, SHORT, number, text};
use crate::cache::KeepOk;
use crate::entry::Owner;
use crate::error::ErrorKind;
use crate::terms::EntryOptions;

checks! {
    counters as conformance_counters, needs [Storage, Counters];

    /// Counters count, from zero, by any amount.
    async fn counters_count(nodes, cache) {
        assert_eq!(cache.increment("n", 5).await.unwrap(), 5);
        assert_eq!(cache.increment("n", -7).await.unwrap(), -2);
        assert_eq!(cache.increment("n", 0).await.unwrap(), -2);
        assert_eq!(number(cache, "n").await, Some(-2));
        assert_eq!(cache.get::<i8>("n").await.unwrap(), Some(-2));
        cache.set("n", &41).await.unwrap();
        assert_eq!(cache.increment("n", 1).await.unwrap(), 42);
        assert!(cache.delete("n").await.unwrap());
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
    }

    /// Downwards, too, through zero.
    async fn counters_count_down(nodes, cache) {
        assert_eq!(cache.decrement("n", 3).await.unwrap(), -3);
        assert_eq!(cache.increment("n", 10).await.unwrap(), 7);
        assert_eq!(cache.decrement("n", -1).await.unwrap(), 8);
        let error = cache.decrement("n", i64::MIN).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overflow);
        assert_eq!(number(cache, "n").await, Some(8));
        let options = EntryOptions::new().ttl(SHORT).tag("t");
        assert_eq!(cache.decrement_with("m", 1, options).await.unwrap(), -1);
        cache.invalidate_tag("t").await.unwrap();
        assert_eq!(number(cache, "m").await, None);
    }

    /// At the ends of `i64`, exactly.
    async fn a_counter_does_not_leave_its_range(nodes, cache) {
        for (end, beyond) in [(i64::MAX, 1), (i64::MIN, -1)] {
            cache.set("n", &(end - beyond)).await.unwrap();
            assert_eq!(cache.increment("n", beyond).await.unwrap(), end);
            let error = cache.increment("n", beyond).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Overflow);
            assert_eq!(number(cache, "n").await, Some(end));
        }
    }

    /// What is no number is left alone.
    async fn a_value_that_is_no_number_is_not_incremented(nodes, cache) {
        cache.set("k", "text").ttl(LONG).await.unwrap();
        cache.set("big", &u64::MAX).await.unwrap();
        cache.set("float", &1.5).await.unwrap();
        for key in ["k", "big", "float"] {
            let error = cache.increment(key, 1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongType, "{key}");
        }
        assert_eq!(text(cache, "k").await.as_deref(), Some("text"));
        assert_eq!(cache.get::<u64>("big").await.unwrap(), Some(u64::MAX));
        assert_eq!(cache.get::<f64>("float").await.unwrap(), Some(1.5));
    }

    /// A number that a function computed is not a counter of the handle's.
    async fn another_owners_number_is_not_incremented(nodes, cache) {
        let function = Owner::of("a function");
        let load = || async { Ok::<_, Infallible>(41_i64) };
        let options = EntryOptions::new;
        let computed = cache.through("n", function, options, KeepOk, load).await;
        assert_eq!(computed, Ok(41));
        let error = cache.increment("n", 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType);
        let load = || async { Ok::<_, Infallible>(0) };
        let computed = cache.through("n", function, options, KeepOk, load).await;
        assert_eq!(computed, Ok(41), "it was left alone");
        assert!(cache.delete("n").await.unwrap());
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
    }

    /// The time to live begins when the counter does.
    async fn increments_do_not_push_a_counters_end_out(nodes, cache) {
        let options = EntryOptions::new().ttl(SHORT);
        assert_eq!(cache.increment_with("n", 1, options).await.unwrap(), 1);
        let longer = EntryOptions::new().ttl(LONG);
        assert_eq!(cache.increment_with("n", 1, longer).await.unwrap(), 2);
        nodes.elapse(SHORT).await;
        assert_eq!(number(cache, "n").await, None);
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
    }

    /// Nothing is lost.
    async fn concurrent_increments_all_count(nodes, cache) {
        let tasks: Vec<_> = (0..50)
            .map(|task| {
                let node = if task % 2 == 0 { &nodes.actor } else { &nodes.reader };
                let cache = node.namespace("concurrent_increments_all_count");
                tokio::spawn(async move {
                    for _ in 0..20 {
                        cache.increment("n", 1).await.expect("increment");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(number(cache, "n").await, Some(1_000));
    }

    /// Derived writes bring nothing back.
    async fn what_is_hidden_is_neither_extended_nor_counted_on(nodes, cache) {
        cache.set("n", &41).tag("t").await.unwrap();
        cache.increment("tagged", 1).await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        assert!(!cache.expire("n", LONG).await.unwrap());
        assert_eq!(number(cache, "n").await, None);
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1, "it begins anew");
        assert_eq!(number(cache, "n").await, Some(1));
        cache.invalidate_pattern("*").await.unwrap();
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
    }

    /// A counter keeps its tags when it is incremented.
    async fn an_incremented_counter_is_still_tagged(nodes, cache) {
        let options = EntryOptions::new().tag("t");
        cache.increment_with("n", 1, options).await.unwrap();
        cache.increment("n", 1).await.unwrap();
        assert!(cache.expire("n", LONG).await.unwrap());
        cache.invalidate_tag("t").await.unwrap();
        assert_eq!(number(cache, "n").await, None);
    }
}
