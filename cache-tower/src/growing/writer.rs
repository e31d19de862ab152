//! The writer of a growing body.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use super::{End, Growing, Seat, State};
use crate::detached::{Detached, GRACE};

/// How long a reader that others wait for may stand still.
const STALL: Duration = Duration::from_secs(10);
/// Below this a body is copied when it is kept, in bytes: it can be a piece of a large buffer.
const SMALL: usize = 64 << 10;

/// Writes a growing body. Dropped before [`finish`](Self::finish), it aborts the body.
pub(crate) struct Writer(Arc<Growing>);

impl Writer {
    pub(super) fn new(growing: Arc<Growing>) -> Self {
        Self(growing)
    }

    /// Adds a chunk that all may read.
    pub(crate) fn push(&self, chunk: Bytes) {
        self.0.change(|state| state.push(chunk));
    }

    /// Adds the last chunk, which nobody sees before [`finish`](Self::finish).
    pub(crate) fn push_last(&self, chunk: Bytes) {
        let mut state = self.0.lock();
        state.push(chunk);
        state.withheld = true;
    }

    /// All that has been written, in one piece.
    pub(crate) fn collect(&self) -> Bytes {
        let state = self.0.lock();
        if state.chunks.len() == 1 && state.kept_bytes >= SMALL {
            return state.chunks[0].clone();
        }
        let mut whole = BytesMut::with_capacity(state.kept_bytes);
        for chunk in &state.chunks {
            whole.extend_from_slice(chunk);
        }
        whole.freeze()
    }

    /// The body is whole.
    pub(crate) fn finish(self, trailers: Option<HeaderMap>) {
        self.0.change(|state| {
            state.withheld = false;
            state.end = End::Complete(trailers);
        });
    }

    /// Keeps no more than readers have yet to read. Nobody can join from here on.
    pub(crate) fn keep_window(&self) {
        self.0.change(|state| {
            state.is_window = true;
            state.trim();
        });
    }

    /// Waits until less than `window` bytes are kept; false if nobody reads any more. A reader
    /// that does not move while others wait for it is cut.
    pub(crate) async fn room(&self, window: usize) -> bool {
        let has_room = |state: &State| state.seats.is_empty() || state.cost() < window;
        let timed = Handle::try_current().is_ok();
        let began = Instant::now();
        loop {
            // Where nobody waits, all may be as slow as they like. Who comes later finds no place.
            self.until(|state| has_room(state) || (timed && state.is_held_up()))
                .await;
            let deadline = {
                let state = self.0.lock();
                if has_room(&state) {
                    return !state.seats.is_empty();
                }
                state.slowest_since(began) + STALL
            };
            if timeout_at(deadline, self.until(has_room)).await.is_err() {
                self.cut_stalled();
            }
        }
    }

    /// Ends when nobody has read for a while, or when too much goes on for nobody; nobody can
    /// join from then on. Never, outside of a runtime.
    pub(crate) async fn deserted(&self, detached: &Detached) {
        if Handle::try_current().is_err() {
            return std::future::pending().await;
        }
        loop {
            self.unread().await;
            let room = detached.enter();
            if room.is_some() {
                let joined = self.until(|state| !state.seats.is_empty());
                // Whether in time or not is decided below, where nobody can come in between.
                let _ = timeout(GRACE, joined).await;
            }
            let mut state = self.0.lock();
            if state.seats.is_empty() {
                state.is_window = true;
                return;
            }
        }
    }

    /// Ends when nobody reads any more.
    pub(crate) async fn unread(&self) {
        self.until(|state| state.seats.is_empty()).await;
    }

    /// Takes the places of those for whom others have waited too long, and what they have not
    /// read.
    fn cut_stalled(&self) {
        let mut cut = Vec::new();
        self.0.change(|state| {
            if state.is_held_up() {
                let oldest = state.dropped;
                let stalled =
                    |_: &u64, seat: &mut Seat| seat.next == oldest && seat.moved.elapsed() >= STALL;
                cut.extend(state.seats.extract_if(stalled));
                state.trim();
            }
        });
        // None of them waits: the chunk that it has not read has woken it.
        drop(cut);
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let mut moved = pin!(self.0.moved.notified());
            moved.as_mut().enable();
            if holds(&self.0.lock()) {
                return;
            }
            moved.await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.change(|state| {
            if matches!(state.end, End::Open) {
                state.end = End::Aborted;
            }
        });
    }
}

/// Runs `work` until it is done or `over` ends; `None` in the latter case.
pub(crate) async fn unless<T>(
    over: impl Future<Output = ()>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (mut over, mut work) = (pin!(over), pin!(work));
    std::future::poll_fn(|context| {
        if let std::task::Poll::Ready(done) = work.as_mut().poll(context) {
            return std::task::Poll::Ready(Some(done));
        }
        over.as_mut().poll(context).map(|()| None)
    })
    .await
}
