//! Indexes on a real server: what is found, what is taken out, and what is left of an index.

mod lifetime;
mod model;
mod races;
mod search;
mod taking_out;

use std::time::Duration;

use cache_core::{Cache, EncryptionKeys, EntryOptions, MemoryTier, Provider};
use cache_tests::redis_node::{build, node, patient};
use cache_tests::redis_server::RedisServer;

const MINUTE: Duration = Duration::from_secs(60);
/// Where the marks begin among the scores, as `index.lua` has it.
const MARKS: &str = "4503599627370496";
/// More microseconds than any write may take.
const LONG_AGO: &str = "-1000000000";

fn over(provider: impl Provider) -> Cache {
    let cache = Cache::builder(provider).build();
    cache.expect("the cache is built")
}

async fn handle(server: &RedisServer) -> Cache {
    over(node(server).await)
}

async fn store(cache: &Cache, key: &str, value: &str) {
    cache.set(key, value).index("i", value).await.expect("set");
}

/// What is found under a value, sorted; by keys alone it must be the same.
async fn found(cache: &Cache, value: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = cache.get_by_index("i", value).await.expect("get_by_index");
    let mut keys = cache.get_keys_by_index("i", value).await.expect("keys");
    found.sort();
    keys.sort();
    assert!(
        found.iter().map(|(key, _)| key).eq(&keys),
        "{found:?} {keys:?}"
    );
    found
}

async fn is_found(cache: &Cache, value: &str) -> bool {
    !found(cache, value).await.is_empty()
}

/// The sorted sets of all indexes.
fn indexes(server: &RedisServer) -> Vec<String> {
    server.cli(&["KEYS", "cache#index:*"])
}

/// How many keys the indexes have.
fn members(server: &RedisServer) -> u64 {
    let count = |index: &String| server.cli::<u64>(&["ZCOUNT", index, MARKS, "+inf"]);
    indexes(server).iter().map(count).sum()
}

/// Lets the marks pass: what was entered so far has been stored, or never will be.
fn let_marks_pass(server: &RedisServer) {
    for index in indexes(server) {
        let range = ["ZRANGE", &index, MARKS, "+inf", "BYSCORE"];
        for member in server.cli::<Vec<String>>(&range) {
            let _: String = server.cli(&["ZINCRBY", &index, LONG_AGO, &member]);
        }
    }
}

#[tokio::test]
async fn values_are_shown_from_memory_where_they_are() {
    let server = RedisServer::start();
    let builder = Cache::builder(node(&server).await).memory_tier(MemoryTier::new());
    let cache = builder.build().unwrap();
    for key in ["x", "y", "z"] {
        store(&cache, key, "a").await;
    }
    let read = || cache.get_by_index::<String>("i", "a");
    assert_eq!(read().await.unwrap().len(), 3);
    let reads = || server.calls_of("get") + server.calls_of("mget");
    let before = reads();
    assert_eq!(read().await.unwrap().len(), 3);
    assert_eq!(reads(), before);
}

#[tokio::test]
async fn what_is_in_no_index_costs_nothing_and_what_is_one_round_trip() {
    let server = RedisServer::start();
    let cache = over(build(patient(&server).heartbeat(MINUTE / 2)).await);
    let many: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
    let values: Vec<_> = many.iter().map(|key| (&**key, 1)).collect();
    let scripts = async |options: EntryOptions| {
        let before = server.calls_of("evalsha");
        cache.set_many(&values, options).await.unwrap();
        server.calls_of("evalsha") - before
    };
    scripts(EntryOptions::new().index("i", "a")).await;
    // 500 entries go in one script.
    assert_eq!(scripts(EntryOptions::new()).await, 2);
    assert_eq!(scripts(EntryOptions::new().index("i", "a")).await, 4);
    assert_eq!(
        cache.get_keys_by_index("i", "a").await.unwrap().len(),
        1_000
    );
}

#[tokio::test]
async fn no_value_of_an_index_stands_on_the_server() {
    let server = RedisServer::start();
    let keys = EncryptionKeys::new(1, [7; 32]);
    let cache = over(build(patient(&server).encryption(keys)).await);
    let email = "ada@example.org";
    cache.set("k", "v").index("email", email).await.unwrap();
    let found: Vec<(String, String)> = cache.get_by_index("email", email).await.unwrap();
    assert_eq!(found.len(), 1);
    let stored: Vec<String> = server.cli(&["KEYS", "*"]);
    for key in stored {
        let dump: Vec<u8> = server.cli(&["DUMP", &key]);
        let dump = String::from_utf8_lossy(&dump);
        assert!(!key.contains("ada@") && !dump.contains("ada@"), "{key}");
    }
}

#[tokio::test]
async fn an_index_of_each_namespace_and_deployment_is_its_own() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    let other = over(build(patient(&server).key_prefix("other")).await);
    for (at, cache) in [
        &cache,
        &cache.namespace("n"),
        &cache.namespace("n:m"),
        &other,
    ]
    .into_iter()
    .enumerate()
    {
        assert!(!is_found(cache, "a").await, "{at}");
        store(cache, "k", "a").await;
        assert_eq!(found(cache, "a").await.len(), 1);
    }
}
