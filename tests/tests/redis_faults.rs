//! A server that is frozen, gone, full, evicting, or not the right one.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cache_core::log::Record;
use cache_core::provider::Slot;
use cache_core::testkit::eventually;
use cache_core::{
    Cache, Clock, Error, ErrorKind, Invalidated, ManualClock, Provider, RedisProvider,
    RedisProviderBuilder,
};
use cache_tests::redis_node::{
    build, deaf_node, delivered, entry, fill, invalidate, key, key_record, lead, node, refused,
    set, shown, slow, stamped, tagged,
};
use cache_tests::redis_server::{RedisServer, free_port};
use cache_tests::tcp_proxy::{TcpProxy, Weather};

const SHORT: Duration = Duration::from_millis(400);

fn impatient(server: &RedisServer) -> RedisProviderBuilder {
    RedisProvider::builder(server.url()).command_timeout(SHORT)
}

/// Waits until the node's connection has worked off what was sent before.
async fn answers(node: &RedisProvider) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while node.get(&["cache:n:any"]).await.is_err() {
        assert!(Instant::now() < deadline, "the server answers again");
    }
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
    answers(&one).await;
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
    answers(&one).await;
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
        answers(&one).await;
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
        answers(&one).await;
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
    answers(&one).await;
    assert_eq!(server.cli::<i64>(&["PTTL", &key]), -1);
}

#[tokio::test]
async fn a_node_that_hears_nothing_is_out_of_touch_when_its_last_heartbeat_is_too_old() {
    let server = RedisServer::start();
    let manual = ManualClock::new();
    let one = impatient(&server)
        .clock(manual.clock())
        .heartbeat(Duration::from_millis(50))
        .touch_bound(Duration::from_secs(3));
    let one = build(one).await;
    let in_touch = || one.log().in_touch(manual.clock().now());
    assert!(in_touch());
    server.pause();
    // A heartbeat may be on its way; the next one is not answered.
    refused(one.get(&["cache:n:x"]).await);
    manual.advance(Duration::from_millis(2_999));
    assert!(in_touch(), "the bound has not passed");
    manual.advance(Duration::from_millis(1));
    assert!(!in_touch());
    server.resume();
    eventually("the heartbeat is answered again", in_touch).await;
}

#[tokio::test]
async fn touch_counts_from_the_sending_of_the_heartbeat() {
    let server = RedisServer::start();
    let manual = ManualClock::new();
    let bound = Duration::from_secs(3);
    let one = RedisProvider::builder(server.url())
        .clock(manual.clock())
        .heartbeat(Duration::from_millis(200))
        .touch_bound(bound)
        .command_timeout(Duration::from_secs(30));
    let one = build(one).await;
    let blocked = |count| {
        let clients: String = server.cli(&["INFO", "clients"]);
        clients.contains(&format!("blocked_clients:{count}\r"))
    };
    eventually("the tail waits for records", || blocked(1)).await;
    let _: () = server.cli(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    eventually("a heartbeat waits to be answered", || blocked(2)).await;
    let before = server.calls_of("set");
    manual.advance(bound);
    let _: () = server.cli(&["CLIENT", "UNPAUSE"]);
    let in_touch = || one.log().in_touch(manual.clock().now());
    eventually("it is in touch again", in_touch).await;
    // Not by the answer that came so late: by the heartbeat after that.
    assert!(server.calls_of("set") >= before + 2);
}

#[tokio::test]
async fn a_server_that_answers_but_takes_no_writes_keeps_nobody_in_touch() {
    let server = RedisServer::start();
    let manual = ManualClock::new();
    let one = impatient(&server)
        .clock(manual.clock())
        .heartbeat(Duration::from_millis(20))
        .touch_bound(Duration::from_secs(3));
    let one = build(one).await;
    set(&one, "cache:n:x", entry(&one, "x")).await;
    let nobody = free_port().to_string();
    let _: () = server.cli(&["REPLICAOF", "127.0.0.1", &nobody]);
    manual.advance(Duration::from_secs(3));
    let refusals = || server.cli::<String>(&["INFO", "errorstats"]);
    let heard = || refusals().contains("errorstat_READONLY:count=3");
    eventually("heartbeats go on and are refused", heard).await;
    assert!(shown(&one, "cache:n:x").await.is_some(), "it answers");
    assert!(!one.log().in_touch(manual.clock().now()));
    let error = refused(one.set(vec![("cache:n:x", entry(&one, "y"))]).await);
    assert!(error.to_string().contains("read-only replica"), "{error}");
}

#[tokio::test]
async fn a_node_that_stood_still_for_longer_than_the_bound_computes_what_it_is_asked() {
    let server = RedisServer::start();
    let manual = ManualClock::new();
    let still = slow(RedisProvider::builder(server.url()).clock(manual.clock()));
    let still = Cache::builder(build(still).await).build().unwrap();
    still.set("x", "old").await.unwrap();
    let read = async || {
        still
            .get_or_set("x", async || Ok::<_, Error>("new".to_owned()))
            .await
    };
    assert_eq!(read().await.unwrap(), "old");
    manual.advance(Duration::from_secs(3_600) * 2);
    assert_eq!(read().await.unwrap(), "new");
}

#[tokio::test]
async fn what_was_invalidated_while_a_node_was_out_of_touch_is_hidden_when_it_is_back() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("missed");
    set(&one, &key, tagged(&one, "old", &["t"])).await;
    let _: u64 = server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    answers(&two).await;
    invalidate(&two, Record::Tag("t".into())).await;
    delivered(&two, &one).await;
    answers(&one).await;
    assert_eq!(shown(&one, &key).await, None);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_that_names_it() {
    let port = free_port();
    let url = format!("redis://somebody:hunter2@127.0.0.1:{port}");
    let error = refused(RedisProvider::builder(url).build().await);
    assert_eq!(error.kind(), ErrorKind::Connection);
    let shown = format!("{error} {error:?}");
    assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_within_the_connect_timeout() {
    let server = RedisServer::start();
    server.pause();
    let began = Instant::now();
    let builder = RedisProvider::builder(server.url()).connect_timeout(SHORT);
    let error = refused(builder.build().await);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    assert!(!error.to_string().contains("unknown"), "{error}");
}

#[tokio::test]
async fn a_log_that_takes_longer_to_read_than_to_connect_is_read() {
    let server = RedisServer::start();
    let proxy = TcpProxy::start(server.address());
    proxy.turn(Weather::Delay(Duration::from_millis(200)));
    // Two round trips until it has answered, at least three more until the log is read.
    let connect = Duration::from_millis(1_400);
    let builder = RedisProvider::builder(format!("redis://{}", proxy.address()));
    let began = Instant::now();
    let builder = builder.connect_timeout(connect);
    let patient = builder.command_timeout(Duration::from_secs(20));
    let node = build(patient.touch_bound(Duration::from_secs(60))).await;
    assert!(began.elapsed() > connect, "the log was read too soon");
    assert!(node.log().in_touch(Clock::system().now()));
}

#[tokio::test]
async fn a_wrong_password_is_told_without_showing_it() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let url = server.url().replace("redis://", "redis://:hunter2@");
    let error = refused(RedisProvider::builder(url).build().await);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("password") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_cluster_is_refused() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let error = refused(RedisProvider::builder(server.url()).build().await);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("standalone"), "{error}");
}

#[tokio::test]
async fn a_lazy_provider_is_out_of_touch_until_the_server_comes() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let lazy = build(RedisProvider::builder(url).lazy()).await;
    let in_touch = || lazy.log().in_touch(lazy.clock().now());
    assert!(!in_touch());
    let error = refused(lazy.get(&["cache:n:x"]).await);
    assert_eq!(error.kind(), ErrorKind::Connection);
    let error = refused(lazy.set(vec![("cache:n:x", entry(&lazy, "x"))]).await);
    assert_eq!(error.kind(), ErrorKind::Connection);

    let server = RedisServer::start_on(port);
    eventually("the provider finds the server", in_touch).await;
    let other = node(&server).await;
    set(&lazy, "cache:n:x", entry(&lazy, "x")).await;
    assert_eq!(shown(&other, "cache:n:x").await.as_deref(), Some("x"));
    invalidate(&other, key_record("cache:n:x")).await;
    delivered(&other, &lazy).await;
}

#[test]
fn without_a_runtime_the_builder_says_so() {
    let build = pin!(RedisProvider::builder("redis://127.0.0.1").build());
    let Poll::Ready(outcome) = build.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it must not wait for anything");
    };
    let error = refused(outcome);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("Tokio runtime"), "{error}");
}

#[tokio::test]
async fn spans_that_are_longer_than_anybody_counts_are_no_bounds() {
    let settings: [fn(RedisProviderBuilder) -> RedisProviderBuilder; 6] = [
        |builder| builder.touch_bound(Duration::MAX),
        |builder| {
            let period = Duration::from_secs(u64::MAX / 1_000);
            builder.touch_bound(Duration::MAX).heartbeat(period)
        },
        |builder| builder.command_timeout(Duration::MAX),
        |builder| builder.connect_timeout(Duration::MAX),
        |builder| builder.lease_ttl(Duration::MAX),
        |builder| builder.sweep(Duration::MAX),
    ];
    for set_up in settings {
        let server = RedisServer::start();
        let builder = set_up(RedisProvider::builder(server.url()));
        let (one, two) = (build(builder).await, deaf_node(&server).await);
        let key = key("x");
        let lease = lead(&one, &key).await;
        assert!(fill(&one, &key, "filled", lease).await);
        set(&one, &key, entry(&one, "set")).await;
        let tails = || server.calls_of("xread") > 0;
        eventually("the tail waits for records", tails).await;
        invalidate(&two, key_record(&key)).await;
        delivered(&two, &one).await;
        assert_eq!(shown(&one, &key).await, None);
        let stats: String = server.cli(&["INFO", "commandstats"]);
        let reads = stats.lines().find(|line| line.contains("_xread:"));
        assert!(
            reads.is_some_and(|it| it.contains("failed_calls=0")),
            "{reads:?}"
        );
    }
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_connecting() {
    let builder = || RedisProvider::builder("redis://127.0.0.1:1");
    let second = Duration::from_secs(1);
    for (builder, reason) in [
        (builder().key_prefix(""), "prefix"),
        (builder().key_prefix("x".repeat(129)), "prefix"),
        (
            builder().heartbeat(second).touch_bound(second),
            "touch_bound",
        ),
        (builder().command_timeout(Duration::ZERO), "command_timeout"),
        (builder().client_name("two words"), "client name"),
    ] {
        let error = refused(builder.build().await);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn connections_carry_their_name_and_end_with_the_provider() {
    let server = RedisServer::start();
    let named = || {
        let clients: String = server.cli(&["CLIENT", "LIST"]);
        clients.matches("name=under-test ").count()
    };
    let builder = RedisProvider::builder(server.url()).client_name("under-test");
    let one = build(builder).await;
    eventually("both connections are named", || named() == 2).await;
    drop(one);
    eventually("both connections are closed", || named() == 0).await;
}

#[tokio::test]
async fn deployments_with_different_prefixes_do_not_meet() {
    let server = RedisServer::start();
    let with = |prefix: &str| RedisProvider::builder(server.url()).key_prefix(prefix);
    let (shop, blog) = (build(with("shop")).await, build(with("blog")).await);
    assert_eq!(shop.key_prefix(), Some("shop"));
    let before = blog.log().stamp();
    set(&blog, "blog:n:x", tagged(&blog, "kept", &["t"])).await;
    invalidate(&shop, Record::Tag("t".into())).await;
    assert_eq!(shown(&blog, "blog:n:x").await.as_deref(), Some("kept"));
    assert_eq!(
        blog.log().stamp().sequence(),
        before.sequence() + 1,
        "its own set"
    );
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
