//! Writes that come late, connections that give no answer, and a server that is full or evicts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::log::Record;
use cache_core::provider::Slot;
use cache_core::testkit::eventually;
use cache_core::{ErrorKind, Invalidated, Provider, RedisProvider, RedisProviderBuilder};
use cache_tests::redis_node::{
    answers, build, delivered, entry, fill, invalidate, key, key_record, lead, node, refused, set,
    shown, slow, stamped, tagged,
};
use cache_tests::redis_server::RedisServer;
use cache_tests::tcp_proxy::{TcpProxy, Weather};

const SHORT: Duration = Duration::from_millis(400);
/// What is asked for to see whether the node's connection has worked off what was sent before.
const ANY: &str = "cache:n:any";

fn impatient(server: &RedisServer) -> RedisProviderBuilder {
    RedisProvider::builder(server.url()).command_timeout(SHORT)
}

#[tokio::test]
async fn a_write_that_timed_out_is_not_carried_out_later() {
    let server = RedisServer::start();
    let (one, two) = (build(impatient(&server)).await, node(&server).await);
    let (set_key, filled, counted) = (key("set"), key("filled"), key("counted"));
    warm_up(&one).await;
    let lease = lead(&one, &filled).await;
    let late = stamped(&one, "late", lease.stamp);

    server.pause();
    let (wrote, stored, counting) = tokio::join!(
        one.set(vec![(&set_key, entry(&one, "late"))]),
        one.fill(&filled, late, lease),
        one.increment(&counted, 1, entry(&one, "late")),
    );
    // The server has all three before it as it wakes.
    for error in [refused(wrote), refused(stored), refused(counting)] {
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    server.resume();
    answers(&one, ANY).await;
    for key in [&set_key, &filled, &counted] {
        assert_eq!(
            shown(&two, key).await,
            None,
            "not even before the invalidation"
        );
        invalidate(&two, key_record(key)).await;
        assert_eq!(shown(&two, key).await, None);
        assert_eq!(shown(&one, key).await, None);
    }
    set(&one, &set_key, entry(&one, "new")).await;
    assert_eq!(shown(&two, &set_key).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_set_that_is_under_way_when_its_key_is_invalidated_is_not_carried_out_later() {
    let server = RedisServer::start();
    let (one, two) = (build(impatient(&server)).await, node(&server).await);
    let key = key("k");
    warm_up(&one).await;
    server.pause();
    refused(one.set(vec![(&key, entry(&one, "late"))]).await);
    let invalidation = one.invalidate(&[key_record(&key)]).await.unwrap();
    assert_eq!(invalidation.state, Invalidated::Pending);
    server.resume();
    answers(&one, ANY).await;
    let (mut reads, deadline) = (0, Instant::now() + Duration::from_secs(20));
    while one.log().has_pending() || reads < 100 {
        assert!(Instant::now() < deadline, "what waits is delivered");
        assert_eq!(shown(&two, &key).await, None);
        reads += 1;
    }
}

/// Has the server load the scripts: it could not carry out later what it does not know.
async fn warm_up(node: &RedisProvider) {
    let key = key("warm-up");
    let lease = lead(node, &key).await;
    assert!(fill(node, &key, "x", lease).await);
    set(node, &key, entry(node, "x")).await;
    node.expire(&key, None).await.expect("the change");
    refused(node.increment(&key, 1, entry(node, "x")).await);
    invalidate(node, key_record(&key)).await;
}

#[tokio::test]
async fn a_write_whose_connection_broke_is_not_carried_out_once_it_has_failed() {
    let server = RedisServer::start();
    let proxy = TcpProxy::start(server.address());
    let url = format!("redis://{}", proxy.address());
    let one = slow(RedisProvider::builder(url).command_timeout(SHORT));
    let (one, two) = (build(one).await, node(&server).await);
    warm_up(&one).await;
    for round in 0..6 {
        let key = key(&round.to_string());
        server.pause();
        let before = proxy.sent_bytes();
        let write = async {
            match round % 2 {
                0 => one.set(vec![(&key, entry(&one, "late"))]).await,
                _ => one.increment(&key, 1, entry(&one, "late")).await.map(drop),
            }
        };
        let cut = async {
            // More than the tail says when it waits for records.
            let is_sent = || proxy.sent_bytes() > before + 200;
            eventually("the write is on its way", is_sent).await;
            proxy.cut_clients_off();
        };
        let (written, ()) = tokio::join!(write, cut);
        refused(written);
        server.resume();
        assert_eq!(shown(&two, &key).await, None);
        invalidate(&two, key_record(&key)).await;
        assert_eq!(shown(&two, &key).await, None);
        answers(&one, ANY).await;
        // Delivers what waits, which would go before the next write otherwise.
        warm_up(&one).await;
    }
}

/// A load balancer, for instance, acknowledges for a server that is gone, so that the connection
/// looks alive; and a server that is loading answers a handshake with an error.
#[tokio::test]
async fn a_connection_that_gives_no_usable_answer_is_replaced() {
    for weather in [Weather::HalfOpen, Weather::Garbage] {
        let server = RedisServer::start();
        let proxy = TcpProxy::start(server.address());
        let one = RedisProvider::builder(format!("redis://{}", proxy.address()))
            .command_timeout(Duration::from_millis(100))
            .connect_timeout(Duration::from_millis(100))
            .heartbeat(Duration::from_millis(20));
        let one = build(one).await;
        proxy.turn(weather);
        for _ in 0..10 {
            refused(one.get(&["cache:n:x"]).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        proxy.turn(Weather::Clear);
        answers(&one, ANY).await;
    }
}

#[tokio::test]
async fn a_change_that_timed_out_is_not_made_later() {
    let server = RedisServer::start();
    let one = build(impatient(&server)).await;
    let key = key("changed");
    warm_up(&one).await;
    set(&one, &key, entry(&one, "value")).await;
    server.pause();
    let error = refused(one.expire(&key, Some(Duration::from_millis(1))).await);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    server.resume();
    answers(&one, ANY).await;
    assert_eq!(server.cli::<i64>(&["PTTL", &key]), -1);
}

#[tokio::test]
async fn with_its_memory_full_the_server_still_takes_invalidations() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let (by_tag, by_key, loading) = (key("tag"), key("key"), key("loading"));
    set(&one, &by_tag, tagged(&one, "old", &["t"])).await;
    set(&one, &by_key, entry(&one, "old")).await;
    let lease = lead(&one, &loading).await;
    let _: () = server.cli(&["CONFIG", "SET", "maxmemory", "1"]);

    assert_eq!(
        shown(&two, &by_tag).await.as_deref(),
        Some("old"),
        "reads work"
    );
    assert!(one.renew(&loading, lease).await.unwrap());
    let error = refused(one.set(vec![(&by_key, entry(&one, "new"))]).await);
    assert_eq!(error.kind(), ErrorKind::Unready);
    assert!(error.to_string().contains("memory is full"), "{error}");
    refused(one.fill(&loading, entry(&one, "new"), lease).await);
    refused(one.lease(&key("another"), None, one.log().stamp()).await);
    assert_eq!(
        shown(&two, &by_key).await.as_deref(),
        Some("old"),
        "left alone"
    );

    invalidate(&one, Record::Tag("t".into())).await;
    assert!(invalidate(&one, key_record(&by_key)).await);
    delivered(&one, &two).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &by_tag).await, None);
        assert_eq!(shown(node, &by_key).await, None);
    }
}

#[tokio::test]
async fn whatever_is_evicted_nothing_invalidated_shows_and_no_late_load_is_stored() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        let server = RedisServer::start_with(&["--maxmemory-policy", policy]);
        let (one, two) = (node(&server).await, node(&server).await);
        let old: Vec<_> = (0..50)
            .map(|number| key(&format!("old:{number}")))
            .collect();
        let loading: Vec<_> = (0..50)
            .map(|number| key(&format!("new:{number}")))
            .collect();
        let mut leases = Vec::new();
        for (old, loading) in old.iter().zip(&loading) {
            set(&one, old, entry(&one, "old")).await;
            leases.push(lead(&two, loading).await);
        }
        invalidate(&one, Record::Pattern("cache:n:old:*".into())).await;
        press(&server);
        invalidate(&one, Record::Tag("so that the state is looked at".into())).await;
        delivered(&one, &two).await;
        for node in [&one, &two] {
            for key in &old {
                assert_eq!(shown(node, key).await, None, "{policy}");
            }
        }
        for (key, lease) in loading.iter().zip(leases) {
            let stands = matches!(two.get(&[key]).await.unwrap()[..], [Slot::Lease(_)]);
            if !stands {
                assert!(!fill(&two, key, "late", lease).await, "{policy}");
            }
        }
    }
}

/// Writes until the server has evicted much of what it held.
fn press(server: &RedisServer) {
    let memory: String = server.cli(&["INFO", "memory"]);
    let used = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.expect("used_memory").trim().parse().unwrap();
    let limit = (used + 300_000).to_string();
    let _: () = server.cli(&["CONFIG", "SET", "maxmemory", &limit]);
    let mut connection = server.connect().unwrap();
    for number in 0..200 {
        let mut ballast = redis::cmd("SET");
        ballast
            .arg(format!("ballast:{number}"))
            .arg("x".repeat(20_000));
        ballast.arg("EX").arg(1_000);
        ballast.exec(&mut connection).unwrap();
    }
    let stats: String = server.cli(&["INFO", "stats"]);
    assert!(!stats.contains("evicted_keys:0\r"), "nothing was evicted");
}

#[tokio::test]
async fn a_dropped_operation_leaves_the_node_usable() {
    let server = RedisServer::start();
    let one = Arc::new(node(&server).await);
    let key = key("dropped");
    for _ in 0..50 {
        let (node, at) = (Arc::clone(&one), key.clone());
        let running = tokio::spawn(async move {
            invalidate(&node, key_record(&at)).await;
            set(&node, &at, entry(&node, "x")).await;
        });
        tokio::task::yield_now().await;
        running.abort();
    }
    set(&one, &key, entry(&one, "last")).await;
    assert_eq!(shown(&one, &key).await.as_deref(), Some("last"));
}
