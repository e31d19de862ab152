//! One operation on its way to the writer, and the answer on its way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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

/// Whose turn it is: the writer begins a job, or its caller gives it up, and not both.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<AtomicU8>);

const OPEN: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Turn {
    /// True if it has not been begun, and never will be.
    pub(super) fn give_up(&self) -> bool {
        !matches!(self.turn_to(GIVEN_UP), Err(BEGUN))
    }

    fn begin(&self) -> bool {
        !matches!(self.turn_to(BEGUN), Err(GIVEN_UP))
    }

    fn turn_to(&self, state: u8) -> Result<u8, u8> {
        let (taken, seen) = (Ordering::AcqRel, Ordering::Acquire);
        self.0.compare_exchange(OPEN, state, taken, seen)
    }
}

struct Task<T, W> {
    work: Option<W>,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
    orphan: Orphan,
    turn: Turn,
    /// Its part of the room in the queue.
    _room: OwnedSemaphorePermit,
}

/// A job that does `work`, and where its answer arrives.
pub(super) fn job<T, W>(
    work: W,
    orphan: Orphan,
    turn: Turn,
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
        turn,
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
        let is_wanted = || !self.answer.is_closed() && self.turn.begin();
        if self.orphan == Orphan::Dropped && !is_wanted() {
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
