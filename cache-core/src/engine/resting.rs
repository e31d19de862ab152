//! Keys whose last load has failed, and until when nobody tries again who can show a stale value.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;

/// With more, the next failed loads are not remembered: they are tried again earlier.
const MOST: usize = 4_096;

/// The keys that rest, each until a moment of its own.
#[derive(Debug, Default)]
pub(super) struct Resting(Mutex<HashMap<Arc<str>, Timestamp>>);

impl Resting {
    /// Lets a key rest from now on.
    pub(super) fn begin(&self, key: &Arc<str>, now: Timestamp, until: Timestamp) {
        let mut resting = self.lock();
        if resting.len() >= MOST {
            resting.retain(|_, until| now < *until);
        }
        if resting.len() < MOST {
            resting.insert(Arc::clone(key), until);
        }
    }

    /// A load of the key has succeeded.
    pub(super) fn end(&self, key: &str) {
        self.lock().remove(key);
    }

    pub(super) fn has(&self, key: &str, now: Timestamp) -> bool {
        let mut resting = self.lock();
        match resting.get(key) {
            Some(until) if now < *until => true,
            Some(_) => resting.remove(key).is_none(),
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Timestamp>> {
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
        assert!(resting.lock().is_empty());
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
        assert_eq!(resting.lock().len(), MOST);
        assert!(!resting.has(&key(MOST), at(5)));
        resting.begin(&key(MOST), at(10), at(20));
        assert_eq!(resting.lock().len(), 1);
    }
}
