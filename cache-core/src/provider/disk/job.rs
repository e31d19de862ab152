//! One operation on its way to the writer, and the answer on its way back.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::batch::Batch;
use super::error::{Failure, Outcome};
use crate::error::{Error, ErrorKind, Result};

/// An operation that shares a transaction with others.
pub(super) trait Job: Send {
    /// Does it. A failure is the file's: then nothing of the transaction is done.
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), redb::Error>;

    /// Says how it went, now that the transaction has been committed or given up.
    fn answer(self: Box<Self>, transaction: Result<()>);
}

/// What becomes of an operation whose caller has gone away before it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orphan {
    /// It is not done: something else may have been told to be true since.
    Dropped,
    /// It is done all the same.
    Done,
}

struct Task<T, W> {
    work: Option<W>,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
    orphan: Orphan,
    /// Its part of the room in the queue.
    _room: OwnedSemaphorePermit,
}

/// A job that does `work`, and where its answer arrives.
pub(super) fn job<T, W>(
    work: W,
    orphan: Orphan,
    room: OwnedSemaphorePermit,
) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    W: FnOnce(&mut Batch<'_>) -> Outcome<T> + Send + 'static,
{
    let (answer, receiver) = oneshot::channel();
    let task = Task {
        work: Some(work),
        outcome: None,
        answer,
        orphan,
        _room: room,
    };
    (Box::new(task), receiver)
}

impl<T, W> Job for Task<T, W>
where
    T: Send,
    W: FnOnce(&mut Batch<'_>) -> Outcome<T> + Send,
{
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), redb::Error> {
        if self.orphan == Orphan::Dropped && self.answer.is_closed() {
            return Ok(());
        }
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        self.outcome = Some(match work(batch) {
            Ok(value) => Ok(value),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::File(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, transaction: Result<()>) {
        let outcome = self.outcome.unwrap_or_else(|| Err(unanswered()));
        // Whoever has gone away needs no answer.
        let _ = self.answer.send(transaction.and(outcome));
    }
}

/// The writer has ended, or given up in the middle.
pub(super) fn unanswered() -> Error {
    let message = "whoever writes the file has ended; whether it was done is unknown";
    Error::new(ErrorKind::Backend, message)
}
