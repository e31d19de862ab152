//! Read policies: what is kept when it has expired, for whom, and what becomes of it.

use std::convert::Infallible;
use std::time::Duration;

use super::{LONG, SHORT, number};
use crate::cache::Cache;
use crate::load_error::LoadError;
use crate::loaded::Loaded;
use crate::policy::Policy;

const TAG: &str = "tag";

/// What a load brings is fresh for a short time, and kept for a long one.
fn keeping(cache: &Cache) -> Cache {
    let policy = Policy::new()
        .stale_if_error(LONG)
        .retry_after(Duration::ZERO);
    cache.with_policy(policy)
}

async fn load(cache: &Cache, value: i64, ttl: Duration) -> i64 {
    let load = move || async move { Ok::<_, Infallible>(Loaded::new(value).ttl(ttl).tag(TAG)) };
    cache.get_or_load("k", load).await.expect("a load")
}

/// A read whose load fails.
async fn fail(cache: &Cache) -> Option<i64> {
    let load = || async { Err::<i64, _>("no") };
    match cache.get_or_load("k", load).await {
        Ok(value) => Some(value),
        Err(LoadError::Failed("no")) => None,
        Err(other) => panic!("the load's own error, not {other:?}"),
    }
}

checks! {
    policies as conformance_policies, needs [Storage];

    /// An expired value stands in for an error, as often as there is one; it is absent otherwise.
    async fn a_stale_value_stands_in_for_an_error_and_stays_stale(nodes, cache) {
        let cache = &keeping(cache);
        assert_eq!(load(cache, 1, SHORT).await, 1);
        nodes.elapse(SHORT).await;
        assert_eq!(number(cache, "k").await, None);
        assert!(!cache.exists("k").await.unwrap());
        assert_eq!(cache.get_ttl("k").await.unwrap(), None);
        assert!(!cache.expire("k", LONG).await.unwrap());
        for _ in 0..3 {
            assert_eq!(fail(cache).await, Some(1));
            assert_eq!(number(cache, "k").await, None);
        }
        assert_eq!(load(cache, 2, LONG).await, 2);
        assert_eq!(fail(cache).await, Some(2));
    }

    /// Without a policy nothing is kept, and nobody is shown what was.
    async fn without_a_policy_an_error_is_an_error(nodes, cache) {
        assert_eq!(load(cache, 1, SHORT).await, 1);
        nodes.elapse(SHORT).await;
        assert_eq!(fail(&keeping(cache)).await, None);
        assert_eq!(load(&keeping(cache), 1, SHORT).await, 1);
        nodes.elapse(SHORT).await;
        assert_eq!(fail(cache).await, None);
    }

    /// What was invalidated is not stale, however that was done.
    async fn what_was_invalidated_is_not_shown_stale(nodes, cache) {
        let cache = &keeping(cache);
        for act in 0..5 {
            assert_eq!(load(cache, 1, SHORT).await, 1);
            nodes.elapse(SHORT).await;
            match act {
                0 => assert!(!cache.delete("k").await.unwrap(), "it had expired"),
                1 => drop(cache.invalidate("k").await.unwrap()),
                2 => drop(cache.invalidate_tag(TAG).await.unwrap()),
                3 => drop(cache.invalidate_pattern("?").await.unwrap()),
                _ => drop(cache.clear().await.unwrap()),
            }
            assert_eq!(fail(cache).await, None, "act {act}");
        }
    }

    /// A write takes the place of what has expired and is kept, with nothing left of it.
    async fn what_is_written_over_a_stale_value_is_fresh(nodes, cache) {
        let cache = &keeping(cache);
        assert_eq!(load(cache, 1, SHORT).await, 1);
        nodes.elapse(SHORT).await;
        cache.set("k", &2_i64).ttl(SHORT).await.unwrap();
        assert_eq!(number(cache, "k").await, Some(2));
        nodes.elapse(SHORT).await;
        assert_eq!(fail(cache).await, Some(2));
    }
}
