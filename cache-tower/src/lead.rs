//! Asking the service on behalf of all who want the same answer.
//!
//! The work runs in a task of its own, which owns the request: it goes on if the client that
//! began it goes away. It reads the body from the service, never through a client, so that a slow
//! client holds nobody up.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache_core::engine::Ticket;
use http::{Request, Response};
use http_body::Body;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tower_service::Service;

use crate::answer;
use crate::body::ResponseBody;
use crate::cache_status::Status;
use crate::detached::{Detached, GRACE};
use crate::growing::{Growing, unless};
use crate::layer::Shared;
use crate::plan::{Admitted, Plan};
use crate::rfc9111::Unstorable;
use crate::share::Flight;
use crate::stored::CachedResponse;
use crate::upstream::Upstream;

/// How long a key is known not to be shared ("hit for miss"). Long enough to spare the callers
/// of a busy route the wait for each other, short enough to be no loss when it is wrong.
const NOT_SHARED_FOR: Duration = Duration::from_secs(10);

/// What followers are told before the response is stored.
pub(crate) enum Progress {
    Shared(Arc<Admitted>, Arc<Growing>),
    NotShared,
}

/// Where the answer for the client that began it goes.
pub(crate) type Client<B, E> = oneshot::Sender<Result<Response<ResponseBody<B>>, E>>;

/// Asks the service, answers the client, and stores what may be stored.
pub(crate) async fn lead<S, R, B>(
    shared: Arc<Shared>,
    ticket: Ticket,
    plan: Plan,
    upstream: Upstream<S, R>,
    mut client: Client<B, S::Error>,
) where
    S: Service<Request<R>, Response = Response<B>> + Clone,
    B: Body<Data = Bytes>,
{
    let requested = SystemTime::now();
    let forsaken = forsaken(&ticket, &mut client, &shared.detached);
    let send = ticket.measure(upstream.send(), Result::is_err);
    let response = match ticket.run(unless(forsaken, send)).await {
        Some(Ok(response)) => response,
        None => return,
        Some(Err(error)) => {
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
            let detached = &shared.detached;
            flight.share(admitted, parts, body, client, detached).await;
        }
        Err(reason) => {
            let response = Response::from_parts(parts, body);
            refuse(ticket, &plan, reason, response, client).await;
        }
    }
}

/// Ends when the client has gone and nobody else has waited for a while, or when too many
/// requests go on for nobody. Never, outside of a runtime.
async fn forsaken<B, E>(ticket: &Ticket, client: &mut Client<B, E>, detached: &Detached) {
    if Handle::try_current().is_err() {
        return std::future::pending().await;
    }
    client.closed().await;
    loop {
        let room = detached.enter();
        if room.is_some() || ticket.followers() > 0 {
            sleep(GRACE).await;
        }
        if ticket.followers() == 0 {
            return;
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

pub(crate) async fn publish_not_shared(ticket: Ticket, plan: &Plan) {
    let options = plan.options().ttl(NOT_SHARED_FOR);
    ticket.publish(CachedResponse::NotShared, options).await;
}
