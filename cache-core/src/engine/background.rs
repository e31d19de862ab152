//! Loads that go on without a caller: the right to one, and what becomes of a panic in it.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::OwnedSemaphorePermit;

use super::flight::Entered;
use super::{Engine, Hit, Led, Observed, Question, Ticket};

/// How many values are loaded anew in the background at a time.
pub(super) const MOST_REFRESHES: usize = 1_000;

/// What a panic has left.
pub(crate) type Panic = Box<dyn Any + Send>;

impl Engine {
    /// The right to load anew what is being shown, and the room to; `None` if somebody loads it already,
    /// or has just failed to, or too many others are loaded in the background.
    pub(crate) fn refresh(
        self: &Arc<Self>,
        question: &Question,
        shown: &Hit,
    ) -> Option<(Led, OwnedSemaphorePermit)> {
        let now = self.clock.now();
        if self.resting.has(&question.key, now) {
            return None;
        }
        let room = Arc::clone(&self.refreshes).try_acquire_owned().ok()?;
        match self.flights.enter(question, &self.log, now) {
            Entered::Lead(flight) => {
                let led = Led {
                    ticket: Ticket::new(self, flight, question),
                    observed: Some(Observed::Useful(shown.id())),
                    why: None,
                };
                Some((led, room))
            }
            Entered::Follow(_) | Entered::Occupied => None,
        }
    }

    /// Whether a load of the key has failed lately, so that what is stale is shown without another.
    pub(crate) fn rests(&self, question: &Question) -> bool {
        self.resting.has(&question.key, self.clock.now())
    }

    /// Notes how a load has ended: after a failure the next waits, if there may be something to show.
    pub(crate) fn loaded(&self, question: &Question, succeeded: bool) {
        let policy = &question.policy;
        if !policy.rests() {
            return;
        }
        if succeeded {
            return self.resting.end(&question.key);
        }
        let now = self.clock.now();
        let until = now.saturating_add(policy.retry_after);
        self.resting.begin(&question.key, now, until);
    }

    /// Counts and logs that a load was dropped because it did not end.
    pub(crate) fn timed_out(&self, question: &Question) {
        self.loaded(question, false);
        question.counters.error();
        if self.warned.due(self.clock.now()) {
            tracing::warn!(
                provider = self.provider.name(),
                namespace = question.counters.namespace(),
                "a load took longer than the load timeout and was dropped (told at most once a second)"
            );
        }
    }

    /// Counts and logs a panic that no caller is told of.
    pub(crate) fn panicked(&self, question: &Question) {
        self.loaded(question, false);
        question.counters.error();
        tracing::error!(
            provider = self.provider.name(),
            namespace = question.counters.namespace(),
            "a load that runs in the background panicked; the next caller loads"
        );
    }
}

/// Drives a future to its end, even if that is a panic.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(future);
    // It is not polled again after a panic.
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}
