//! Driving many futures of one caller at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Drives the futures until all are done; what they answer stands in their order.
///
/// Each of them is looked at whenever one can go on: they are a caller's keys, not a server's
/// connections.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut steps: Vec<_> = futures.into_iter().map(Step::of).collect();
    poll_fn(|context| {
        let mut all_are_done = true;
        for step in &mut steps {
            if let Step::Doing(future) = step {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *step = Step::Done(output),
                    Poll::Pending => all_are_done = false,
                }
            }
        }
        if all_are_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    steps.into_iter().filter_map(Step::output).collect()
}

enum Step<F: Future> {
    Doing(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Step<F> {
    fn of(future: F) -> Self {
        Self::Doing(Box::pin(future))
    }

    fn output(self) -> Option<F::Output> {
        match self {
            Self::Doing(_) => None,
            Self::Done(output) => Some(output),
        }
    }
}
