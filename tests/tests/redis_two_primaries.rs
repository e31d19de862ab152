//! An old primary that goes on answering, and one that comes back after its successor.

use std::sync::Arc;

use cache_core::log::Record;
use cache_core::testkit::eventually;
use cache_core::{Entry, Payload, Provider, RedisProvider};
use cache_tests::redis_node::{
    answers, build, delivered, invalidate, key, key_record, set, shown, slow, tagged, terms,
};
use cache_tests::redis_server::RedisServer;
use cache_tests::replicated::{Replicated, in_contact};

/// A node of those who have gone over to the server already.
async fn on(server: &RedisServer) -> RedisProvider {
    build(RedisProvider::builder(server.url())).await
}

async fn left(node: &RedisProvider, before: cache_core::log::Incarnation) {
    eventually("the node hears of the change", || {
        node.log().stamp().incarnation() != before
    })
    .await;
}

#[tokio::test]
async fn what_the_old_primary_took_after_the_new_one_had_begun_holds_there_too() {
    let hit = key("hit:1");
    for record in [
        key_record(&hit),
        Record::Tag("t".into()),
        Record::Pattern("cache:n:hit:*".into()),
        Record::All("cache:n".into()),
    ] {
        let mut servers = Replicated::start();
        let late = build(servers.hiding()).await;
        set(&late, &key("any"), tagged(&late, "any", &[])).await;
        servers.part().await;
        let early = on(servers.replica()).await;
        set(&early, &hit, tagged(&early, "old", &["t"])).await;
        let before = late.log().stamp().incarnation();
        invalidate(&late, record.clone()).await;
        assert_eq!(shown(&early, &hit).await.as_deref(), Some("old"));
        servers.fail_over();
        in_contact(late.log(), before).await;
        assert_eq!(shown(&late, &hit).await, None, "{record:?}");
        early.catch_up().await.unwrap();
        assert_eq!(shown(&early, &hit).await, None, "{record:?}");
    }
}

#[tokio::test]
async fn a_value_that_the_old_primary_took_is_not_followed_by_an_older_one() {
    let hit = key("hit");
    let mut servers = Replicated::start();
    let late = build(servers.hiding()).await;
    set(&late, &key("any"), tagged(&late, "any", &[])).await;
    servers.part().await;
    let early = on(servers.replica()).await;
    set(&early, &hit, tagged(&early, "old", &[])).await;
    let before = late.log().stamp().incarnation();
    set(&late, &hit, tagged(&late, "new", &[])).await;
    servers.fail_over();
    in_contact(late.log(), before).await;
    for node in [&late, &early] {
        node.catch_up().await.unwrap();
        assert_eq!(shown(node, &hit).await, None);
    }
}

#[tokio::test]
async fn a_primary_of_the_past_shows_nothing_that_its_successor_has_hidden() {
    let hit = key("hit");
    let mut servers = Replicated::start();
    let node = build(servers.hiding()).await;
    // What the node has recorded itself it would record again.
    let other = on(servers.primary()).await;
    set(&other, &hit, tagged(&other, "old", &["t"])).await;
    drop(other);
    servers.part().await;
    let before = node.log().stamp().incarnation();
    servers.go_over();
    left(&node, before).await;
    let other = on(servers.primary()).await;
    invalidate(&other, Record::Tag("t".into())).await;
    delivered(&other, &node).await;
    drop(other);
    // Its process has never ended: by its own state, nothing has happened.
    let before = node.log().stamp().incarnation();
    servers.go_over();
    left(&node, before).await;
    in_contact(node.log(), before).await;
    assert_eq!(shown(&node, &hit).await, None);
    let newcomer = on(servers.primary()).await;
    assert_eq!(shown(&newcomer, &hit).await, None);
}

#[tokio::test]
async fn what_is_written_first_after_a_failover_stays() {
    let (hit, counter) = (key("hit"), key("n"));
    for sets_first in [true, false] {
        let mut servers = Replicated::start();
        let node = build(slow(servers.hiding())).await;
        set(&node, &hit, tagged(&node, "old", &[])).await;
        invalidate(&node, key_record(&counter)).await;
        servers.part().await;
        let before = node.log().stamp().incarnation();
        servers.go_over();
        // The connection breaks, and is made anew.
        answers(&node, &hit).await;
        if sets_first {
            set(&node, &hit, tagged(&node, "new", &[])).await;
            assert_eq!(shown(&node, &hit).await.as_deref(), Some("new"));
        }
        for expected in 1..=3 {
            let fresh = Entry::new(terms(&node, None, &[]), Payload::Counter(1));
            let counted = node.increment(&counter, 1, Arc::new(fresh)).await;
            assert_eq!(counted.unwrap(), expected, "{sets_first}");
        }
        assert_ne!(node.log().stamp().incarnation(), before);
    }
}
