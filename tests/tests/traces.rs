//! What is told of loads, of calls of a server, and of reads; and that memory hits tell nothing.

use std::time::Duration;

use cache_core::testkit::{Gate, followers};
use cache_core::{Cache, ErrorKind};
use cache_tests::listener::{Fields, Listener};
use cache_tests::redis_node::node;
use cache_tests::redis_server::RedisServer;

const KEY: &str = "secret-key";
const VALUE: &str = "secret-value";

async fn loaded(cache: &Cache) -> String {
    let load = || async {
        tokio::task::yield_now().await;
        tracing::info!("at work");
        Ok::<_, ()>(VALUE.to_owned())
    };
    cache.get_or_set(KEY, load).await.unwrap()
}

fn outcomes(spans: &[Fields]) -> Vec<Option<&str>> {
    spans
        .iter()
        .map(|it| it.get("outcome").map(String::as_str))
        .collect()
}

fn whys(reads: &[Fields]) -> Vec<&str> {
    reads.iter().map(|it| &*it["why"]).collect()
}

#[tokio::test]
async fn a_hit_in_memory_tells_nothing() {
    let cache = Cache::memory().namespace("users");
    cache.set(KEY, VALUE).await.unwrap();
    let (listener, _guard) = Listener::listening();
    assert_eq!(
        cache.get::<String>(KEY).await.unwrap().as_deref(),
        Some(VALUE)
    );
    assert!(cache.read::<String>(KEY).await.unwrap().value.is_some());
    assert_eq!(loaded(&cache).await, VALUE);
    assert!(listener.is_silent(), "{listener:?}");
}

#[tokio::test]
async fn a_load_runs_in_a_span_that_says_whose_it_is_and_how_it_ended() {
    let cache = Cache::memory().namespace("users");
    let (listener, _guard) = Listener::listening();
    loaded(&cache).await;
    tracing::info!("afterwards");
    let failed = cache.get_or_set("b", || async { Err::<u8, _>("no") }).await;
    assert!(failed.is_err());
    let spans = listener.spans("cache.load");
    assert_eq!(outcomes(&spans), [Some("ok"), Some("error")]);
    assert_eq!(
        (&*spans[0]["provider"], &*spans[0]["namespace"]),
        ("memory", "users")
    );
    assert_eq!(listener.said_in("at work"), Some("cache.load"));
    assert_eq!(listener.said_in("afterwards"), None);
    assert_eq!(whys(&listener.reads()), ["absent", "absent"]);
    assert!(!listener.has_heard("secret"), "{listener:?}");
}

#[tokio::test]
async fn a_load_that_is_dropped_has_no_outcome() {
    let cache = Cache::memory();
    let (listener, _guard) = Listener::listening();
    let endless = cache.get_or_set("a", std::future::pending::<Result<u8, ()>>);
    let ended = tokio::time::timeout(Duration::from_millis(1), endless).await;
    assert!(ended.is_err());
    assert_eq!(outcomes(&listener.spans("cache.load")), [None]);
}

#[tokio::test]
async fn who_waits_for_another_says_so_and_has_no_span() {
    let cache = Cache::memory().namespace("users");
    let (gate, held) = Gate::new();
    let leads = cache.clone();
    let leader = tokio::spawn(async move {
        let load = || async {
            held.pass().await;
            Ok::<_, ()>(VALUE.to_owned())
        };
        leads.get_or_set(KEY, load).await
    });
    gate.entered().await;
    let (listener, _guard) = Listener::listening();
    let follower = loaded(&cache);
    let open = async {
        while followers(&cache, KEY) == 0 {
            tokio::task::yield_now().await;
        }
        gate.open();
    };
    let (value, ()) = tokio::join!(follower, open);
    assert_eq!(value, VALUE);
    leader.await.unwrap().unwrap();
    assert!(listener.spans("cache.load").is_empty());
    let reads = listener.reads();
    assert_eq!(whys(&reads), ["hit"]);
    assert_eq!(
        (&*reads[0]["from"], &*reads[0]["namespace"]),
        ("load", "users")
    );
}

#[tokio::test]
async fn calls_of_a_server_are_spans_with_operation_and_outcome() {
    let server = RedisServer::start();
    let cache = Cache::builder(node(&server).await).build().unwrap();
    let cache = cache.namespace("users");
    let (listener, _guard) = Listener::listening();
    cache.set(KEY, VALUE).await.unwrap();
    assert_eq!(
        cache.get::<String>(KEY).await.unwrap().as_deref(),
        Some(VALUE)
    );
    let error = cache.increment(KEY, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    cache.invalidate(KEY).await.unwrap();
    let calls = listener.spans("cache.call");
    let operations: Vec<&str> = calls.iter().map(|it| &*it["operation"]).collect();
    assert_eq!(operations, ["set", "get", "increment", "invalidate"]);
    let ok = Some("ok");
    assert_eq!(outcomes(&calls), [ok, ok, Some("wrong_type"), ok]);
    for call in &calls {
        assert_eq!(
            (&*call["provider"], &*call["namespace"]),
            ("redis", "users")
        );
    }
    let reads = listener.reads();
    assert_eq!((whys(&reads), &*reads[0]["from"]), (vec!["hit"], "remote"));
    assert!(!listener.has_heard("secret"), "{listener:?}");
}
