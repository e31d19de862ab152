//! Reads of single keys that come at one moment: they share commands, and nothing else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use cache_core::provider::Slot;
use cache_core::{Error, ErrorKind, Provider, RedisProvider, Result};
use cache_tests::redis_node::{answers, build, entry, key, node, refused, set, slow};
use cache_tests::redis_server::RedisServer;

type Read = Pin<Box<dyn Future<Output = Result<Option<String>>> + Send>>;

/// A read that has begun, so that it is under way although nobody waits for it yet.
fn begun(node: &Arc<RedisProvider>, name: &str) -> Read {
    let (node, key) = (Arc::clone(node), key(name));
    let mut read: Read = Box::pin(async move {
        let slots = node.get(&[&key]).await?;
        let [Slot::Entry(entry)] = &slots[..] else {
            return Ok(None);
        };
        entry.payload().value().map(Some)
    });
    let mut context = Context::from_waker(Waker::noop());
    let polled = read.as_mut().poll(&mut context);
    assert!(polled.is_pending(), "{polled:?}");
    read
}

/// Reads that have begun, of `count` keys that hold their own numbers.
async fn numbered(server: &RedisServer, node: &Arc<RedisProvider>, count: usize) -> Vec<Read> {
    let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    for name in &names {
        set(node, &key(name), entry(node, name)).await;
    }
    assert_eq!(server.calls_of("mget"), 0);
    names.iter().map(|name| begun(node, name)).collect()
}

async fn text(read: Read) -> Option<String> {
    read.await.expect("the read")
}

#[tokio::test]
async fn reads_at_one_moment_share_a_command_and_each_has_its_own_answer() {
    let server = RedisServer::start();
    let node = Arc::new(node(&server).await);
    let reads = numbered(&server, &node, 40).await;
    let absent = begun(&node, "absent");
    for (number, read) in reads.into_iter().enumerate() {
        assert_eq!(text(read).await, Some(number.to_string()));
    }
    assert_eq!(text(absent).await, None);
    assert_eq!(
        server.calls_of("mget"),
        2,
        "the first alone, then the others"
    );
}

#[tokio::test]
async fn a_command_asks_for_no_more_than_64_keys() {
    let server = RedisServer::start();
    let node = Arc::new(node(&server).await);
    for read in numbered(&server, &node, 1 + 64 + 64 + 7).await {
        assert!(text(read).await.is_some());
    }
    assert_eq!(server.calls_of("mget"), 4);
}

#[tokio::test]
async fn readers_who_leave_or_stand_still_keep_nobody_waiting() {
    let server = RedisServer::start();
    let node = Arc::new(node(&server).await);
    let mut reads = numbered(&server, &node, 10).await;
    drop(reads.remove(5));
    drop(reads.remove(0));
    // The first of those that were gathered is not polled again before the others have ended.
    let first = reads.remove(0);
    let others = reads.into_iter().map(text);
    let others = tokio::time::timeout(Duration::from_secs(10), async {
        let mut texts = Vec::new();
        for other in others {
            texts.extend(other.await);
        }
        texts
    });
    let others = others.await.expect("in time");
    assert_eq!(others, ["2", "3", "4", "6", "7", "8", "9"]);
    assert_eq!(text(first).await.as_deref(), Some("1"));
    assert!(server.calls_of("mget") <= 2, "nobody had to ask again");
}

#[tokio::test]
async fn a_read_is_not_answered_by_a_command_that_was_sent_before_it_began() {
    let server = RedisServer::start();
    let node = Arc::new(node(&server).await);
    set(&node, &key("x"), entry(&node, "x")).await;
    server.pause();
    let mut reads = vec![begun(&node, "x"), begun(&node, "x")];
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    reads.push(begun(&node, "x"));
    server.resume();
    for read in reads {
        assert_eq!(text(read).await.as_deref(), Some("x"));
    }
    assert_eq!(server.calls_of("mget"), 3);
}

#[tokio::test]
async fn a_key_that_may_not_be_read_fails_its_own_reader_only() {
    let server = RedisServer::start();
    let rules = [
        "on",
        ">secret",
        "~cache:n:open*",
        "~{cache}*",
        "&*",
        "+@all",
    ];
    let _: () = server.cli(&[&["ACL", "SETUSER", "ada"], &rules[..]].concat());
    let url = server.url().replace("redis://", "redis://ada:secret@");
    let (root, ada) = (
        node(&server).await,
        build(RedisProvider::builder(url)).await,
    );
    for name in ["open", "shut"] {
        set(&root, &key(name), entry(&root, name)).await;
    }
    let ada = Arc::new(ada);
    let [alone, shut, open] = ["open", "shut", "open"].map(|name| begun(&ada, name));
    assert_eq!(text(open).await.as_deref(), Some("open"));
    assert_eq!(refused(shut.await).kind(), ErrorKind::Backend);
    assert_eq!(text(alone).await.as_deref(), Some("open"));
}

#[tokio::test]
async fn every_read_ends_in_time_and_counts_for_the_breaker() {
    // Longer than a busy machine takes for what comes before the pause.
    let timeout = Duration::from_secs(2);
    let server = RedisServer::start();
    let builder = slow(RedisProvider::builder(server.url())).command_timeout(timeout);
    let node = Arc::new(build(builder).await);
    let reads = numbered(&server, &node, 4).await;
    for read in reads {
        assert!(text(read).await.is_some());
    }
    server.pause();
    let began = Instant::now();
    let reads = ["0", "1", "2", "3"].map(|name| begun(&node, name));
    for read in reads {
        assert_eq!(refused(read.await).kind(), ErrorKind::Timeout);
    }
    assert!(began.elapsed() < timeout * 2, "{:?}", began.elapsed());
    let error: Error = refused(node.get(&[&key("0")]).await);
    assert_eq!(error.kind(), ErrorKind::Connection, "spared the wait");
    server.resume();
}

#[tokio::test]
async fn large_values_are_asked_for_a_few_at_a_time() {
    let server = RedisServer::start();
    let node = Arc::new(node(&server).await);
    let large = "x".repeat(100 << 10);
    set(&node, &key("large"), entry(&node, &large)).await;
    for commands in [2, 1 + 8] {
        let before = server.calls_of("mget");
        let reads: Vec<_> = (0..17).map(|_| begun(&node, "large")).collect();
        for read in reads {
            assert_eq!(text(read).await.as_deref(), Some(&*large));
        }
        assert_eq!(server.calls_of("mget") - before, commands);
    }
}

#[test]
fn readers_go_alone_where_the_providers_runtime_has_ended() {
    let server = RedisServer::start();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime")
    };
    let (first, second) = (runtime(), runtime());
    let node = Arc::new(first.block_on(async {
        let node = node(&server).await;
        set(&node, &key("x"), entry(&node, "x")).await;
        node
    }));
    first.shutdown_background();
    second.block_on(async {
        // The connection ended with its runtime; another is made.
        answers(&node, &key("x")).await;
        let began = Instant::now();
        let reads: Vec<_> = (0..8).map(|_| begun(&node, "x")).collect();
        for read in reads {
            assert_eq!(text(read).await.as_deref(), Some("x"));
        }
        assert!(began.elapsed() < Duration::from_secs(5), "nobody timed out");
    });
}
