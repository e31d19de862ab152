//! The counters behind the figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::striped::Striped;
use super::times::Clocked;
use super::{Metrics, Miss};
use crate::why::Source;

/// What one namespace counts. Hits are counted apart by each thread; whatever else is counted has cost
/// more than a shared counter does.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Whose they are, for traces.
    namespace: Box<str>,
    provider: &'static str,
    /// Whose they are, in what is exported; several namespaces can share one name there.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(dead_code, reason = "nothing is exported")
    )]
    label: Arc<str>,
    hits: Striped,
    misses: [AtomicU64; Miss::EVERY.len()],
    sets: AtomicU64,
    deletes: AtomicU64,
    invalidations: AtomicU64,
    load_errors: AtomicU64,
    load_times: Clocked,
    errors: AtomicU64,
    stale: AtomicU64,
    refreshes: AtomicU64,
}

impl Counters {
    pub(crate) fn of(namespace: &str, provider: &'static str, label: Arc<str>) -> Self {
        Self {
            namespace: namespace.into(),
            provider,
            label,
            ..Self::default()
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn provider(&self) -> &'static str {
        self.provider
    }

    /// The namespace's name where every further one costs, as in what is exported.
    #[cfg(feature = "metrics")]
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// A hit at the first look into memory, which says nothing: there are too many of them.
    pub(crate) fn hit(&self) {
        self.hits.increment();
    }

    /// A hit after that, which says where.
    pub(crate) fn hit_from(&self, from: Source, age: Duration) {
        self.hit();
        tracing::debug!(
            target: "cache_core",
            provider = self.provider,
            namespace = &*self.namespace,
            why = "hit",
            from = from.as_str(),
            age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            "read"
        );
    }

    pub(crate) fn miss(&self, why: Miss) {
        self.misses[why as usize].fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            target: "cache_core",
            provider = self.provider,
            namespace = &*self.namespace,
            why = why.as_str(),
            "read"
        );
    }

    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// A read was answered with a stale value, be it counted as a hit or as a miss.
    pub(crate) fn stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            target: "cache_core",
            provider = self.provider,
            namespace = &*self.namespace,
            why = "stale",
            "read"
        );
    }

    /// A load has begun in the background.
    pub(crate) fn refresh(&self) {
        self.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    /// This many values were written.
    pub(crate) fn set(&self, values: usize) {
        self.sets.fetch_add(values as u64, Ordering::Relaxed);
    }

    /// This many values that were there have been deleted.
    pub(crate) fn deleted(&self, values: u64) {
        self.deletes.fetch_add(values, Ordering::Relaxed);
    }

    /// This many things were invalidated.
    pub(crate) fn invalidated(&self, things: usize) {
        self.invalidations
            .fetch_add(things as u64, Ordering::Relaxed);
    }

    /// A load has ended.
    pub(crate) fn loaded(&self, took: Duration, is_error: bool) {
        self.load_times.record(took);
        #[cfg(feature = "metrics")]
        super::facade::load_took(self, took);
        if is_error {
            self.load_error();
        }
    }

    /// A load that has ended was an error after all.
    pub(crate) fn load_error(&self) {
        self.load_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Metrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let of = |why: Miss| get(&self.misses[why as usize]);
        let load_times = self.load_times.snapshot();
        Metrics {
            hits: self.hits.sum(),
            misses: Miss::EVERY.into_iter().map(of).sum(),
            absent: of(Miss::Absent),
            expired: of(Miss::Expired),
            invalidated: of(Miss::Invalidated),
            damaged: of(Miss::Damaged),
            wrong_owner: of(Miss::WrongOwner),
            bypassed: of(Miss::Bypassed),
            sets: get(&self.sets),
            deletes: get(&self.deletes),
            invalidations: get(&self.invalidations),
            loads: load_times.count(),
            load_errors: get(&self.load_errors),
            load_times,
            errors: get(&self.errors),
            stale: get(&self.stale),
            refreshes: get(&self.refreshes),
        }
    }
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
