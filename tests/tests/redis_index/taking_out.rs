//! What readers and the sweep take out of an index, and what they leave alone.

use std::time::Duration;

use cache_core::testkit::{ChaosProvider, Fault, Gate, Operation, eventually};
use cache_core::{Cache, EntryOptions, MemoryTier, RedisProvider};
use cache_tests::redis_node::{build, deaf, node, patient};
use cache_tests::redis_server::RedisServer;

use super::{found, handle, indexes, is_found, let_marks_pass, members, over, store};

/// Has a write arrive that was under way: what was dumped stands at the key `k`.
fn arrive(server: &RedisServer, dumped: &[u8]) {
    let mut connection = server.connect().expect("a connection");
    let mut restore = redis::cmd("RESTORE");
    restore.arg("cache::k").arg(0).arg(dumped);
    restore.exec(&mut connection).expect("it is stored");
}

#[tokio::test]
async fn a_key_whose_entry_may_still_come_is_not_taken_out() {
    let server = RedisServer::start();
    let (writer, reader) = (handle(&server).await, handle(&server).await);
    store(&writer, "k", "a").await;
    // What stands between entering the key and storing the entry: the write is under way.
    let under_way: Vec<u8> = server.cli(&["DUMP", "cache::k"]);
    let _: u64 = server.cli(&["DEL", "cache::k"]);
    assert!(!is_found(&reader, "a").await);
    assert_eq!(members(&server), 1, "it is left alone");
    arrive(&server, &under_way);
    assert!(is_found(&reader, "a").await, "it came");
}

#[tokio::test]
async fn a_key_whose_entry_is_gone_for_good_is_taken_out_by_a_reader() {
    for by_keys in [false, true] {
        let server = RedisServer::start();
        let cache = handle(&server).await;
        for key in ["gone", "moved", "kept"] {
            store(&cache, key, "a").await;
        }
        // As an eviction does: nobody is told.
        let _: u64 = server.cli(&["DEL", "cache::gone"]);
        store(&cache, "moved", "b").await;
        let_marks_pass(&server);
        assert_eq!(members(&server), 4);
        let read = match by_keys {
            true => cache.get_keys_by_index("i", "a").await.unwrap(),
            false => found(&cache, "a")
                .await
                .into_iter()
                .map(|it| it.0)
                .collect(),
        };
        assert_eq!(read, ["kept"]);
        assert_eq!(members(&server), 2, "one under each value");
        assert!(is_found(&cache, "b").await);
        cache.delete("kept").await.unwrap();
        assert!(!is_found(&cache, "a").await);
        assert_eq!(indexes(&server).len(), 1, "an empty index is no key");
    }
}

#[tokio::test]
async fn what_was_hidden_by_tag_or_pattern_is_taken_out_by_a_reader() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    cache.set("t", "v").index("i", "a").tag("t").await.unwrap();
    store(&cache, "p", "a").await;
    cache.invalidate_tag("t").await.unwrap();
    cache.invalidate_pattern("p*").await.unwrap();
    let_marks_pass(&server);
    assert!(!is_found(&cache, "a").await);
    assert_eq!(members(&server), 0);
}

#[tokio::test]
async fn a_slow_reader_does_not_take_out_what_was_entered_since_it_looked() {
    let server = RedisServer::start();
    let writer = handle(&server).await;
    let (provider, chaos) = ChaosProvider::over(node(&server).await);
    let reader = over(provider);
    store(&writer, "k", "a").await;
    writer.delete("k").await.unwrap();
    let_marks_pass(&server);
    let (gate, held) = Gate::new();
    chaos.next(Operation::Unlink, Fault::Hold(held));
    let read = tokio::spawn(async move { reader.get_keys_by_index("i", "a").await });
    gate.entered().await;
    store(&writer, "k", "a").await;
    let_marks_pass(&server);
    gate.open();
    assert!(read.await.unwrap().unwrap().is_empty());
    assert!(is_found(&writer, "a").await);
}

#[tokio::test]
async fn a_node_that_has_not_heard_of_a_clear_takes_nothing_out_that_came_after_it() {
    let server = RedisServer::start();
    let (one, behind) = (handle(&server).await, over(build(deaf(&server)).await));
    store(&one, "k", "a").await;
    one.clear().await.unwrap();
    store(&one, "k", "a").await;
    let_marks_pass(&server);
    assert!(is_found(&behind, "a").await);
    let _: u64 = server.cli(&["DEL", "{cache}:inv"]);
    let new = handle(&server).await;
    store(&new, "k", "a").await;
    let_marks_pass(&server);
    let _ = behind.get_keys_by_index("i", "a").await;
    assert!(
        is_found(&new, "a").await,
        "of an incarnation it has not heard of"
    );
}

async fn sweeping(server: &RedisServer) -> RedisProvider {
    build(patient(server).sweep(Duration::from_millis(20))).await
}

#[tokio::test]
async fn a_copy_in_memory_that_is_behind_takes_nothing_out() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    let behind = Cache::builder(build(deaf(&server)).await).memory_tier(MemoryTier::new());
    let behind = behind.build().expect("the cache is built");
    cache.set("k", "bare").await.unwrap();
    assert!(behind.get::<String>("k").await.unwrap().is_some());
    store(&cache, "k", "a").await;
    let_marks_pass(&server);
    let seen: Vec<(String, String)> = behind.get_by_index("i", "a").await.unwrap();
    assert!(seen.is_empty(), "its copy is in no index");
    assert!(is_found(&cache, "a").await);
}

#[tokio::test]
async fn a_sweep_takes_out_what_is_gone_although_nobody_reads() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    for number in 0..300 {
        store(&cache, &format!("own{number}"), &format!("value{number}")).await;
        store(&cache, &format!("same{number}"), "same").await;
    }
    store(&cache, "kept", "kept").await;
    cache.invalidate_pattern("own*").await.unwrap();
    cache.delete_by_pattern("same*").await.unwrap();
    let_marks_pass(&server);
    let _: () = server.cli(&["SET", "cache#index:n:foreign", "not ours"]);
    let _sweeping = sweeping(&server).await;
    eventually("all but one are gone", || members_left(&server) == 1).await;
    assert!(is_found(&cache, "kept").await);
    assert!(server.cli::<bool>(&["EXISTS", "cache#index:n:foreign"]));
}

/// Like [`members`], beside what is no index.
fn members_left(server: &RedisServer) -> usize {
    indexes(server).len() - 1
}

#[tokio::test]
async fn a_sweep_leaves_alone_what_may_still_come() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    store(&cache, "k", "a").await;
    store(&cache, "gone", "b").await;
    let_marks_pass(&server);
    store(&cache, "k", "a").await;
    let under_way: Vec<u8> = server.cli(&["DUMP", "cache::k"]);
    let _: u64 = server.cli(&["DEL", "cache::k", "cache::gone"]);
    let _sweeping = sweeping(&server).await;
    eventually("the other one is gone", || members(&server) == 1).await;
    arrive(&server, &under_way);
    assert!(is_found(&cache, "a").await);
}

#[tokio::test]
async fn what_was_not_yet_to_be_taken_out_is_by_a_later_sweep_although_nothing_was_invalidated() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    store(&cache, "k", "a").await;
    let _sweeping = sweeping(&server).await;
    eventually("some sweeps", || server.calls_of("scan") >= 5).await;
    assert_eq!(members(&server), 1, "its mark has not passed");
    // As an eviction does: nobody is told, and the log stands still.
    let _: u64 = server.cli(&["DEL", "cache::k"]);
    let_marks_pass(&server);
    eventually("it is taken out", || members(&server) == 0).await;
}

#[tokio::test]
async fn a_sweep_does_not_follow_those_who_write_to_an_index() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    // More than ten steps look at.
    let keys: Vec<_> = (0..2_500).map(|number| number.to_string()).collect();
    let values: Vec<_> = keys.iter().map(|key| (&**key, 1)).collect();
    let all = EntryOptions::new().index("i", "a");
    cache.set_many(&values, all).await.unwrap();
    let _sweeping = sweeping(&server).await;
    let (scanned, looked) = (
        || server.calls_of("scan"),
        || server.calls_of("zrangebyscore"),
    );
    eventually("entries are looked at", || scanned() >= 30).await;
    let before = (scanned(), looked());
    eventually("some sweeps", || scanned() >= before.0 + 60).await;
    // The index is met once in each sweep of a dozen steps, and all of it may still be written.
    let looks = looked() - before.1;
    assert!(looks < 30, "{looks} looks");
}
