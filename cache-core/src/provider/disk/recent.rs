//! What has been read lately, so that it is spared when room is made: one bit for many keys.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

const BITS: usize = 1 << 20;

/// The bits of CLOCK, second chance (Corbató, 1968), by the hash of the key: 128 KiB, whatever is
/// stored. Two keys that share a bit are both spared; nothing is written for a read.
#[derive(Debug)]
pub(super) struct Recent {
    bits: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            bits: (0..BITS / 64).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn note(&self, key: &str) {
        let (word, bit) = self.place(key);
        // Most reads are of what was read before: they share the line of the cache.
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether the key has been read since this was asked last.
    pub(super) fn take(&self, key: &str) -> bool {
        let (word, bit) = self.place(key);
        word.fetch_and(!bit, Ordering::Relaxed) & bit != 0
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits will do")]
    fn place(&self, key: &str) -> (&AtomicU64, u64) {
        let bit = self.hasher.hash_one(key) as usize % BITS;
        (&self.bits[bit / 64], 1 << (bit % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_counts_once() {
        let recent = Recent::new();
        assert!(!recent.take("k"));
        recent.note("k");
        recent.note("k");
        assert!(recent.take("k"));
        assert!(!recent.take("k"));
    }
}
