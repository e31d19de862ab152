//! Updates on a real server: none is lost, and none brings anything back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::provider::Slot;
use cache_core::{Cache, Entry, EntryId, ErrorKind, Owner, Payload, Provider, RedisProvider, Ttl};
use cache_tests::redis_node::{
    build, deaf_node, entry, invalidate, key, key_record, lead, node, refused, set, shown, tagged,
};
use cache_tests::redis_server::RedisServer;
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);
const TASKS: usize = 100;
/// How often each task changes it: without optimization as often as takes a few seconds.
const CHANGES: u64 = if cfg!(debug_assertions) { 50 } else { 1_000 };

type Fields = BTreeMap<String, u64>;

async fn handle(server: &RedisServer) -> Cache {
    Cache::builder(node(server).await)
        .build()
        .expect("the cache is built")
}

/// Changes a field of its own, and looks whether any field that it has seen goes back.
async fn change(cache: Cache, task: usize) {
    let mut seen = Fields::new();
    for count in 1..=CHANGES {
        let patch = json!({ task.to_string(): count });
        let now: Fields = cache.update("k", &patch).await.unwrap().unwrap();
        assert_eq!(now[&task.to_string()], count);
        for (field, before) in seen {
            assert!(now[&field] >= before, "field {field} went back");
        }
        seen = now;
        cache.increment("n", 1).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_updates_and_increments_by_a_hundred_tasks_on_two_nodes_none_is_lost() {
    let server = RedisServer::start();
    let nodes = [handle(&server).await, handle(&server).await];
    nodes[0].set("k", &Fields::new()).await.unwrap();
    let task = |task: usize| tokio::spawn(change(nodes[task % 2].clone(), task));
    for task in (0..TASKS).map(task).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let fields: Fields = nodes[0].get("k").await.unwrap().unwrap();
    assert_eq!(fields.len(), TASKS);
    assert!(fields.values().all(|count| *count == CHANGES));
    let counted = nodes[1].get::<u64>("n").await.unwrap();
    assert_eq!(counted, Some(TASKS as u64 * CHANGES));
}

/// What stands at a key.
async fn standing(node: &RedisProvider, key: &str) -> Arc<Entry> {
    match node.get(&[key]).await.unwrap().remove(0) {
        Slot::Entry(entry) => entry,
        other => panic!("an entry was expected, not {other:?}"),
    }
}

/// The entry with another text, as an update makes it.
fn changed(entry: &Entry) -> Arc<Entry> {
    Arc::new(entry.with_payload(Payload::typed("new".to_owned())))
}

async fn replace(node: &RedisProvider, key: &str, seen: &Entry) -> cache_core::Result<bool> {
    let id = seen.meta().id;
    node.replace(key, id, changed(seen), None).await
}

#[tokio::test]
async fn what_was_written_deleted_or_leased_since_it_was_seen_is_not_replaced() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("seen");
    set(&one, &key, entry(&one, "old")).await;
    let seen = standing(&one, &key).await;
    set(&two, &key, entry(&two, "newer")).await;
    assert!(!replace(&one, &key, &seen).await.unwrap());
    assert_eq!(shown(&two, &key).await.as_deref(), Some("newer"));

    let seen = standing(&one, &key).await;
    invalidate(&two, key_record(&key)).await;
    assert!(!replace(&one, &key, &seen).await.unwrap());
    let lease = lead(&two, &key).await;
    assert!(!replace(&one, &key, &seen).await.unwrap());
    let leased = one.replace(&key, lease.token, changed(&seen), None);
    assert!(!leased.await.unwrap(), "a lease is no entry");
    assert_eq!(shown(&one, &key).await, None);
}

#[tokio::test]
async fn what_is_hidden_stays_hidden_when_a_lagging_node_replaces_it() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("elsewhere");
    set(&other, &key, tagged(&other, "old", &["t"])).await;
    invalidate(&deaf, Record::Tag("so that it hears".into())).await;
    let seen = standing(&deaf, &key).await;
    invalidate(&other, Record::Tag("t".into())).await;
    assert!(replace(&deaf, &key, &seen).await.unwrap());
    assert_eq!(shown(&other, &key).await, None);
    assert_eq!(shown(&deaf, &key).await, None);
}

#[tokio::test]
async fn an_end_that_was_moved_since_the_value_was_seen_is_kept() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("moved");
    set(&one, &key, entry(&one, "old")).await;
    let seen = standing(&one, &key).await;
    assert!(one.expire(&key, Some(MINUTE)).await.unwrap());
    assert!(replace(&one, &key, &seen).await.unwrap());
    let found = one.inspect(&[&key]).await.unwrap().remove(0).unwrap();
    let left = found.meta.remaining(one.clock().now()).unwrap();
    assert!(found.ttl.unwrap() <= MINUTE && left <= MINUTE, "{left:?}");
    assert!(
        found.ttl.unwrap() > MINUTE / 2 && left > MINUTE / 2,
        "{left:?}"
    );

    for (ttl, limit) in [
        (Ttl::After(MINUTE * 4), Some(MINUTE * 4)),
        (Ttl::Never, None),
    ] {
        let seen = standing(&one, &key).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let replaced = one.replace(&key, seen.meta().id, changed(&seen), Some(ttl));
        assert!(replaced.await.unwrap());
        let found = one.inspect(&[&key]).await.unwrap().remove(0).unwrap();
        assert_eq!(found.ttl.is_some(), limit.is_some());
        assert_eq!(found.meta.expires.is_some(), limit.is_some());
        assert!(found.ttl <= limit && found.ttl.is_none_or(|left| left > MINUTE * 3));
        let age = found.meta.created.since(seen.meta().created);
        assert!(
            age < Duration::from_secs(1),
            "it is not stored anew: {age:?}"
        );
    }
}

#[tokio::test]
async fn an_update_that_was_reported_late_is_not_carried_out_later() {
    let server = RedisServer::start();
    let hasty = RedisProvider::builder(server.url()).command_timeout(Duration::from_millis(300));
    let one = build(hasty).await;
    let key = key("late");
    set(&one, &key, entry(&one, "old")).await;
    let seen = standing(&one, &key).await;
    // The server has to know the script, or it is sent when the time is over.
    let id = EntryId::from_u64(1);
    assert!(!one.replace(&key, id, changed(&seen), None).await.unwrap());
    server.pause();
    let error = refused(replace(&one, &key, &seen).await);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    server.resume();
    let bytes: Vec<u8> = server.cli(&["GET", &key]);
    assert!(bytes.ends_with(b"\"old\""), "it came to the server in time");
}

#[tokio::test]
async fn another_node_drops_the_copy_that_an_update_has_made_old() {
    let server = RedisServer::start();
    let one = handle(&server).await;
    let tier = cache_core::MemoryTier::new();
    let tiered = Cache::builder(node(&server).await).memory_tier(tier);
    let other = tiered.build().expect("the cache is built");
    let value = Fields::from([("a".to_owned(), 1)]);
    one.set("k", &value).await.unwrap();
    cache_core::testkit::delivered(&other, &one).await;
    let read = || async { other.get::<Fields>("k").await.unwrap().unwrap()["a"] };
    assert_eq!(read().await, 1);
    assert!(other.peek("k", Owner::HANDLE).is_some(), "a copy in memory");
    one.update::<Fields>("k", &json!({ "a": 2 })).await.unwrap();
    cache_core::testkit::delivered(&other, &one).await;
    assert_eq!(read().await, 2);
}
