//! Random numbers for ids and tokens: unpredictable enough never to meet, not for secrets.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A random number. SipHash under a key that the operating system seeded, over a counter, so two
/// processes draw from unrelated sequences.
pub(crate) fn u64() -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    KEY.get_or_init(RandomState::new).hash_one(count)
}

/// A random number above 0, and at most 1.
pub(crate) fn fraction() -> f64 {
    const STEPS: u32 = 53;
    let step = (u64() >> (64 - STEPS)) + 1;
    step as f64 / (1_u64 << STEPS) as f64
}
