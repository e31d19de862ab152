//! How long an index is there, and what is left of it.

use std::time::Duration;

use cache_core::testkit::eventually;
use cache_tests::redis_node::{build, patient};
use cache_tests::redis_server::RedisServer;

use super::{MARKS, MINUTE, found, handle, indexes, let_marks_pass, members, over, store};

/// The time to live of the only index, in milliseconds.
fn left(server: &RedisServer) -> i64 {
    server.cli(&["PTTL", &indexes(server)[0]])
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).expect("a short span")
}

#[tokio::test]
async fn an_index_lives_as_long_as_the_last_of_its_entries() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    let set = |key, ttl| cache.set(key, "v").ttl(ttl).index("i", "a");
    let about = |ttl: Duration| {
        let left = left(&server);
        assert!(left > millis(ttl) - 5_000, "{left} for {ttl:?}");
        assert!(left < millis(ttl + MINUTE), "{left} for {ttl:?}");
    };
    set("short", MINUTE).await.unwrap();
    about(MINUTE);
    set("long", MINUTE * 60).await.unwrap();
    set("long", MINUTE).await.unwrap();
    about(MINUTE * 60);
    assert!(cache.expire("short", MINUTE * 90).await.unwrap());
    about(MINUTE * 90);
    cache
        .set("text", &serde_json::json!({}))
        .index("i", "a")
        .ttl(MINUTE)
        .await
        .unwrap();
    let patch = serde_json::json!({ "a": 1 });
    let updated = cache
        .update::<serde_json::Value>("text", &patch)
        .ttl(MINUTE * 120);
    assert!(updated.await.unwrap().is_some());
    about(MINUTE * 120);
    assert!(cache.expire("short", None).await.unwrap());
    assert_eq!(left(&server), -1, "it has no end");
    let keys = cache.get_keys_by_index("i", "a").await.unwrap();
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn an_index_ends_again_when_the_one_without_an_end_is_gone() {
    let server = RedisServer::start();
    let cache = handle(&server).await;
    cache
        .set("ends", "v")
        .ttl(MINUTE)
        .index("i", "a")
        .await
        .unwrap();
    let ever = cache.set("ever", "v").no_ttl().index("i", "a");
    ever.await.unwrap();
    assert_eq!(left(&server), -1);
    cache.delete("ever").await.unwrap();
    let_marks_pass(&server);
    assert_eq!(found(&cache, "a").await.len(), 1);
    let left = left(&server);
    assert!((0..millis(MINUTE * 2)).contains(&left), "{left}");
}

#[tokio::test]
async fn after_everything_has_expired_nothing_is_left_although_nobody_reads() {
    let server = RedisServer::start();
    let cache = over(build(patient(&server).command_timeout(MINUTE / 30).no_sweep()).await);
    for value in ["a", "b", "c"] {
        let set = cache.set(value, value).ttl(MINUTE / 600).index("i", value);
        set.await.unwrap();
    }
    assert_eq!(indexes(&server).len(), 3);
    eventually("the indexes go", || indexes(&server).is_empty()).await;
}

#[tokio::test]
async fn keys_whose_entries_have_expired_make_way_for_new_ones() {
    let server = RedisServer::start();
    let cache = over(build(patient(&server).no_sweep()).await);
    for number in 0..150 {
        let key = format!("old{number}");
        let set = cache.set(&key, "v").ttl(MINUTE).index("i", "a");
        set.await.unwrap();
    }
    // As if the minutes had passed: ends stand below the marks.
    let index = &indexes(&server)[0];
    let below = format!("({MARKS}");
    for member in server.cli::<Vec<String>>(&["ZRANGE", index, "-inf", &below, "BYSCORE"]) {
        let _: String = server.cli(&["ZINCRBY", index, "-1000000000", &member]);
    }
    for number in 0..2 {
        let key = format!("new{number}");
        cache
            .set(&key, "v")
            .ttl(MINUTE)
            .index("i", "a")
            .await
            .unwrap();
    }
    assert_eq!(members(&server), 2);
}

#[tokio::test]
async fn what_a_full_server_evicts_is_not_found_and_what_is_stored_anew_is() {
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let server = RedisServer::start();
        let cache = handle(&server).await;
        let used: String = server.cli(&["INFO", "memory"]);
        let used = used
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        let used: u64 = used
            .and_then(|used| used.parse().ok())
            .expect("used memory");
        let _: () = server.cli(&["CONFIG", "SET", "maxmemory-policy", policy]);
        let full = (used + 2_000_000).to_string();
        let _: () = server.cli(&["CONFIG", "SET", "maxmemory", &full]);
        let text = "x".repeat(2_000);
        for number in 0..2_000 {
            let key = format!("k{number}");
            let set = cache.set(&key, &text).ttl(MINUTE * 60).index("i", "a");
            // Where the log would have to go, the server refuses.
            let _ = set.await;
        }
        let _: () = server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        let keys: Vec<(String, String)> = cache.get_by_index("i", "a").await.unwrap();
        assert!(keys.len() < 1_500, "{} fit", keys.len());
        for (key, _) in &keys {
            assert!(cache.exists(key).await.unwrap(), "{policy}");
        }
        store(&cache, "new", "a").await;
        assert!(
            found(&cache, "a")
                .await
                .contains(&("new".into(), "a".into()))
        );
    }
}
