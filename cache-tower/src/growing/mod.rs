//! A response body that is read by many while it is still being written.
//!
//! One writer, the task that reads the service's body, pushes chunks; readers each have a place
//! of their own. At first everything is kept, so that a reader can come at any time and the whole
//! can be stored. When the body turns out to be too long to be stored, only a window is kept:
//! nobody can join any more, the writer waits for the slowest reader, and one that does not move
//! while others have nothing to read is cut. A writer that is dropped before the end aborts: no reader ever takes
//! a body that was cut short for a whole one.

mod reader;
mod writer;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use http::HeaderMap;
use http_body::SizeHint;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use reader::Reader;
pub(crate) use writer::{Writer, unless};

/// What the keeping of a chunk costs beside its bytes.
pub(crate) const CHUNK_OVERHEAD: usize = 64;

/// A body under way.
pub(crate) struct Growing {
    state: Mutex<State>,
    /// Readers came, went or moved.
    moved: Notify,
    /// The length that the service announced, if it did.
    length: Option<u64>,
}

struct State {
    /// What is kept of the body.
    chunks: VecDeque<Bytes>,
    kept_bytes: usize,
    /// How many chunks came before those.
    dropped: usize,
    /// The last chunk is not to be seen yet.
    withheld: bool,
    /// Only a window is kept.
    is_window: bool,
    end: End,
    seats: HashMap<u64, Seat>,
    next_seat: u64,
}

enum End {
    Open,
    Complete(Option<HeaderMap>),
    Aborted,
}

/// A reader's place.
struct Seat {
    /// The number of the next chunk that it reads.
    next: usize,
    /// When it last read one.
    moved: Instant,
    waker: Option<Waker>,
}

impl Growing {
    /// A body of which nothing has come yet.
    pub(crate) fn new(hint: &SizeHint) -> (Writer, Arc<Self>) {
        let growing = Arc::new(Self {
            state: Mutex::new(State {
                chunks: VecDeque::new(),
                kept_bytes: 0,
                dropped: 0,
                withheld: false,
                is_window: false,
                end: End::Open,
                seats: HashMap::new(),
                next_seat: 0,
            }),
            moved: Notify::new(),
            length: hint.exact(),
        });
        (Writer::new(Arc::clone(&growing)), growing)
    }

    /// A reader from the beginning on; `None` if that is gone, or the body was aborted.
    pub(crate) fn reader(self: &Arc<Self>) -> Option<Reader> {
        let seat = {
            let mut state = self.lock();
            if state.is_window || matches!(state.end, End::Aborted) {
                return None;
            }
            state.next_seat += 1;
            let seat = state.next_seat;
            let place = Seat {
                next: 0,
                moved: Instant::now(),
                waker: None,
            };
            state.seats.insert(seat, place);
            seat
        };
        self.moved.notify_waiters();
        Some(Reader::new(Arc::clone(self), seat))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes all readers, after the lock.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let wakers: Vec<Waker> = {
            let mut state = self.lock();
            change(&mut state);
            let seats = state.seats.values_mut();
            seats.filter_map(|seat| seat.waker.take()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// The number of the chunk behind the last that can be read.
    fn readable_end(&self) -> usize {
        self.dropped + self.chunks.len() - usize::from(self.withheld)
    }

    /// What is kept takes so much room, in bytes.
    fn cost(&self) -> usize {
        self.kept_bytes + self.chunks.len() * CHUNK_OVERHEAD
    }

    /// Whether a reader has nothing to read because another has not read what is kept.
    fn is_held_up(&self) -> bool {
        let end = self.readable_end();
        self.dropped < end && self.seats.values().any(|seat| seat.next == end)
    }

    /// Since when the slowest reader has not moved, or `began` if that is later.
    fn slowest_since(&self, began: Instant) -> Instant {
        let slowest = self.seats.values().filter(|it| it.next == self.dropped);
        let moved = slowest.map(|seat| seat.moved).min();
        moved.unwrap_or(began).max(began)
    }

    fn push(&mut self, chunk: Bytes) {
        self.kept_bytes += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// Drops what every reader of a window has read.
    fn trim(&mut self) {
        if !self.is_window {
            return;
        }
        let slowest = self.seats.values().map(|seat| seat.next).min();
        let slowest = slowest.unwrap_or(usize::MAX);
        while self.dropped < slowest
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.kept_bytes -= chunk.len();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests;
