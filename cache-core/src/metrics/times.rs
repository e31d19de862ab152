//! How long something took, each time: count, sum, longest, and a histogram of fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the buckets, in milliseconds, each four times the one before. The last bucket
/// has no end.
const BOUNDS: [u64; BUCKETS - 1] = [1, 4, 16, 64, 256, 1_024, 4_096];
const BUCKETS: usize = 8;

/// How long something took, summed up. Microseconds are counted, and parts of them dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    buckets: [u64; BUCKETS],
    total_micros: u64,
    longest_micros: u64,
}

impl Times {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All of them together.
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.total_micros)
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_micros)
    }

    /// The mean; `None` if there was none.
    pub fn mean(&self) -> Option<Duration> {
        let micros = self.total_micros.checked_div(self.count())?;
        Some(Duration::from_micros(micros))
    }

    /// How many took at most so long, and longer than the bucket before says: 1, 4, 16, 64, 256, 1,024 and
    /// 4,096 ms. `None` stands for all that took longer.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.map(|bound| Some(Duration::from_millis(bound)));
        let bounds = bounds.into_iter().chain([None]);
        bounds.zip(self.buckets)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, other) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += other;
        }
        self.total_micros = self.total_micros.saturating_add(other.total_micros);
        self.longest_micros = self.longest_micros.max(other.longest_micros);
    }
}

/// The counters behind [`Times`].
#[derive(Debug, Default)]
pub(super) struct Clocked {
    buckets: [AtomicU64; BUCKETS],
    total_micros: AtomicU64,
    longest_micros: AtomicU64,
}

impl Clocked {
    pub(super) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound * 1_000 < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        self.longest_micros.fetch_max(micros, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Times {
        let mut times = Times {
            total_micros: self.total_micros.load(Ordering::Relaxed),
            longest_micros: self.longest_micros.load(Ordering::Relaxed),
            ..Times::default()
        };
        for (count, counter) in times.buckets.iter_mut().zip(&self.buckets) {
            *count = counter.load(Ordering::Relaxed);
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_bucket_that_takes_it() {
        let clocked = Clocked::default();
        for millis in [0, 1, 2, 4_096, 4_097, 60_000] {
            clocked.record(Duration::from_millis(millis));
        }
        let times = clocked.snapshot();
        let counts: Vec<u64> = times.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 1, 2]);
        assert_eq!(times.count(), 6);
        assert_eq!(times.longest(), Duration::from_secs(60));
        assert_eq!(times.total(), Duration::from_millis(68_196));
        assert_eq!(times.mean(), Some(Duration::from_millis(11_366)));
        assert_eq!(Times::default().mean(), None);
    }
}
