//! The handle over Redis: leases, hidden and unreadable entries are absent to all that ask.

use cache_core::{Cache, EntryOptions, Invalidated, Provider};
use cache_tests::redis_node::{lead, node};
use cache_tests::redis_server::RedisServer;

/// A namespace with an entry, a hidden one, a lease, and something that is not ours.
async fn furnished(server: &RedisServer) -> Cache {
    let provider = node(server).await;
    lead(&provider, "cache:n:leased").await;
    let cache = Cache::builder(provider)
        .build()
        .expect("the cache is built");
    let cache = cache.namespace("n");
    cache.set("hidden", "old").tag("t").await.unwrap();
    cache.invalidate_tag("t").await.unwrap();
    cache.set("shown", "value").await.unwrap();
    let _: () = server.cli(&["SET", "cache:n:foreign", "not ours"]);
    cache
}

const ABSENT: [&str; 4] = ["hidden", "leased", "foreign", "absent"];

#[tokio::test]
async fn only_what_is_shown_exists() {
    let server = RedisServer::start();
    let cache = furnished(&server).await;
    assert!(cache.exists("shown").await.unwrap());
    assert!(cache.get_ttl("shown").await.unwrap().is_some());
    for key in ABSENT {
        assert!(!cache.exists(key).await.unwrap(), "{key}");
        assert!(cache.get_ttl(key).await.unwrap().is_none(), "{key}");
        assert_eq!(cache.get::<String>(key).await.unwrap(), None, "{key}");
        assert!(!cache.expire(key, None).await.unwrap(), "{key}");
    }
}

#[tokio::test]
async fn only_what_is_shown_is_scanned_and_counted() {
    let server = RedisServer::start();
    let cache = furnished(&server).await;
    let mut scan = cache.scan_keys("*", 100).unwrap();
    let mut found = Vec::new();
    while let Some(page) = scan.next_page().await.unwrap() {
        found.extend(page);
    }
    assert_eq!(found, ["shown"]);
    assert_eq!(cache.delete_by_pattern("*").await.unwrap(), 1);
    assert!(!cache.exists("shown").await.unwrap());
    assert_eq!(cache.delete_by_pattern("*").await.unwrap(), 0);
}

#[tokio::test]
async fn only_what_is_shown_is_deleted() {
    let server = RedisServer::start();
    let cache = furnished(&server).await;
    for key in ABSENT {
        assert!(!cache.delete(key).await.unwrap(), "{key}");
    }
    assert!(cache.delete("shown").await.unwrap());
    assert!(!cache.delete("shown").await.unwrap());
}

#[tokio::test]
async fn a_clear_voids_the_loads_in_flight_too() {
    let server = RedisServer::start();
    let loader = node(&server).await;
    let cache = furnished(&server).await;
    let old = lead(&loader, "cache:n:loading").await;
    assert_eq!(cache.clear().await.unwrap(), Invalidated::Applied);
    let late = cache_tests::redis_node::stamped(&loader, "old", old.stamp);
    let _ = loader.fill("cache:n:loading", late, old).await.unwrap();
    assert_eq!(cache.get::<String>("loading").await.unwrap(), None);
    assert!(!cache.exists("shown").await.unwrap());
    let options = EntryOptions::new();
    let loaded = cache.get_or_set_with("loading", options, async || Ok::<_, ()>("new".to_owned()));
    assert_eq!(loaded.await.unwrap(), "new");
    assert_eq!(
        cache.get::<String>("loading").await.unwrap().as_deref(),
        Some("new")
    );
}
