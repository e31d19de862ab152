//! Entries that are kept when they have expired, and loads that run beside them, on a real server.

use std::sync::Arc;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::provider::{Cursor, Lease, Leased, Slot};
use cache_core::testkit::eventually;
use cache_core::{Entry, EntryId, Meta, Pattern, Payload, Provider, RedisProvider, Ttl};
use cache_tests::redis_node::{
    build, delivered, fill, invalidate, key, key_record, node, patient, set, shown, terms,
};
use cache_tests::redis_server::RedisServer;

const MINUTE: Duration = Duration::from_secs(60);

/// Lets the entry's time to live have passed, without waiting for it.
const EXPIRE: &str =
    "redis.call('SETRANGE', KEYS[1], 48, struct.pack('>I8', redis.call('TIME')[1] * 1000 - 1))";

/// Rewrites an entry as version 1 would have stored it.
const DOWNGRADE: &str = "local v, t = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]) \
     local length = struct.pack('>I4', struct.unpack('>I4', v, 65) - 28) \
     local old = v:sub(1, 4) .. '\\1' .. v:sub(6, 64) .. length .. v:sub(69, 72) .. v:sub(101) \
     redis.call('SET', KEYS[1], old, 'PX', t)";

fn edit(server: &RedisServer, script: &str, key: &str) {
    let _: Option<i64> = server.cli(&["EVAL", script, "1", key]);
}

fn kept(node: &RedisProvider, payload: Payload) -> Arc<Entry> {
    let meta = Meta {
        kept_for: MINUTE,
        load_time: Duration::from_millis(1_234),
        ..terms(node, Some(MINUTE), &[])
    };
    Arc::new(Entry::new(meta, payload))
}

fn text(node: &RedisProvider) -> Arc<Entry> {
    kept(node, Payload::typed(String::from("old")))
}

async fn beside(node: &RedisProvider, key: &str, seen: EntryId) -> Leased {
    let stamp = node.log().stamp();
    node.lease_beside(key, seen, stamp).await.unwrap()
}

async fn lead_beside(node: &RedisProvider, key: &str, seen: EntryId) -> Lease {
    match beside(node, key, seen).await {
        Leased::Lease(lease) => lease,
        other => panic!("a lease was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn an_entry_is_kept_beyond_its_time_to_live_with_its_terms() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let key = key("kept");
    set(&node, &key, text(&node)).await;
    let left: i64 = server.cli(&["PTTL", &key]);
    assert!((110_000..=120_000).contains(&left), "{left}");
    let slots = node.get(&[&key]).await.unwrap();
    let [Slot::Entry(found)] = &slots[..] else {
        panic!("{slots:?}");
    };
    assert_eq!(found.meta().kept_for, MINUTE);
    assert_eq!(found.meta().load_time, Duration::from_millis(1_234));
    let found = node.inspect(&[&key]).await.unwrap();
    let ttl = found[0].as_ref().unwrap().ttl.unwrap();
    assert!(ttl <= MINUTE && ttl > MINUTE / 2, "{ttl:?}");
}

#[tokio::test]
async fn what_has_expired_and_is_kept_is_absent_for_all_but_who_shows_stale_values() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let key = key("expired");
    let entry = kept(&node, Payload::typed(40));
    let id = entry.meta().id;
    set(&node, &key, entry).await;
    edit(&server, EXPIRE, &key);

    assert!(matches!(
        &node.get(&[&key]).await.unwrap()[..],
        [Slot::Entry(_)]
    ));
    assert!(node.inspect(&[&key]).await.unwrap()[0].is_none());
    let all = Pattern::new("*").unwrap();
    let page = node.scan(&all, Cursor::START, 100).await.unwrap();
    assert!(page.entries.is_empty());
    assert!(!node.expire(&key, Some(MINUTE)).await.unwrap());
    let new = kept(&node, Payload::typed(41));
    let ttl = Some(Ttl::After(MINUTE));
    assert!(!node.replace(&key, id, new, ttl).await.unwrap());
    let fresh = Entry::new(terms(&node, None, &[]), Payload::Counter(0));
    let sum = node.increment(&key, 2, Arc::new(fresh)).await.unwrap();
    assert_eq!(sum, 2, "a new counter");
}

#[tokio::test]
async fn invalidating_what_has_expired_and_is_kept_takes_it_away_and_finds_nothing() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let key = key("expired");
    set(&node, &key, text(&node)).await;
    edit(&server, EXPIRE, &key);
    assert!(!invalidate(&node, key_record(&key)).await);
    assert_eq!(server.cli::<u64>(&["EXISTS", &key]), 0);
}

#[tokio::test]
async fn what_has_expired_and_is_kept_is_swept_where_it_is_hidden() {
    let server = RedisServer::start();
    let often = Duration::from_millis(20);
    let node = build(patient(&server).sweep(often)).await;
    let (hidden, stale) = (key("hidden"), key("stale"));
    set(&node, &stale, text(&node)).await;
    let meta = Meta {
        tags: [Box::from("gone")].into(),
        ..text(&node).meta().clone()
    };
    let tagged = Entry::new(meta, Payload::typed(String::from("old")));
    set(&node, &hidden, Arc::new(tagged)).await;
    edit(&server, EXPIRE, &hidden);
    edit(&server, EXPIRE, &stale);
    invalidate(&node, Record::Tag("gone".into())).await;
    eventually("it is freed", || node.swept() == 1).await;
    let there = |key: &str| server.cli::<u64>(&["EXISTS", key]);
    assert_eq!((there(&hidden), there(&stale)), (0, 1));
}

#[tokio::test]
async fn a_new_time_to_live_leaves_the_time_that_it_is_kept() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let key = key("expire");
    set(&node, &key, text(&node)).await;
    assert!(node.expire(&key, Some(MINUTE * 2)).await.unwrap());
    let left: i64 = server.cli(&["PTTL", &key]);
    assert!((170_000..=180_000).contains(&left), "{left}");
    assert!(node.expire(&key, None).await.unwrap());
    assert_eq!(server.cli::<i64>(&["PTTL", &key]), -1);
}

#[tokio::test]
async fn a_number_that_becomes_a_counter_is_kept_no_longer() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let key = key("counter");
    set(&node, &key, kept(&node, Payload::typed(40))).await;
    let fresh = Entry::new(terms(&node, None, &[]), Payload::Counter(0));
    assert_eq!(node.increment(&key, 2, Arc::new(fresh)).await.unwrap(), 42);
    let left: i64 = server.cli(&["PTTL", &key]);
    assert!((30_000..=60_000).contains(&left), "{left}");
    let slots = node.get(&[&key]).await.unwrap();
    let [Slot::Entry(found)] = &slots[..] else {
        panic!("{slots:?}");
    };
    assert_eq!(found.meta().kept_for, Duration::ZERO);
    assert_eq!(found.meta().load_time, Duration::ZERO);
    let found = node.inspect(&[&key]).await.unwrap();
    let ttl = found[0].as_ref().unwrap().ttl.unwrap();
    assert!(ttl <= MINUTE && ttl > MINUTE / 2, "{ttl:?}");
}

#[tokio::test]
async fn an_entry_is_read_until_the_load_beside_it_stores_its_value() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("beside");
    let old = text(&one);
    set(&one, &key, Arc::clone(&old)).await;
    delivered(&one, &two).await;
    let lease = lead_beside(&one, &key, old.meta().id).await;
    assert_eq!(shown(&two, &key).await.as_deref(), Some("old"));
    assert!(two.inspect(&[&key]).await.unwrap()[0].is_some());
    let standing = beside(&two, &key, old.meta().id).await;
    assert!(matches!(standing, Leased::Standing(it) if it.token == lease.token));
    assert!(fill(&one, &key, "new", lease).await);
    assert_eq!(shown(&two, &key).await.as_deref(), Some("new"));
    assert!(!fill(&two, &key, "late", lease).await, "it is used up");
}

#[tokio::test]
async fn whatever_happens_to_the_entry_voids_the_load_beside_it() {
    let server = RedisServer::start();
    let node = node(&server).await;
    for act in ["invalidate", "set", "expire", "increment", "replace"] {
        let key = key(act);
        let old = kept(&node, Payload::typed(40));
        let id = old.meta().id;
        set(&node, &key, Arc::clone(&old)).await;
        let lease = lead_beside(&node, &key, id).await;
        let new = kept(&node, Payload::typed(41));
        match act {
            "invalidate" => drop(invalidate(&node, key_record(&key)).await),
            "set" => set(&node, &key, new).await,
            "expire" => assert!(node.expire(&key, Some(MINUTE)).await.unwrap()),
            "increment" => assert_eq!(node.increment(&key, 2, new).await.unwrap(), 42),
            _ => assert!(node.replace(&key, id, new, None).await.unwrap()),
        }
        assert!(!node.renew(&key, lease).await.unwrap(), "{act}");
        assert!(!fill(&node, &key, "late", lease).await, "{act}");
    }
}

#[tokio::test]
async fn a_lease_beside_an_entry_is_given_back_alone() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let key = key("back");
    let old = text(&node);
    set(&node, &key, Arc::clone(&old)).await;
    let lease = lead_beside(&node, &key, old.meta().id).await;
    assert!(node.renew(&key, lease).await.unwrap());
    node.release(&key, lease);
    let token = || server.cli::<Vec<u8>>(&["GETRANGE", &key, "84", "91"]);
    eventually("it is given back", || token() == [0; 8]).await;
    assert_eq!(shown(&node, &key).await.as_deref(), Some("old"));
    let next = lead_beside(&node, &key, old.meta().id).await;
    assert_ne!(next.token, lease.token);
}

#[tokio::test]
async fn a_lease_beside_an_entry_runs_out() {
    let server = RedisServer::start();
    let short = Duration::from_millis(20);
    let node = build(patient(&server).lease_ttl(short)).await;
    let key = key("out");
    let old = text(&node);
    set(&node, &key, Arc::clone(&old)).await;
    let lease = lead_beside(&node, &key, old.meta().id).await;
    tokio::time::sleep(short * 2).await;
    assert!(!node.renew(&key, lease).await.unwrap());
    assert!(!fill(&node, &key, "late", lease).await);
    lead_beside(&node, &key, old.meta().id).await;
}

#[tokio::test]
async fn what_version_1_has_stored_is_read_changed_and_loaded_anew() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let key = key("v1");
    let old = kept(&node, Payload::typed(40));
    let id = old.meta().id;
    set(&node, &key, Arc::clone(&old)).await;
    edit(&server, DOWNGRADE, &key);

    let slots = node.get(&[&key]).await.unwrap();
    assert!(matches!(&slots[..], [Slot::Entry(entry)] if entry.meta().kept_for.is_zero()));
    assert!(node.inspect(&[&key]).await.unwrap()[0].is_some());
    assert_eq!(node.increment(&key, 2, old).await.unwrap(), 42);
    assert!(node.expire(&key, Some(MINUTE)).await.unwrap());
    let left: i64 = server.cli(&["PTTL", &key]);
    assert!((50_000..=60_000).contains(&left), "{left}");
    // There is no room for a token: the lease takes the entry's place.
    let lease = lead_beside(&node, &key, id).await;
    assert!(fill(&node, &key, "new", lease).await);
    assert_eq!(shown(&node, &key).await.as_deref(), Some("new"));
}
