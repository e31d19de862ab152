//! How a wait ends: by a value, by what makes the load worthless, by its end, or by the bound.

use std::time::{Duration, Instant};

use cache_core::engine::{Published, Turn};
use cache_core::testkit::Gate;
use cache_core::{Cache, EntryOptions, Owner};
use cache_tests::redis_node::{build, lead, patient};
use cache_tests::redis_server::RedisServer;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{FAR, KEY, Node, SOON, ended, node, somebody_looks_again};

async fn act(name: &str, cache: &Cache) {
    match name {
        "key" => cache.invalidate(KEY).await.map(drop),
        "delete" => cache.delete(KEY).await.map(drop),
        "tag" => cache.invalidate_tag("t").await.map(drop),
        "pattern" => cache.invalidate_pattern("*").await.map(drop),
        _ => cache.clear().await.map(drop),
    }
    .unwrap();
}

/// The other's load is held all the time: nothing but the invalidation can end the wait.
#[tokio::test]
async fn what_invalidates_the_load_ends_the_wait_for_it() {
    let server = RedisServer::start();
    let [one, two, actor] = [
        node(&server).await,
        node(&server).await,
        node(&server).await,
    ];
    for name in ["key", "delete", "tag", "pattern", "clear"] {
        let (gate, first) = one.hold(Ok("old")).await;
        let herd = two.herd("new").await;
        let loads = two.loads();
        somebody_looks_again(&server).await;
        let start = Instant::now();
        act(name, &actor.cache).await;
        herd.has("new").await;
        println!("{name}: all had a new value after {:?}", start.elapsed());
        assert_eq!(two.loads(), loads + 1, "{name}: one load for the herd");
        gate.open();
        assert_eq!(ended(first).await.as_deref(), Ok("old"), "{name}");
        for node in [&one, &two, &actor] {
            assert_eq!(node.stored().await.as_deref(), Some("new"), "{name}");
        }
        actor.cache.delete(KEY).await.unwrap();
    }
}

#[tokio::test]
async fn after_an_invalidation_all_who_waited_have_one_new_load() {
    let server = RedisServer::start();
    let [one, two, three] = [
        node(&server).await,
        node(&server).await,
        node(&server).await,
    ];
    // With its script on the server, an invalidation is one record.
    two.cache.invalidate(KEY).await.unwrap();
    let (_gate, _first) = one.hold(Ok("old")).await;
    let (gate, held) = Gate::new();
    let leaders = [&two, &three].map(|node| node.spawn(Ok("new"), Some(held.clone())));
    let herds = [
        two.herd_behind_it("newer").await,
        three.herd_behind_it("newer").await,
    ];
    two.cache.invalidate(KEY).await.unwrap();
    cache_core::testkit::delivered(&three.cache, &two.cache).await;
    gate.entered().await;
    somebody_looks_again(&server).await;
    assert_eq!(two.loads() + three.loads(), 1);
    gate.open();
    for leader in leaders {
        assert_eq!(ended(leader).await.as_deref(), Ok("new"));
    }
    for herd in herds {
        herd.has("new").await;
    }
}

#[tokio::test]
async fn a_value_that_is_set_meanwhile_ends_the_wait() {
    let server = RedisServer::start();
    let [one, two, actor] = [
        node(&server).await,
        node(&server).await,
        node(&server).await,
    ];
    let (gate, first) = one.hold(Ok("old")).await;
    let herd = two.herd("new").await;
    actor.cache.set(KEY, "set").await.unwrap();
    herd.has("set").await;
    gate.open();
    assert_eq!(ended(first).await.as_deref(), Ok("old"));
    assert_eq!(two.stored().await.as_deref(), Some("set"));
    assert_eq!(two.loads(), 0);
}

/// The value is stored, with the tag that hides it; who waited learns of the tag only now.
#[tokio::test]
async fn a_value_whose_tag_was_invalidated_meanwhile_is_not_taken() {
    let server = RedisServer::start();
    let [one, two] = [node(&server).await, node(&server).await];
    let unknown = EntryOptions::new();
    let Turn::Lead(ticket) = one.cache.turn(KEY, Owner::HANDLE, &unknown).await else {
        panic!("nothing is there");
    };
    let cache = two.cache.clone();
    let waiting = tokio::spawn(async move { cache.turn(KEY, Owner::HANDLE, &unknown).await });
    somebody_looks_again(&server).await;
    two.cache.invalidate_tag("late").await.unwrap();
    let published = ticket.publish("old".to_owned(), EntryOptions::new().tag("late"));
    assert_eq!(published.await, Published::Stored);
    let turn = timeout(SOON, waiting).await.expect("no long wait").unwrap();
    let Turn::Lead(ticket) = turn else {
        panic!("{turn:?}");
    };
    let published = ticket.publish("new".to_owned(), EntryOptions::new());
    assert_eq!(published.await, Published::Stored);
    assert_eq!(one.stored().await.as_deref(), Some("new"));
}

/// Nobody queues up: both load, although one of them could wait for the other again.
#[tokio::test]
async fn when_the_load_fails_all_who_waited_load_at_once() {
    let server = RedisServer::start();
    let [one, two, three] = [
        node(&server).await,
        node(&server).await,
        node(&server).await,
    ];
    let (gate, first) = one.hold(Err("out of order")).await;
    let (both, held) = Gate::new();
    let loads: Vec<_> = [&two, &three]
        .map(|node| node.spawn(Ok("v"), Some(held.clone())))
        .into();
    somebody_looks_again(&server).await;
    let herds = [
        two.herd_behind_it("w").await,
        three.herd_behind_it("w").await,
    ];
    assert_eq!(two.loads() + three.loads(), 0);
    gate.open();
    assert_eq!(ended(first).await, Err("out of order"));
    for _ in &loads {
        let entered = timeout(SOON, both.entered()).await;
        entered.expect("a load that waits for nobody");
    }
    both.open();
    for load in loads {
        assert_eq!(ended(load).await.as_deref(), Ok("v"));
    }
    for herd in herds {
        herd.has("v").await;
    }
    assert_eq!(two.stored().await.as_deref(), Some("v"));
}

#[tokio::test]
async fn when_the_process_that_loads_dies_its_lease_runs_out() {
    let server = RedisServer::start();
    let lease = Duration::from_millis(1_500);
    let dead = build(patient(&server).lease_ttl(lease)).await;
    lead(&dead, "cache::k").await;
    let two = node(&server).await;
    let herd = two.herd("v").await;
    assert_eq!(two.loads(), 0);
    herd.has("v").await;
    assert_eq!((two.loads(), two.stored().await.as_deref()), (1, Some("v")));
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_joined() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let two = Cache::builder(build(patient(&server)).await)
        .distributed_lock(true)
        .flight_wait(FAR)
        .lock_wait(Duration::from_millis(300));
    let two = Node::new(two);
    let (gate, first) = one.hold(Ok("slow")).await;
    let start = Instant::now();
    two.herd("quick").await.has("quick").await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(two.loads(), 1, "one load for the herd");
    assert_eq!(two.stored().await.as_deref(), Some("quick"));
    gate.open();
    assert_eq!(ended(first).await.as_deref(), Ok("slow"));
    assert_eq!(one.stored().await.as_deref(), Some("quick"), "it was first");
}

fn nested(
    cache: &Cache,
    keys: [&'static str; 2],
    value: &'static str,
) -> (Gate, JoinHandle<Result<String, &'static str>>) {
    let (cache, (gate, held)) = (cache.clone(), Gate::new());
    let [outer, inner] = keys;
    let load = async move {
        let load = || async {
            held.pass().await;
            let load = || async { Ok(value.to_owned()) };
            cache.get_or_set(inner, load).await
        };
        cache.get_or_set(outer, load).await
    };
    (gate, tokio::spawn(load))
}

/// Each holds what the other wants: nobody can tell, so that the bound has to end it.
#[tokio::test]
async fn a_circle_of_nodes_that_wait_for_each_other_ends() {
    let server = RedisServer::start();
    let wait = Duration::from_millis(300);
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let builder = Cache::builder(build(patient(&server)).await).distributed_lock(true);
        let builder = builder.flight_wait(FAR).lock_wait(wait);
        nodes.push(builder.build().unwrap());
    }
    let (one, x) = nested(&nodes[0], ["x", "y"], "one");
    let (two, y) = nested(&nodes[1], ["y", "x"], "two");
    one.entered().await;
    two.entered().await;
    one.open();
    two.open();
    for load in [x, y] {
        let value = ended(load).await.unwrap();
        assert!(["one", "two"].contains(&&*value));
    }
    for cache in &nodes {
        assert!(cache.exists("x").await.unwrap() && cache.exists("y").await.unwrap());
    }
}
