//! Nodes on a private server, and the entries that tests of the provider store.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::log::{Record, Stamp};
use cache_core::provider::{Lease, Leased, Slot};
use cache_core::testkit::eventually;
use cache_core::{
    Entry, EntryId, Meta, Owner, Payload, Provider, RedisProvider, RedisProviderBuilder, Timestamp,
};

use crate::redis_server::RedisServer;

/// Longer than a busy machine lets anybody wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes a user whose connections a server does not let be named, which is what a tail does first.
pub const DEAF: [&str; 9] = [
    "ACL",
    "SETUSER",
    "deaf",
    "on",
    ">secret",
    "~*",
    "&*",
    "+@all",
    "-client|setname",
];

/// Longer than any test runs.
const NEVER: Duration = Duration::from_secs(3_600);

/// A node that hears of records at once.
///
/// # Panics
///
/// If the server cannot be reached.
pub async fn node(server: &RedisServer) -> RedisProvider {
    build(patient(server)).await
}

/// Settings for tests that are not about time: a machine that is busy must not look like a server
/// that is silent.
pub fn patient(server: &RedisServer) -> RedisProviderBuilder {
    RedisProvider::builder(server.url())
        .command_timeout(PATIENCE)
        .touch_bound(PATIENCE * 2)
}

/// A node that hears of records only when it appends: the server refuses what its tail says first,
/// and its next heartbeat is an hour away.
///
/// # Panics
///
/// If the server cannot be reached.
pub async fn deaf_node(server: &RedisServer) -> RedisProvider {
    build(deaf(server)).await
}

/// Settings of a deaf node.
///
/// # Panics
///
/// If the server cannot be reached.
pub fn deaf(server: &RedisServer) -> RedisProviderBuilder {
    let _: () = server.cli(&DEAF);
    let url = server.url().replace("redis://", "redis://deaf:secret@");
    slow(RedisProvider::builder(url).client_name("deaf"))
}

/// A node that hears of records by the stream alone: its next heartbeat is an hour away.
///
/// # Panics
///
/// If the server cannot be reached.
pub async fn slow_node(server: &RedisServer) -> RedisProvider {
    build(slow(RedisProvider::builder(server.url()))).await
}

/// With no heartbeat for as long as any test runs.
pub fn slow(builder: RedisProviderBuilder) -> RedisProviderBuilder {
    builder.heartbeat(NEVER).touch_bound(NEVER * 2)
}

/// What the builder builds.
///
/// # Panics
///
/// If it does not.
pub async fn build(builder: RedisProviderBuilder) -> RedisProvider {
    builder.build().await.expect("the provider is built")
}

/// The whole key of `name` in a namespace of the default prefix.
pub fn key(name: &str) -> String {
    format!("cache:n:{name}")
}

/// Terms for an entry that is computed on `node` now.
pub fn terms(node: &RedisProvider, ttl: Option<Duration>, tags: &[&str]) -> Meta {
    let created = Timestamp::from_millis(1_000_000);
    Meta {
        id: EntryId::random(),
        owner: Owner::HANDLE,
        stamp: node.log().stamp(),
        created,
        expires: ttl.map(|ttl| created.saturating_add(ttl)),
        kept_for: Duration::ZERO,
        load_time: Duration::ZERO,
        tags: tags.iter().map(|&tag| tag.into()).collect(),
    }
}

/// An entry for a text that is computed on `node` now, without tags or an end.
pub fn entry(node: &RedisProvider, text: &str) -> Arc<Entry> {
    tagged(node, text, &[])
}

/// An entry with tags.
pub fn tagged(node: &RedisProvider, text: &str, tags: &[&str]) -> Arc<Entry> {
    let payload = Payload::typed(text.to_owned());
    Arc::new(Entry::new(terms(node, None, tags), payload))
}

/// Stores a text without conditions.
///
/// # Panics
///
/// If it is not stored.
pub async fn set(node: &RedisProvider, key: &str, entry: Arc<Entry>) {
    node.set(vec![(key, entry)]).await.expect("the set");
}

/// What a reader on `node` is shown at `key`: an entry that its log does not hide.
///
/// # Panics
///
/// If the read fails, or shows something that is no text.
pub async fn shown(node: &RedisProvider, key: &str) -> Option<String> {
    let slots = node.get(&[key]).await.expect("the read");
    let [Slot::Entry(entry)] = &slots[..] else {
        return None;
    };
    let visible = node.log().is_visible(key, entry.meta());
    visible.then(|| entry.payload().value().expect("a text"))
}

/// Reserves a key for a load on `node`, or joins the load that has reserved it.
///
/// # Panics
///
/// If an entry stands there.
pub async fn lead(node: &RedisProvider, key: &str) -> Lease {
    let stamp = node.log().stamp();
    match node.lease(key, None, stamp).await {
        Ok(Leased::Lease(lease)) => lease,
        Ok(Leased::Standing(Lease { token, .. })) => Lease { token, stamp },
        other => panic!("a lease was expected, not {other:?}"),
    }
}

/// Ends a load on `node`: whether its value was stored.
///
/// # Panics
///
/// If the server refuses.
pub async fn fill(node: &RedisProvider, key: &str, text: &str, lease: Lease) -> bool {
    let entry = stamped(node, text, lease.stamp);
    node.fill(key, entry, lease).await.expect("the fill")
}

/// An entry whose computation began at `stamp`.
pub fn stamped(node: &RedisProvider, text: &str, stamp: Stamp) -> Arc<Entry> {
    let meta = Meta {
        stamp,
        ..terms(node, None, &[])
    };
    Arc::new(Entry::new(meta, Payload::typed(text.to_owned())))
}

/// Records an invalidation: whether a visible entry stood at the key, if it is one of a key.
///
/// # Panics
///
/// If it fails.
pub async fn invalidate(node: &RedisProvider, record: Record) -> bool {
    let stood = node.invalidate(&[record]).await.expect("the invalidation");
    stood.existed.first().copied().unwrap_or(false)
}

/// The record of `name`'s key.
pub fn key_record(key: &str) -> Record {
    Record::Key(key.into())
}

/// Waits until `to` has applied all that `from` has.
///
/// # Panics
///
/// If that takes more than ten seconds.
pub async fn delivered(from: &RedisProvider, to: &RedisProvider) {
    let goal = from.log().stamp();
    let applied = || {
        let stamp = to.log().stamp();
        stamp.incarnation() == goal.incarnation() && stamp.sequence() >= goal.sequence()
    };
    eventually("the record reaches the other node", applied).await;
}

/// Waits until the server that has the key answers a read, over a connection that may be broken,
/// or be on its way to another server. Learns nothing of the log.
///
/// # Panics
///
/// If that takes more than 20 seconds.
pub async fn answers(node: &RedisProvider, key: &str) {
    in_time(async || node.get(&[key]).await.is_ok()).await;
}

/// Waits until the node has caught up with its server.
///
/// # Panics
///
/// If that takes more than 20 seconds.
pub async fn caught_up(node: &RedisProvider) {
    in_time(async || node.catch_up().await.is_ok()).await;
}

async fn in_time(mut succeeds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !succeeds().await {
        assert!(Instant::now() < deadline, "the server does not answer");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The error of something that must fail.
///
/// # Panics
///
/// If it succeeds.
pub fn refused<T: Debug>(outcome: cache_core::Result<T>) -> cache_core::Error {
    outcome.expect_err("a refusal")
}
