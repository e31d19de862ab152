//! Asking Redis whether it is there: every server of it, and in bounded time.

use std::time::{Duration, Instant};

use cache_core::{Cache, ErrorKind, RedisProvider};
use cache_tests::cluster::{Cluster, PRIMARIES};
use cache_tests::cluster_node::over;
use cache_tests::redis_node::{build, node};
use cache_tests::redis_server::RedisServer;
use futures_util::StreamExt;

fn cache(provider: RedisProvider) -> Cache {
    Cache::builder(provider)
        .build()
        .expect("the cache is built")
}

/// Longer than any command's timeout here, shorter than a hang.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_ping_of_a_server_that_hangs_fails_in_bounded_time_and_again_past_the_breaker() {
    let server = RedisServer::start();
    let hasty = RedisProvider::builder(server.url()).command_timeout(Duration::from_millis(500));
    let cache = cache(build(hasty).await);
    assert!(cache.ping().await.unwrap().in_touch);
    server.pause();
    let asked = Instant::now();
    for _ in 0..4 {
        let error = cache.ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    assert!(asked.elapsed() < LONG);
    server.resume();
    cache.ping().await.unwrap();
}

#[tokio::test]
async fn a_ping_of_a_server_that_is_gone_is_an_error() {
    let mut server = RedisServer::start();
    let cache = cache(node(&server).await);
    server.kill();
    let error = cache.ping().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_ping_of_a_cluster_asks_every_primary() {
    let cluster = Cluster::start();
    let cache = cache(build(over(&cluster)).await);
    let pings = |node| cluster.server(node).calls_of("ping");
    let before: Vec<u64> = (0..PRIMARIES).map(pings).collect();
    cache.ping().await.unwrap();
    for (node, before) in before.into_iter().enumerate() {
        assert_eq!(pings(node), before + 1, "of node {node}");
    }
    cluster.pause(1);
    let error = cache.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    cluster.resume(1);
}

#[tokio::test]
async fn a_stream_of_keys_asks_for_a_page_when_the_one_before_has_been_taken() {
    let server = RedisServer::start();
    let cache = cache(node(&server).await);
    let names: Vec<String> = (0..1_000).map(|name| name.to_string()).collect();
    let values: Vec<_> = names.iter().map(|name| (&**name, 1)).collect();
    let options = cache_core::EntryOptions::new();
    cache.set_many(&values, options).await.unwrap();

    let mut stream = cache.scan_keys("*", 100).unwrap().into_stream();
    assert_eq!(server.calls_of("scan"), 0, "nothing before the first look");
    let first = stream.next().await.unwrap().unwrap();
    assert!(server.calls_of("scan") < 3, "not ahead of the reader");
    let mut keys = vec![first];
    while let Some(key) = stream.next().await {
        keys.push(key.unwrap());
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), names.len());
}
