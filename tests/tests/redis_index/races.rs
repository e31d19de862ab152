//! Writes and loads that are under way while others read the index.

use std::time::Duration;

use cache_core::testkit::{ChaosProvider, Fault, Gate, Operation, eventually};
use cache_core::{Cache, EntryOptions, ErrorKind, MemoryTier, Provider};
use cache_tests::redis_node::{build, node, patient};
use cache_tests::redis_server::RedisServer;

use super::{found, handle, indexes, is_found, let_marks_pass, members, over, store};

#[tokio::test]
async fn a_load_under_way_is_found_when_it_has_ended() {
    let server = RedisServer::start();
    let (cache, reader) = (handle(&server).await, handle(&server).await);
    store(&cache, "k", "a").await;
    cache.delete("k").await.unwrap();
    let_marks_pass(&server);
    let (gate, held) = Gate::new();
    let load = tokio::spawn(async move {
        let load = || async {
            held.pass().await;
            Ok::<_, ()>("loaded".to_owned())
        };
        let options = EntryOptions::new().index("i", "a");
        cache.get_or_set_with("k", options, load).await
    });
    gate.entered().await;
    assert!(!is_found(&reader, "a").await);
    assert_eq!(members(&server), 0, "nobody has entered it yet");
    gate.open();
    load.await.unwrap().unwrap();
    assert_eq!(found(&reader, "a").await[0].1, "loaded");
}

#[tokio::test]
async fn what_cannot_be_entered_is_not_stored() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    store(&cache, "k", "a").await;
    let index = indexes(&server).pop().expect("an index");
    cache.delete("k").await.unwrap();
    let _: () = server.cli(&["SET", &index, "not ours"]);
    let set = cache.set("k", "v").index("i", "a").await;
    assert!(set.is_err());
    let load = || async { Ok::<_, ()>("loaded".to_owned()) };
    let options = EntryOptions::new().index("i", "a");
    let loaded = cache.get_or_set_with("k", options, load).await;
    assert_eq!(loaded.as_deref(), Ok("loaded"));
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
}

async fn alternate(cache: Cache, value: &'static str) {
    for _ in 0..200 {
        store(&cache, "k", value).await;
    }
}

/// Two nodes give one key different values while a third reads: on one server, and behind copies.
async fn contend(one: Cache, two: Cache, reader: Cache) {
    let writers = [
        tokio::spawn(alternate(one.clone(), "a")),
        tokio::spawn(alternate(two, "b")),
    ];
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        for value in ["a", "b"] {
            let seen: Vec<(String, String)> = reader.get_by_index("i", value).await.unwrap();
            assert!(seen.iter().all(|(_, seen)| seen == value), "{seen:?}");
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let standing: String = one.get("k").await.unwrap().expect("a value");
    for value in ["a", "b"] {
        assert_eq!(is_found(&one, value).await, standing == value, "{value}");
    }
}

#[tokio::test]
async fn no_value_is_found_under_what_another_node_has_just_given_it() {
    let server = RedisServer::start();
    let [one, two, reader] = [(); 3].map(|()| handle(&server));
    contend(one.await, two.await, reader.await).await;
}

#[tokio::test]
async fn nor_behind_memory_tiers() {
    let server = RedisServer::start();
    let tiered = async || {
        let builder = Cache::builder(node(&server).await).memory_tier(MemoryTier::new());
        builder.build().expect("the cache is built")
    };
    let (one, two, reader) = (tiered().await, tiered().await, tiered().await);
    let standing = one.without_memory_tier();
    contend(standing, two, reader).await;
}

const KEYS: u64 = 20;
const VALUES: u64 = 3;

/// Stores and deletes, each time something else.
async fn stir(cache: Cache, task: u64) {
    for turn in 0..500 {
        let drawn = (task * 7_919 + turn).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let key = format!("k{}", drawn % KEYS);
        let value = (drawn / KEYS % VALUES).to_string();
        // On a busy machine some come too late: then nothing has been done.
        let _ = match drawn % 4 {
            0 => cache.delete(&key).await.map(drop),
            1 => cache.expire(&key, None).await.map(drop),
            _ => cache.set(&key, &value).index("i", &value).await,
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_there_is_found_however_many_write_and_take_out() {
    let server = RedisServer::start();
    // Marks pass within the test.
    let hasty = || patient(&server).command_timeout(Duration::from_millis(300));
    let sweeping = build(hasty().sweep(Duration::from_millis(20))).await;
    let nodes = [over(build(hasty()).await), over(sweeping)];
    let node = |task: u64| nodes[usize::from(task.is_multiple_of(2))].clone();
    let writers: Vec<_> = (0..8)
        .map(|task| tokio::spawn(stir(node(task), task)))
        .collect();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        for value in 0..VALUES {
            let _ = nodes[0].get_keys_by_index("i", &value.to_string()).await;
        }
    }
    let reader = handle(&server).await;
    for key in 0..KEYS {
        let key = format!("k{key}");
        let Some(value) = reader.get::<String>(&key).await.unwrap() else {
            continue;
        };
        let found = found(&reader, &value).await;
        assert!(found.contains(&(key, value)), "{found:?}");
    }
}

#[tokio::test]
async fn a_node_that_loses_touch_on_its_way_through_an_index_shows_nothing() {
    for held_up in [Operation::Members, Operation::Inspect] {
        let server = RedisServer::start();
        let second = Duration::from_secs(1);
        let builder = patient(&server).heartbeat(second / 5).touch_bound(second);
        let (provider, chaos) = ChaosProvider::over(build(builder).await);
        let (log, clock) = (provider.log().clone(), provider.clock());
        let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
        let cache = builder.build().unwrap();
        store(&cache, "k", "a").await;
        assert!(is_found(&cache, "a").await, "and a copy is in memory");
        let (gate, held) = Gate::new();
        chaos.next(held_up, Fault::HoldAnswer(held));
        let read = tokio::spawn(async move {
            match held_up {
                Operation::Members => cache.get_by_index::<String>("i", "a").await.map(drop),
                _ => cache.get_keys_by_index("i", "a").await.map(drop),
            }
        });
        gate.entered().await;
        server.pause();
        eventually("it has lost touch", || !log.in_touch(clock.now())).await;
        gate.open();
        let error = read.await.unwrap().unwrap_err();
        server.resume();
        assert_eq!(error.kind(), ErrorKind::Connection, "{held_up:?}");
    }
}
