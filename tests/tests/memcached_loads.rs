//! Loads on memcached that others' writes overtake without leaving anything behind, and those that
//! many want.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::Cache;
use cache_core::testkit::{Gate, Held};
use cache_tests::memcached_node::{cache, node, quiet_node};
use cache_tests::memcached_server::MemcachedServer;
use tokio::task::JoinHandle;

/// Less than the default `flight_wait`, after which a caller would load by itself anyway.
const PATIENCE: Duration = Duration::from_secs(3);

fn spawn_load(cache: &Cache, held: Held) -> JoinHandle<String> {
    let cache = cache.clone();
    tokio::spawn(async move {
        let load = async || {
            held.pass().await;
            Ok::<_, ()>("old".to_owned())
        };
        cache.get_or_set("k", load).await.expect("the old value")
    })
}

/// What a caller who comes now is given, and whether he loaded it himself.
async fn load(cache: &Cache) -> String {
    let load = async || Ok::<_, ()>("new".to_owned());
    let loaded = tokio::time::timeout(PATIENCE, cache.get_or_set("k", load)).await;
    loaded
        .expect("nobody waits for the old load")
        .expect("the value")
}

/// Another process sets the key, and the value is evicted at once.
async fn set_in_vain(server: &MemcachedServer, other: &Cache) {
    other.set("k", "set").await.unwrap();
    assert_eq!(server.cli("md cache::k"), "HD");
}

#[tokio::test]
async fn a_set_elsewhere_wins_over_a_load_even_if_its_value_is_evicted_at_once() {
    let server = MemcachedServer::start();
    let (one, other) = (
        cache(quiet_node(&server).await),
        cache(quiet_node(&server).await),
    );
    let (gate, held) = Gate::new();
    let old = spawn_load(&one, held);
    gate.entered().await;
    set_in_vain(&server, &other).await;
    assert_eq!(load(&one).await, "new");
    gate.open();
    assert_eq!(old.await.unwrap(), "old");
    assert_eq!(
        one.get::<String>("k").await.unwrap().as_deref(),
        Some("new")
    );
}

#[tokio::test]
async fn a_load_that_has_joined_another_processs_is_not_shared_after_it_either() {
    let server = MemcachedServer::start();
    let (one, other) = (
        cache(quiet_node(&server).await),
        cache(quiet_node(&server).await),
    );
    let ((gate, held), (joined_gate, joined_held)) = (Gate::new(), Gate::new());
    let old = spawn_load(&other, held);
    gate.entered().await;
    let joined = spawn_load(&one, joined_held);
    joined_gate.entered().await;
    set_in_vain(&server, &other).await;
    assert_eq!(load(&one).await, "new");
    gate.open();
    joined_gate.open();
    assert_eq!(
        (old.await.unwrap(), joined.await.unwrap()),
        ("old".into(), "old".into())
    );
    assert_eq!(
        other.get::<String>("k").await.unwrap().as_deref(),
        Some("new")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_want_a_cold_key_one_loads_it() {
    let server = MemcachedServer::start();
    let cache = cache(node(&server).await);
    for round in 0..30 {
        let loads = Arc::new(AtomicUsize::new(0));
        let callers = (0..100).map(|_| {
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = async || {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Ok::<_, ()>(round)
                };
                cache.get_or_set(&format!("k{round}"), load).await
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap(), Ok(round));
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1, "in round {round}");
    }
}
