//! The circuit breaker: a server that does not answer is tried by one call at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// How many calls in a row have to fail before the others are spared the wait.
const THRESHOLD: u32 = 3;
/// How often a call is let through while the breaker is open.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// Counts failures in a row; clones share the count.
///
/// Open, it fails calls at once, but for one now and then, and for the heartbeat: those are the
/// probes, and a success closes the breaker.
#[derive(Clone)]
pub(super) struct Breaker {
    state: Arc<State>,
    probes: bool,
}

struct State {
    failures: AtomicU32,
    epoch: Instant,
    /// When the next call is let through, in milliseconds since the epoch.
    next_probe: AtomicU64,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::new(State {
                failures: AtomicU32::new(0),
                epoch: Instant::now(),
                next_probe: AtomicU64::new(0),
            }),
            probes: false,
        }
    }

    /// The same breaker for the one who always tries.
    pub(super) fn probing(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            probes: true,
        }
    }

    /// Whether a call may be sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] while the breaker is open.
    pub(super) fn check(&self) -> Result<()> {
        let is_closed = self.state.failures.load(Ordering::Relaxed) < THRESHOLD;
        if self.probes || is_closed || self.state.takes_turn(Instant::now()) {
            return Ok(());
        }
        let message = "the server has stopped answering; it is tried by one call at a time";
        Err(Error::new(ErrorKind::Connection, message).without_effect())
    }

    /// Takes in how a call went. A refusal is an answer.
    pub(super) fn note<T>(&self, outcome: &Result<T>) {
        match outcome {
            Err(error) if is_silence(error) => self.state.failed(Instant::now()),
            _ => self.state.failures.store(0, Ordering::Relaxed),
        }
    }
}

impl State {
    fn failed(&self, now: Instant) {
        // Saturates: an outage can be long.
        let up = |failures: u32| failures.checked_add(1);
        let _ = self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, up);
        let next = self.millis(now + PROBE_EVERY);
        self.next_probe.fetch_max(next, Ordering::Relaxed);
    }

    /// Whether the caller is the one that is let through now.
    fn takes_turn(&self, now: Instant) -> bool {
        let due = self.next_probe.load(Ordering::Relaxed);
        let next = self.millis(now + PROBE_EVERY);
        self.millis(now) >= due
            && self
                .next_probe
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn millis(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

fn is_silence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Result<()> {
        Err(Error::new(ErrorKind::Timeout, "no answer"))
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_probe_closes_it() {
        let breaker = Breaker::new();
        let heartbeat = breaker.probing();
        for _ in 0..THRESHOLD {
            assert!(breaker.check().is_ok());
            breaker.note(&silence());
        }
        assert_eq!(breaker.check().unwrap_err().kind(), ErrorKind::Connection);
        assert!(heartbeat.check().is_ok());
        heartbeat.note(&silence());
        assert!(breaker.check().is_err());
        heartbeat.note(&Ok(()));
        assert!(breaker.check().is_ok());
    }

    #[test]
    fn while_it_is_open_one_call_at_a_time_is_let_through() {
        let breaker = Breaker::new();
        let start = Instant::now();
        for _ in 0..THRESHOLD {
            breaker.state.failed(start);
        }
        let later = start + PROBE_EVERY + Duration::from_millis(1);
        assert!(!breaker.state.takes_turn(start));
        assert!(breaker.state.takes_turn(later));
        assert!(!breaker.state.takes_turn(later));
    }

    #[test]
    fn an_answer_in_between_keeps_it_closed_even_if_it_is_a_refusal() {
        let breaker = Breaker::new();
        for _ in 0..THRESHOLD * 2 {
            breaker.note(&silence());
            breaker.note::<()>(&Err(Error::new(ErrorKind::Backend, "LOADING")));
        }
        assert!(breaker.check().is_ok());
    }
}
