//! One reader of a growing body.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::{End, Growing, State};

/// A place in a growing body; dropping it gives the place up.
pub(crate) struct Reader {
    growing: Arc<Growing>,
    seat: u64,
    /// How many bytes it has read.
    read: u64,
    trailers_read: bool,
}

/// The body was not written to its end, or the reader did not keep up with it.
#[derive(Debug, PartialEq)]
pub(crate) struct Aborted;

type Step = Poll<Option<Result<Frame<Bytes>, Aborted>>>;

impl Reader {
    pub(super) fn new(growing: Arc<Growing>, seat: u64) -> Self {
        Self {
            growing,
            seat,
            read: 0,
            trailers_read: false,
        }
    }

    /// The next part of the body.
    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Step {
        // The waker that is replaced is dropped after the lock.
        let waker = context.waker().clone();
        let (step, replaced, is_window) = {
            let mut state = self.growing.lock();
            let step = step(&mut state, self.seat, self.trailers_read);
            let waiting = step.is_pending().then_some(waker);
            let seat = state.seats.get_mut(&self.seat);
            let replaced = seat.map(|seat| std::mem::replace(&mut seat.waker, waiting));
            (step, replaced, state.is_window)
        };
        drop(replaced);
        if let Poll::Ready(Some(Ok(frame))) = &step {
            self.note(frame);
            if is_window {
                self.growing.moved.notify_waiters();
            }
        }
        step
    }

    fn note(&mut self, frame: &Frame<Bytes>) {
        match frame.data_ref() {
            Some(data) => self.read += data.len() as u64,
            None => self.trailers_read = true,
        }
    }

    /// What is left of the length that the service announced.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.growing.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.read)),
            None => SizeHint::default(),
        }
    }

    /// Whether the reader has had all.
    pub(crate) fn is_end_stream(&self) -> bool {
        let state = self.growing.lock();
        let read = state.seats.get(&self.seat).map(|seat| seat.next);
        match &state.end {
            End::Complete(trailers) => {
                read == Some(state.readable_end()) && (trailers.is_none() || self.trailers_read)
            }
            End::Open | End::Aborted => false,
        }
    }
}

fn step(state: &mut State, seat: u64, trailers_read: bool) -> Step {
    let (end, dropped) = (state.readable_end(), state.dropped);
    let Some(place) = state.seats.get_mut(&seat) else {
        return Poll::Ready(Some(Err(Aborted)));
    };
    if place.next < end {
        let chunk = state.chunks[place.next - dropped].clone();
        place.next += 1;
        place.moved = Instant::now();
        state.trim();
        return Poll::Ready(Some(Ok(Frame::data(chunk))));
    }
    match &state.end {
        End::Open => Poll::Pending,
        End::Complete(Some(trailers)) if !trailers_read => {
            Poll::Ready(Some(Ok(Frame::trailers(trailers.clone()))))
        }
        End::Complete(_) => Poll::Ready(None),
        End::Aborted => Poll::Ready(Some(Err(Aborted))),
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let seat = {
            let mut state = self.growing.lock();
            let seat = state.seats.remove(&self.seat);
            state.trim();
            seat
        };
        // Its waker is dropped after the lock.
        drop(seat);
        self.growing.moved.notify_waiters();
    }
}
