//! A Redis Cluster behind the provider: keys on many nodes, and slots that move.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::log::{Invalidated, Record};
use cache_core::testkit::eventually;
use cache_core::{Cache, Entry, EntryOptions, ErrorKind, Payload, Provider, RedisProvider};
use cache_tests::cluster::{Cluster, PRIMARIES, slot_of};
use cache_tests::cluster_node::{
    cluster_node, deaf_cluster_node, over, own_prefix, patient, shared,
};
use cache_tests::redis_node::{
    build, delivered, entry, fill, invalidate, key, key_record, lead, refused, set, shown, tagged,
    terms,
};
use cache_tests::redis_server::{RedisServer, free_port};

/// A key of the default prefix on each primary.
fn a_key_each(cluster: &Cluster) -> Vec<String> {
    (0..PRIMARIES)
        .map(|node| cluster.key_on(node, "cache:n:k"))
        .collect()
}

fn stands(cluster: &Cluster, key: &str) -> bool {
    cluster.cli(key, &["EXISTS", key])
}

/// A counter that begins with an amount.
fn number(node: &RedisProvider, amount: i64) -> Arc<Entry> {
    Arc::new(Entry::new(terms(node, None, &[]), Payload::Counter(amount)))
}

async fn handle(cluster: &Cluster) -> Cache {
    let provider = build(patient(cluster).key_prefix(own_prefix())).await;
    Cache::builder(provider)
        .build()
        .expect("the cache is built")
}

#[tokio::test]
async fn many_keys_are_written_read_and_deleted_wherever_they_lie() {
    let cluster = shared();
    let cache = handle(&cluster).await;
    let names: Vec<_> = (0..100).map(|index| format!("k{index}")).collect();
    let keys: Vec<_> = names.iter().map(String::as_str).collect();
    let values: Vec<_> = keys.iter().map(|&key| (key, key.to_owned())).collect();
    cache.set_many(&values, EntryOptions::new()).await.unwrap();
    let found: Vec<Option<String>> = cache.get_many(&keys).await.unwrap();
    let expected: Vec<_> = names.iter().cloned().map(Some).collect();
    assert_eq!(found, expected);
    assert_eq!(cache.delete_many(&keys).await.unwrap(), 100);
    let found: Vec<Option<String>> = cache.get_many(&keys).await.unwrap();
    assert!(found.iter().all(Option::is_none));
}

#[tokio::test]
async fn a_scan_goes_through_all_nodes_and_sees_no_other_deployment() {
    let cluster = shared();
    let (cache, other) = (handle(&cluster).await, handle(&cluster).await);
    for index in 0..300 {
        cache.set(&format!("k{index}"), &index).await.unwrap();
    }
    other.set("k0", &0).await.unwrap();
    let (mut scan, mut seen) = (cache.scan_keys("k*", 7).unwrap(), HashSet::new());
    while let Some(page) = scan.next_page().await.unwrap() {
        seen.extend(page);
    }
    assert_eq!(seen.len(), 300);
    assert_eq!(cache.delete_by_pattern("k1*").await.unwrap(), 111);
    assert_eq!(other.get::<i32>("k0").await.unwrap(), Some(0));
}

#[tokio::test]
async fn braces_in_a_key_keep_keys_together_and_change_nothing_else() {
    let cluster = shared();
    let cache = handle(&cluster).await;
    for key in [
        "{user:1}:a",
        "{user:1}:b",
        "a{",
        "}b{",
        "{}",
        "x{}y",
        "{{z}}",
    ] {
        cache.set(key, key).await.unwrap();
        assert_eq!(
            cache.get::<String>(key).await.unwrap().as_deref(),
            Some(key)
        );
        assert!(cache.delete(key).await.unwrap(), "{key}");
        assert_eq!(cache.get::<String>(key).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_slot_that_has_moved_is_found_again() {
    let cluster = Cluster::start();
    let (one, two) = (cluster_node(&cluster).await, cluster_node(&cluster).await);
    for (node, key) in a_key_each(&cluster).iter().enumerate() {
        set(&one, key, entry(&one, "v")).await;
        cluster.move_slot(slot_of(key), (node + 1) % PRIMARIES);
        assert_eq!(shown(&one, key).await.as_deref(), Some("v"));
        set(&two, key, entry(&two, "w")).await;
        assert_eq!(shown(&one, key).await.as_deref(), Some("w"));
        assert!(invalidate(&one, key_record(key)).await, "it was there");
        assert_eq!(shown(&two, key).await, None);
    }
}

#[tokio::test]
async fn while_a_slot_moves_each_key_is_where_it_is() {
    let cluster = Cluster::start();
    let node = cluster_node(&cluster).await;
    let name = |name: &str| format!("cache:n:{{moving}}:{name}");
    let [gone, here, loaded, fresh] = ["gone", "here", "loaded", "fresh"].map(name);
    for key in [&gone, &here] {
        set(&node, key, entry(&node, "v")).await;
    }
    let lease = lead(&node, &loaded).await;
    let source = cluster.owner_of(&gone);
    let moving = cluster.begin_move(slot_of(&gone), (source + 1) % PRIMARIES);
    moving.carry_key(&gone);
    moving.carry_key(&loaded);
    for key in [&gone, &here] {
        assert_eq!(shown(&node, key).await.as_deref(), Some("v"));
        assert!(invalidate(&node, key_record(key)).await);
        assert_eq!(shown(&node, key).await, None);
    }
    assert!(
        fill(&node, &loaded, "v", lease).await,
        "the lease has moved too"
    );
    set(&node, &fresh, entry(&node, "v")).await;
    assert_eq!(
        node.increment(&name("n"), 2, number(&node, 2))
            .await
            .unwrap(),
        2
    );
    moving.finish();
    assert_eq!(
        node.increment(&name("n"), 3, number(&node, 3))
            .await
            .unwrap(),
        5
    );
    for key in [&loaded, &fresh] {
        assert_eq!(shown(&node, key).await.as_deref(), Some("v"));
    }
    assert_eq!(shown(&node, &gone).await, None);
}

#[tokio::test]
async fn a_load_whose_key_was_invalidated_while_its_slot_moved_is_not_stored() {
    let cluster = Cluster::start();
    let (one, two) = (cluster_node(&cluster).await, cluster_node(&cluster).await);
    let key = key("k");
    let lease = lead(&one, &key).await;
    let target = (cluster.owner_of(&key) + 1) % PRIMARIES;
    let moving = cluster.begin_move(slot_of(&key), target);
    moving.carry_key(&key);
    invalidate(&two, key_record(&key)).await;
    moving.finish();
    assert!(!fill(&one, &key, "old", lease).await);
    assert_eq!(shown(&two, &key).await, None);
}

#[tokio::test]
async fn when_the_slot_of_the_log_moves_what_was_invalidated_stays_so_and_the_log_goes_on() {
    let cluster = Cluster::start();
    let quick = || patient(&cluster).heartbeat(Duration::from_millis(50));
    let (one, two) = (build(quick()).await, build(quick()).await);
    let keys = a_key_each(&cluster);
    for key in &keys {
        set(&one, key, entry(&one, "v")).await;
    }
    let (gone, kept) = (&keys[0], &keys[1..]);
    invalidate(&one, Record::Pattern(gone.as_str().into())).await;
    let log = "{cache}:inv";
    cluster.move_slot(slot_of(log), (cluster.owner_of(log) + 1) % PRIMARIES);
    assert_eq!(shown(&one, gone).await, None);
    for key in kept {
        set(&one, key, entry(&one, "new")).await;
        delivered(&one, &two).await;
        assert_eq!(shown(&two, key).await.as_deref(), Some("new"));
        invalidate(&two, Record::Pattern("cache:n:*".into())).await;
        delivered(&two, &one).await;
        assert_eq!(shown(&one, key).await, None);
    }
    assert_eq!(shown(&two, gone).await, None);
}

#[tokio::test]
async fn a_set_after_another_nodes_clear_is_not_hidden_by_it() {
    let cluster = Cluster::start();
    let deaf = deaf_cluster_node(&cluster).await;
    let other = cluster_node(&cluster).await;
    let (key, counter) = (key("k"), key("n"));
    invalidate(&other, Record::All("cache:".into())).await;
    set(&deaf, &key, entry(&deaf, "v")).await;
    assert_eq!(shown(&other, &key).await.as_deref(), Some("v"));

    invalidate(&other, Record::All("cache:".into())).await;
    let fresh = || number(&deaf, 1);
    assert_eq!(deaf.increment(&counter, 1, fresh()).await.unwrap(), 1);
    assert_eq!(other.increment(&counter, 1, fresh()).await.unwrap(), 2);
}

#[tokio::test]
async fn it_is_enough_if_one_of_the_nodes_that_are_named_is_there() {
    let cluster = Cluster::start();
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    let urls = [nobody.clone(), cluster.urls()[2].clone()];
    let node = build(RedisProvider::builder(nobody).cluster_nodes(urls)).await;
    for key in a_key_each(&cluster) {
        set(&node, &key, entry(&node, "v")).await;
        assert_eq!(shown(&node, &key).await.as_deref(), Some("v"));
    }
}

#[tokio::test]
async fn connections_to_all_nodes_go_by_the_clients_name() {
    let cluster = Cluster::start();
    let _node = build(
        patient(&cluster)
            .client_name("shop")
            .heartbeat(Duration::from_millis(50)),
    )
    .await;
    for server in (0..PRIMARIES).map(|node| cluster.server(node)) {
        eventually("the connection has its name", || {
            let clients: String = server.cli(&["CLIENT", "LIST"]);
            clients.contains("name=shop")
        })
        .await;
    }
}

#[tokio::test]
async fn what_cannot_be_a_cluster_is_refused_with_a_reason() {
    let (cluster, alone) = (shared(), RedisServer::start());
    let urls = cluster.urls();
    let none: [&str; 0] = [];
    let sentinels = || over(&cluster).sentinels(["redis://127.0.0.1:1"]);
    for (builder, reason) in [
        (RedisProvider::builder(urls[0].clone()), "`cluster_nodes`"),
        (
            RedisProvider::builder(alone.url()).cluster_nodes(none),
            "standalone mode",
        ),
        (
            RedisProvider::builder(format!("{}/1", urls[0])).cluster_nodes(none),
            "no databases",
        ),
        (
            RedisProvider::builder("unix:///tmp/none").cluster_nodes(&urls),
            "unix sockets",
        ),
        (sentinels(), "do not go together"),
    ] {
        let error = refused(builder.build().await);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let nobody = RedisProvider::builder(format!("redis://127.0.0.1:{}", free_port()));
    let error = refused(nobody.cluster_nodes(none).build().await);
    assert_eq!(error.kind(), ErrorKind::Connection);
}

#[tokio::test]
async fn an_invalidation_reaches_nodes_that_read_elsewhere() {
    let cluster = shared();
    let prefix = own_prefix();
    let node = async || build(patient(&cluster).key_prefix(&*prefix)).await;
    let (one, two) = (node().await, node().await);
    let keys: Vec<_> = (0..30)
        .map(|index| format!("{prefix}:n:k{index}"))
        .collect();
    for key in &keys {
        set(&one, key, entry(&one, "v")).await;
    }
    let records: Vec<_> = keys.iter().map(|key| key_record(key)).collect();
    let invalidation = one.invalidate(&records).await.unwrap();
    assert_eq!(invalidation.state, Invalidated::Applied);
    assert!(invalidation.existed.iter().all(|existed| *existed));
    delivered(&one, &two).await;
    for key in &keys {
        assert_eq!(shown(&two, key).await, None);
        assert!(!stands(&cluster, key));
    }
}

#[tokio::test]
async fn a_sweep_frees_what_is_hidden_and_nothing_else_while_slots_move() {
    let cluster = Cluster::start();
    let one = cluster_node(&cluster).await;
    let sweeping = build(patient(&cluster).sweep(Duration::from_millis(50))).await;
    let kept = a_key_each(&cluster);
    for key in &kept {
        set(&one, key, entry(&one, "kept")).await;
    }
    let hidden: Vec<_> = (0..300).map(|index| key(&index.to_string())).collect();
    for key in &hidden {
        set(&one, key, tagged(&one, "old", &["t"])).await;
    }
    invalidate(&one, Record::Tag("t".into())).await;
    for (node, key) in kept.iter().enumerate() {
        cluster.move_slot(slot_of(key), (node + 1) % PRIMARIES);
        cluster.move_slot(slot_of(&hidden[node]), cluster.owner_of(key));
    }
    // What moved past the sweep is left to the next, which the next record brings about.
    let left = || hidden.iter().filter(|key| stands(&cluster, key)).count();
    eventually("the sweep is at work", || sweeping.swept() > 0).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while left() > 0 {
        assert!(Instant::now() < deadline, "the hidden are freed");
        invalidate(&one, Record::Tag("another".into())).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for key in &kept {
        assert_eq!(shown(&one, key).await.as_deref(), Some("kept"));
    }
}
