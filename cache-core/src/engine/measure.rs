//! A load as metrics see it: counted and timed when it has ended.
//!
//! This is a future by hand, because one that is made by `async` has room for what it awaits twice, and
//! loads are nested in loads.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::Ticket;
use crate::metrics::Counters;

pin_project! {
    /// A load that is counted when it has ended. One that is dropped, or panics, is not.
    pub(crate) struct Measured<'c, F, E> {
        #[pin]
        load: F,
        counters: &'c Counters,
        is_error: Option<E>,
        began: Option<Instant>,
    }
}

impl<'c, F, E> Measured<'c, F, E> {
    pub(crate) fn new(counters: &'c Counters, load: F, is_error: E) -> Self {
        Self {
            load,
            counters,
            is_error: Some(is_error),
            began: None,
        }
    }
}

impl<F: Future, E: FnOnce(&F::Output) -> bool> Future for Measured<'_, F, E> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let began = *this.began.get_or_insert_with(Instant::now);
        let result = ready!(this.load.poll(context));
        this.counters.loaded(began.elapsed());
        if this
            .is_error
            .take()
            .is_some_and(|is_error| is_error(&result))
        {
            this.counters.load_error();
        }
        Poll::Ready(result)
    }
}

impl Ticket {
    /// Drives a load of this ticket's key, or the part of it that is to be timed, and counts it in the
    /// [`Metrics`](crate::Metrics) of its namespace when it has ended. To be used inside
    /// [`run`](Self::run).
    ///
    /// Dropping the future drops the load, which is then not counted.
    pub fn measure<F: Future>(
        &self,
        load: F,
        is_error: impl FnOnce(&F::Output) -> bool,
    ) -> impl Future<Output = F::Output> {
        Measured::new(self.counters(), load, is_error)
    }
}
