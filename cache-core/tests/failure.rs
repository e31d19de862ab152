//! When the provider fails: loads answer, explicit operations say so, nothing stale comes back.

use std::convert::Infallible;

use cache_core::testkit::{ChaosProvider, Gate, Nodes};
use cache_core::{Cache, ErrorKind};

async fn remote() -> Nodes {
    let (provider, _chaos) = ChaosProvider::remote();
    Nodes::one(Cache::builder(provider).build().expect("a cache"))
}

mod conformance_without_peeking {
    cache_core::conformance!(crate::remote());
}

mod race_without_peeking {
    cache_core::race_table!(crate::remote());
}

#[tokio::test]
async fn a_failing_provider_never_fails_a_load() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    chaos.away(true);
    for expected in 1..=3 {
        let load = || async move { Ok::<_, Infallible>(expected) };
        assert_eq!(cache.get_or_set("k", load).await, Ok(expected));
    }
    let metrics = cache.metrics();
    assert_eq!((metrics.bypassed, metrics.errors), (3, 3));
}

#[tokio::test]
async fn a_provider_that_fails_when_the_value_is_stored_never_fails_the_load() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    let load = || async {
        chaos.away(true);
        Ok::<_, Infallible>(1)
    };
    assert_eq!(cache.get_or_set("k", load).await, Ok(1));
    chaos.away(false);
    assert_eq!(cache.get::<i32>("k").await.unwrap(), None);
    assert_eq!(cache.metrics().errors, 1);
}

#[tokio::test]
async fn while_the_provider_fails_one_load_still_serves_all() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    chaos.away(true);
    let (gate, held) = Gate::new();
    let leader = tokio::spawn({
        let cache = cache.clone();
        async move {
            let load = || async {
                held.pass().await;
                Ok::<_, Infallible>(1)
            };
            cache.get_or_set("k", load).await
        }
    });
    gate.entered().await;
    let follower = tokio::spawn({
        let cache = cache.clone();
        async move {
            let load = || async { Ok::<_, Infallible>(2) };
            cache.get_or_set("k", load).await
        }
    });
    let waits = || cache_core::testkit::followers(&cache, "k") == 1;
    cache_core::testkit::eventually("it waits", waits).await;
    gate.open();
    assert_eq!(leader.await.unwrap(), Ok(1));
    assert_eq!(follower.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn explicit_operations_say_what_failed_and_where() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    let cache = cache.namespace("users:eu");
    chaos.away(true);
    let errors = [
        cache.get::<i32>("k").await.map(drop),
        cache.set("k", &1).await,
        cache.delete("k").await.map(drop),
        cache.increment("k", 1).await.map(drop),
        cache.invalidate_tag("t").await.map(drop),
        cache.clear().await.map(drop),
    ];
    let operations = [
        "get",
        "set",
        "delete",
        "increment",
        "invalidate_tag",
        "clear",
    ];
    for (error, operation) in errors.into_iter().zip(operations) {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert!(error.is_retryable());
        assert_eq!((error.operation(), error.provider()), (operation, "chaos"));
        assert_eq!(error.namespace(), "users/eu");
    }
}

#[tokio::test]
async fn out_of_touch_nothing_that_is_stored_is_told_of() {
    let provider = ChaosProvider::out_of_touch().0;
    let cache = Cache::builder(provider).build().unwrap();
    cache.set("k", &1).await.unwrap();
    let mut keys = cache.scan_keys("*", 10).unwrap();
    let errors = [
        cache.get::<i32>("k").await.map(drop),
        cache.exists("k").await.map(drop),
        cache.get_ttl("k").await.map(drop),
        keys.next_page().await.map(drop),
        cache.delete_by_pattern("*").await.map(drop),
    ];
    for error in errors {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Connection);
    }
}
