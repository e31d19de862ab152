//! Keys whose last load has failed, and until when nobody tries again who can show a stale value.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// With more, the next failed loads are not remembered: they are tried again earlier.
const MOST: usize = 4_096;

/// How often a full table is looked through for those that are over.
const SCAN_EVERY: Duration = Duration::from_millis(100);

/// The keys that rest, each until a moment of its own.
#[derive(Debug, Default)]
pub(super) struct Resting(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    keys: HashMap<Arc<str>, Timestamp>,
    scanned: Option<Timestamp>,
}

impl Table {
    /// Makes room in a full table, unless that was tried just now: an outage lets a great many loads
    /// fail, and each looks for room.
    fn scan(&mut self, now: Timestamp) {
        let waits = |scanned: Timestamp| now.since(scanned) < SCAN_EVERY;
        if self.keys.len() < MOST || self.scanned.is_some_and(waits) {
            return;
        }
        self.scanned = Some(now);
        self.keys.retain(|_, until| now < *until);
    }
}

impl Resting {
    /// Lets a key rest from now on.
    pub(super) fn begin(&self, key: &Arc<str>, now: Timestamp, until: Timestamp) {
        let mut resting = self.lock();
        resting.scan(now);
        if resting.keys.len() < MOST {
            resting.keys.insert(Arc::clone(key), until);
        }
    }

    /// A load of the key has succeeded.
    pub(super) fn end(&self, key: &str) {
        self.lock().keys.remove(key);
    }

    pub(super) fn has(&self, key: &str, now: Timestamp) -> bool {
        let mut resting = self.lock();
        match resting.keys.get(key) {
            Some(until) if now < *until => true,
            Some(_) => resting.keys.remove(key).is_none(),
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_key_rests_until_its_moment_or_the_next_success() {
        let (resting, key) = (Resting::default(), Arc::from("k"));
        resting.begin(&key, at(0), at(10));
        assert!(resting.has("k", at(9)));
        assert!(!resting.has("k", at(10)));
        assert!(resting.lock().keys.is_empty());
        resting.begin(&key, at(0), at(10));
        resting.end("k");
        assert!(!resting.has("k", at(9)));
    }

    #[test]
    fn no_more_keys_rest_than_the_limit_and_those_that_are_over_make_room() {
        let resting = Resting::default();
        let key = |index: usize| Arc::from(format!("k{index}"));
        for index in 0..MOST + 10 {
            resting.begin(&key(index), at(0), at(10));
        }
        assert_eq!(resting.lock().keys.len(), MOST);
        assert!(!resting.has(&key(MOST), at(5)));
        resting.begin(&key(MOST), at(99), at(200));
        assert_eq!(
            resting.lock().keys.len(),
            MOST,
            "not looked through again so soon"
        );
        resting.begin(&key(MOST), at(100), at(200));
        assert_eq!(resting.lock().keys.len(), 1);
    }
}
