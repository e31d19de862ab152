//! Reading the service's body into one that grows for many.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::SET_COOKIE;
use http_body::{Body, Frame};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::growing::{CHUNK_OVERHEAD, Writer, unless};
use crate::rfc9111;

/// How much of a body that is not stored is kept for readers that lag behind, in bytes.
const WINDOW: usize = 256 << 10;
/// What the keeping of chunks may cost, in bytes, where the limit for the body is smaller.
const OVERHEAD_LIMIT: usize = 64 << 10;

/// The service's body.
pub(crate) struct Pump<'b, B> {
    body: Pin<&'b mut B>,
    terms: Terms,
    length: u64,
    chunks: usize,
    trailers: Option<HeaderMap>,
}

/// What a body must keep to, to be stored.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// The length that it was announced with, in bytes.
    pub(crate) announced: Option<u64>,
    /// The greatest length that is stored, in bytes.
    pub(crate) limit: usize,
    /// How long it may stand still.
    pub(crate) patience: Duration,
}

/// What became of a body.
pub(crate) enum Pumped {
    /// All of it has been read, with these trailers.
    Whole(Option<HeaderMap>),
    /// All of it has been read, and its trailers say that it is not to be stored.
    NotForOthers(Option<HeaderMap>),
    TooLarge,
    /// It does not go on, for now.
    Stalled,
    /// It failed, or is not what was announced.
    Aborted,
}

enum Next {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    Failed,
}

impl<'b, B: Body<Data = Bytes>> Pump<'b, B> {
    pub(crate) fn new(body: Pin<&'b mut B>, terms: Terms) -> Self {
        Self {
            body,
            terms,
            length: 0,
            chunks: 0,
            trailers: None,
        }
    }

    /// Whether there is nothing more to read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Reads the body as long as it may be stored.
    pub(crate) async fn fill(&mut self, writer: &Writer) -> Pumped {
        while let Some(next) = self.next_in_time().await {
            match next {
                Next::Data(data) => {
                    let fits = self.count(&data);
                    // Whoever has read all of it finds it stored.
                    if fits && self.is_at_end() {
                        writer.push_last(data);
                    } else {
                        writer.push(data);
                    }
                    if !fits {
                        return Pumped::TooLarge;
                    }
                }
                Next::Trailers(trailers) => self.trailers = Some(trailers),
                Next::End => return self.whole(),
                Next::Failed => return Pumped::Aborted,
            }
        }
        Pumped::Stalled
    }

    /// Passes on the rest of a body that is not stored, as fast as it is read.
    pub(crate) async fn drain(mut self, writer: Writer) {
        while writer.room(WINDOW).await {
            match unless(writer.unread(), self.next()).await {
                Some(Next::Data(data)) => {
                    self.count(&data);
                    writer.push(data);
                }
                Some(Next::Trailers(trailers)) => self.trailers = Some(trailers),
                Some(Next::End) if self.is_complete() => {
                    return writer.finish(self.shared_trailers());
                }
                // Failed, cut short, or nobody reads it.
                _ => return,
            }
        }
    }

    /// Counts a chunk; whether all of them may be stored.
    fn count(&mut self, data: &Bytes) -> bool {
        self.length += data.len() as u64;
        self.chunks += 1;
        let overhead = self.chunks * CHUNK_OVERHEAD;
        self.length <= self.terms.limit as u64 && overhead <= self.terms.limit.max(OVERHEAD_LIMIT)
    }

    fn whole(&self) -> Pumped {
        if !self.is_complete() {
            return Pumped::Aborted;
        }
        let trailers = self.shared_trailers();
        let is_personal = |trailers: &HeaderMap| trailers.contains_key(SET_COOKIE);
        let weight = self.length + trailers.as_ref().map_or(0, fields_length);
        if self.trailers.as_ref().is_some_and(is_personal) || weight > self.terms.limit as u64 {
            return Pumped::NotForOthers(trailers);
        }
        Pumped::Whole(trailers)
    }

    fn is_complete(&self) -> bool {
        self.terms.announced.is_none_or(|it| it == self.length)
    }

    /// The trailers, but for what is one client's or one connection's: all readers get them.
    fn shared_trailers(&self) -> Option<HeaderMap> {
        let mut trailers = rfc9111::to_store(self.trailers.as_ref()?);
        trailers.remove(SET_COOKIE);
        Some(trailers)
    }

    /// The next part; `None` if it has not come for too long.
    async fn next_in_time(&mut self) -> Option<Next> {
        let patience = self.terms.patience;
        if Handle::try_current().is_err() {
            return Some(self.next().await);
        }
        timeout(patience, self.next()).await.ok()
    }

    async fn next(&mut self) -> Next {
        loop {
            if self.is_at_end() {
                return Next::End;
            }
            let frame = poll_fn(|context| self.body.as_mut().poll_frame(context));
            match frame.await.map(|frame| frame.map(Frame::into_data)) {
                // It would be kept for nothing.
                Some(Ok(Ok(data))) if data.is_empty() => {}
                Some(Ok(Ok(data))) => return Next::Data(data),
                Some(Ok(Err(frame))) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Next::Trailers(trailers);
                    }
                }
                Some(Err(_)) => return Next::Failed,
                None => return Next::End,
            }
        }
    }
}

fn fields_length(fields: &HeaderMap) -> u64 {
    let lengths = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    lengths.sum::<usize>() as u64
}
