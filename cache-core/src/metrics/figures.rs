//! The figures of one namespace, or of several together.

use super::{Miss, Times};

/// What a namespace has done since its cache was built, through any handle on this node. A cache
/// that several nodes share is counted on each of them by itself.
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
    /// Values that `set`, `set_many`, `update`, `increment` and `decrement` have written: each value, and
    /// each time. What loads have stored is not among them.
    pub sets: u64,
    /// Values that `delete`, `delete_many` and `delete_by_pattern` have made go: each that could be
    /// shown before, whatever the number of calls. A deletion that could not reach its backend
    /// does not know, and counts none.
    pub deletes: u64,
    /// Invalidations by `invalidate*`, `clear`, `#[cache_invalidate]` and the HTTP layer: each thing
    /// that was named, whatever the number of values that it hid. Those that wait for their backend
    /// count, those that failed do not.
    pub invalidations: u64,
    /// Loads that have ended: of `get_or_set`, `get_or_load`, `#[cached]`, and the HTTP layer: there, requests whose
    /// answer may be shared, up to its head. A call of `get_many_or_load`'s loader is one load. Loads that were dropped
    /// or have panicked are not counted.
    pub loads: u64,
    /// Loads whose result was an error; for `get_many_or_load`, also an error for any of the keys.
    pub load_errors: u64,
    /// How long those loads took.
    pub load_times: Times,
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

    /// The misses for this reason.
    pub fn missed(&self, why: Miss) -> u64 {
        match why {
            Miss::Absent => self.absent,
            Miss::Expired => self.expired,
            Miss::Invalidated => self.invalidated,
            Miss::Damaged => self.damaged,
            Miss::WrongOwner => self.wrong_owner,
            Miss::Bypassed => self.bypassed,
        }
    }

    /// Adds what another namespace has done.
    pub(crate) fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.absent += other.absent;
        self.expired += other.expired;
        self.invalidated += other.invalidated;
        self.damaged += other.damaged;
        self.wrong_owner += other.wrong_owner;
        self.bypassed += other.bypassed;
        self.sets += other.sets;
        self.deletes += other.deletes;
        self.invalidations += other.invalidations;
        self.loads += other.loads;
        self.load_errors += other.load_errors;
        self.load_times.add(&other.load_times);
        self.errors += other.errors;
        self.stale += other.stale;
        self.refreshes += other.refreshes;
    }
}
