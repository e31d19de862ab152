//! The contracts of the test kit on the null provider: which it keeps, and which need storage.

use std::convert::Infallible;

use cache_core::testkit::race::{self, Act};
use cache_core::testkit::{ChaosProvider, Fault, Nodes, Operation, conformance as contract};
use cache_core::{Cache, EntryOptions, ErrorKind, Invalidated, NullProvider};

async fn nodes() -> Nodes {
    Nodes::one(null())
}

fn null() -> Cache {
    let builder = Cache::builder(NullProvider::new());
    builder.build().expect("a cache")
}

mod conformance {
    cache_core::conformance!(crate::nodes());
}

#[tokio::test]
async fn nothing_is_stored_and_nothing_fails() {
    let cache = null();
    cache.set("k", "v").tag("t").await.unwrap();
    cache
        .set_many(&[("a", 1)], EntryOptions::new())
        .await
        .unwrap();
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    assert_eq!(cache.get_many::<i32>(&["a"]).await.unwrap(), [None]);
    assert!(!cache.exists("k").await.unwrap());
    assert!(!cache.delete("k").await.unwrap());
    assert_eq!(cache.delete_by_pattern("*").await.unwrap(), 0);
    let mut scan = cache.scan_keys("*", 10).unwrap();
    assert!(
        scan.next_page()
            .await
            .unwrap()
            .unwrap_or_default()
            .is_empty()
    );
    assert_eq!(cache.clear().await.unwrap(), Invalidated::Applied);
    let tag = cache.invalidate_tag("t").await.unwrap();
    assert_eq!(tag, Invalidated::Applied);
}

#[tokio::test]
#[should_panic(expected = "Unsupported")]
async fn all_that_a_provider_says_it_cannot_do_is_asked_for() {
    let (provider, chaos) = ChaosProvider::over(NullProvider::new());
    chaos.every(Operation::Increment, Fault::Error(ErrorKind::Timeout));
    let cache = Cache::builder(provider).build().expect("a cache");
    // It lacks storage as well.
    contract::counters::counters_count(&Nodes::one(cache)).await;
}

#[tokio::test]
async fn every_call_loads_anew() {
    let cache = null();
    for value in [1, 2] {
        let load = || async move { Ok::<_, Infallible>(value) };
        assert_eq!(cache.get_or_set("k", load).await, Ok(value));
    }
}

#[tokio::test]
async fn a_counter_is_refused_with_what_would_do() {
    let error = null().increment("n", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message =
        "increment on null: the null provider keeps no counters; put counters on another provider";
    assert_eq!(error.to_string(), message);
}

/// A `set` that nothing is left of cannot be read; all else of the race table holds.
const ACTS: [Act; 8] = [
    Act::Delete,
    Act::DeleteMany,
    Act::Invalidate,
    Act::InvalidateTag,
    Act::InvalidatePattern,
    Act::DeleteByPattern,
    Act::Clear,
    Act::ClearAround,
];

#[tokio::test]
async fn a_load_that_was_invalidated_is_not_joined() {
    for act in [&ACTS[..], &[Act::Set, Act::SetMany]].concat() {
        race::later_callers_load_anew(&Nodes::one(null()), act).await;
        race::those_who_waited_share_it(&Nodes::one(null()), act).await;
    }
}

#[tokio::test]
async fn what_was_loaded_before_an_invalidation_is_not_seen_after_it() {
    for act in ACTS {
        race::its_value_is_never_shown_again(&Nodes::one(null()), act).await;
        race::what_is_stored_goes(&Nodes::one(null()), act).await;
    }
}
