//! Nodes over a Redis Cluster, and one cluster that many tests share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cache_core::{RedisProvider, RedisProviderBuilder};

use crate::cluster::Cluster;
use crate::redis_node::{DEAF, build, slow};

/// Longer than a busy machine lets anybody wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// A provider of a process that shares the cluster.
///
/// # Panics
///
/// If no node can be reached.
pub async fn cluster_node(cluster: &Cluster) -> RedisProvider {
    build(patient(cluster)).await
}

/// Settings for tests that are not about time: a machine that is busy must not look like a server
/// that is silent.
pub fn patient(cluster: &Cluster) -> RedisProviderBuilder {
    over(cluster)
        .command_timeout(PATIENCE)
        .touch_bound(PATIENCE * 2)
}

/// A provider over the cluster, that begins to ask at any of its nodes.
pub fn over(cluster: &Cluster) -> RedisProviderBuilder {
    let urls = cluster.urls();
    RedisProvider::builder(urls[0].clone()).cluster_nodes(&urls[1..])
}

/// A cluster that the tests of one process share as long as any of them holds it.
///
/// # Panics
///
/// If it cannot be started.
pub fn shared() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::start());
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

/// The name of a deployment of its own, for tests that share a cluster.
pub fn own_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("d{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A node that hears of records only when it appends: the servers refuse what its tail says first,
/// and its next heartbeat is an hour away.
///
/// # Panics
///
/// If no node can be reached.
pub async fn deaf_cluster_node(cluster: &Cluster) -> RedisProvider {
    let urls = cluster.urls();
    for node in 0..urls.len() {
        let _: () = cluster.server(node).cli(&DEAF);
    }
    let url = |url: &String| url.replace("redis://", "redis://deaf:secret@");
    let urls: Vec<_> = urls.iter().map(url).collect();
    let builder = RedisProvider::builder(urls[0].clone()).cluster_nodes(&urls[1..]);
    build(slow(builder).client_name("deaf")).await
}
