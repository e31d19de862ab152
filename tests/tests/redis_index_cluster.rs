//! Indexes on a Redis Cluster: an index lies on one node, its entries on all, and slots move.

use std::time::Duration;

use cache_core::testkit::eventually;
use cache_core::{Cache, Provider};
use cache_tests::cluster::{Cluster, PRIMARIES, slot_of};
use cache_tests::cluster_node::{cluster_node, patient};
use cache_tests::redis_node::build;

const COUNT: usize = 30;
/// Where the marks begin among the scores, as `index.lua` has it.
const MARKS: &str = "4503599627370496";

fn over(provider: impl Provider) -> Cache {
    Cache::builder(provider)
        .build()
        .expect("the cache is built")
}

async fn store(cache: &Cache, count: usize) {
    for number in 0..count {
        let key = format!("k{number}");
        cache.set(&key, &key).index("i", "a").await.expect("set");
    }
}

/// How many are found; by values and by keys it must be the same.
async fn found(cache: &Cache) -> usize {
    let found: Vec<(String, String)> = cache.get_by_index("i", "a").await.expect("get_by_index");
    assert!(found.iter().all(|(key, value)| key == value));
    let keys = cache.get_keys_by_index("i", "a").await.expect("keys");
    assert_eq!(keys.len(), found.len());
    found.len()
}

/// The keys of all indexes.
fn indexes(cluster: &Cluster) -> Vec<String> {
    let on = |node: usize| {
        cluster
            .server(node)
            .cli::<Vec<String>>(&["KEYS", "cache#index:*"])
    };
    (0..PRIMARIES).flat_map(on).collect()
}

/// Lets the marks pass: what was entered so far has been stored, or never will be.
fn let_marks_pass(cluster: &Cluster) {
    for index in indexes(cluster) {
        let range = ["ZRANGE", &index, MARKS, "+inf", "BYSCORE"];
        for member in cluster.cli::<Vec<String>>(&index, &range) {
            let pass = ["ZINCRBY", &index, "-1000000000", &member];
            let _: String = cluster.cli(&index, &pass);
        }
    }
}

/// Moves the slot of a key away; at each step everything is found, and can be stored.
async fn move_away(cluster: &Cluster, cache: &Cache, key: &str) {
    let to = (cluster.owner_of(key) + 1) % PRIMARIES;
    let moving = cluster.begin_move(slot_of(key), to);
    assert_eq!(found(cache).await, COUNT, "nothing has moved");
    moving.carry_key(key);
    assert_eq!(found(cache).await, COUNT, "it has moved");
    store(cache, COUNT).await;
    assert_eq!(found(cache).await, COUNT, "and was written there");
    moving.finish();
    assert_eq!(found(cache).await, COUNT, "all know");
}

#[tokio::test]
async fn indexes_and_entries_are_found_while_their_slots_move() {
    let cluster = Cluster::start();
    let cache = over(cluster_node(&cluster).await);
    store(&cache, COUNT).await;
    let index = indexes(&cluster).pop().expect("an index");
    move_away(&cluster, &cache, &index).await;
    move_away(&cluster, &cache, "cache::k7").await;
    let other = over(cluster_node(&cluster).await);
    assert_eq!(found(&other).await, COUNT);
}

#[tokio::test]
async fn what_is_gone_is_taken_out_by_readers_and_by_the_sweep() {
    let cluster = Cluster::start();
    let cache = over(cluster_node(&cluster).await);
    store(&cache, COUNT).await;
    for number in 0..100 {
        let value = format!("v{number}");
        cache.set("k0", "k0").index("i", &value).await.unwrap();
    }
    cache.set("k0", "k0").index("i", "a").await.unwrap();
    cache.delete("k1").await.unwrap();
    assert_eq!(indexes(&cluster).len(), 101);
    let_marks_pass(&cluster);
    assert_eq!(found(&cache).await, COUNT - 1);
    let sweep = patient(&cluster).sweep(Duration::from_millis(20));
    let _sweeping = build(sweep).await;
    eventually("one index is left", || indexes(&cluster).len() == 1).await;
    assert_eq!(found(&cache).await, COUNT - 1);
}
