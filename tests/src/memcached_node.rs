//! Nodes on a private memcached, and what tests of the provider ask of them.

use std::sync::Arc;
use std::time::Duration;

use cache_core::provider::{Lease, Leased, Slot};
use cache_core::{
    Cache, Entry, EntryId, MemcachedProvider, MemcachedProviderBuilder, Meta, Owner, Payload,
    Provider,
};

use crate::memcached_server::MemcachedServer;

/// Longer than a busy machine lets anybody wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// The name of the item that holds the log.
pub const LOG: &str = "{cache}:log";

/// Settings for tests that are not about time: a machine that is busy must not look like a server
/// that is silent. What waits for a heartbeat does not wait long.
pub fn patient(url: String) -> MemcachedProviderBuilder {
    MemcachedProvider::builder(url)
        .command_timeout(PATIENCE)
        .heartbeat(Duration::from_millis(20))
        .touch_bound(PATIENCE * 2)
}

/// A node on the server.
///
/// # Panics
///
/// If the server cannot be reached.
pub async fn node(server: &MemcachedServer) -> MemcachedProvider {
    build(patient(server.url())).await
}

/// A node that asks the server only when it is asked itself: its next heartbeat is an hour away.
///
/// # Panics
///
/// If the server cannot be reached.
pub async fn quiet_node(server: &MemcachedServer) -> MemcachedProvider {
    let hour = Duration::from_secs(3_600);
    build(patient(server.url()).heartbeat(hour).touch_bound(hour * 2)).await
}

/// What the builder builds.
///
/// # Panics
///
/// If it does not.
pub async fn build(builder: MemcachedProviderBuilder) -> MemcachedProvider {
    builder.build().await.expect("the provider is built")
}

/// A cache over a node.
///
/// # Panics
///
/// If it cannot be built.
pub fn cache(node: impl Provider) -> Cache {
    Cache::builder(node).build().expect("the cache is built")
}

/// The whole key of `name` in a namespace of the default prefix.
pub fn key(name: &str) -> String {
    format!("cache:n:{name}")
}

/// An entry for a text that is computed on `node` now.
pub fn entry(node: &MemcachedProvider, text: &str) -> Arc<Entry> {
    let meta = Meta {
        id: EntryId::random(),
        owner: Owner::HANDLE,
        stamp: node.log().stamp(),
        created: node.clock().now(),
        expires: None,
        kept_for: Duration::ZERO,
        load_time: Duration::ZERO,
        tags: [Box::from("t")].into(),
    };
    Arc::new(Entry::new(meta, Payload::typed(text.to_owned())))
}

/// What a reader on `node` is shown at `key`: an entry that its log does not hide.
///
/// # Panics
///
/// If the read fails, or shows something that is no text.
pub async fn shown(node: &MemcachedProvider, key: &str) -> Option<String> {
    let slots = node.get(&[key]).await.expect("the read");
    let [Slot::Entry(entry)] = &slots[..] else {
        return None;
    };
    let visible = node.log().is_visible(key, entry.meta());
    visible.then(|| entry.payload().value().expect("a text"))
}

/// Reserves a key for a load on `node`.
///
/// # Panics
///
/// If something stands there.
pub async fn lead(node: &MemcachedProvider, key: &str) -> Lease {
    match node.lease(key, None, node.log().stamp()).await {
        Ok(Leased::Lease(lease)) => lease,
        other => panic!("a lease was expected, not {other:?}"),
    }
}
