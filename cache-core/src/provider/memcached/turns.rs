//! Turns of those who would be each other's competitors in one process. What they do is guarded by
//! compare-and-set; turns spare the work of those who would lose again and again.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

/// Keys that share a place wait for each other.
const PLACES: usize = 64;

/// A turn; `None` for somebody who goes on without one.
pub(super) type Turn<'a> = Option<MutexGuard<'a, ()>>;

/// A turn for each key.
pub(super) struct Turns {
    places: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits for those who change what stands at this key, as [`turn`] does.
    pub(super) async fn of(&self, key: &str, until: Instant) -> Turn<'_> {
        let place = self.hasher.hash_one(key) as usize % PLACES;
        turn(&self.places[place], until).await
    }
}

/// Waits for those who came before, for half of the time at most: one of them may never be polled
/// again.
pub(super) async fn turn(place: &Mutex<()>, until: Instant) -> Turn<'_> {
    let now = Instant::now();
    let half = now + until.saturating_duration_since(now) / 2;
    timeout_at(half, place.lock()).await.ok()
}
