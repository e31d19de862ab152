//! `OnFailover::Reappend` where one server goes back: it restarts from its disk, or its state does.

use std::sync::Arc;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::provider::Slot;
use cache_core::testkit::Nodes;
use cache_core::{Cache, Entry, OnFailover, Payload, Provider, RedisProvider};
use cache_tests::redis_node::{
    build, delivered, entry, invalidate, key, patient, set, shown, stamped, tagged, terms,
};
use cache_tests::redis_server::RedisServer;
use cache_tests::replicated::{Replicated, in_contact};

fn tag(tag: &str) -> Record {
    Record::Tag(tag.into())
}

async fn node(server: &RedisServer, on_failover: OnFailover) -> RedisProvider {
    let soon = patient(server).heartbeat(Duration::from_millis(50));
    build(soon.on_failover(on_failover)).await
}

async fn reappending(server: &RedisServer) -> RedisProvider {
    node(server, OnFailover::Reappend).await
}

/// Kills the server and starts it again from its disk; waits until the node has found out.
async fn restart(server: &mut RedisServer, node: &RedisProvider) {
    let before = node.log().stamp().incarnation();
    server.kill();
    server.restart();
    in_contact(node.log(), before).await;
}

#[tokio::test]
async fn after_a_restart_from_an_old_snapshot_entries_are_hits_and_what_was_invalidated_is_not() {
    let mut server = RedisServer::start();
    let one = reappending(&server).await;
    let (hit, kept) = (key("hit"), key("kept"));
    set(&one, &hit, tagged(&one, "old", &["t"])).await;
    set(&one, &kept, entry(&one, "kept")).await;
    let _: () = server.cli(&["SAVE"]);
    invalidate(&one, tag("t")).await;
    restart(&mut server, &one).await;
    let two = reappending(&server).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &hit).await, None);
        assert_eq!(shown(node, &kept).await.as_deref(), Some("kept"));
    }
}

#[tokio::test]
async fn after_a_restart_that_lost_nothing_nothing_is_computed_again() {
    let files = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = RedisServer::start_with(&files);
    let one = reappending(&server).await;
    let (hit, kept) = (key("hit"), key("kept"));
    set(&one, &hit, tagged(&one, "old", &["t"])).await;
    invalidate(&one, tag("t")).await;
    set(&one, &kept, tagged(&one, "kept", &["t"])).await;
    let last = one.log().stamp().sequence();
    restart(&mut server, &one).await;
    assert_eq!(
        one.log().stamp().sequence(),
        last,
        "nothing is recorded again"
    );
    assert_eq!(shown(&one, &hit).await, None);
    assert_eq!(shown(&one, &kept).await.as_deref(), Some("kept"));
}

#[tokio::test]
async fn a_server_that_restarts_without_its_data_is_as_new() {
    let mut server = RedisServer::start();
    let one = reappending(&server).await;
    let old = one.log().stamp();
    let early = stamped(&one, "early", old);
    restart(&mut server, &one).await;
    assert!(!one.log().is_visible(&key("early"), early.meta()));
    set(&one, &key("x"), entry(&one, "new")).await;
    assert_eq!(shown(&one, &key("x")).await.as_deref(), Some("new"));
}

/// The second restart begins where the first did: the log gives the same sequences out again.
#[tokio::test]
async fn two_restarts_from_one_snapshot_do_not_mix_what_followed_them() {
    let mut server = RedisServer::start();
    let one = reappending(&server).await;
    let hit = key("hit");
    set(&one, &hit, tagged(&one, "old", &["t"])).await;
    let _: () = server.cli(&["SAVE"]);
    restart(&mut server, &one).await;
    invalidate(&one, tag("unrelated")).await;
    invalidate(&one, tag("t")).await;
    let late = one.log().stamp();
    restart(&mut server, &one).await;
    let two = reappending(&server).await;
    for number in 0..5 {
        invalidate(&two, tag(&number.to_string())).await;
    }
    delivered(&two, &one).await;
    let of_the_first = stamped(&one, "x", late);
    for node in [&one, &two] {
        assert_eq!(shown(node, &hit).await, None);
        assert!(!node.log().is_visible(&key("x"), of_the_first.meta()));
    }
}

/// A primary that was demoted and promoted again before anybody wrote to the other one.
#[tokio::test]
async fn a_state_that_goes_back_without_a_restart_is_noticed() {
    for on_failover in [OnFailover::Hide, OnFailover::Reappend] {
        let server = RedisServer::start();
        let one = node(&server, on_failover).await;
        let (hit, kept) = (key("hit"), key("kept"));
        set(&one, &hit, tagged(&one, "old", &["t"])).await;
        set(&one, &kept, entry(&one, "kept")).await;
        let before = one.log().stamp().incarnation();
        let state: Vec<u8> = server.cli(&["DUMP", "{cache}:inv"]);
        invalidate(&one, tag("t")).await;
        let mut restore = redis::cmd("RESTORE");
        restore.arg("{cache}:inv").arg(0).arg(state).arg("REPLACE");
        restore.exec(&mut server.connect().unwrap()).unwrap();
        in_contact(one.log(), before).await;
        let two = node(&server, on_failover).await;
        for node in [&one, &two] {
            assert_eq!(shown(node, &hit).await, None, "{on_failover:?}");
            let stays = on_failover == OnFailover::Reappend;
            assert_eq!(shown(node, &kept).await.is_some(), stays);
        }
    }
}

#[tokio::test]
async fn where_a_node_that_hides_comes_first_nothing_is_left_for_the_others() {
    let mut servers = Replicated::start();
    let one = build(servers.hiding()).await;
    let kept = key("kept");
    set(&one, &kept, entry(&one, "kept")).await;
    servers.part().await;
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    in_contact(one.log(), before).await;
    let two = build(servers.reappending()).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &kept).await, None);
    }
}

#[tokio::test]
async fn where_a_node_that_keeps_comes_first_those_that_hide_still_do() {
    let mut servers = Replicated::start();
    let one = build(servers.reappending()).await;
    let kept = key("kept");
    set(&one, &kept, entry(&one, "kept")).await;
    servers.part().await;
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    in_contact(one.log(), before).await;
    let two = build(servers.hiding()).await;
    assert_eq!(shown(&one, &kept).await.as_deref(), Some("kept"));
    assert_eq!(shown(&two, &kept).await, None);
    set(&two, &kept, entry(&two, "new")).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &kept).await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_node_that_hides_brings_its_lost_records_back_for_those_that_keep() {
    let mut servers = Replicated::start();
    let one = build(servers.hiding()).await;
    let hit = key("hit");
    set(&one, &hit, tagged(&one, "old", &["t"])).await;
    servers.part().await;
    invalidate(&one, tag("t")).await;
    let before = one.log().stamp().incarnation();
    // Whichever is first.
    servers.fail_over();
    let two = build(servers.reappending()).await;
    in_contact(one.log(), before).await;
    delivered(&one, &two).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &hit).await, None);
    }
}

async fn count(node: &RedisProvider, key: &str, amount: i64) -> i64 {
    let terms = terms(node, None, &[]);
    let fresh = Arc::new(Entry::new(terms, Payload::Counter(amount)));
    node.increment(key, amount, fresh).await.unwrap()
}

#[tokio::test]
async fn what_was_stored_before_can_be_counted_on_extended_and_deleted() {
    let mut servers = Replicated::start();
    let one = build(servers.reappending()).await;
    let [counter, hidden, kept] = [key("counter"), key("hidden"), key("kept")];
    assert_eq!(count(&one, &counter, 5).await, 5);
    assert_eq!(count(&one, &hidden, 5).await, 5);
    set(&one, &kept, entry(&one, "kept")).await;
    servers.part().await;
    invalidate(&one, Record::Pattern("cache:n:hid*".into())).await;
    let before = one.log().stamp().incarnation();
    servers.fail_over();
    in_contact(one.log(), before).await;
    assert_eq!(count(&one, &counter, 2).await, 7);
    assert_eq!(count(&one, &hidden, 2).await, 2);
    let minute = Some(Duration::from_secs(60));
    assert!(one.expire(&kept, minute).await.unwrap());
    let slots = one.get(&[&kept]).await.unwrap();
    assert!(matches!(&slots[..], [Slot::Entry(entry)] if entry.meta().expires.is_some()));
    assert!(
        invalidate(&one, Record::Key(kept.clone().into())).await,
        "it was there"
    );
}

/// On a server that has been restarted from its disk.
async fn nodes() -> Nodes {
    let mut server = RedisServer::start();
    let one = reappending(&server).await;
    set(&one, &key("x"), entry(&one, "x")).await;
    let _: () = server.cli(&["SAVE"]);
    invalidate(&one, tag("t")).await;
    restart(&mut server, &one).await;
    let two = reappending(&server).await;
    let [one, two] = [one, two].map(|node| Cache::builder(node).build().expect("the cache"));
    Nodes::two(one, two).keeping(server)
}

mod conformance {
    cache_core::conformance!(crate::nodes());
}

mod race {
    cache_core::race_table!(crate::nodes());
}
