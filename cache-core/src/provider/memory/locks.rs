//! Locks among the handles of this process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::expiring::{Ends, Expiring};
use super::{MemoryProvider, NAME, ready};
use crate::clock::Timestamp;
use crate::entry::EntryId;
use crate::error::Result;
use crate::provider::{BoxFuture, Locks};

/// How many locks can be held at a time.
const MOST: usize = 1 << 17;

/// The locks that are held, and the last fencing number, of whichever lock.
pub(super) struct Held {
    locks: Expiring<Lease>,
    last: AtomicU64,
}

/// Who holds a lock, and until when.
#[derive(Debug)]
struct Lease {
    token: EntryId,
    fencing: u64,
    ends: Timestamp,
}

impl Ends for Lease {
    fn ends(&self) -> Timestamp {
        self.ends
    }
}

impl Held {
    pub(super) fn new() -> Self {
        Self {
            locks: Expiring::new(MOST),
            last: AtomicU64::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.locks.len()
    }

    /// Larger than all before, and not only those of this process: it follows the clock.
    fn next_fencing(&self, now: Timestamp) -> u64 {
        let next = |last: u64| last.saturating_add(1).max(now.as_micros());
        let order = Ordering::Relaxed;
        let before = self
            .last
            .fetch_update(order, order, |last| Some(next(last)));
        before.map_or_else(next, next)
    }
}

impl Locks for MemoryProvider {
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        token: EntryId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        let now = self.clock.now();
        let take = |there: &mut Option<Lease>| {
            let lease = there.get_or_insert_with(|| Lease {
                token,
                fencing: self.held.next_fencing(now),
                ends: now.saturating_add(ttl),
            });
            (lease.token == token).then_some(lease.fencing)
        };
        let taken = self.held.locks.with(key, now, take);
        ready(taken.map_err(|error| error.during("lock", NAME)))
    }

    fn extend<'a>(
        &'a self,
        key: &'a str,
        token: EntryId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        let now = self.clock.now();
        ready(self.held.locks.with(key, now, |there| {
            let own = there.as_mut().filter(|lease| lease.token == token);
            own.map(|lease| lease.ends = now.saturating_add(ttl))
                .is_some()
        }))
    }

    fn unlock<'a>(&'a self, key: &'a str, token: EntryId) -> BoxFuture<'a, Result<bool>> {
        ready(self.release_now(key, token))
    }

    fn give_back(&self, key: &str, token: EntryId) {
        // Taking away needs no room, so it does not fail.
        let _ = self.release_now(key, token);
    }
}

impl MemoryProvider {
    fn release_now(&self, key: &str, token: EntryId) -> Result<bool> {
        let take =
            |there: &mut Option<Lease>| there.take_if(|lease| lease.token == token).is_some();
        self.held.locks.with(key, self.clock.now(), take)
    }
}
