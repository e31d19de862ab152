//! What nodes on one server are told of each other's invalidations.

use std::time::Duration;

use cache_core::{Cache, Consistency, Event, Events, InvalidatedBy};
use cache_tests::redis_node::{deaf, node};
use cache_tests::redis_server::RedisServer;

/// A node whose scripts the server has: until then a call is sent twice, and a record appended twice.
async fn cache(server: &RedisServer) -> Cache {
    let cache = Cache::builder(node(server).await).build().unwrap();
    cache.invalidate("before").await.unwrap();
    cache.namespace("users")
}

async fn next(events: &mut Events) -> Event {
    let next = tokio::time::timeout(Duration::from_secs(20), events.next());
    next.await.expect("something happens").expect("it goes on")
}

async fn next_invalidated(events: &mut Events) -> InvalidatedBy {
    match next(events).await {
        Event::Invalidated(by) => by,
        other => panic!("{other:?}"),
    }
}

async fn told_of_all(mut events: Events) {
    match next(&mut events).await {
        Event::Replaced(it) => assert_eq!((it.namespace(), it.key()), ("users", "a")),
        other => panic!("{other:?}"),
    }
    match next_invalidated(&mut events).await {
        InvalidatedBy::Key(it) => assert_eq!((it.namespace(), it.key()), ("users", "a")),
        other => panic!("{other:?}"),
    }
    let by = next_invalidated(&mut events).await;
    assert_eq!(by, InvalidatedBy::Tag("t".into()));
    match next_invalidated(&mut events).await {
        InvalidatedBy::Pattern(it) => assert_eq!((it.namespace(), it.key()), ("users", "a*")),
        other => panic!("{other:?}"),
    }
    let by = next_invalidated(&mut events).await;
    assert_eq!(by, InvalidatedBy::Namespace("users".into()));
}

#[tokio::test]
async fn every_node_is_told_of_what_one_invalidates_and_writes() {
    let server = RedisServer::start();
    let (here, there) = (cache(&server).await, cache(&server).await);
    // What came before has reached both.
    for node in [&here, &there] {
        node.with_consistency(Consistency::Strict)
            .get::<String>("a")
            .await
            .unwrap();
    }
    let (near, far) = (here.events(), there.events());
    here.set("a", "value").await.unwrap();
    here.invalidate("a").await.unwrap();
    here.invalidate_tag("t").await.unwrap();
    here.invalidate_pattern("a*").await.unwrap();
    here.clear().await.unwrap();
    told_of_all(near).await;
    told_of_all(far).await;
}

#[tokio::test]
async fn what_a_load_stores_and_a_counter_adds_is_not_told() {
    let server = RedisServer::start();
    let cache = cache(&server).await;
    cache.increment("n", 1).await.unwrap();
    let mut events = cache.events();
    let load = || async { Ok::<_, String>("loaded".to_owned()) };
    cache.get_or_set("a", load).await.unwrap();
    cache.increment("n", 1).await.unwrap();
    cache.invalidate("last").await.unwrap();
    let told = next_invalidated(&mut events).await;
    assert!(matches!(told, InvalidatedBy::Key(it) if it.key() == "last"));
    assert_eq!(events.try_next(), None);
}

#[tokio::test]
async fn a_node_that_may_have_missed_something_says_so() {
    let server = RedisServer::start();
    let provider = deaf(&server).build().await.unwrap();
    let cache = Cache::builder(provider).build().unwrap();
    let mut events = cache.events();
    let _: () = server.cli(&["FLUSHALL"]);
    // It learns of the new log when it appends.
    cache.invalidate("a").await.unwrap();
    let mut told = vec![next(&mut events).await];
    told.extend(std::iter::from_fn(|| events.try_next()));
    assert!(told.contains(&Event::Resynced), "{told:?}");
}
