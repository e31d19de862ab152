//! Writes on a Redis Cluster that end halfway, and nodes that stand still or refuse.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use cache_core::testkit::eventually;
use cache_core::{Cache, EntryOptions, MemoryTier, OnFailover, Provider, RedisProvider};
use cache_tests::cluster::{Cluster, PRIMARIES, slot_of};
use cache_tests::cluster_node::{cluster_node, over, patient};
use cache_tests::redis_node::{build, entry, invalidate, key_record, set, shown, slow};

const LOG: &str = "{cache}:inv";
const SHORT: Duration = Duration::from_millis(300);

fn tiered(provider: RedisProvider) -> Cache {
    let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
    builder.build().expect("the cache is built").namespace("n")
}

/// The name, in the namespace `n`, of a key on a node.
fn name_on(cluster: &Cluster, node: usize) -> String {
    cluster
        .key_on(node, "cache:n:k")
        .split_off("cache:n:".len())
}

/// A node that has not the log.
fn without_log(cluster: &Cluster) -> usize {
    (cluster.owner_of(LOG) + 1) % PRIMARIES
}

async fn becomes(cache: &Cache, name: &str, expected: Option<&str>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while cache
        .get::<String>(name)
        .await
        .expect("the read")
        .as_deref()
        != expected
    {
        assert!(Instant::now() < deadline, "the old value is still shown");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn copies_go_although_the_one_who_set_was_gone_before_it_was_told() {
    let cluster = Cluster::start();
    let (one, two) = (cluster_node(&cluster).await, cluster_node(&cluster).await);
    let (one, two) = (tiered(one), tiered(two));
    let node = without_log(&cluster);
    let name = name_on(&cluster, node);
    // From here on the node knows the script.
    one.set(&name, "warm").await.unwrap();
    one.set(&name, "old").await.unwrap();
    for cache in [&one, &two] {
        assert_eq!(
            cache.get::<String>(&name).await.unwrap().as_deref(),
            Some("old")
        );
    }
    cluster.pause(node);
    let mut setting = Box::pin(async { one.set(&name, "new").await });
    let mut context = Context::from_waker(Waker::noop());
    // First it asks for the head of the log, which another node has.
    for _ in 0..20 {
        assert!(setting.as_mut().poll(&mut context).is_pending());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(setting);
    cluster.resume(node);
    for cache in [&one, &two] {
        becomes(cache, &name, None).await;
    }
}

#[tokio::test]
async fn copies_go_although_a_part_of_the_batch_was_sent_on_to_a_node_that_is_gone() {
    let mut cluster = Cluster::start_with(&["--cluster-require-full-coverage", "no"]);
    let node = without_log(&cluster);
    let target = (node + 1) % PRIMARIES;
    let (done, moved) = (
        "cache:n:{done}".to_owned(),
        cluster.key_on(node, "cache:n:m"),
    );
    cluster_owner(&cluster, &done, node);
    let two = tiered(cluster_node(&cluster).await);
    let one = tiered(build(slow(over(&cluster)).command_timeout(SHORT)).await);
    let names = [&done, &moved].map(|key| key.split_at("cache:n:".len()).1.to_owned());
    for name in &names {
        one.set(name, "old").await.unwrap();
        assert_eq!(
            two.get::<String>(name).await.unwrap().as_deref(),
            Some("old")
        );
    }
    let (other, gone) = (name_on(&cluster, node), name_on(&cluster, target));
    cluster.move_slot(slot_of(&moved), target);
    cluster.kill(target);
    for _ in 0..3 {
        // From here on its connections are refused at once: nothing is sent there.
        one.get::<String>(&gone).await.unwrap_err();
    }
    let values: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "new".to_owned()))
        .collect();
    one.set_many(&values, EntryOptions::new())
        .await
        .unwrap_err();
    // What hides it here is delivered with the next write.
    one.set(&other, "value").await.unwrap();
    becomes(&two, &names[0], None).await;
}

/// Has a key's slot be on a node.
fn cluster_owner(cluster: &Cluster, key: &str, node: usize) {
    if cluster.owner_of(key) != node {
        cluster.move_slot(slot_of(key), node);
    }
}

#[tokio::test]
async fn what_is_kept_over_a_failover_is_kept_when_its_slot_moves() {
    let mut cluster = Cluster::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let log = cluster.owner_of(LOG);
    let key = cluster.key_on(without_log(&cluster), "cache:n:k");
    let soon = patient(&cluster).heartbeat(Duration::from_millis(100));
    let node = build(soon.on_failover(OnFailover::Reappend)).await;
    invalidate(&node, key_record(&key)).await;
    set(&node, &key, entry(&node, "kept")).await;
    let before = node.log().stamp().incarnation();
    cluster.kill(log);
    cluster.restart(log);
    cluster.wait_until_settled();
    eventually("the log goes on", || {
        node.log().stamp().incarnation() != before
    })
    .await;
    eventually("the node is in touch", || {
        node.log().in_touch(node.clock().now())
    })
    .await;
    assert_eq!(shown(&node, &key).await.as_deref(), Some("kept"));
    let target = (0..PRIMARIES).find(|&node| node != log && node != cluster.owner_of(&key));
    let target = target.expect("a third node");
    cluster.move_slot(slot_of(&key), target);
    let calls = || cluster.server(target).calls_of("evalsha");
    let before = calls();
    // It does not know the script at first.
    eventually("its new node is settled", || calls() >= before + 2).await;
    assert_eq!(shown(&node, &key).await.as_deref(), Some("kept"));
}

#[tokio::test]
async fn a_node_that_stands_still_costs_few_calls_their_time_and_the_others_nothing() {
    let cluster = Cluster::start_with(&["--cluster-require-full-coverage", "no"]);
    let node = without_log(&cluster);
    let away = cluster.key_on(node, "cache:n:k");
    let here = cluster.key_on((node + 1) % PRIMARIES, "cache:n:k");
    cluster.pause(node);
    let quick = over(&cluster)
        .command_timeout(SHORT)
        .heartbeat(Duration::from_millis(100));
    let reader = build(quick.touch_bound(SHORT * 3)).await;
    set(&reader, &here, entry(&reader, "v")).await;
    let (began, mut slow) = (Instant::now(), 0);
    while began.elapsed() < SHORT * 16 {
        let asked = Instant::now();
        assert!(reader.get(&[&away]).await.is_err());
        slow += u32::from(asked.elapsed() > SHORT / 2);
        assert!(reader.log().in_touch(reader.clock().now()));
        assert_eq!(shown(&reader, &here).await.as_deref(), Some("v"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Three in a row open the breaker, and one is let through every half second.
    assert!(slow <= 10, "{slow} calls waited");
    cluster.resume(node);
}

#[tokio::test]
async fn a_node_that_refuses_does_not_keep_others_from_the_log() {
    let cluster = Cluster::start();
    let node = without_log(&cluster);
    let key = cluster.key_on((node + 1) % PRIMARIES, "cache:n:k");
    let _: () = cluster
        .server(node)
        .cli(&["CONFIG", "SET", "requirepass", "another"]);
    let reader = cluster_node(&cluster).await;
    set(&reader, &key, entry(&reader, "v")).await;
    assert_eq!(shown(&reader, &key).await.as_deref(), Some("v"));
    assert!(reader.log().in_touch(reader.clock().now()));
}
