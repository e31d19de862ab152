//! The contracts of the test kit on the null provider: which it keeps, and which need storage.

use std::convert::Infallible;

use cache_core::testkit::Nodes;
use cache_core::testkit::race::{self, Act};
use cache_core::{Cache, EntryOptions, ErrorKind, Invalidated, NullProvider};

fn null() -> Cache {
    let builder = Cache::builder(NullProvider::new());
    builder.build().expect("a cache")
}

/// Runs every check that is named: the first hold, the others fail because nothing is stored.
macro_rules! conformance {
    (hold: $($held:ident)*; need_storage: $($lacking:ident)*) => {
        mod conformance {
            use super::{Nodes, null};
            use cache_core::testkit::{block_on, conformance};

            $(#[test]
            fn $held() {
                block_on(conformance::$held(&Nodes::one(null())));
            })*

            $(#[test]
            #[should_panic]
            fn $lacking() {
                block_on(conformance::$lacking(&Nodes::one(null())));
            })*
        }
    };
}

conformance! {
    hold:
        an_absent_key_is_a_miss_and_no_error
        a_ping_is_answered
        what_is_absent_expired_or_hidden_is_not_updated
        a_broken_pattern_is_an_error;
    need_storage:
        what_is_set_is_read_back_equal
        a_set_replaces_what_was_there
        delete_says_whether_it_was_there
        many_keys_are_handled_in_order
        entries_expire
        loaded_values_expire
        missing_keys_are_loaded_by_one_call
        a_thousand_missing_keys_are_loaded_and_stored
        the_time_to_live_can_be_read_and_changed
        a_time_to_live_of_zero_removes
        the_default_time_to_live_is_the_namespaces
        counters_count
        counters_count_down
        a_counter_does_not_leave_its_range
        a_value_that_is_no_number_is_not_incremented
        another_owners_number_is_not_incremented
        increments_do_not_push_a_counters_end_out
        concurrent_increments_all_count
        what_is_hidden_is_neither_extended_nor_counted_on
        an_incremented_counter_is_still_tagged
        an_update_changes_what_it_names
        an_update_that_does_not_fit_changes_nothing
        an_updated_value_keeps_its_tags_and_its_end
        concurrent_updates_all_count
        another_owners_value_is_not_updated
        namespaces_are_worlds_of_their_own
        clear_takes_the_namespace_and_those_inside
        patterns_take_what_they_match
        delete_by_pattern_counts_what_was_visible
        a_scan_sees_every_key
        a_tag_takes_what_carries_it_everywhere
        a_set_after_another_nodes_clear_survives
        keys_have_a_limit
        reads_are_counted_by_namespace
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
