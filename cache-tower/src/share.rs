//! An answer that may be shared: handed to all who wait while it comes, and stored when it is
//! whole.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::engine::Ticket;
use http::{HeaderMap, Response};
use http_body::{Body, SizeHint};

use crate::body::ResponseBody;
use crate::cache_status::Status;
use crate::detached::Detached;
use crate::growing::{Growing, Reader, Writer, unless};
use crate::lead::{Client, Progress, publish_not_shared};
use crate::plan::{Admitted, Plan};
use crate::pump::{Pump, Pumped, Terms};
use crate::stored::{CachedResponse, Stored};

/// How long a body may stand still at least, where callers hardly wait for each other.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request whose answer is for all who want the same.
pub(crate) struct Flight {
    pub(crate) ticket: Ticket,
    pub(crate) plan: Plan,
}

impl Flight {
    /// Hands the answer to all who wait, and stores it when it is whole.
    pub(crate) async fn share<B, E>(
        self,
        admitted: Admitted,
        parts: http::response::Parts,
        body: B,
        client: Client<B, E>,
        detached: &Detached,
    ) where
        B: Body<Data = Bytes>,
    {
        let terms = Terms {
            announced: admitted.announced,
            limit: self.plan.body_limit(),
            patience: self.ticket.flight_wait().max(PATIENCE),
        };
        let status = self.status();
        let admitted = Arc::new(admitted);
        let (writer, reader) = self.announce(&admitted, &body.size_hint());
        let body = pin!(body);
        let mut pump = Pump::new(body, terms);
        let mut client = Some((client, parts, reader));
        // An empty body is read as soon as its head is: then the client is answered when it can
        // be sure to find it stored.
        if !pump.is_at_end() {
            answer(&mut client, status);
        }
        let filling = unless(writer.deserted(detached), pump.fill(&writer));
        match self.ticket.run(filling).await {
            Some(Pumped::Whole(trailers)) => {
                self.publish(&admitted, &writer, trailers.clone()).await;
                answer(&mut client, status);
                writer.finish(trailers);
            }
            Some(Pumped::NotForOthers(trailers)) => {
                publish_not_shared(self.ticket, &self.plan).await;
                writer.finish(trailers);
            }
            Some(Pumped::TooLarge) => {
                writer.keep_window();
                publish_not_shared(self.ticket, &self.plan).await;
                pump.drain(writer).await;
            }
            Some(Pumped::Stalled) => {
                // The next caller asks anew.
                writer.keep_window();
                self.ticket.unshared();
                pump.drain(writer).await;
            }
            // Dropped, the ticket gives up and the writer aborts.
            Some(Pumped::Aborted) | None => answer(&mut client, status),
        }
    }

    fn status(&self) -> Status {
        if self.ticket.is_storable() {
            Status::Stored
        } else {
            Status::Unavailable
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

/// Answers the client that began it, unless that is done.
fn answer<B, E>(
    client: &mut Option<(Client<B, E>, http::response::Parts, Reader)>,
    status: Status,
) {
    if let Some((client, mut parts, reader)) = client.take() {
        status.add_to(&mut parts.headers);
        let response = Response::from_parts(parts, ResponseBody::grow(reader));
        let _ = client.send(Ok(response));
    }
}
