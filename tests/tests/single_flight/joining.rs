//! Without the lock: two nodes load one key, and the first to end stores.

use std::time::Duration;

use cache_core::Provider;
use cache_core::provider::Slot;
use cache_core::testkit::eventually;
use cache_tests::redis_node::{build, patient};
use cache_tests::redis_server::RedisServer;
use tokio::time::timeout;

use crate::{FAR, Node, ended, over};

async fn unlocked(server: &RedisServer) -> Node {
    let builder = over(build(patient(server)).await);
    Node::new(builder.distributed_lock(false))
}

#[tokio::test]
async fn the_first_to_begin_stores_if_it_ends_first() {
    let server = RedisServer::start();
    let [one, two] = [unlocked(&server).await, unlocked(&server).await];
    let (first, loading_first) = one.hold(Ok("first")).await;
    let (second, loading_second) = two.hold(Ok("second")).await;
    first.open();
    assert_eq!(ended(loading_first).await.as_deref(), Ok("first"));
    assert_eq!(two.stored().await.as_deref(), Some("first"));
    second.open();
    assert_eq!(ended(loading_second).await.as_deref(), Ok("second"));
    assert_eq!(one.stored().await.as_deref(), Some("first"));
}

#[tokio::test]
async fn the_second_to_begin_stores_if_it_ends_first() {
    let server = RedisServer::start();
    let [one, two] = [unlocked(&server).await, unlocked(&server).await];
    let (gate, first) = one.hold(Ok("first")).await;
    assert_eq!(two.load("second").await, "second");
    gate.open();
    assert_eq!(ended(first).await.as_deref(), Ok("first"));
    assert_eq!(one.stored().await.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_load_that_joined_and_failed_leaves_the_lease_to_the_other() {
    let server = RedisServer::start();
    let [one, two] = [unlocked(&server).await, unlocked(&server).await];
    let (gate, first) = one.hold(Ok("v")).await;
    assert_eq!(
        two.run(Err("out of order"), None).await,
        Err("out of order")
    );
    // Whatever it sends is there before this.
    assert_eq!(two.stored().await, None);
    gate.open();
    assert_eq!(ended(first).await.as_deref(), Ok("v"));
    assert_eq!(two.stored().await.as_deref(), Some("v"));
}

#[tokio::test]
async fn a_load_whose_tag_was_invalidated_is_not_joined() {
    let server = RedisServer::start();
    let [one, two] = [unlocked(&server).await, unlocked(&server).await];
    let (old, loading_old) = one.hold(Ok("old")).await;
    two.cache.invalidate_tag("t").await.unwrap();
    let (new, loading_new) = two.hold(Ok("new")).await;
    old.open();
    assert_eq!(ended(loading_old).await.as_deref(), Ok("old"));
    new.open();
    assert_eq!(ended(loading_new).await.as_deref(), Ok("new"));
    assert_eq!(one.stored().await.as_deref(), Some("new"));
}

/// A lease that nobody knows of would keep others waiting.
#[tokio::test]
async fn a_lease_that_is_asked_for_and_not_waited_for_is_given_back() {
    let server = RedisServer::start();
    let node = build(patient(&server).lease_ttl(FAR)).await;
    let key = "cache:k";
    let warm = node.lease("cache:warm", None, node.log().stamp()).await;
    warm.unwrap();
    // Writes wait, and so do scripts that may write.
    let _: () = server.cli(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let asking = node.lease(key, None, node.log().stamp());
    let asked = timeout(Duration::from_millis(200), asking).await;
    assert!(asked.is_err(), "the server answers later");
    let _: () = server.cli(&["CLIENT", "UNPAUSE"]);
    let leases = || server.calls_of("unlink");
    eventually("the lease is given back", || leases() == 1).await;
    assert!(matches!(node.get(&[key]).await.unwrap()[..], [Slot::Empty]));
}
