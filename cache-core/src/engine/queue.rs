//! Turns of those who change one value by what it is.
//!
//! The change itself is a compare-and-set, which guards the value. Turns spare the work of callers
//! of one process who would otherwise be each other's competitors, and lose again and again.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// Keys that share a place wait for each other.
const PLACES: usize = 256;

/// A turn; `None` for somebody who goes on without one.
pub(crate) type Turned<'a> = Option<MutexGuard<'a, ()>>;

/// Who waits for which key, first come, first served.
pub(super) struct Queue {
    places: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits for those who came before, at most this long: one of them may never be polled again.
    /// Without a runtime there is no timer, and nobody is waited for.
    pub(super) async fn turn(&self, key: &str, wait: Duration) -> Turned<'_> {
        let place = &self.places[self.hasher.hash_one(key) as usize % PLACES];
        if let Ok(turn) = place.try_lock() {
            return Some(turn);
        }
        if runtime::Handle::try_current().is_err() {
            return None;
        }
        timeout(wait, place.lock()).await.ok()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_too_long_goes_on_without_a_turn() {
        let queue = Queue::new();
        let wait = Duration::from_secs(5);
        let first = queue.turn("k", wait).await;
        assert!(first.is_some());
        assert!(queue.turn("k", wait).await.is_none());
        drop(first);
        assert!(queue.turn("k", wait).await.is_some());
    }
}
