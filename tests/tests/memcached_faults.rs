//! A memcached that is killed, restarted, paused, emptied, full, or not one: nothing stale is shown,
//! functions are answered in bounded time, and invalidations are not lost.

use std::time::{Duration, Instant};

use cache_core::log::Record;
use cache_core::testkit::eventually;
use cache_core::{
    Cache, ErrorKind, Invalidated, MemcachedProvider, MemcachedProviderBuilder, Provider,
};
use cache_tests::memcached_node::{
    LOG, build, cache, entry, key, lead, node, patient, quiet_node, shown,
};
use cache_tests::memcached_server::MemcachedServer;
use cache_tests::redis_server::{RedisServer, free_port};
use cache_tests::tcp_proxy::{TcpProxy, Weather};

const SHORT: Duration = Duration::from_millis(500);

/// Settings of a node that gives up soon, and is back soon.
fn hasty(url: impl Into<String>) -> MemcachedProviderBuilder {
    MemcachedProvider::builder(url)
        .connect_timeout(SHORT)
        .command_timeout(SHORT)
        .heartbeat(Duration::from_millis(50))
        .touch_bound(SHORT * 4)
}

async fn load(cache: &Cache, value: &str) -> String {
    let value = value.to_owned();
    let loaded = cache.get_or_set("k", async || Ok::<_, ()>(value.clone()));
    loaded.await.expect("a value in any case")
}

async fn text(cache: &Cache, key: &str) -> Option<String> {
    cache.get(key).await.expect("the read")
}

/// Waits until the cache answers explicit reads again.
async fn is_back(cache: &Cache) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while cache.get::<String>("any").await.is_err() {
        assert!(Instant::now() < deadline, "it comes back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_server_that_is_started_again_empty_shows_nothing_of_before() {
    let mut server = MemcachedServer::start();
    let (one, other) = (cache(build(hasty(server.url())).await), node(&server).await);
    one.set("k", "old").await.unwrap();
    assert_eq!(load(&one, "new").await, "old");
    server.kill();
    assert_eq!(load(&one, "computed").await, "computed");
    let error = one.get::<String>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    server.restart();
    is_back(&one).await;
    assert_eq!(text(&one, "k").await, None);
    assert_eq!(load(&one, "fresh").await, "fresh");
    assert_eq!(text(&one, "k").await.as_deref(), Some("fresh"));
    is_back(&cache(other)).await;
}

#[tokio::test]
async fn a_load_from_before_a_restart_is_not_shown_after_it() {
    let mut server = MemcachedServer::start();
    let one = build(hasty(server.url())).await;
    let key = key("k");
    let before = lead(&one, &key).await;
    let old = entry(&one, "old");
    server.kill();
    server.restart();
    eventually("the node hears of it", || {
        one.log().stamp().incarnation() != before.stamp.incarnation()
    })
    .await;
    // The server counts anew, so that the new lease has the number that the old one had.
    let after = lead(&one, &key).await;
    assert!(!one.fill(&key, old, before).await.unwrap());
    assert!(one.fill(&key, entry(&one, "new"), after).await.unwrap());
    assert_eq!(shown(&one, &key).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn while_the_server_stands_still_callers_lose_bounded_time_and_later_none() {
    let server = MemcachedServer::start();
    let cache = cache(build(hasty(server.url())).await);
    cache.set("k", "old").await.unwrap();
    server.pause();
    let start = Instant::now();
    for call in 0..200 {
        let loaded = load(&cache, "computed").await;
        assert!(loaded == "computed" || call == 0 && loaded == "old");
    }
    // Each alone would take a time limit.
    assert!(start.elapsed() < SHORT * 20, "{:?}", start.elapsed());
    server.resume();
    is_back(&cache).await;
    assert_eq!(text(&cache, "k").await.as_deref(), Some("old"));
}

#[tokio::test]
async fn what_is_invalidated_while_the_server_is_away_is_hidden_here_and_delivered_on_return() {
    let server = MemcachedServer::start();
    let (one, other) = (
        cache(build(hasty(server.url())).await),
        cache(node(&server).await),
    );
    for key in ["key", "tag", "pattern", "kept"] {
        one.set(key, "old").tag(key).await.unwrap();
    }
    server.pause();
    assert_eq!(one.invalidate("key").await.unwrap(), Invalidated::Pending);
    assert_eq!(
        one.invalidate_tag("tag").await.unwrap(),
        Invalidated::Pending
    );
    assert_eq!(
        one.invalidate_pattern("pat*").await.unwrap(),
        Invalidated::Pending
    );
    let error = one.delete("kept").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    one.set("set", "late").await.unwrap_err();
    server.resume();
    is_back(&one).await;
    for key in ["key", "tag", "pattern", "kept", "set"] {
        assert_eq!(text(&one, key).await, None, "{key}");
    }
    cache_core::testkit::delivered(&other, &one).await;
    for key in ["key", "tag", "pattern", "kept"] {
        let gone = async || text(&other, key).await.is_none();
        while !gone().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(
        server.item("cache::key").is_none(),
        "freed, not only hidden"
    );
    one.set("key", "new").await.unwrap();
    assert_eq!(text(&other, "key").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn whatever_comes_over_the_connection_no_value_is_wrong_and_it_passes() {
    let server = MemcachedServer::start();
    let proxy = TcpProxy::start(server.address());
    let one = cache(build(hasty(format!("memcache://{}", proxy.address()))).await);
    for weather in [
        Weather::Garbage,
        Weather::HalfOpen,
        Weather::Held,
        Weather::Refused,
        Weather::Delay(SHORT * 2),
    ] {
        one.set("k", "stored").await.unwrap();
        proxy.turn(weather);
        let start = Instant::now();
        for _ in 0..10 {
            let loaded = load(&one, "computed").await;
            assert!(
                ["stored", "computed"].contains(&&*loaded),
                "{weather:?}: {loaded}"
            );
        }
        assert!(
            start.elapsed() < SHORT * 15,
            "{weather:?}: {:?}",
            start.elapsed()
        );
        proxy.turn(Weather::Clear);
        is_back(&one).await;
    }
    one.set("k", "stored").await.unwrap();
    assert_eq!(load(&one, "computed").await, "stored");
}

#[tokio::test]
async fn a_log_that_is_gone_or_is_none_hides_everything_on_every_node() {
    let server = MemcachedServer::start();
    let (one, two) = (quiet_node(&server).await, quiet_node(&server).await);
    let key = key("k");
    for loss in [
        format!("md {LOG}"),
        format!("ms {LOG} 5\r\nhello"),
        format!("ms {LOG} 0\r\n"),
        "flush_all".to_owned(),
    ] {
        one.set(vec![(&key, entry(&one, "old"))]).await.unwrap();
        assert_eq!(shown(&two, &key).await.as_deref(), Some("old"));
        let before = one.log().stamp();
        let (lease, old) = (lead(&one, "cache:n:load").await, entry(&one, "old"));
        server.cli(&loss);
        assert_eq!(shown(&two, &key).await, None, "{loss}");
        assert_eq!(shown(&one, &key).await, None, "{loss}");
        assert_ne!(one.log().stamp().incarnation(), before.incarnation());
        assert_eq!(one.log().stamp(), two.log().stamp());
        let _ = one.fill("cache:n:load", old, lease).await.unwrap();
        assert_eq!(shown(&two, "cache:n:load").await, None, "{loss}");
        two.set(vec![("cache:n:load", entry(&two, "new"))])
            .await
            .unwrap();
        assert_eq!(shown(&one, "cache:n:load").await.as_deref(), Some("new"));
        one.invalidate(&[Record::Key("cache:n:load".into())])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_invalidation_that_finds_no_log_applies() {
    let server = MemcachedServer::start();
    let (one, two) = (quiet_node(&server).await, quiet_node(&server).await);
    let key = key("k");
    one.set(vec![(&key, entry(&one, "old"))]).await.unwrap();
    server.cli(&format!("md {LOG}"));
    let done = one.invalidate(&[Record::Tag("t".into())]).await.unwrap();
    assert_eq!(done.state, Invalidated::Applied);
    assert_eq!(one.log().stamp().sequence(), 1);
    assert_eq!(shown(&two, &key).await, None);
}

#[tokio::test]
async fn under_eviction_values_are_lost_but_none_is_shown_that_was_invalidated() {
    let server = MemcachedServer::start_with(&["-m", "2"]);
    let caches = [cache(node(&server).await), cache(node(&server).await)];
    let filler = "x".repeat(4_000);
    for round in 0..20 {
        let (one, two) = (&caches[round % 2], &caches[(round + 1) % 2]);
        let values: Vec<_> = (0..100)
            .map(|n| (format!("{round}:{n}"), format!("{round} {filler}")))
            .collect();
        for (name, value) in &values {
            one.set(name, value).tag(name.clone()).await.unwrap();
        }
        for (name, value) in &values {
            let read: Option<String> = text(two, name).await;
            assert!(
                read.is_none() || read.as_ref() == Some(value),
                "{name} in round {round}"
            );
            two.invalidate_tag(name).await.unwrap();
            assert_eq!(text(one, name).await, None, "{name} in round {round}");
        }
    }
    assert!(server.stat("evictions") > 0, "the test is about that");
}

#[tokio::test]
async fn a_server_that_is_full_and_evicts_nothing_still_takes_invalidations() {
    let server = MemcachedServer::start_with(&["-M", "-m", "2"]);
    let (one, two) = (cache(node(&server).await), cache(node(&server).await));
    let tags: Vec<_> = (0..500)
        .map(|n| format!("a tag that takes some room {n}"))
        .collect();
    for tag in &tags {
        one.set(tag, "v").tag(tag.clone()).await.unwrap();
    }
    let filler = "x".repeat(1_000);
    for size in [1_000, 400, 100, 10] {
        let fills = async |n: usize| one.set(&format!("{size}:{n}"), &filler[..size]).await;
        let mut n = 0;
        let full = loop {
            match fills(n).await {
                Ok(()) => n += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::Unready);
        assert!(full.to_string().contains("memory is full"), "{full}");
    }
    for tag in &tags {
        let applied = one.invalidate_tag(tag).await.unwrap();
        assert_eq!(applied, Invalidated::Applied);
        assert_eq!(text(&one, tag).await, None);
        assert_eq!(text(&two, tag).await, None);
    }
    assert!(server.item(LOG).is_some());
}

#[tokio::test]
async fn a_node_that_missed_more_than_the_log_remembers_hides_what_is_in_doubt() {
    let server = MemcachedServer::start();
    let small = || build(patient(server.url()).log_bytes(8 << 10));
    let (one, two) = (cache(small().await), quiet_node(&server).await);
    let other = cache(two);
    other.set("tagged", "v").tag("first").await.unwrap();
    other.set("plain", "v").await.unwrap();
    one.invalidate_tag("first").await.unwrap();
    for n in 0..500 {
        one.invalidate_tag(&format!("tag {n}")).await.unwrap();
        one.invalidate(&format!("key {n}")).await.unwrap();
    }
    assert!(server.item(LOG).unwrap().len() < 9_000);
    assert_eq!(text(&other, "tagged").await, None);
    assert_eq!(text(&other, "plain").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn what_is_no_memcached_or_one_without_cas_is_refused_when_the_provider_is_built() {
    let server = MemcachedServer::start_with(&["-C"]);
    let error = hasty(server.url()).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("without -C"), "{error}");

    let redis = RedisServer::start();
    let url = format!("memcache://{}", redis.address());
    let error = hasty(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");

    let nobody = format!("memcache://127.0.0.1:{}", free_port());
    let error = hasty(&nobody).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("127.0.0.1:"), "{error}");
    let lazy = cache(hasty(&nobody).lazy().build().await.unwrap());
    assert_eq!(load(&lazy, "computed").await, "computed");
    assert_eq!(lazy.invalidate("k").await.unwrap(), Invalidated::Pending);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_their_names() {
    let builder = || MemcachedProvider::builder("memcache://127.0.0.1");
    for (builder, name) in [
        (builder().key_prefix(""), "key prefix"),
        (builder().command_timeout(Duration::ZERO), "command_timeout"),
        (builder().touch_bound(SHORT), "touch_bound"),
        (builder().log_bytes(1_000), "log_bytes"),
        (
            MemcachedProvider::builder("redis://127.0.0.1"),
            "memcache://",
        ),
    ] {
        let error = builder.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(name), "{error}");
    }
}
