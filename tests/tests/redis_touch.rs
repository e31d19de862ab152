//! Touch: until when a node may go by what it knows.

use std::time::Duration;

use cache_core::log::Record;
use cache_core::testkit::eventually;
use cache_core::{Cache, Error, ManualClock, Provider, RedisProvider};
use cache_tests::redis_node::{
    answers, build, delivered, entry, invalidate, key, node, refused, set, shown, slow, tagged,
};
use cache_tests::redis_server::{RedisServer, free_port};

const SHORT: Duration = Duration::from_millis(400);
/// What is asked for to see whether the node's connection has worked off what was sent before.
const ANY: &str = "cache:n:any";

#[tokio::test]
async fn a_node_that_hears_nothing_is_out_of_touch_when_its_last_heartbeat_is_too_old() {
    let server = RedisServer::start();
    let manual = ManualClock::new();
    let one = RedisProvider::builder(server.url())
        .command_timeout(SHORT)
        .clock(manual.clock())
        .heartbeat(Duration::from_millis(50))
        .touch_bound(Duration::from_secs(3));
    let one = build(one).await;
    let in_touch = || one.log().in_touch(manual.clock().now());
    assert!(in_touch());
    server.pause();
    // A heartbeat may be on its way; the next one is not answered.
    refused(one.get(&["cache:n:x"]).await);
    manual.advance(Duration::from_millis(2_999));
    assert!(in_touch(), "the bound has not passed");
    manual.advance(Duration::from_millis(1));
    assert!(!in_touch());
    server.resume();
    eventually("the heartbeat is answered again", in_touch).await;
}

#[tokio::test]
async fn touch_counts_from_the_sending_of_the_heartbeat() {
    let server = RedisServer::start();
    let manual = ManualClock::new();
    let bound = Duration::from_secs(3);
    let one = RedisProvider::builder(server.url())
        .clock(manual.clock())
        .heartbeat(Duration::from_millis(200))
        .touch_bound(bound)
        .command_timeout(Duration::from_secs(30));
    let one = build(one).await;
    let blocked = |count| {
        let clients: String = server.cli(&["INFO", "clients"]);
        clients.contains(&format!("blocked_clients:{count}\r"))
    };
    eventually("the tail waits for records", || blocked(1)).await;
    let _: () = server.cli(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    eventually("a heartbeat waits to be answered", || blocked(2)).await;
    let before = server.calls_of("set");
    manual.advance(bound);
    let _: () = server.cli(&["CLIENT", "UNPAUSE"]);
    let in_touch = || one.log().in_touch(manual.clock().now());
    eventually("it is in touch again", in_touch).await;
    // Not by the answer that came so late: by the heartbeat after that.
    assert!(server.calls_of("set") >= before + 2);
}

#[tokio::test]
async fn a_server_that_answers_but_takes_no_writes_keeps_nobody_in_touch() {
    let server = RedisServer::start();
    let manual = ManualClock::new();
    let one = RedisProvider::builder(server.url())
        .command_timeout(SHORT)
        .clock(manual.clock())
        .heartbeat(Duration::from_millis(20))
        .touch_bound(Duration::from_secs(3));
    let one = build(one).await;
    set(&one, "cache:n:x", entry(&one, "x")).await;
    let nobody = free_port().to_string();
    let _: () = server.cli(&["REPLICAOF", "127.0.0.1", &nobody]);
    manual.advance(Duration::from_secs(3));
    let refusals = || server.cli::<String>(&["INFO", "errorstats"]);
    let heard = || refusals().contains("errorstat_READONLY:count=3");
    eventually("heartbeats go on and are refused", heard).await;
    assert!(shown(&one, "cache:n:x").await.is_some(), "it answers");
    assert!(!one.log().in_touch(manual.clock().now()));
    let error = refused(one.set(vec![("cache:n:x", entry(&one, "y"))]).await);
    assert!(error.to_string().contains("read-only replica"), "{error}");
}

#[tokio::test]
async fn a_node_that_stood_still_for_longer_than_the_bound_computes_what_it_is_asked() {
    let server = RedisServer::start();
    let manual = ManualClock::new();
    let still = slow(RedisProvider::builder(server.url()).clock(manual.clock()));
    let still = Cache::builder(build(still).await).build().unwrap();
    still.set("x", "old").await.unwrap();
    let read = async || {
        still
            .get_or_set("x", async || Ok::<_, Error>("new".to_owned()))
            .await
    };
    assert_eq!(read().await.unwrap(), "old");
    manual.advance(Duration::from_secs(3_600) * 2);
    assert_eq!(read().await.unwrap(), "new");
}

#[tokio::test]
async fn what_was_invalidated_while_a_node_was_out_of_touch_is_hidden_when_it_is_back() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("missed");
    set(&one, &key, tagged(&one, "old", &["t"])).await;
    let _: u64 = server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    answers(&two, ANY).await;
    invalidate(&two, Record::Tag("t".into())).await;
    delivered(&two, &one).await;
    answers(&one, ANY).await;
    assert_eq!(shown(&one, &key).await, None);
}
