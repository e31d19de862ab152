//! The sweep on a real server: what it frees, what it leaves alone, and whose turn it is.

use std::sync::Arc;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::testkit::eventually;
use cache_core::{Entry, Payload, Provider, RedisProvider};
use cache_tests::redis_node::{
    build, caught_up, deaf, entry, fill, invalidate, key, lead, node, set, shown, tagged, terms,
};
use cache_tests::redis_server::RedisServer;

const TURN: &str = "{cache}:sweep";
const OFTEN: Duration = Duration::from_millis(20);

async fn sweeping_node(server: &RedisServer) -> RedisProvider {
    build(RedisProvider::builder(server.url()).sweep(OFTEN)).await
}

fn tag(tag: &str) -> Record {
    Record::Tag(tag.into())
}

/// Stores entries that are hidden afterwards, without an end; a step of the sweep sees some.
async fn hide(node: &RedisProvider, count: u64) {
    for number in 0..count {
        let key = key(&format!("hidden:{number}"));
        set(node, &key, tagged(node, "old", &["gone"])).await;
    }
    invalidate(node, tag("gone")).await;
}

fn left(server: &RedisServer) -> usize {
    let keys: Vec<String> = server.cli(&["KEYS", "cache:n:hidden:*"]);
    keys.len()
}

#[tokio::test]
async fn hidden_entries_without_an_end_are_freed_although_nobody_reads_them() {
    let server = RedisServer::start();
    let (one, sweeping) = (node(&server).await, sweeping_node(&server).await);
    hide(&one, 500).await;
    eventually("all are freed", || left(&server) == 0).await;
    eventually("they are counted", || sweeping.swept() == 500).await;
    assert_eq!(one.swept(), 0, "its own sweep is minutes away");
}

#[tokio::test]
async fn entries_of_a_lost_incarnation_are_freed() {
    let server = RedisServer::start();
    let one = node(&server).await;
    set(&one, &key("hidden:1"), entry(&one, "old")).await;
    let _: u64 = server.cli(&["DEL", "{cache}:inv"]);
    let sweeping = sweeping_node(&server).await;
    eventually("it is freed", || sweeping.swept() == 1).await;
    assert_eq!(left(&server), 0);
}

#[tokio::test]
async fn what_is_visible_leased_or_not_ours_survives_the_sweep() {
    let server = RedisServer::start();
    let one = node(&server).await;
    set(&one, &key("shown"), tagged(&one, "kept", &["other"])).await;
    let counter = key("counter");
    count(&one, &counter).await;
    let lease = lead(&one, &key("leased")).await;
    let _: () = server.cli(&["SET", "cache:n:foreign", "not ours"]);
    let _: () = server.cli(&["SET", "elsewhere", "not ours"]);
    let _: u64 = server.cli(&["HSET", "cache:n:hash", "a", "b"]);
    let sweeping = sweeping_node(&server).await;
    hide(&one, 3).await;
    eventually("the hidden are freed", || sweeping.swept() == 3).await;
    hide(&one, 1).await;
    eventually("another sweep", || sweeping.swept() == 4).await;

    assert_eq!(count(&one, &counter).await, 2);
    assert_eq!(shown(&one, &key("shown")).await.as_deref(), Some("kept"));
    assert!(fill(&one, &key("leased"), "loaded", lease).await);
    let others: u64 = server.cli(&["EXISTS", "cache:n:foreign", "elsewhere", "cache:n:hash"]);
    assert_eq!((others, sweeping.swept()), (3, 4));
}

async fn count(node: &RedisProvider, key: &str) -> i64 {
    let fresh = Entry::new(terms(node, None, &[]), Payload::Counter(1));
    node.increment(key, 1, Arc::new(fresh)).await.unwrap()
}

#[tokio::test]
async fn a_late_fill_behind_the_sweep_stays_hidden_and_is_freed_by_the_next() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let late = key("hidden:late");
    let lease = lead(&one, &late).await;
    let sweeping = sweeping_node(&server).await;
    hide(&one, 3).await;
    invalidate(&one, Record::Pattern("cache:n:hidden:*".into())).await;
    eventually("the sweep has passed", || sweeping.swept() == 3).await;

    assert!(
        fill(&one, &late, "old", lease).await,
        "its lease still stands"
    );
    assert_eq!(shown(&one, &late).await, None);
    assert_eq!(shown(&sweeping, &late).await, None);
    invalidate(&one, tag("unrelated")).await;
    eventually("the next sweep frees it", || sweeping.swept() == 4).await;
}

#[tokio::test]
async fn a_fill_whose_lease_went_with_its_key_is_refused_behind_the_sweep() {
    let server = RedisServer::start();
    let (one, sweeping) = (node(&server).await, sweeping_node(&server).await);
    let late = key("hidden:late");
    let lease = lead(&one, &late).await;
    // Somebody else stores and hides an entry while the load runs; the sweep frees the key.
    set(&one, &late, tagged(&one, "set", &["t"])).await;
    invalidate(&one, tag("t")).await;
    eventually("the sweep has passed", || sweeping.swept() == 1).await;
    assert!(!fill(&one, &late, "old", lease).await);
    assert_eq!(left(&server), 0);
}

#[tokio::test]
async fn a_node_does_not_sweep_while_it_is_anothers_turn() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let _: () = server.cli(&["SET", TURN, "another", "PX", "3600000"]);
    let sweeping = sweeping_node(&server).await;
    hide(&one, 3).await;
    let tried = server.calls_of("pttl");
    eventually("it tries", || server.calls_of("pttl") > tried + 3).await;
    assert_eq!((server.calls_of("scan"), left(&server)), (0, 3));

    let _: bool = server.cli(&["PEXPIRE", TURN, "50"]);
    eventually("the other one's turn has ended", || sweeping.swept() == 3).await;
}

#[tokio::test]
async fn nodes_that_all_may_sweep_free_each_entry_once() {
    let server = RedisServer::start();
    let (one, two) = (sweeping_node(&server).await, sweeping_node(&server).await);
    let three = node(&server).await;
    for round in 1..=5 {
        hide(&three, 50).await;
        let swept = || one.swept() + two.swept() == 50 * round;
        eventually("the hidden are freed", swept).await;
        assert_eq!(left(&server), 0);
    }
}

#[tokio::test]
async fn something_else_at_the_key_of_the_turn_stops_nothing() {
    let server = RedisServer::start();
    for foreign in [
        &["HSET", TURN, "a", "b"][..],
        &["SET", TURN, "without an end"],
    ] {
        let _: redis::Value = server.cli(foreign);
        let sweeping = sweeping_node(&server).await;
        hide(&sweeping, 3).await;
        eventually("the hidden are freed", || sweeping.swept() == 3).await;
        let _: u64 = server.cli(&["DEL", TURN]);
    }
}

#[tokio::test]
async fn a_node_that_has_not_heard_of_a_new_incarnation_frees_nothing_of_it() {
    let server = RedisServer::start();
    let behind = build(deaf(&server).sweep(Duration::from_millis(300))).await;
    let before = behind.log().stamp();
    let _: u64 = server.cli(&["DEL", "{cache}:inv"]);
    let one = node(&server).await;
    set(&one, &key("new"), entry(&one, "new")).await;
    assert_eq!(behind.log().stamp(), before, "it has not heard");

    eventually("two sweeps", || server.calls_of("scan") >= 2).await;
    assert_eq!(shown(&one, &key("new")).await.as_deref(), Some("new"));
    assert_eq!(behind.swept(), 0);
}

#[tokio::test]
async fn a_server_whose_memory_is_full_is_swept() {
    let server = RedisServer::start();
    let one = node(&server).await;
    hide(&one, 10).await;
    let _: () = server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let sweeping = sweeping_node(&server).await;
    eventually("the hidden are freed", || sweeping.swept() == 10).await;
    assert_eq!(left(&server), 0);
}

#[tokio::test]
async fn a_node_that_is_told_not_to_sweep_leaves_it_to_others() {
    let server = RedisServer::start();
    let idle = build(RedisProvider::builder(server.url()).no_sweep()).await;
    hide(&idle, 3).await;
    let sweeping = sweeping_node(&server).await;
    eventually("the other one sweeps", || sweeping.swept() == 3).await;
    assert_eq!(idle.swept(), 0);
}

#[tokio::test]
async fn a_sweep_that_breaks_off_is_made_up_for() {
    let mut server = RedisServer::start();
    let sweeping = sweeping_node(&server).await;
    server.kill();
    server.restart();
    hide_patiently(&sweeping).await;
    eventually("the hidden are freed", || sweeping.swept() == 3).await;
}

/// Like [`hide`], on a node that may not have found back to its server yet.
async fn hide_patiently(node: &RedisProvider) {
    caught_up(node).await;
    hide(node, 3).await;
}
