//! What arrives late, or is answered with what others asked: it changes nothing any more.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::testkit::eventually;
use cache_core::{ErrorKind, Invalidated, MemcachedProvider, Provider};
use cache_tests::command_gate::{CommandGate, Rule, Slip};
use cache_tests::memcached_node::{LOG, build, cache, entry, key, lead, node, patient, shown};
use cache_tests::memcached_server::MemcachedServer;

const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(500);
/// What is in every command that stores something in the place of something else.
const REPLACES: &str = " c C";

/// A node that gives up soon, behind a gate. It has no heartbeat.
async fn hasty(server: &MemcachedServer) -> (MemcachedProvider, CommandGate) {
    let gate = CommandGate::start(server.address());
    let builder = patient(gate.memcached_url()).command_timeout(SHORT);
    let node = build(builder.heartbeat(HOUR).touch_bound(HOUR * 2)).await;
    (node, gate)
}

/// Lets go what the gate has held back, and waits until the server has had it.
async fn release(server: &MemcachedServer, gate: &CommandGate) {
    let before = server.stat("cmd_set");
    gate.rule(Rule::Pass);
    eventually("what was held back arrives", || {
        server.stat("cmd_set") > before
    })
    .await;
}

#[tokio::test]
async fn a_set_that_arrives_after_an_invalidation_stores_nothing() {
    let server = MemcachedServer::start();
    let (hasty, gate) = hasty(&server).await;
    let other = node(&server).await;
    let (fresh, old) = (key("fresh"), key("old"));
    other.set(vec![(&old, entry(&other, "old"))]).await.unwrap();
    for key in [&fresh, &old] {
        gate.rule(Rule::Hold(REPLACES));
        let set = hasty.set(vec![(key, entry(&hasty, "late"))]).await;
        assert_eq!(set.unwrap_err().kind(), ErrorKind::Timeout);
        let done = other.invalidate(&[Record::Key(key.as_str().into())]).await;
        assert_eq!(done.unwrap().state, Invalidated::Applied);
        release(&server, &gate).await;
        assert_eq!(shown(&other, key).await, None);
        let loaded = lead(&other, key).await;
        assert!(other.fill(key, entry(&other, "new"), loaded).await.unwrap());
    }
}

#[tokio::test]
async fn a_set_that_arrives_after_a_newer_one_stores_nothing() {
    let server = MemcachedServer::start();
    let (hasty, gate) = hasty(&server).await;
    let other = node(&server).await;
    let key = key("k");
    gate.rule(Rule::Hold(REPLACES));
    assert!(
        hasty
            .set(vec![(&key, entry(&hasty, "late"))])
            .await
            .is_err()
    );
    other
        .set(vec![(&key, entry(&other, "newer"))])
        .await
        .unwrap();
    release(&server, &gate).await;
    assert_eq!(shown(&other, &key).await.as_deref(), Some("newer"));
}

#[tokio::test]
async fn what_a_load_brings_after_an_invalidation_is_not_stored_however_late() {
    let server = MemcachedServer::start();
    let (hasty, gate) = hasty(&server).await;
    let other = node(&server).await;
    for record in [Record::Key(key("k").into()), Record::Tag("t".into())] {
        let key = key("k");
        let lease = lead(&hasty, &key).await;
        gate.rule(Rule::Hold(REPLACES));
        assert!(hasty.fill(&key, entry(&hasty, "old"), lease).await.is_err());
        other
            .invalidate(std::slice::from_ref(&record))
            .await
            .unwrap();
        release(&server, &gate).await;
        assert_eq!(shown(&other, &key).await, None, "{record:?}");
        other.invalidate(&[Record::Key(key.into())]).await.unwrap();
    }
}

#[tokio::test]
async fn a_set_that_nobody_knows_of_hides_its_key_until_the_server_has_been_told() {
    let server = MemcachedServer::start();
    let (hasty, gate) = hasty(&server).await;
    let other = node(&server).await;
    let key = key("k");
    other.set(vec![(&key, entry(&other, "old"))]).await.unwrap();
    gate.rule(Rule::Hold(REPLACES));
    assert!(
        hasty
            .set(vec![(&key, entry(&hasty, "late"))])
            .await
            .is_err()
    );
    release(&server, &gate).await;
    assert_eq!(
        shown(&other, &key).await.as_deref(),
        Some("late"),
        "nothing came before it"
    );
    assert_eq!(shown(&hasty, &key).await, None);
    // Whatever is written next tells the server first.
    hasty
        .set(vec![(&key, entry(&hasty, "next"))])
        .await
        .unwrap();
    assert_eq!(shown(&hasty, &key).await.as_deref(), Some("next"));
    assert_eq!(shown(&other, &key).await.as_deref(), Some("next"));
}

#[tokio::test]
async fn an_invalidation_that_arrives_late_or_twice_hides_and_displaces_none() {
    let server = MemcachedServer::start();
    let (hasty, gate) = hasty(&server).await;
    let other = node(&server).await;
    let (one, two) = (key("one"), key("two"));
    for key in [&one, &two] {
        other.set(vec![(key, entry(&other, "old"))]).await.unwrap();
    }
    gate.rule(Rule::Hold(REPLACES));
    let pattern = Record::Pattern("cache:n:one".into());
    let pending = hasty
        .invalidate(std::slice::from_ref(&pattern))
        .await
        .unwrap();
    assert_eq!(pending.state, Invalidated::Pending);
    assert_eq!(shown(&other, &one).await.as_deref(), Some("old"));
    other
        .invalidate(&[Record::Pattern("cache:n:two".into())])
        .await
        .unwrap();
    release(&server, &gate).await;
    assert_eq!(
        shown(&other, &two).await,
        None,
        "the late one has not taken it back"
    );
    let any = key("any");
    hasty.set(vec![(&any, entry(&hasty, "any"))]).await.unwrap();
    for key in [&one, &two] {
        assert_eq!(shown(&other, key).await, None);
        assert_eq!(shown(&hasty, key).await, None);
    }
}

#[tokio::test]
async fn a_set_that_is_dropped_halfway_hides_its_key() {
    let server = MemcachedServer::start();
    let (hasty, gate) = hasty(&server).await;
    let key = key("k");
    hasty.set(vec![(&key, entry(&hasty, "old"))]).await.unwrap();
    gate.rule(Rule::Hold(REPLACES));
    let set = hasty.set(vec![(&key, entry(&hasty, "late"))]);
    assert!(tokio::time::timeout(SHORT / 2, set).await.is_err());
    release(&server, &gate).await;
    assert_eq!(shown(&hasty, &key).await, None);
    hasty
        .set(vec![(&key, entry(&hasty, "next"))])
        .await
        .unwrap();
    assert_eq!(shown(&hasty, &key).await.as_deref(), Some("next"));
}

#[tokio::test]
async fn replies_that_are_lost_or_come_twice_are_never_taken_for_others() {
    let server = MemcachedServer::start();
    let (hasty, gate) = hasty(&server).await;
    let keys = ["one", "two"].map(key);
    for key in &keys {
        hasty.set(vec![(key, entry(&hasty, key))]).await.unwrap();
    }
    for slip in [Slip::Lost, Slip::Twice] {
        for first in &keys {
            gate.slip(slip);
            let _ = hasty.get(&[first]).await;
            for key in &keys {
                // An error, until the connection has been replaced: but no other's value.
                if hasty.get(&[key]).await.is_ok() {
                    assert_eq!(shown(&hasty, key).await.as_ref(), Some(key), "{slip:?}");
                }
            }
        }
    }
    let counted = hasty.increment(&key("n"), 1, entry(&hasty, "")).await;
    assert_eq!(counted.unwrap(), 1);
}

#[tokio::test]
async fn many_keys_are_read_in_one_write_and_set_in_two() {
    const MANY: usize = 500;
    let server = MemcachedServer::start();
    let gate = CommandGate::start(server.address());
    let hour = patient(gate.memcached_url())
        .heartbeat(HOUR)
        .touch_bound(HOUR * 2);
    let cache = cache(build(hour).await);
    let names: Vec<String> = (0..MANY).map(|n| format!("k{n}")).collect();
    let values: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), name.clone()))
        .collect();
    gate.rule(Rule::Gather("ms cache", MANY));
    cache
        .set_many(&values, cache_core::EntryOptions::new())
        .await
        .unwrap();
    assert_eq!(gate.gathered(), 2);
    gate.rule(Rule::Gather("mg cache", MANY));
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let read = cache.get_many::<String>(&names).await.unwrap();
    assert_eq!(gate.gathered(), 3);
    assert!(
        read.iter()
            .zip(&values)
            .all(|(read, (_, value))| read.as_ref() == Some(value))
    );
    assert!(server.item(LOG).is_some());
}

/// What is in a command that replaces the log as it is now, and in no other.
fn replaces_the_log(server: &MemcachedServer) -> &'static str {
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    let asked = stream.write_all(format!("mg {LOG} c\r\n").as_bytes());
    asked.expect("it is asked");
    let mut reply = String::new();
    let read = BufReader::new(stream).read_line(&mut reply);
    read.expect("the reply");
    let cas = reply.trim().trim_start_matches("HD c");
    Box::leak(format!(" c C{cas} ").into())
}

#[tokio::test]
async fn a_load_that_begins_between_the_deletion_and_the_record_stores_nothing() {
    let server = MemcachedServer::start();
    let gate = CommandGate::start(server.address());
    let builder = patient(gate.memcached_url()).heartbeat(HOUR);
    let one = build(builder.touch_bound(HOUR * 2)).await;
    let (other, key) = (node(&server).await, key("k"));
    // So the first attempt deletes, and does not append: the log is another by now.
    other.invalidate(&[Record::Tag("t".into())]).await.unwrap();
    gate.rule(Rule::Hold(replaces_the_log(&server)));
    let record = Record::Key(key.as_str().into());
    let invalidating = tokio::spawn(async move { one.invalidate(&[record]).await });
    eventually("the record is on its way", || gate.held() > 0).await;
    let lease = lead(&other, &key).await;
    gate.rule(Rule::Pass);
    let done = invalidating.await.unwrap().unwrap();
    assert_eq!(done.state, Invalidated::Applied);
    assert!(!other.fill(&key, entry(&other, "old"), lease).await.unwrap());
}
