//! The writer of a growing body.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{End, Growing, Seat, State};

/// How long a reader that others wait for may stand still.
const STALL: Duration = Duration::from_secs(10);
/// How long a body that nobody reads goes on, so that it can be stored.
const DESERTED: Duration = Duration::from_secs(30);

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
        if state.chunks.len() == 1 {
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
    /// that stands still while others wait for it is cut.
    pub(crate) async fn room(&self, window: usize) -> bool {
        loop {
            let has_room = self.until(|state| state.seats.is_empty() || state.kept_bytes < window);
            let waits = self.0.lock().seats.len() > 1 && Handle::try_current().is_ok();
            if !waits {
                // Alone: it may be as slow as it likes. Who comes later finds no place.
                has_room.await;
            } else if timeout(STALL, has_room).await.is_err() {
                self.cut_slowest();
                continue;
            }
            return !self.0.lock().seats.is_empty();
        }
    }

    /// Ends when nobody has read for a while. Never, outside of a runtime.
    pub(crate) async fn deserted(&self) {
        if Handle::try_current().is_err() {
            return std::future::pending().await;
        }
        loop {
            self.unread().await;
            let joined = self.until(|state| !state.seats.is_empty());
            if timeout(DESERTED, joined).await.is_err() {
                return;
            }
        }
    }

    /// Ends when nobody reads any more.
    pub(crate) async fn unread(&self) {
        self.until(|state| state.seats.is_empty()).await;
    }

    /// Takes the places of those who are behind all others, and what they have not read.
    fn cut_slowest(&self) {
        let mut cut = Vec::new();
        self.0.change(|state| {
            let oldest = state.dropped;
            let stalled = |_: &u64, seat: &mut Seat| seat.next == oldest;
            cut.extend(state.seats.extract_if(stalled));
            state.trim();
        });
        let wakers = cut.into_iter().filter_map(|(_, seat)| seat.waker);
        wakers.for_each(std::task::Waker::wake);
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
