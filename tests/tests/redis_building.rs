//! Building a provider: what cannot be reached, or cannot work.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cache_core::log::Record;
use cache_core::testkit::eventually;
use cache_core::{Clock, ErrorKind, Provider, RedisProvider, RedisProviderBuilder};
use cache_tests::redis_node::{
    build, deaf_node, delivered, entry, fill, invalidate, key, key_record, lead, node, refused,
    set, shown, tagged,
};
use cache_tests::redis_server::{RedisServer, free_port};
use cache_tests::tcp_proxy::{TcpProxy, Weather};

const SHORT: Duration = Duration::from_millis(400);

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
