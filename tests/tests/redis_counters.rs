//! Increments and new times to live on a real server: exact, and only for what is visible.

use std::sync::Arc;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::provider::Slot;
use cache_core::{Entry, ErrorKind, ManualClock, Payload, Provider, RedisProvider};
use cache_tests::redis_node::{
    build, deaf, deaf_node, delivered, entry, invalidate, key, key_record, lead, node, refused,
    set, shown, slow_node, tagged, terms,
};
use cache_tests::redis_server::RedisServer;

const MINUTE: Duration = Duration::from_secs(60);

fn counter(node: &RedisProvider, number: i64, ttl: Option<Duration>, tags: &[&str]) -> Arc<Entry> {
    let meta = terms(node, ttl, tags);
    Arc::new(Entry::new(meta, Payload::Counter(number)))
}

async fn add(node: &RedisProvider, key: &str, amount: i64) -> cache_core::Result<i64> {
    let fresh = counter(node, amount, Some(MINUTE), &[]);
    node.increment(key, amount, fresh).await
}

async fn count(node: &RedisProvider, key: &str) -> Option<i64> {
    let slots = node.get(&[key]).await.unwrap();
    let [Slot::Entry(entry)] = &slots[..] else {
        return None;
    };
    let visible = node.log().is_visible(key, entry.meta());
    visible.then(|| entry.payload().value().unwrap())
}

fn ttl(server: &RedisServer, key: &str) -> i64 {
    server.cli(&["PTTL", key])
}

#[tokio::test]
async fn a_counter_is_created_with_its_first_amount_and_counts_on_all_nodes() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("hits");
    assert_eq!(add(&one, &key, 5).await.unwrap(), 5);
    assert_eq!(add(&two, &key, -7).await.unwrap(), -2);
    assert_eq!(count(&one, &key).await, Some(-2));
    let left = ttl(&server, &key);
    assert!((1..=60_000).contains(&left), "{left}");
}

#[tokio::test]
async fn increments_from_many_callers_all_count() {
    let server = RedisServer::start();
    let (one, two) = (Arc::new(node(&server).await), Arc::new(node(&server).await));
    let key = key("busy");
    set(&one, &key, counter(&one, 0, None, &["tagged", "too"])).await;
    let callers: Vec<_> = (0..100)
        .map(|caller| {
            let node = Arc::clone(if caller % 2 == 0 { &one } else { &two });
            let key = key.clone();
            tokio::spawn(async move { add(&node, &key, 1).await.unwrap() })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(count(&one, &key).await, Some(100));
}

#[tokio::test]
async fn an_untagged_counter_takes_one_round_trip() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("quick");
    add(&one, &key, 1).await.unwrap();
    let _: () = server.cli(&["CONFIG", "RESETSTAT"]);
    for _ in 0..10 {
        add(&one, &key, 1).await.unwrap();
    }
    assert_eq!(server.calls_of("incrby"), 10);
    let heartbeats = server.calls_of("xread") + 2;
    assert!(server.calls_of("evalsha") <= 10 + heartbeats);
}

#[tokio::test]
async fn counters_are_exact_to_the_ends_of_i64_and_keep_their_time_to_live() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("exact");
    for (start, amount, sum) in [
        (i64::MAX - 1, 1, i64::MAX),
        (i64::MIN + 1, -1, i64::MIN),
        (i64::MIN, i64::MAX, -1),
        (-1, i64::MIN + 1, i64::MIN),
        (1 << 53, 1, (1 << 53) + 1),
        (-(1 << 53), -1, -(1 << 53) - 1),
        (0, i64::MIN, i64::MIN),
    ] {
        set(&one, &key, counter(&one, start, Some(MINUTE), &[])).await;
        let _: () = server.cli(&["PEXPIRE", &key, "30000"]);
        assert_eq!(add(&one, &key, amount).await.unwrap(), sum);
        assert_eq!(count(&one, &key).await, Some(sum));
        let left = ttl(&server, &key);
        assert!((1..=30_000).contains(&left), "{left}");
    }
    set(&one, &key, counter(&one, 1, None, &[])).await;
    add(&one, &key, 1).await.unwrap();
    assert_eq!(ttl(&server, &key), -1);
}

#[tokio::test]
async fn an_overflow_leaves_the_counter_alone() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("full");
    for (start, amount) in [(i64::MAX, 1), (i64::MIN, -1), (-2, i64::MIN), (1, i64::MAX)] {
        set(&one, &key, counter(&one, start, Some(MINUTE), &["t"])).await;
        let before: Vec<u8> = server.cli(&["GET", &key]);
        let error = refused(add(&one, &key, amount).await);
        assert_eq!(error.kind(), ErrorKind::Overflow);
        assert_eq!(server.cli::<Vec<u8>>(&["GET", &key]), before);
        assert!(ttl(&server, &key) > 0);
    }
}

#[tokio::test]
async fn an_integer_that_was_set_counts_on_and_anything_else_is_refused_unharmed() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("set");
    let typed = Entry::new(terms(&one, None, &[]), Payload::typed(5_u8));
    set(&one, &key, Arc::new(typed)).await;
    assert_eq!(add(&one, &key, 2).await.unwrap(), 7);
    assert_eq!(count(&one, &key).await, Some(7));

    for text in ["text", "5", "", "a text that is longer than any number is"] {
        set(&one, &key, entry(&one, text)).await;
        let error = refused(add(&one, &key, 1).await);
        assert_eq!(error.kind(), ErrorKind::WrongType);
        assert_eq!(shown(&one, &key).await.as_deref(), Some(text));
    }
    let huge = Entry::new(terms(&one, None, &[]), Payload::typed(u64::MAX));
    set(&one, &key, Arc::new(huge)).await;
    let error = refused(add(&one, &key, 1).await);
    assert_eq!(error.kind(), ErrorKind::WrongType);
}

#[tokio::test]
async fn a_counter_keeps_its_tags_and_stamp_and_so_goes_with_them() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("tagged");
    set(&one, &key, counter(&one, 10, None, &["team"])).await;
    assert_eq!(add(&two, &key, 1).await.unwrap(), 11);
    invalidate(&two, Record::Tag("team".into())).await;
    assert_eq!(count(&two, &key).await, None);
    // Hidden counts as absent: it begins anew, with the terms of the new one.
    assert_eq!(add(&two, &key, 3).await.unwrap(), 3);
    delivered(&two, &one).await;
    assert_eq!(count(&one, &key).await, Some(3));
    invalidate(&two, Record::Tag("team".into())).await;
    assert_eq!(count(&two, &key).await, Some(3), "the new one has no tag");
}

#[tokio::test]
async fn an_increment_brings_nothing_back_that_was_hidden_here() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("hidden");
    for record in [
        Record::Pattern("cache:n:hid*".into()),
        Record::All("cache:".into()),
    ] {
        set(&one, &key, counter(&one, 100, None, &[])).await;
        invalidate(&one, record).await;
        assert_eq!(add(&one, &key, 1).await.unwrap(), 1);
        assert_eq!(count(&one, &key).await, Some(1));
    }
}

#[tokio::test]
async fn an_increment_brings_nothing_back_that_was_hidden_elsewhere() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("elsewhere");
    for tags in [&[][..], &["t"]] {
        set(&other, &key, counter(&other, 100, None, tags)).await;
        invalidate(&deaf, Record::Tag("so that it hears".into())).await;
        invalidate(&other, Record::All("cache:n".into())).await;
        // The lagging node still sees it, and counts on; it stays hidden.
        assert_eq!(add(&deaf, &key, 1).await.unwrap(), 101);
        assert_eq!(count(&other, &key).await, None);
        assert_eq!(add(&other, &key, 1).await.unwrap(), 1);
        invalidate(&other, key_record(&key)).await;
    }
}

#[tokio::test]
async fn a_counter_that_is_created_after_another_nodes_clear_survives() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("created");
    invalidate(&other, Record::All("cache:n".into())).await;
    assert_eq!(add(&deaf, &key, 1).await.unwrap(), 1);
    assert_eq!(count(&other, &key).await, Some(1));
    assert_eq!(add(&other, &key, 1).await.unwrap(), 2);
}

#[tokio::test]
async fn a_counter_is_created_after_the_log_was_lost() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("after-loss");
    add(&one, &key, 1).await.unwrap();
    let _: () = server.cli(&["FLUSHALL"]);
    assert_eq!(add(&one, &key, 4).await.unwrap(), 4);
    assert_eq!(count(&one, &key).await, Some(4));
}

#[tokio::test]
async fn a_load_in_flight_does_not_overwrite_a_counter() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("leased");
    let lease = lead(&one, &key).await;
    assert_eq!(add(&one, &key, 1).await.unwrap(), 1);
    let late = counter(&one, 99, None, &[]);
    assert!(!one.fill(&key, late, lease).await.unwrap());
    assert_eq!(count(&one, &key).await, Some(1));
}

#[tokio::test]
async fn expire_changes_the_time_to_live_of_what_is_visible() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("expiring");
    for tags in [&[][..], &["t"]] {
        set(&one, &key, tagged(&one, "value", tags)).await;
        assert!(two.expire(&key, Some(MINUTE)).await.unwrap());
        let found = one.inspect(&[&key]).await.unwrap().remove(0).unwrap();
        let left = found.ttl.unwrap();
        assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
        let left = found.meta.remaining(one.clock().now()).unwrap();
        assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
        assert_eq!(shown(&one, &key).await.as_deref(), Some("value"));

        assert!(one.expire(&key, None).await.unwrap());
        let found = two.inspect(&[&key]).await.unwrap().remove(0).unwrap();
        assert_eq!((found.ttl, found.meta.expires), (None, None));
    }
}

#[tokio::test]
async fn expire_brings_nothing_back() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("gone");
    assert!(!other.expire(&key, Some(MINUTE)).await.unwrap(), "absent");
    lead(&other, &key).await;
    assert!(!other.expire(&key, Some(MINUTE)).await.unwrap(), "a lease");
    for tags in [&[][..], &["t"]] {
        set(&other, &key, tagged(&other, "old", tags)).await;
        invalidate(&deaf, Record::Tag("so that it hears".into())).await;
        invalidate(&other, Record::All("cache:n".into())).await;
        assert!(
            !other.expire(&key, Some(MINUTE)).await.unwrap(),
            "hidden here"
        );
        assert!(
            deaf.expire(&key, Some(MINUTE)).await.unwrap(),
            "hidden elsewhere"
        );
        assert_eq!(shown(&other, &key).await, None);
        invalidate(&deaf, Record::Tag("so that it hears".into())).await;
        assert_eq!(shown(&deaf, &key).await, None);
    }
}

/// It is delivered first, so that what begins anew is not deleted by it.
#[tokio::test]
async fn what_waits_to_be_invalidated_is_neither_counted_on_nor_extended() {
    let server = RedisServer::start();
    let node = slow_node(&server).await;
    let key = key("pending");
    for tags in [&[][..], &["t"]] {
        set(&node, &key, counter(&node, 40, None, tags)).await;
        node.log().pend(&[Record::All("cache:n".into())], "cache:");
        assert!(!node.expire(&key, Some(MINUTE)).await.unwrap(), "{tags:?}");
        assert_eq!(add(&node, &key, 2).await.unwrap(), 2, "{tags:?}");
        assert_eq!(count(&node, &key).await, Some(2), "{tags:?}");
        assert!(!node.log().has_pending());
    }
}

/// A node that lags must not take another's counter for one of the past.
#[tokio::test]
async fn a_node_that_has_not_heard_of_a_new_log_counts_on_with_the_others() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    for tags in [&[][..], &["t"]] {
        let key = key(&format!("n{}", tags.len()));
        invalidate(&other, Record::Tag("known".into())).await;
        deaf.catch_up().await.unwrap();
        let _: () = server.cli(&["FLUSHALL"]);
        set(&other, &key, counter(&other, 40, None, tags)).await;
        assert_eq!(add(&deaf, &key, 2).await.unwrap(), 42, "{tags:?}");
        assert!(deaf.expire(&key, Some(MINUTE)).await.unwrap(), "{tags:?}");
    }
}

#[tokio::test]
async fn a_node_that_is_out_of_touch_learns_what_is_gone_before_it_counts_on() {
    let server = RedisServer::start();
    let clock = ManualClock::new();
    let lost = build(deaf(&server).clock(clock.clock())).await;
    let other = node(&server).await;
    for tags in [&[][..], &["t"]] {
        let key = key(&format!("n{}", tags.len()));
        set(&lost, &key, counter(&lost, 40, None, tags)).await;
        invalidate(&other, Record::All("cache:".into())).await;
        clock.advance(MINUTE * 60 * 24);
        assert!(!lost.expire(&key, Some(MINUTE)).await.unwrap(), "{tags:?}");
        set(&lost, &key, counter(&lost, 40, None, tags)).await;
        invalidate(&other, Record::All("cache:".into())).await;
        assert_eq!(add(&lost, &key, 2).await.unwrap(), 2, "{tags:?}");
    }
}
