//! The one thread that writes the file. Those who wait at one moment share a transaction, and the
//! wait for the disk.
//!
//! What was told by a caller is on the disk when he is answered. What only computing it again
//! would cost (a load's value, what is evicted or swept) is written along, and is on the disk with
//! the next thing that was told, or a second later. Transactions reach the disk in their order, so
//! a crash loses the last of the loads' values, and nothing else.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::batch::Batch;
use super::error::{Failure, Outcome, paused};
use super::job::Job;
use super::store::Store;
use super::sweep::Sweep;
use super::transaction::transact;
use crate::error::{Error, Result};

/// How many share one transaction at most.
const MAX_GROUP: usize = 256;
/// How long what nobody waits for may take to reach the disk.
const TICK: Duration = Duration::from_secs(1);
/// How long nothing is written after a failure: ten times as long as opening the file took, within
/// these.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What the writer is told.
pub(super) enum Message {
    Job(Box<dyn Job>),
    Compact(oneshot::Sender<Result<bool>>),
    Close(oneshot::Sender<()>),
}

/// The writer's thread, until its last caller is gone.
pub(super) struct Writer {
    store: Arc<Store>,
    messages: Receiver<Message>,
    sweep: Option<Sweep>,
    /// Something has been committed that is not on the disk.
    is_behind: bool,
    synced: Instant,
    /// Until when nothing is written, after a failure.
    pause: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        store: Arc<Store>,
        messages: Receiver<Message>,
        sweep: Option<Duration>,
    ) -> Self {
        Self {
            store,
            messages,
            sweep: sweep.map(Sweep::new),
            is_behind: false,
            synced: Instant::now(),
            pause: None,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let has_ended = match self.messages.recv_timeout(self.patience()) {
                Ok(message) => self.attend(message),
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            };
            if has_ended {
                return;
            }
            self.tend();
        }
    }

    pub(super) fn patience(&self) -> Duration {
        let sweep = || self.sweep.as_ref().map_or(TICK, Sweep::due_in);
        // Nothing is tended meanwhile, be it due.
        TICK.min(self.rest().unwrap_or_else(sweep))
    }

    /// Does what it is told; true if that was the last of all.
    fn attend(&mut self, message: Message) -> bool {
        match message {
            Message::Job(first) => {
                let then = self.serve(first);
                then.is_some_and(|then| self.attend(then))
            }
            Message::Compact(answer) => {
                let compacted = self.store.guarded(|| self.store.compact());
                let _ = answer.send(compacted);
                false
            }
            Message::Close(answer) => {
                self.end();
                let _ = answer.send(());
                true
            }
        }
    }

    /// Does a job together with those that wait, and returns what came that is none.
    fn serve(&mut self, first: Box<dyn Job>) -> Option<Message> {
        let mut group = vec![first];
        let mut then = None;
        while group.len() < MAX_GROUP && then.is_none() {
            match self.messages.try_recv() {
                Ok(Message::Job(job)) => group.push(job),
                Ok(message) => then = Some(message),
                Err(_) => break,
            }
        }
        self.commit(group);
        then
    }

    /// Runs a group in one transaction, and answers it. What waits for the disk since a failure
    /// goes before it.
    fn commit(&mut self, mut group: Vec<Box<dyn Job>>) {
        let (waiting, came) = self.store.log.pending();
        let is_sync = group.is_empty();
        let written = self.transact(is_sync, |batch| {
            batch.invalidate(&waiting)?;
            let mut jobs = group.iter_mut();
            jobs.try_for_each(|job| job.run(batch))
                .map_err(Failure::File)
        });
        if written.is_ok() && !waiting.is_empty() {
            self.store.log.delivered(came);
        }
        for job in group {
            job.answer(written.as_ref().copied().map_err(again));
        }
    }

    /// Changes the file in one transaction; with `is_sync` all that was committed before is on the
    /// disk after it.
    fn transact(
        &mut self,
        is_sync: bool,
        work: impl FnOnce(&mut Batch<'_>) -> Outcome<()>,
    ) -> Result<()> {
        if self.rest().is_some() {
            return Err(paused(self.store.path().display()));
        }
        let store = &self.store;
        let written =
            store.guarded(|| store.work(|database| transact(database, store, is_sync, work)));
        if let Err(error) = &written {
            let source = error.source().map(ToString::to_string);
            tracing::warn!(%error, source, "a transaction failed; nothing of it is done");
        }
        self.is_behind = !written?;
        if !self.is_behind {
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// What is left of the pause.
    fn rest(&self) -> Option<Duration> {
        let rest = self.pause?.saturating_duration_since(Instant::now());
        (!rest.is_zero()).then_some(rest)
    }

    /// What nobody has to ask for.
    pub(super) fn tend(&mut self) {
        if self.store.has_failed() {
            return self.recover();
        }
        if self.rest().is_some() {
            return;
        }
        let is_due = self.is_behind && self.synced.elapsed() >= TICK;
        if is_due || self.store.log.has_pending() {
            self.commit(Vec::new());
        }
        self.sweep();
    }

    fn sweep(&mut self) {
        let step = self.sweep.as_mut().map(|sweep| sweep.step(&self.store));
        match step {
            Some(Ok(found)) if !found.is_empty() => {
                // A failure has been logged, and is found in the file's state.
                let _ = self.transact(false, |batch| batch.sweep(&found));
            }
            Some(Err(error)) => {
                let path = self.store.path().display();
                tracing::warn!(%error, %path, "the file could not be swept to its end");
            }
            _ => (),
        }
    }

    /// Opens the file anew, and lets the disk rest for a while before it is written, or opened once
    /// more.
    fn recover(&mut self) {
        if self.rest().is_some() {
            return;
        }
        let began = Instant::now();
        let reopened = self.store.guarded(|| self.store.reopen());
        let (least, most) = PAUSES;
        let rest = (began.elapsed() * 10).clamp(least, most);
        self.pause = Some(Instant::now() + rest);
        self.is_behind = false;
        let path = self.store.path().display();
        match reopened {
            Ok(()) => tracing::info!(%path, "the file has been opened again"),
            Err(error) => tracing::warn!(%error, %path, "the file cannot be opened again yet"),
        }
    }

    /// Brings to the disk what is not there yet, and closes the file. It is the last moment for
    /// that: the disk may be well again, however much is left of a pause.
    fn end(&mut self) {
        self.pause = None;
        if self.store.has_failed() {
            self.recover();
            self.pause = None;
        }
        if self.is_behind || self.store.log.has_pending() {
            self.commit(Vec::new());
        }
        let path = self.store.path().display();
        if self.store.log.has_pending() {
            tracing::warn!(%path, "invalidations that waited for the disk are lost at the end");
        }
        let closed = self.store.guarded(|| {
            self.store.close();
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, %path, "the file could not be closed in order");
        }
    }
}

/// The same for another one who waited.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}
