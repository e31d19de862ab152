//! Entries and leases on a real server, seen from two nodes.

use std::sync::Arc;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::provider::{Lease, Leased, Slot};
use cache_core::testkit::eventually;
use cache_core::{Entry, ErrorKind, Owner, Payload, Provider, RedisProvider};
use cache_tests::redis_node::{
    build, deaf_node, delivered, entry, fill, invalidate, key, key_record, lead, node, set, shown,
    stamped, tagged, terms,
};
use cache_tests::redis_server::RedisServer;

#[tokio::test]
async fn what_a_load_stores_is_read_elsewhere_with_its_terms() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("terms");
    let lease = lead(&one, &key).await;
    let mut meta = terms(&one, Some(Duration::from_secs(60)), &["a", "b"]);
    meta.owner = Owner::of("somebody");
    let stored = Entry::new(meta.clone(), Payload::typed(String::from("text")));
    assert!(one.fill(&key, Arc::new(stored), lease).await.unwrap());

    let slots = two.get(&[&key, "cache:n:absent"]).await.unwrap();
    let [Slot::Entry(found), Slot::Empty] = &slots[..] else {
        panic!("{slots:?}");
    };
    assert_eq!(found.payload().value::<String>().unwrap(), "text");
    assert_eq!(found.meta().id, meta.id);
    assert_eq!(found.meta().owner, meta.owner);
    assert_eq!(found.meta().stamp, meta.stamp);
    assert_eq!(found.meta().tags, meta.tags);
    let left = found.meta().remaining(two.clock().now()).unwrap();
    assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(50));
    let ttl: i64 = server.cli(&["PTTL", &key]);
    assert!((50_000..=60_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn a_fill_that_comes_after_a_delete_is_refused() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("late");
    let lease = lead(&one, &key).await;
    assert!(!invalidate(&two, key_record(&key)).await);
    assert!(!fill(&one, &key, "old", lease).await);
    assert_eq!(shown(&one, &key).await, None);
}

#[tokio::test]
async fn a_second_load_joins_the_lease_and_the_first_to_end_stores() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("joined");
    let first = lead(&one, &key).await;
    let slots = two.get(&[&key]).await.unwrap();
    assert!(matches!(slots[..], [Slot::Lease(token)] if token == first.token));
    let second = lead(&two, &key).await;
    assert_eq!(second.token, first.token);
    assert!(fill(&two, &key, "second", second).await);
    assert!(!fill(&one, &key, "first", first).await);
    assert_eq!(shown(&one, &key).await.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_renewed_lease_outlives_a_long_load() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("long");
    let lease = lead(&one, &key).await;
    assert_eq!(one.renew_every(), Some(Duration::from_secs(10) / 3));
    // The load has taken nearly all of the lease's time.
    let _: () = server.cli(&["PEXPIRE", &key, "2000"]);
    assert!(one.renew(&key, lease).await.unwrap());
    let left: i64 = server.cli(&["PTTL", &key]);
    assert!(left > 5_000, "{left}");
    assert!(fill(&one, &key, "value", lease).await);
    assert_eq!(shown(&one, &key).await.as_deref(), Some("value"));
}

#[tokio::test]
async fn a_lease_that_ran_out_stores_nothing_and_cannot_be_renewed() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("ran-out");
    let lease = lead(&one, &key).await;
    let _: () = server.cli(&["PEXPIRE", &key, "1"]);
    eventually("the lease runs out", || {
        server.cli::<u8>(&["EXISTS", &key]) == 0
    })
    .await;
    assert!(!one.renew(&key, lease).await.unwrap());
    assert!(!fill(&one, &key, "late", lease).await);
}

#[tokio::test]
async fn absence_refuses_however_it_came_about() {
    let server = RedisServer::start();
    let one = node(&server).await;
    for way in [
        &["DEL", "cache:n:gone"][..],
        &["FLUSHALL"],
        &["SET", "cache:n:gone", "x"],
    ] {
        let lease = lead(&one, "cache:n:gone").await;
        let _: redis::Value = server.cli(way);
        assert!(!fill(&one, "cache:n:gone", "late", lease).await, "{way:?}");
        let _: redis::Value = server.cli(&["DEL", "cache:n:gone"]);
    }
}

#[tokio::test]
async fn a_lease_that_is_given_back_stores_nothing_and_stands_in_nobodys_way() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("given-back");
    let lease = lead(&one, &key).await;
    one.release(&key, lease);
    eventually("the lease is gone", || {
        server.cli::<u8>(&["EXISTS", &key]) == 0
    })
    .await;
    let next = lead(&one, &key).await;
    assert_ne!(next.token, lease.token);
    // Given back again, much too late: it is not the one that stands.
    one.release(&key, lease);
    assert!(!fill(&one, &key, "late", lease).await);
    assert!(fill(&one, &key, "value", next).await);
}

#[tokio::test]
async fn only_the_entry_that_was_seen_makes_way_for_a_load() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("seen");
    let old = entry(&one, "old");
    set(&one, &key, Arc::clone(&old)).await;
    let stamp = two.log().stamp();
    let found = two.lease(&key, None, stamp).await.unwrap();
    assert!(matches!(found, Leased::Found(found) if found.meta().id == old.meta().id));

    set(&one, &key, entry(&one, "new")).await;
    let found = two.lease(&key, Some(old.meta().id), stamp).await.unwrap();
    let Leased::Found(found) = found else {
        panic!("{found:?}")
    };
    assert_eq!(found.payload().value::<String>().unwrap(), "new");

    let leased = two.lease(&key, Some(found.meta().id), stamp).await.unwrap();
    assert!(matches!(leased, Leased::Lease(_)));
}

#[tokio::test]
async fn a_lease_from_before_an_invalidation_is_not_joined() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    for record in [
        Record::Pattern("cache:n:wo*".into()),
        Record::All("cache:n".into()),
    ] {
        let key = key("worthless");
        let old = lead(&one, &key).await;
        invalidate(&two, record).await;
        let new = lead(&two, &key).await;
        assert_ne!(new.token, old.token);
        assert!(!fill(&one, &key, "old", old).await);
        assert!(fill(&two, &key, "new", new).await);
        assert_eq!(shown(&two, &key).await.as_deref(), Some("new"));
        invalidate(&two, key_record(&key)).await;
    }
}

#[tokio::test]
async fn a_lease_of_another_incarnation_is_neither_joined_nor_filled() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("lost");
    let old = lead(&one, &key).await;
    let _: u64 = server.cli(&["DEL", "{cache}:inv"]);
    invalidate(&two, Record::Tag("so that it is found out".into())).await;
    let late = Lease {
        stamp: two.log().stamp(),
        ..old
    };
    assert!(!fill(&two, &key, "of the new one", late).await);
    let new = lead(&two, &key).await;
    assert_ne!(new.token, old.token);
    assert!(fill(&two, &key, "new", new).await);
    delivered(&two, &one).await;
    assert_eq!(shown(&one, &key).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn what_was_loaded_between_a_delete_and_its_record_is_hidden_by_the_record() {
    let server = RedisServer::start();
    // This node's deletes are refused, so that it appends only.
    let rules = ["on", ">secret", "~*", "+@all", "-unlink"];
    let _: () = server.cli(&[&["ACL", "SETUSER", "half"], &rules[..]].concat());
    let url = server.url().replace("redis://", "redis://half:secret@");
    let half = build(RedisProvider::builder(url)).await;
    let two = node(&server).await;
    let key = key("between");
    set(&two, &key, entry(&two, "old")).await;

    let _: u64 = server.cli(&["DEL", &key]);
    let lease = lead(&two, &key).await;
    assert!(fill(&two, &key, "old again", lease).await);
    let error = half.invalidate(&[key_record(&key)]).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Backend,
        "it must not claim success"
    );
    assert_eq!(shown(&half, &key).await, None);
    delivered(&half, &two).await;
    assert_eq!(shown(&two, &key).await, None);
}

#[tokio::test]
async fn what_was_loaded_before_its_tag_was_invalidated_is_stored_hidden_at_most() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("tagged");
    let old = tagged(&one, "old", &["team"]);
    let lease = lead(&one, &key).await;
    invalidate(&two, Record::Tag("team".into())).await;
    let _ = one.fill(&key, old, lease).await.unwrap();
    assert_eq!(shown(&two, &key).await, None);
    delivered(&two, &one).await;
    assert_eq!(shown(&one, &key).await, None);
}

#[tokio::test]
async fn a_set_voids_the_load_in_flight_on_every_node() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("written");
    let lease = lead(&one, &key).await;
    set(&two, &key, entry(&two, "written")).await;
    assert!(!fill(&one, &key, "loaded", lease).await);
    assert_eq!(shown(&one, &key).await.as_deref(), Some("written"));
}

#[tokio::test]
async fn a_set_after_another_nodes_clear_has_returned_survives() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("survivor");
    invalidate(&other, Record::All("cache:n".into())).await;
    // The writer has not heard of the clear, and its entry says so.
    let lagging = entry(&deaf, "after");
    set(&deaf, &key, lagging).await;
    assert_eq!(shown(&other, &key).await.as_deref(), Some("after"));
    assert_eq!(shown(&deaf, &key).await.as_deref(), Some("after"));
}

#[tokio::test]
async fn after_two_crossing_sets_all_nodes_show_the_same() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("crossing");
    for round in 0..50 {
        let (left, right) = (format!("left {round}"), format!("right {round}"));
        tokio::join!(
            set(&one, &key, entry(&one, &left)),
            set(&two, &key, entry(&two, &right)),
        );
        let seen = shown(&one, &key).await.expect("one of the two");
        assert!(seen == left || seen == right, "{seen}");
        assert_eq!(shown(&two, &key).await, Some(seen));
    }
}

#[tokio::test]
async fn many_are_set_at_one_instant() {
    let server = RedisServer::start();
    let one = node(&server).await;
    set(
        &one,
        &key("first"),
        entry(&one, "so that the script is there"),
    )
    .await;
    let keys: Vec<_> = (0..100).map(|number| key(&number.to_string())).collect();
    let _: () = server.cli(&["CONFIG", "RESETSTAT"]);
    let entries = keys.iter().map(|key| (key.as_str(), entry(&one, key)));
    one.set(entries.collect()).await.unwrap();
    assert!(
        server.calls_of("evalsha") <= 2,
        "one round trip, and a heartbeat"
    );
    for key in &keys {
        assert_eq!(shown(&one, key).await.as_ref(), Some(key));
    }
}

#[tokio::test]
async fn more_than_one_script_works_on_go_in_one_round_trip_all_the_same() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let keys: Vec<_> = (0..1_700).map(|number| key(&number.to_string())).collect();
    let value = entry(&one, "x");
    let began = two.log().moment();
    let entries = keys.iter().map(|key| (key.as_str(), Arc::clone(&value)));
    one.set(entries.collect()).await.unwrap();
    assert_eq!(shown(&two, &keys[1_699]).await.as_deref(), Some("x"));
    delivered(&one, &two).await;

    let records: Vec<_> = keys.iter().map(|key| key_record(key)).collect();
    let stood = two.invalidate(&records).await.unwrap().existed;
    assert_eq!(stood, [true; 1_700]);
    assert!(two.log().hides_load(&keys[0], &[], began));
    assert!(two.log().hides_load(&keys[1_699], &[], began));
    delivered(&two, &one).await;
    assert_eq!(one.log().stamp(), two.log().stamp());
    assert_eq!(shown(&one, &keys[0]).await, None);
}

#[tokio::test]
async fn an_entry_is_removed_only_if_it_is_the_one_that_was_seen() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let (kept, freed) = (key("kept"), key("freed"));
    let old = entry(&one, "old");
    set(&one, &kept, Arc::clone(&old)).await;
    set(&one, &freed, Arc::clone(&old)).await;
    set(&one, &kept, entry(&one, "new")).await;
    let id = old.meta().id;
    let seen = [(kept.as_str().into(), id), (freed.as_str().into(), id)];
    one.remove(&seen).await.unwrap();
    assert_eq!(shown(&one, &kept).await.as_deref(), Some("new"));
    assert_eq!(shown(&one, &freed).await, None);
}

#[tokio::test]
async fn a_value_that_has_no_bytes_is_refused_before_anything_is_sent() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let local = Payload::typed(cache_core::Local(7_u8));
    let local = Arc::new(Entry::new(terms(&one, None, &[]), local));
    let error = one.set(vec![("cache:n:local", local)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert_eq!(shown(&one, "cache:n:local").await, None);
}

#[tokio::test]
async fn keys_with_braces_are_keys_like_any_other() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    for name in ["{}", "{a}", "a{b}c", "}{", "{cache}:inv", "{user:1}:x"] {
        let key = key(name);
        let lease = lead(&one, &key).await;
        assert!(fill(&one, &key, name, lease).await);
        assert_eq!(shown(&two, &key).await.as_deref(), Some(name));
        assert!(invalidate(&two, key_record(&key)).await, "{name}");
        assert_eq!(shown(&one, &key).await, None);
    }
}

#[tokio::test]
async fn scripts_come_back_after_they_were_flushed() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("flushed");
    let flush = || server.cli::<()>(&["SCRIPT", "FLUSH"]);
    flush();
    let lease = lead(&one, &key).await;
    flush();
    assert!(one.renew(&key, lease).await.unwrap());
    flush();
    assert!(fill(&one, &key, "value", lease).await);
    flush();
    assert!(one.inspect(&[&key]).await.unwrap()[0].is_some());
    flush();
    assert!(
        one.expire(&key, Some(Duration::from_secs(9)))
            .await
            .unwrap()
    );
    flush();
    assert!(invalidate(&one, key_record(&key)).await);
    flush();
    set(&one, &key, entry(&one, "again")).await;
    flush();
    let removed = [(key.as_str().into(), stood_id(&one, &key).await)];
    one.remove(&removed).await.unwrap();
    assert_eq!(shown(&one, &key).await, None);
}

async fn stood_id(node: &RedisProvider, key: &str) -> cache_core::EntryId {
    let found = node.inspect(&[key]).await.unwrap();
    found[0].as_ref().expect("an entry").meta.id
}

#[tokio::test]
async fn a_delete_says_whether_a_visible_entry_stood_there() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let (plain, hidden, leased) = (key("plain"), key("hidden"), key("leased"));
    let old = one.log().stamp();
    set(&one, &plain, tagged(&one, "x", &["t"])).await;
    invalidate(&two, Record::Pattern("cache:n:hid*".into())).await;
    let lease = lead(&one, &hidden).await;
    let lagging = stamped(&one, "x", old);
    assert!(one.fill(&hidden, lagging, lease).await.unwrap());
    lead(&one, &leased).await;

    let keys = [&plain, &hidden, &leased, &key("absent"), &plain];
    // The tag goes with the keys, and counts as invalidated after them.
    let mut records: Vec<_> = keys.iter().map(|key| key_record(key)).collect();
    records.push(Record::Tag("t".into()));
    let stood = two.invalidate(&records).await.unwrap().existed;
    assert_eq!(stood, [true, false, false, false, false]);
}
