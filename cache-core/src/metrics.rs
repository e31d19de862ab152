//! Counters of what the cache did, per namespace.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Why a read found no value that it could show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Miss {
    /// Nothing is stored.
    Absent,
    /// The time to live has passed.
    Expired,
    /// An invalidation hides it.
    Invalidated,
    /// What is stored cannot be read as the type that was asked for.
    Damaged,
    /// Another function stored it under the same key.
    WrongOwner,
    /// The cache was not asked: it is out of touch with its backend, it failed, or the key is not
    /// one that it takes.
    Bypassed,
}

const MISSES: usize = Miss::Bypassed as usize + 1;

/// What a namespace has done since its cache was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Reads that were answered from the cache, or from a load that was under way.
    pub hits: u64,
    /// Reads that found nothing to show: the sum of the reasons below.
    pub misses: u64,
    /// Misses because nothing was stored.
    pub absent: u64,
    /// Misses because the time to live had passed.
    pub expired: u64,
    /// Misses because an invalidation hid what was stored.
    pub invalidated: u64,
    /// Misses because what was stored could not be read.
    pub damaged: u64,
    /// Misses because another function had stored the value.
    pub wrong_owner: u64,
    /// Misses because the cache could not be asked.
    pub bypassed: u64,
    /// Cache operations that failed while a value was computed anyway.
    pub errors: u64,
    /// Reads that were answered with a stale value: hits if they did not wait for a load, else misses.
    pub stale: u64,
    /// Loads in the background, of what was shown stale or is about to expire.
    pub refreshes: u64,
}

impl Metrics {
    /// Hits among all reads, from 0 to 1; 0 before the first read.
    pub fn hit_rate(&self) -> f64 {
        let reads = self.hits + self.misses;
        if reads == 0 {
            0.0
        } else {
            self.hits as f64 / reads as f64
        }
    }
}

/// The counters behind [`Metrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Whose they are, for the log.
    namespace: Box<str>,
    hits: Striped,
    misses: [AtomicU64; MISSES],
    errors: AtomicU64,
    stale: AtomicU64,
    refreshes: AtomicU64,
}

impl Counters {
    pub(crate) fn of(namespace: &str) -> Self {
        Self {
            namespace: namespace.into(),
            ..Self::default()
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn hit(&self) {
        self.hits.increment();
    }

    pub(crate) fn miss(&self, why: Miss) {
        self.misses[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refresh(&self) {
        self.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Metrics {
        let of = |why: Miss| self.misses[why as usize].load(Ordering::Relaxed);
        Metrics {
            hits: self.hits.sum(),
            misses: self.misses.iter().map(|c| c.load(Ordering::Relaxed)).sum(),
            absent: of(Miss::Absent),
            expired: of(Miss::Expired),
            invalidated: of(Miss::Invalidated),
            damaged: of(Miss::Damaged),
            wrong_owner: of(Miss::WrongOwner),
            bypassed: of(Miss::Bypassed),
            errors: self.errors.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
            refreshes: self.refreshes.load(Ordering::Relaxed),
        }
    }
}

const STRIPES: usize = 16;

/// A counter that threads do not fight over: each adds to a stripe of its own.
#[derive(Debug, Default)]
struct Striped([Stripe; STRIPES]);

/// As wide as two cache lines, which processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl Striped {
    fn increment(&self) {
        self.0[stripe()].0.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|s| s.0.load(Ordering::Relaxed)).sum()
    }
}

fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
    }
    MINE.try_with(Cell::get).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_of_all_threads_add_up() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.hit()));
            }
        });
        counters.miss(Miss::Expired);
        let metrics = counters.snapshot();
        assert_eq!(
            (metrics.hits, metrics.misses, metrics.expired),
            (4_000, 1, 1)
        );
        assert!(metrics.hit_rate() > 0.999);
    }
}
