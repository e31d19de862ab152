//! A load as metrics and traces see it: counted and timed when it has ended, in a span of its own.
//!
//! This is a future by hand, because one that is made by `async` has room for what it awaits twice, and
//! loads are nested in loads.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;
use tracing::instrument::{Instrument, Instrumented};

use super::Ticket;
use crate::metrics::Counters;

pin_project! {
    /// A load that is counted when it has ended. One that is dropped, or panics, is not.
    pub(crate) struct Measured<'c, F, E> {
        #[pin]
        load: Instrumented<F>,
        counters: &'c Counters,
        is_error: Option<E>,
        began: Option<Instant>,
    }
}

impl<'c, F, E> Measured<'c, F, E> {
    pub(crate) fn new(counters: &'c Counters, load: F, is_error: E) -> Self {
        Self {
            load: load.instrument(span(counters)),
            counters,
            is_error: Some(is_error),
            began: None,
        }
    }
}

fn span(counters: &Counters) -> Span {
    tracing::debug_span!(
        target: "cache_core",
        "cache.load",
        provider = counters.provider(),
        namespace = counters.namespace(),
        outcome = Empty,
    )
}

impl<F: Future, E: FnOnce(&F::Output) -> bool> Future for Measured<'_, F, E> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let began = *this.began.get_or_insert_with(Instant::now);
        let result = ready!(this.load.as_mut().poll(context));
        let is_error = this.is_error.take().is_some_and(|is| is(&result));
        this.counters.loaded(began.elapsed(), is_error);
        let outcome = if is_error { "error" } else { "ok" };
        this.load.span().record("outcome", outcome);
        Poll::Ready(result)
    }
}

impl Ticket {
    /// Drives a load of this ticket's key, or the part of it that is to be timed, and counts it in the
    /// [`Metrics`](crate::Metrics) of its namespace when it has ended. To be used inside
    /// [`run`](Self::run).
    ///
    /// It runs in a span `cache.load` of level DEBUG, with the fields `provider`, `namespace` and
    /// `outcome`: `ok` or `error`.
    ///
    /// Dropping the future drops the load, which is then not counted, and has no outcome.
    pub fn measure<F: Future>(
        &self,
        load: F,
        is_error: impl FnOnce(&F::Output) -> bool,
    ) -> impl Future<Output = F::Output> {
        Measured::new(self.counters(), load, is_error)
    }
}
