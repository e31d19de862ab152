//! Asking the service on behalf of all who want the same answer.
//!
//! The work runs in a task of its own, which owns the request: it goes on if the client that
//! began it goes away. It reads the body from the service, never through a client, so that a slow
//! client holds nobody up.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache_core::engine::Ticket;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tower_service::Service;

use crate::answer;
use crate::body::ResponseBody;
use crate::cache_status::Status;
use crate::growing::{Growing, Reader, Writer, unless};
use crate::plan::{Admitted, Plan};
use crate::rfc9111::{self, Unstorable};
use crate::stored::{CachedResponse, Head, Stored};
use crate::upstream::Upstream;

/// How long a key is known not to be shared ("hit for miss"). Long enough to spare the callers
/// of a busy route the wait for each other, short enough to be no loss when it is wrong.
const NOT_SHARED_FOR: Duration = Duration::from_secs(10);

/// How much of a body that is too large is kept for readers that lag behind, in bytes.
const WINDOW: usize = 256 << 10;

/// What followers are told before the response is stored.
pub(crate) enum Progress {
    Shared(Arc<Admitted>, Arc<Growing>),
    NotShared,
}

/// Where the answer for the client that began it goes.
pub(crate) type Client<B, E> = oneshot::Sender<Result<Response<ResponseBody<B>>, E>>;

/// Asks the service, answers the client, and stores what may be stored.
pub(crate) async fn lead<S, R, B>(
    ticket: Ticket,
    plan: Plan,
    upstream: Upstream<S, R>,
    client: Client<B, S::Error>,
) where
    S: Service<Request<R>, Response = Response<B>> + Clone,
    B: Body<Data = Bytes>,
{
    let requested = SystemTime::now();
    let response = match ticket.run(upstream.send()).await {
        Ok(response) => response,
        Err(error) => {
            ticket.unshared();
            // It has gone, perhaps; the error is its own all the same.
            let _ = client.send(Err(error));
            return;
        }
    };
    let (mut parts, body) = response.into_parts();
    match plan.admit(&mut parts, &body.size_hint(), requested) {
        Ok(admitted) => {
            let flight = Flight { ticket, plan };
            flight.share(admitted, parts, body, client).await;
        }
        Err(reason) => {
            let response = Response::from_parts(parts, body);
            refuse(ticket, &plan, reason, response, client).await;
        }
    }
}

/// Hands the answer to the client alone.
async fn refuse<B, E>(
    ticket: Ticket,
    plan: &Plan,
    reason: Unstorable,
    response: Response<B>,
    client: Client<B, E>,
) {
    // An error passes; the next answer may be one for all.
    let lasts = !response.status().is_server_error();
    if lasts {
        // Followers go their way at once, before anything is stored.
        let tags = plan.tags.iter().cloned().collect();
        ticket.progress(Arc::new(Progress::NotShared), tags);
    }
    let status = Some(Status::Unstorable(reason));
    let _ = client.send(Ok(answer::passed(response, status)));
    if lasts {
        publish_not_shared(ticket, plan).await;
    } else {
        ticket.unshared();
    }
}

async fn publish_not_shared(ticket: Ticket, plan: &Plan) {
    let options = plan.options().ttl(NOT_SHARED_FOR);
    ticket.publish(CachedResponse::NotShared, options).await;
}

struct Flight {
    ticket: Ticket,
    plan: Plan,
}

/// What became of a body.
enum Pumped {
    Whole(Option<HeaderMap>),
    /// It is longer than the limit; so much has been read.
    TooLarge(u64),
    Aborted,
}

impl Flight {
    /// Hands the answer to all who wait, and stores it when it is whole.
    async fn share<B, E>(
        self,
        admitted: Admitted,
        parts: http::response::Parts,
        body: B,
        client: Client<B, E>,
    ) where
        B: Body<Data = Bytes>,
    {
        let admitted = Arc::new(admitted);
        let (writer, reader) = self.announce(&admitted, &body.size_hint());
        let mut client = Some((client, parts, reader));
        let mut body = pin!(body);
        // An empty body is read as soon as its head is: then the client is answered when it can
        // be sure to find it stored.
        if !body.is_end_stream() {
            answer(&mut client);
        }
        let limit = self.plan.body_limit();
        let pump = pump(body.as_mut(), &writer, &admitted.head, limit);
        match self.ticket.run(unless(writer.deserted(), pump)).await {
            Some(Pumped::Whole(trailers)) => {
                self.publish(&admitted, &writer, trailers.clone()).await;
                answer(&mut client);
                writer.finish(trailers);
            }
            Some(Pumped::TooLarge(length)) => {
                writer.keep_window();
                publish_not_shared(self.ticket, &self.plan).await;
                drain(body.as_mut(), writer, &admitted.head, length).await;
            }
            // Dropped, the ticket gives up and the writer aborts.
            Some(Pumped::Aborted) | None => answer(&mut client),
        }
    }

    /// Lets those who wait take part in the answer from here on.
    fn announce(&self, admitted: &Arc<Admitted>, length: &SizeHint) -> (Writer, Reader) {
        let (writer, growing) = Growing::new(length);
        let reader = growing.reader().expect("a new body takes readers");
        let progress = Progress::Shared(Arc::clone(admitted), growing);
        let tags = self.plan.tags.iter().cloned().collect();
        self.ticket.progress(Arc::new(progress), tags);
        (writer, reader)
    }

    async fn publish(self, admitted: &Admitted, writer: &Writer, trailers: Option<HeaderMap>) {
        let stored = Stored {
            head: admitted.aged_head(),
            body: writer.collect(),
            trailers,
        };
        let value = CachedResponse::Response(Arc::new(stored));
        let options = self.plan.options().ttl(admitted.ttl());
        self.ticket.publish(value, options).await;
    }
}

/// Reads the body until it ends, or is too large to be stored.
async fn pump<B>(mut body: Pin<&mut B>, writer: &Writer, head: &Head, limit: usize) -> Pumped
where
    B: Body<Data = Bytes>,
{
    let mut length = 0;
    let mut trailers = None;
    while let Some(frame) = next(body.as_mut()).await {
        match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                length += data.len() as u64;
                if length > limit as u64 {
                    writer.push(data);
                    return Pumped::TooLarge(length);
                }
                // Whoever has read all of it finds it stored.
                if body.is_end_stream() {
                    writer.push_last(data);
                } else {
                    writer.push(data);
                }
            }
            Some(Err(frame)) => trailers = frame.into_trailers().ok(),
            None => return Pumped::Aborted,
        }
    }
    if rfc9111::is_complete(&head.headers, length) {
        Pumped::Whole(trailers)
    } else {
        Pumped::Aborted
    }
}

/// Passes on the rest of a body that is too large to be stored, as fast as it is read.
async fn drain<B>(mut body: Pin<&mut B>, writer: Writer, head: &Head, mut length: u64)
where
    B: Body<Data = Bytes>,
{
    let mut trailers = None;
    while writer.room(WINDOW).await {
        match unless(writer.unread(), next(body.as_mut())).await {
            Some(Some(Some(frame))) => match frame.into_data() {
                Ok(data) => {
                    length += data.len() as u64;
                    writer.push(data);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
            Some(None) if rfc9111::is_complete(&head.headers, length) => {
                return writer.finish(trailers);
            }
            // Failed, cut short, or nobody reads it.
            _ => return,
        }
    }
}

/// The next frame; `Some(None)` if the body failed.
async fn next<B: Body<Data = Bytes>>(mut body: Pin<&mut B>) -> Option<Option<Frame<Bytes>>> {
    if body.is_end_stream() {
        return None;
    }
    poll_fn(|context| {
        body.as_mut()
            .poll_frame(context)
            .map(|frame| frame.map(Result::ok))
    })
    .await
}

/// Answers the client that began it, unless that is done.
fn answer<B, E>(client: &mut Option<(Client<B, E>, http::response::Parts, Reader)>) {
    if let Some((client, mut parts, reader)) = client.take() {
        Status::Stored.add_to(&mut parts.headers);
        let response = Response::from_parts(parts, ResponseBody::grow(reader));
        let _ = client.send(Ok(response));
    }
}
