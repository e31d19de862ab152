//! Readers under all policies at once, while time passes and everything is invalidated again and
//! again: nobody is shown what was invalidated before he asked.

use std::sync::atomic::AtomicU64;

use cache_core::testkit::ChaosProvider;
use cache_core::{MemoryTier, Provider};
use tokio::task::JoinHandle;

use crate::*;

const ROUNDS: u64 = 150;
const READERS: usize = 8;

/// What is true now, and what everybody has to know by now.
#[derive(Default)]
struct Truth {
    current: AtomicU64,
    known: AtomicU64,
    reads: AtomicUsize,
}

fn all() -> Policy {
    let policy = Policy::new()
        .stale_while_revalidate(SECOND)
        .stale_if_error(TTL)
        .retry_after(TICK)
        .early_refresh(2.0);
    policy.soft_timeout(TICK).hard_timeout(PATIENCE).jitter(0.5)
}

/// Loads what is true when the load begins; now and then that fails.
async fn load(truth: Arc<Truth>) -> Result<Loaded<u64>, ()> {
    let current = truth.current.load(Ordering::SeqCst);
    for _ in 0..current % 5 {
        tokio::task::yield_now().await;
    }
    match current % 3 {
        0 => Err(()),
        _ => Ok(Loaded::new(current).tag("t")),
    }
}

async fn read(cache: Cache, truth: Arc<Truth>) {
    loop {
        let known = truth.known.load(Ordering::SeqCst);
        if known == ROUNDS {
            return;
        }
        let source = Arc::clone(&truth);
        let read = cache.get_or_load(KEY, || load(source));
        let read: Result<u64, LoadError<()>> = read.await;
        if let Ok(value) = read {
            assert!(value >= known, "{value} was shown after {known}");
        }
        truth.reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

async fn invalidate(cache: &Cache, round: u64) {
    match round % 4 {
        0 => drop(cache.invalidate(KEY).await.unwrap()),
        1 => drop(cache.invalidate_tag("t").await.unwrap()),
        2 => drop(cache.invalidate_pattern("?").await.unwrap()),
        _ => drop(cache.clear().await.unwrap()),
    }
}

async fn nobody_is_shown_what_was_invalidated(
    provider: impl Provider,
    clock: &ManualClock,
    tier: Option<MemoryTier>,
) {
    let cache = Cache::builder(provider).policy(all()).default_ttl(SECOND);
    let cache = match tier {
        Some(tier) => cache.memory_tier(tier),
        None => cache,
    };
    let (cache, truth) = (cache.build().unwrap(), Arc::new(Truth::default()));
    let reader = |_| tokio::spawn(read(cache.clone(), Arc::clone(&truth)));
    let readers: Vec<_> = (0..READERS).map(reader).collect();
    for round in 1..=ROUNDS {
        truth.current.store(round, Ordering::SeqCst);
        for _ in 0..round % 12 {
            clock.advance(SECOND / 4);
            let reads = truth.reads.load(Ordering::SeqCst) + READERS;
            while truth.reads.load(Ordering::SeqCst) < reads {
                assert!(!readers.iter().any(JoinHandle::is_finished), "see above");
                tokio::task::yield_now().await;
            }
        }
        invalidate(&cache, round).await;
        truth.known.store(round, Ordering::SeqCst);
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let metrics = cache.metrics();
    assert!(metrics.stale > 0 && metrics.refreshes > 0, "{metrics:?}");
}

fn memory() -> (MemoryProvider, ManualClock) {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    (provider, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    let (provider, clock) = memory();
    nobody_is_shown_what_was_invalidated(provider, &clock, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_peeked_into() {
    let (provider, clock) = memory();
    let (provider, _chaos) = ChaosProvider::over(provider);
    nobody_is_shown_what_was_invalidated(provider, &clock, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_memory_tier() {
    let (provider, clock) = memory();
    let (provider, _chaos) = ChaosProvider::over(provider);
    let tier = Some(MemoryTier::new());
    nobody_is_shown_what_was_invalidated(provider, &clock, tier).await;
}
