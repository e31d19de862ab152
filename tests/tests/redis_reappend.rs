//! `OnFailover::Reappend`: what is stored stays, what was invalidated stays gone.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_core::log::{Caps, Kind, Record};
use cache_core::provider::Slot;
use cache_core::{Cache, MemoryTier, Provider, RedisProvider};
use cache_tests::redis_node::{
    build, delivered, entry, fill, invalidate, key, key_record, lead, set, shown, stamped, tagged,
};
use cache_tests::replicated::{Replicated, in_contact};

fn tag(tag: &str) -> Record {
    Record::Tag(tag.into())
}

/// Looks again and again until it is told to stop: how often an entry was there, and whether it was
/// ever shown.
async fn watch(node: Arc<RedisProvider>, key: String, stop: Arc<AtomicBool>) -> (u64, bool) {
    let (mut found, mut seen) = (0, false);
    while !stop.load(Ordering::SeqCst) {
        if let Ok(slots) = node.get(&[&key]).await
            && let [Slot::Entry(entry)] = &slots[..]
        {
            found += 1;
            seen |= node.log().is_visible(&key, entry.meta());
        }
        tokio::task::yield_now().await;
    }
    (found, seen)
}

async fn read(cache: &Cache, loaded: &str) -> String {
    let load = async || Ok::<_, Infallible>(loaded.to_owned());
    cache.get_or_set("kept", load).await.unwrap()
}

#[tokio::test]
async fn what_no_lost_record_touches_is_a_hit_after_the_failover() {
    let mut servers = Replicated::start();
    let (one, two) = (
        build(servers.reappending()).await,
        build(servers.reappending()).await,
    );
    let logs = [one.log().clone(), two.log().clone()];
    let before = one.log().stamp().incarnation();
    let tiered = Cache::builder(one).memory_tier(MemoryTier::new());
    let caches = [
        tiered.build().unwrap(),
        Cache::builder(two).build().unwrap(),
    ];
    assert_eq!(read(&caches[0], "first").await, "first");
    servers.part().await;
    caches[0].invalidate_tag("unrelated").await.unwrap();
    servers.fail_over();
    for (log, cache) in logs.iter().zip(&caches) {
        in_contact(log, before).await;
        assert_eq!(read(cache, "second").await, "first");
    }
}

#[tokio::test]
async fn what_a_lost_record_hid_is_never_shown_again() {
    let hit = key("hit:1");
    for record in [
        key_record(&hit),
        tag("t"),
        Record::Pattern("cache:n:hit:*".into()),
        Record::All("cache:n".into()),
    ] {
        let mut servers = Replicated::start();
        let one = Arc::new(build(servers.reappending()).await);
        let kept = "cache:other:kept".to_owned();
        set(&one, &hit, tagged(&one, "old", &["t"])).await;
        set(&one, &kept, entry(&one, "kept")).await;
        servers.part().await;
        invalidate(&one, record.clone()).await;
        let before = one.log().stamp().incarnation();
        let stop = Arc::new(AtomicBool::new(false));
        let watching = watch(Arc::clone(&one), hit.clone(), Arc::clone(&stop));
        let watching = tokio::spawn(watching);
        servers.fail_over();
        in_contact(one.log(), before).await;

        let two = build(servers.reappending()).await;
        for node in [&one, &two] {
            assert_eq!(shown(node, &hit).await, None, "{record:?}");
            assert_eq!(shown(node, &kept).await.as_deref(), Some("kept"));
        }
        stop.store(true, Ordering::SeqCst);
        let (found, seen) = watching.await.unwrap();
        assert!(!seen, "{record:?} holds at all times");
        assert!(found > 0 || matches!(record, Record::Key(_)));
        set(&two, &hit, tagged(&two, "new", &["t"])).await;
        assert_eq!(shown(&one, &hit).await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_lost_record_outlives_the_node_that_issued_it_where_another_had_heard_of_it() {
    let mut servers = Replicated::start();
    let (one, two) = (
        build(servers.reappending()).await,
        build(servers.reappending()).await,
    );
    let hit = key("hit");
    set(&one, &hit, tagged(&one, "old", &["t"])).await;
    servers.part().await;
    invalidate(&one, tag("t")).await;
    delivered(&one, &two).await;
    let before = one.log().stamp().incarnation();
    drop(one);
    servers.fail_over();
    in_contact(two.log(), before).await;
    let three = build(servers.reappending()).await;
    for node in [&two, &three] {
        assert_eq!(shown(node, &hit).await, None);
    }
}

#[tokio::test]
async fn where_all_who_had_heard_of_a_record_have_died_the_log_goes_on_without_it() {
    let mut servers = Replicated::start();
    let one = build(servers.reappending()).await;
    let (hit, kept) = (key("hit"), key("kept"));
    set(&one, &hit, tagged(&one, "old", &["t"])).await;
    set(&one, &kept, entry(&one, "kept")).await;
    servers.part().await;
    invalidate(&one, tag("t")).await;
    drop(one);
    servers.fail_over();
    let two = build(servers.reappending()).await;
    assert_eq!(shown(&two, &kept).await.as_deref(), Some("kept"));
    invalidate(&two, tag("t")).await;
    assert_eq!(shown(&two, &hit).await, None);
}

#[tokio::test]
async fn after_a_lost_set_the_older_value_is_not_shown() {
    let mut servers = Replicated::start();
    let one = build(servers.reappending()).await;
    let lost = key("lost");
    set(&one, &lost, entry(&one, "older")).await;
    servers.part().await;
    set(&one, &lost, entry(&one, "newer")).await;
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    in_contact(one.log(), before).await;
    let two = build(servers.reappending()).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &lost).await, None);
    }
    set(&two, &lost, entry(&two, "newest")).await;
    assert_eq!(shown(&one, &lost).await.as_deref(), Some("newest"));
}

#[tokio::test]
async fn a_record_of_the_new_primary_hides_what_was_stored_on_the_old_one() {
    let mut servers = Replicated::start();
    let (one, two) = (
        build(servers.reappending()).await,
        build(servers.reappending()).await,
    );
    let hit = key("hit");
    set(&one, &hit, tagged(&one, "old", &["t"])).await;
    servers.part().await;
    for number in 0..20 {
        invalidate(&one, tag(&number.to_string())).await;
    }
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    for node in [&one, &two] {
        in_contact(node.log(), before).await;
        assert_eq!(shown(node, &hit).await.as_deref(), Some("old"));
    }
    invalidate(&two, tag("t")).await;
    delivered(&two, &one).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &hit).await, None);
    }
}

#[tokio::test]
async fn a_second_failover_keeps_what_both_left_and_brings_back_what_either_lost() {
    let mut servers = Replicated::start();
    let one = build(servers.reappending()).await;
    let (first, second, kept) = (key("first"), key("second"), key("kept"));
    set(&one, &first, tagged(&one, "old", &["first"])).await;
    set(&one, &kept, entry(&one, "kept")).await;
    for tagged_key in [("first", &first), ("second", &second)] {
        set(&one, &second, tagged(&one, "old", &["second"])).await;
        servers.part().await;
        let before = one.log().stamp().incarnation();
        invalidate(&one, tag(tagged_key.0)).await;
        servers.fail_over();
        in_contact(one.log(), before).await;
        assert_eq!(shown(&one, tagged_key.1).await, None);
    }
    let two = build(servers.reappending()).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &first).await, None);
        assert_eq!(shown(node, &second).await, None);
        assert_eq!(shown(node, &kept).await.as_deref(), Some("kept"));
    }
}

#[tokio::test]
async fn a_load_whose_lease_came_back_with_the_replica_stores_nothing_that_is_shown() {
    let mut servers = Replicated::start();
    let one = build(servers.reappending()).await;
    let loading = key("loading");
    let began = one.log().moment();
    let lease = lead(&one, &loading).await;
    servers.part().await;
    invalidate(&one, key_record(&loading)).await;
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    let there: u64 = servers.primary().cli(&["EXISTS", &loading]);
    assert_eq!(there, 1, "the replica has not heard that the lease is void");
    in_contact(one.log(), before).await;
    let _ = fill(&one, &loading, "old", lease).await;
    assert!(one.log().hides_load(&loading, &[], began));
    let two = build(servers.reappending()).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &loading).await, None);
    }
}

#[tokio::test]
async fn a_load_that_began_before_the_failover_is_stored_if_nothing_hides_it() {
    let mut servers = Replicated::start();
    let one = build(servers.reappending()).await;
    let loading = key("loading");
    let lease = lead(&one, &loading).await;
    servers.part().await;
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    in_contact(one.log(), before).await;
    assert!(fill(&one, &loading, "loaded", lease).await);
    assert_eq!(shown(&one, &loading).await.as_deref(), Some("loaded"));
}

#[tokio::test]
async fn what_was_computed_when_records_had_been_applied_that_are_lost_is_hidden() {
    let mut servers = Replicated::start();
    let one = build(servers.reappending()).await;
    servers.part().await;
    invalidate(&one, tag("unrelated")).await;
    let late = one.log().stamp();
    servers.fail_over();
    in_contact(one.log(), late.incarnation()).await;
    let early = stamped(&one, "computed", late);
    assert!(!one.log().is_visible(&key("late"), early.meta()));
}

#[tokio::test]
async fn where_more_was_lost_than_anybody_can_name_everything_is_hidden() {
    let mut servers = Replicated::start();
    let small = servers
        .reappending()
        .caps(Caps::DEFAULT.with(Kind::Tag, 10));
    let one = build(small).await;
    let (hit, kept) = (key("hit"), key("kept"));
    set(&one, &hit, tagged(&one, "old", &["first"])).await;
    set(&one, &kept, entry(&one, "untagged")).await;
    servers.part().await;
    invalidate(&one, tag("first")).await;
    for number in 0..50 {
        invalidate(&one, tag(&number.to_string())).await;
    }
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    in_contact(one.log(), before).await;
    let two = build(servers.reappending()).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &hit).await, None);
        assert_eq!(shown(node, &kept).await, None);
    }
}

#[tokio::test]
async fn floors_that_survived_hide_what_they_did_and_nothing_more() {
    let mut servers = Replicated::start();
    let small = || {
        let caps = Caps::DEFAULT.with(Kind::Tag, 10);
        servers.reappending().caps(caps)
    };
    let one = build(small()).await;
    let old = key("old");
    set(&one, &old, tagged(&one, "old", &["first"])).await;
    invalidate(&one, tag("first")).await;
    for number in 0..50 {
        invalidate(&one, tag(&number.to_string())).await;
    }
    let kept = key("kept");
    set(&one, &kept, tagged(&one, "kept", &["t"])).await;
    servers.part().await;
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    in_contact(one.log(), before).await;
    let two = build(servers.reappending()).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &old).await, None);
        assert_eq!(shown(node, &kept).await.as_deref(), Some("kept"));
    }
}
