//! The circuit breaker: a server that does not answer is left alone until a heartbeat gets through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// How many calls in a row have to fail before the others are spared the wait.
const THRESHOLD: u32 = 3;

/// Counts failures in a row; clones share the count.
///
/// Open, it fails every call at once. The heartbeat goes through all the same, one call at a
/// time: it is the probe, and its success closes the breaker.
#[derive(Clone, Default)]
pub(super) struct Breaker {
    failures: Arc<AtomicU32>,
    probes: bool,
}

impl Breaker {
    /// The same breaker for the one who tries while it is open.
    pub(super) fn probing(&self) -> Self {
        Self {
            failures: Arc::clone(&self.failures),
            probes: true,
        }
    }

    /// Whether a call may be sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] while the breaker is open.
    pub(super) fn check(&self) -> Result<()> {
        if self.probes || self.failures.load(Ordering::Relaxed) < THRESHOLD {
            return Ok(());
        }
        let message = "the server has stopped answering; it is asked again by the heartbeat alone";
        Err(Error::new(ErrorKind::Connection, message))
    }

    /// Takes in how a call went. A refusal is an answer.
    pub(super) fn note<T>(&self, outcome: &Result<T>) {
        let silent =
            |error: &Error| matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout);
        match outcome {
            Err(error) if silent(error) => {
                // Saturates: an outage can be long.
                let up = |failures: u32| failures.checked_add(1);
                let _ = self
                    .failures
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, up);
            }
            _ => self.failures.store(0, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Result<()> {
        Err(Error::new(ErrorKind::Timeout, "no answer"))
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_probe_closes_it() {
        let breaker = Breaker::default();
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
    fn an_answer_in_between_keeps_it_closed_even_if_it_is_a_refusal() {
        let breaker = Breaker::default();
        for _ in 0..THRESHOLD * 2 {
            breaker.note(&silence());
            breaker.note::<()>(&Err(Error::new(ErrorKind::Backend, "LOADING")));
        }
        assert!(breaker.check().is_ok());
    }
}
