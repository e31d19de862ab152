//! One load, whose value the callers on all nodes have.

use std::time::Duration;

use cache_core::testkit::eventually;
use cache_core::{Cache, Consistency, MemoryTier};
use cache_tests::redis_node::{build, deaf_node, patient};
use cache_tests::redis_server::RedisServer;

use crate::{FAR, Node, built, ended, node, over, somebody_looks_again};

#[tokio::test]
async fn a_herd_on_three_nodes_is_one_load() {
    let server = RedisServer::start();
    let [one, two, three] = [
        node(&server).await,
        node(&server).await,
        node(&server).await,
    ];
    let (gate, first) = one.hold(Ok("v")).await;
    let herds = [
        one.herd_behind_it("w").await,
        two.herd("w").await,
        three.herd("w").await,
    ];
    gate.open();
    assert_eq!(ended(first).await.as_deref(), Ok("v"));
    for herd in herds {
        herd.has("v").await;
    }
    assert_eq!([one.loads(), two.loads(), three.loads()], [1, 0, 0]);
}

#[tokio::test]
async fn who_waited_has_a_copy_in_memory() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let two = over(build(patient(&server)).await).memory_tier(MemoryTier::new());
    let two = Node::new(two);
    let (gate, first) = one.hold(Ok("v")).await;
    let herd = two.herd("w").await;
    gate.open();
    herd.has("v").await;
    ended(first).await.unwrap();
    let before = server.calls_of("mget");
    assert_eq!(two.load("w").await, "v");
    assert_eq!(server.calls_of("mget"), before);
}

#[tokio::test]
async fn a_load_that_outlives_its_lease_is_waited_for() {
    let server = RedisServer::start();
    let lease = Duration::from_millis(300);
    let one = built(patient(&server).lease_ttl(lease)).await;
    let two = node(&server).await;
    let (gate, first) = one.hold(Ok("v")).await;
    let herd = two.herd("w").await;
    // Every 100 ms.
    let renewed = || server.calls_of("pexpire") >= 9;
    eventually("the lease is renewed for longer than it lives", renewed).await;
    gate.open();
    assert_eq!(ended(first).await.as_deref(), Ok("v"));
    herd.has("v").await;
    assert_eq!(two.loads(), 0);
}

#[tokio::test]
async fn when_who_waits_first_is_gone_the_next_one_waits() {
    let server = RedisServer::start();
    let [one, two] = [node(&server).await, node(&server).await];
    let (gate, first) = one.hold(Ok("v")).await;
    let leader = two.spawn(Ok("w"), None);
    somebody_looks_again(&server).await;
    let follower = two.spawn(Ok("w"), None);
    two.followed_by(1).await;
    leader.abort();
    two.followed_by(0).await;
    somebody_looks_again(&server).await;
    gate.open();
    assert_eq!(ended(follower).await.as_deref(), Ok("v"));
    assert_eq!(ended(first).await.as_deref(), Ok("v"));
    assert_eq!((two.loads(), two.stored().await.as_deref()), (0, Some("v")));
}

#[tokio::test]
async fn a_handle_without_the_lock_loads_at_once() {
    let server = RedisServer::start();
    let [one, two] = [node(&server).await, node(&server).await];
    let (_gate, _first) = one.hold(Ok("v")).await;
    let unlocked = Node::on(two.cache.with_distributed_lock(false));
    assert_eq!(unlocked.load("w").await, "w");
}

#[tokio::test]
async fn it_is_off_unless_it_is_turned_on() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let plain = Cache::builder(build(patient(&server)).await).flight_wait(FAR);
    let plain = Node::new(plain);
    let locked = Node::on(plain.cache.with_distributed_lock(true));
    let (gate, _first) = one.hold(Ok("v")).await;
    assert_eq!(plain.load("w").await, "w");
    plain.cache.invalidate("k").await.unwrap();
    drop(gate);

    let (gate, first) = one.hold(Ok("v")).await;
    let herd = locked.herd("w").await;
    gate.open();
    herd.has("v").await;
    ended(first).await.unwrap();
}

/// The node hears nothing by itself, so that only what it asks for can reach it.
#[tokio::test]
async fn a_strict_read_does_not_wait_for_what_was_invalidated_elsewhere() {
    let server = RedisServer::start();
    let [one, other] = [node(&server).await, node(&server).await];
    let deaf = Node::new(over(deaf_node(&server).await));
    let strict = Node::on(deaf.cache.with_consistency(Consistency::Strict));
    let (gate, first) = one.hold(Ok("old")).await;
    other.cache.invalidate_tag("t").await.unwrap();
    assert_eq!(strict.load("new").await, "new");
    gate.open();
    assert_eq!(ended(first).await.as_deref(), Ok("old"));
    assert_eq!(strict.stored().await.as_deref(), Some("new"));
}
