//! Waiting after a failure, longer each time, and telling of it once.

use std::error::Error as _;
use std::time::Duration;

use crate::error::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait after a failure, and whether somebody was told.
pub(super) struct Pause {
    what: &'static str,
    next: Duration,
    reported: bool,
}

impl Pause {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            next: FIRST_PAUSE,
            reported: false,
        }
    }

    pub(super) fn after_failure(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        pause
    }

    pub(super) fn succeeded(&mut self) {
        if self.reported {
            tracing::info!("{} succeeds again", self.what);
        }
        *self = Self::new(self.what);
    }

    /// Warns once per outage.
    pub(super) fn failed(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.reported, true) {
            let (what, source) = (self.what, error.source().map(ToString::to_string));
            tracing::warn!(%error, source, "{what} failed; it is tried until it succeeds");
        }
    }
}
