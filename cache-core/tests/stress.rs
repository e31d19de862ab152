//! Threads that load, read and invalidate at once, against a source of truth with a version.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_core::testkit::block_on;
use cache_core::{Cache, EntryOptions};

const ROUNDS: u64 = 3_000;
/// How much must have been read before the writer may stop.
const READS: u64 = 1_000;
const HITS: u64 = 20;

/// How the writer makes the old value go.
#[derive(Clone, Copy)]
enum Way {
    Key,
    Tag,
    Pattern,
    Clear,
    Set,
}

/// A writer raises the version and invalidates; only then it says so. Readers must never see a
/// version older than what had been said before they asked.
fn nobody_reads_what_was_invalidated(way: Way) {
    let cache = Cache::memory();
    let truth = Arc::new(AtomicU64::new(1));
    let said = Arc::new(AtomicU64::new(1));
    let over = Arc::new(AtomicBool::new(false));
    let reads = AtomicU64::new(0);
    let enough = || reads.load(Ordering::SeqCst) >= READS && cache.metrics().hits >= HITS;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| block_on(read(&cache, &truth, &said, &over, &reads)));
        }
        scope.spawn(|| {
            block_on(write(&cache, way, &truth, &said, enough));
            over.store(true, Ordering::SeqCst);
        });
    });
    assert!(enough(), "{reads:?} reads, {:?}", cache.metrics());
}

async fn read(
    cache: &Cache,
    truth: &AtomicU64,
    said: &AtomicU64,
    over: &AtomicBool,
    reads: &AtomicU64,
) {
    while !over.load(Ordering::SeqCst) {
        let expected = said.load(Ordering::SeqCst);
        let load = || async {
            let version = truth.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(version)
        };
        let options = EntryOptions::new().tag("t");
        let Ok(version) = cache.get_or_set_with("k", options, load).await;
        assert!(version >= expected, "read {version} after {expected}");
        reads.fetch_add(1, Ordering::SeqCst);
    }
}

async fn write(
    cache: &Cache,
    way: Way,
    truth: &AtomicU64,
    said: &AtomicU64,
    enough: impl Fn() -> bool,
) {
    let end = Instant::now() + Duration::from_secs(20);
    for version in 2.. {
        if version > ROUNDS && (enough() || Instant::now() > end) {
            return;
        }
        truth.store(version, Ordering::SeqCst);
        match way {
            Way::Key => cache.invalidate("k").await.map(drop),
            Way::Tag => cache.invalidate_tag("t").await.map(drop),
            Way::Pattern => cache.invalidate_pattern("k*").await.map(drop),
            Way::Clear => cache.clear().await.map(drop),
            Way::Set => cache.set("k", &version).tag("t").await,
        }
        .unwrap();
        said.store(version, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

#[test]
fn threads_never_read_a_key_that_was_invalidated() {
    nobody_reads_what_was_invalidated(Way::Key);
}

#[test]
fn threads_never_read_a_tag_that_was_invalidated() {
    nobody_reads_what_was_invalidated(Way::Tag);
}

#[test]
fn threads_never_read_a_pattern_that_was_invalidated() {
    nobody_reads_what_was_invalidated(Way::Pattern);
}

#[test]
fn threads_never_read_a_namespace_that_was_cleared() {
    nobody_reads_what_was_invalidated(Way::Clear);
}

#[test]
fn threads_never_read_what_was_there_before_a_set() {
    nobody_reads_what_was_invalidated(Way::Set);
}
