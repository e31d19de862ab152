//! Loads that go on without a caller: the right to one, and what becomes of a panic in it.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::flight::Entered;
use super::{Engine, Hit, Led, Observed, Question, Ticket};

/// What a panic has left.
pub(crate) type Panic = Box<dyn Any + Send>;

impl Engine {
    /// The right to load anew what is being shown; `None` if somebody loads it already, or has just
    /// failed to.
    pub(crate) fn refresh(self: &Arc<Self>, question: &Question, shown: &Hit) -> Option<Led> {
        let now = self.clock.now();
        if self.resting.has(&question.key, now) {
            return None;
        }
        match self.flights.enter(question, &self.log, now) {
            Entered::Lead(flight) => Some(Led {
                ticket: Ticket::new(self, flight, question),
                observed: Some(Observed::Useful(shown.id())),
                why: None,
            }),
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
