//! Locks and rate limits when the server breaks off, or another takes its place.

use std::time::{Duration, Instant};

use cache_core::testkit::eventually;
use cache_core::{Cache, ErrorKind, LockGuard, RateLimit, RedisProvider};
use cache_tests::redis_node::{build, node, slow};
use cache_tests::redis_server::RedisServer;
use cache_tests::sentinels::{NAME, Watched};
use cache_tests::tcp_proxy::TcpProxy;

const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(400);
/// Long enough for a busy machine to answer, short enough to be waited for.
const WHILE: Duration = Duration::from_secs(1);
const PLACE: &str = "{cache::name}:lock";

fn over(provider: RedisProvider) -> Cache {
    let builder = Cache::builder(provider);
    builder.build().expect("the cache is built")
}

async fn watching(watched: &Watched) -> Cache {
    let builder = RedisProvider::builder(format!("redis://{NAME}"))
        .sentinels(watched.urls())
        .heartbeat(Duration::from_millis(100))
        .touch_bound(Duration::from_secs(1))
        .command_timeout(SHORT);
    over(build(builder).await)
}

/// The answer, as soon as there is one.
async fn once_answered<T>(mut ask: impl AsyncFnMut() -> cache_core::Result<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        assert!(Instant::now() < deadline, "nobody answers");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn try_lock(cache: &Cache) -> Option<LockGuard> {
    once_answered(async || cache.try_lock("name").ttl(MINUTE).await).await
}

#[tokio::test]
async fn what_the_replica_has_heard_of_is_held_and_counted_after_a_failover() {
    let watched = Watched::start();
    let (one, two) = (watching(&watched).await, watching(&watched).await);
    let limit = RateLimit::sliding_window(1, MINUTE * 10);
    let limiter = one.rate_limiter(limit).unwrap();
    assert!(limiter.check("k").await.unwrap().allowed);
    let mut guard = try_lock(&one).await.unwrap();
    let there = || watched.replica.cli::<u64>(&["EXISTS", PLACE]) == 1;
    eventually("the lock is replicated", there).await;
    watched.fail_over();
    watched.wait_for_demotion();
    assert!(try_lock(&two).await.is_none());
    assert!(once_answered(async || guard.extend(MINUTE).await).await);
    assert!(
        !once_answered(async || limiter.peek("k").await)
            .await
            .allowed
    );
    let first = guard.fencing();
    assert!(guard.release().await.unwrap());
    assert!(try_lock(&two).await.unwrap().fencing() > first);
}

#[tokio::test]
async fn what_it_has_not_heard_of_is_given_out_twice_and_the_number_tells() {
    let mut watched = Watched::start();
    let (one, two) = (watching(&watched).await, watching(&watched).await);
    watched.cut_replication();
    let mut first = try_lock(&one).await.unwrap();
    watched.primary.kill();
    watched.wait_for_promotion();
    let second = try_lock(&two).await.unwrap();
    assert!(first.is_held() && second.is_held(), "both believe it");
    assert!(second.fencing() > first.fencing());
    assert!(!once_answered(async || first.extend(MINUTE).await).await);
    assert!(!first.is_held(), "now it knows");
    assert!(!first.release().await.unwrap());
    assert!(second.release().await.unwrap());
}

#[tokio::test]
async fn a_lock_whose_connection_broke_is_not_taken_once_that_is_an_error() {
    let server = RedisServer::start();
    let proxy = TcpProxy::start(server.address());
    let url = format!("redis://{}", proxy.address());
    let one = slow(RedisProvider::builder(url).command_timeout(WHILE));
    let (one, two) = (over(build(one).await), over(node(&server).await));
    // From here on the server knows the script.
    try_lock(&one).await.unwrap().release().await.unwrap();
    server.pause();
    let before = proxy.sent_bytes();
    let cut = async {
        // More than the tail says when it waits for records.
        let is_sent = || proxy.sent_bytes() > before + 100;
        eventually("the attempt is on its way", is_sent).await;
        proxy.cut_clients_off();
    };
    let asked = Instant::now();
    let (taken, ()) = tokio::join!(one.lock("name").ttl(MINUTE * 10).into_future(), cut);
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(asked.elapsed() >= WHILE, "not before its deadline");
    server.resume();
    assert!(try_lock(&two).await.is_some());
}
