//! Work that goes on when its client has gone: for how long, and how much of it at a time.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// How long work goes on that nobody waits for, so that it can be stored.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// How many requests of a layer go on for nobody at a time.
const LIMIT: usize = 1_000;

/// The room for such work in one layer.
pub(crate) struct Detached(Semaphore);

impl Detached {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(LIMIT))
    }

    /// Takes room until the permit is dropped; `None` if there is none.
    pub(crate) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.0.try_acquire().ok()
    }
}
