//! Nodes of a Redis Cluster that are lost, replaced by replicas that missed something, or back
//! with old data.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use cache_core::log::{Caps, Invalidated, Kind, Record};
use cache_core::testkit::eventually;
use cache_core::{Cache, MemoryTier, Provider, RedisProvider, RedisProviderBuilder};
use cache_tests::cluster::{Cluster, PRIMARIES};
use cache_tests::cluster_node::over;
use cache_tests::redis_node::{
    answers, build, entry, fill, invalidate, key_record, lead, set, shown, tagged,
};

/// Settings for a deployment that is to notice within moments.
fn quick(cluster: &Cluster) -> RedisProviderBuilder {
    over(cluster)
        .heartbeat(Duration::from_millis(100))
        .touch_bound(Duration::from_secs(2))
        .command_timeout(Duration::from_millis(500))
}

/// The node that has the log, and one that has not.
fn log_and_other(cluster: &Cluster) -> (usize, usize) {
    let log = cluster.owner_of("{cache}:inv");
    (log, (log + 1) % PRIMARIES)
}

fn stands(cluster: &Cluster, key: &str) -> bool {
    cluster.cli(key, &["EXISTS", key])
}

async fn in_touch(node: &RedisProvider) {
    eventually("the node is in touch", || {
        node.log().in_touch(node.clock().now())
    })
    .await;
}

/// Waits until the node reads from where the key is now.
async fn reaches(node: &RedisProvider, key: &str) {
    in_touch(node).await;
    answers(node, key).await;
}

/// Loses whatever `primary` takes from now on, and `primary` with it.
async fn lose(cluster: &mut Cluster, primary: usize) {
    cluster.kill(primary);
    cluster.wait_for_takeover(primary);
}

#[tokio::test]
async fn what_the_replica_of_the_log_has_missed_stays_hidden() {
    let mut cluster = Cluster::start_replicated();
    let (log, other) = log_and_other(&cluster);
    let (one, two) = (build(quick(&cluster)).await, build(quick(&cluster)).await);
    let key = cluster.key_on(other, "cache:n:k");
    set(&one, &key, tagged(&one, "old", &["t"])).await;
    cluster.wait_until_replicated(cluster.partner(log));
    cluster.cut_replication(log);
    invalidate(&one, Record::Tag("t".into())).await;
    lose(&mut cluster, log).await;
    assert!(stands(&cluster, &key), "it was not deleted, only hidden");
    let before = one.log().stamp().incarnation();
    for node in [&one, &two] {
        eventually("the node hears of it", || {
            node.log().stamp().incarnation() != before
        })
        .await;
        in_touch(node).await;
        assert_eq!(shown(node, &key).await, None);
    }
    set(&two, &key, tagged(&two, "new", &["t"])).await;
    assert_eq!(shown(&one, &key).await.as_deref(), Some("new"));
    invalidate(&one, Record::Tag("t".into())).await;
    assert_eq!(shown(&one, &key).await, None);
}

#[tokio::test]
async fn a_deletion_that_a_promoted_replica_has_missed_is_made_again() {
    let mut cluster = Cluster::start_replicated();
    let (_, other) = log_and_other(&cluster);
    // Room for one key: what holds afterwards holds by the deletion alone.
    let caps = Caps::DEFAULT.with(Kind::Key, 1);
    let node = build(quick(&cluster).caps(caps)).await;
    let key = cluster.key_on(other, "cache:n:k");
    set(&node, &key, entry(&node, "old")).await;
    cluster.wait_until_replicated(cluster.partner(other));
    cluster.cut_replication(other);
    invalidate(&node, key_record(&key)).await;
    lose(&mut cluster, other).await;
    eventually("it is deleted again", || !stands(&cluster, &key)).await;
    reaches(&node, &key).await;
    invalidate(&node, key_record("cache:n:another")).await;
    assert_eq!(shown(&node, &key).await, None);
}

#[tokio::test]
async fn a_deletion_is_made_again_on_a_node_that_is_back_with_older_data() {
    let mut cluster = Cluster::start();
    let (_, other) = log_and_other(&cluster);
    let caps = Caps::DEFAULT.with(Kind::Key, 1);
    let node = build(quick(&cluster).caps(caps)).await;
    let key = cluster.key_on(other, "cache:n:k");
    set(&node, &key, entry(&node, "old")).await;
    let _: () = cluster.server(other).cli(&["SAVE"]);
    invalidate(&node, key_record(&key)).await;
    cluster.kill(other);
    cluster.restart(other);
    cluster.wait_until_settled();
    eventually("it is deleted again", || !stands(&cluster, &key)).await;
    reaches(&node, &key).await;
    invalidate(&node, key_record("cache:n:another")).await;
    assert_eq!(shown(&node, &key).await, None);
}

#[tokio::test]
async fn a_load_whose_lease_a_promoted_replica_still_has_shows_nothing_that_was_invalidated() {
    let mut cluster = Cluster::start_replicated();
    let (_, other) = log_and_other(&cluster);
    let node = build(quick(&cluster)).await;
    let key = cluster.key_on(other, "cache:n:k");
    let lease = lead(&node, &key).await;
    cluster.wait_until_replicated(cluster.partner(other));
    cluster.cut_replication(other);
    invalidate(&node, key_record(&key)).await;
    lose(&mut cluster, other).await;
    reaches(&node, &key).await;
    fill(&node, &key, "old", lease).await;
    assert_eq!(shown(&node, &key).await, None);
}

async fn load(cache: &Cache, key: &str, value: &str) -> String {
    let load = || async { Ok::<_, Infallible>(value.to_owned()) };
    let Ok(value) = cache.get_or_set(key, load).await;
    value
}

#[tokio::test]
async fn while_a_node_without_a_replica_is_away_only_its_own_keys_are_computed() {
    let mut cluster = Cluster::start_with(&["--cluster-require-full-coverage", "no"]);
    let (_, other) = log_and_other(&cluster);
    let cache = async || {
        let builder = Cache::builder(build(quick(&cluster)).await);
        builder
            .memory_tier(MemoryTier::new())
            .build()
            .expect("the cache is built")
    };
    let (one, two) = (cache().await, cache().await);
    let name = |node| {
        cluster
            .key_on(node, "cache:n:k")
            .split_off("cache:n:".len())
    };
    let (away, here) = (name(other), name((other + 1) % PRIMARIES));
    let [one, two] = [one, two].map(|cache| cache.namespace("n"));
    for cache in [&one, &two] {
        assert_eq!(load(cache, &away, "old").await, "old");
        assert_eq!(load(cache, &here, "old").await, "old");
    }
    cluster.kill(other);
    assert_eq!(one.invalidate(&away).await.unwrap(), Invalidated::Pending);
    assert_eq!(load(&one, &away, "new").await, "new");
    // The other node has it in memory, until the log says that it is gone.
    let deadline = Instant::now() + Duration::from_secs(10);
    while load(&two, &away, "new").await != "new" {
        assert!(Instant::now() < deadline, "the other node hears of it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for cache in [&one, &two] {
        assert_eq!(load(cache, &here, "new").await, "old");
    }
    cluster.restart(other);
    cluster.wait_until_settled();
    eventually("the node can be used again", || {
        let key = format!("cache:n:{away}");
        cluster
            .cli::<Option<Vec<u8>>>(&key, &["GET", &key])
            .is_none()
    })
    .await;
    assert_eq!(load(&two, &away, "newest").await, "newest");
}
