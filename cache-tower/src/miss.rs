//! A request that memory has no answer for: from a remote tier, from somebody else's flight, by
//! leading one, or from the service alone.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::Cache;
use cache_core::engine::{Followed, Follower, Hit, Ticket, Turn, carry};
use http::{Request, Response};
use http_body::Body;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tower_service::Service;
use tracing::Instrument;

use crate::answer::{self, Answer};
use crate::body::{Driver, ResponseBody};
use crate::cache_status::Status;
use crate::growing::Growing;
use crate::layer::Shared;
use crate::lead::{Progress, lead};
use crate::plan::{Admitted, Plan};
use crate::upstream::Upstream;

/// How often a caller asks again after a leader gave up, before it goes alone.
const ATTEMPTS: usize = 8;

/// Answers a request, one way or another.
pub(crate) async fn answer<S, R, B>(
    shared: Arc<Shared>,
    plan: Plan,
    mut upstream: Upstream<S, R>,
) -> Result<Response<ResponseBody<B>>, S::Error>
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    R: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    match seek(&shared.cache, &plan, &mut upstream).await {
        Sought::Answer(response) => Ok(response),
        Sought::Lead(ticket) => begin(shared, ticket, plan, upstream).await,
        Sought::Alone(status) => {
            let response = upstream.send().await?;
            Ok(answer::passed(response, Some(status)))
        }
    }
}

/// What a caller is to do.
enum Sought<B> {
    Answer(Response<ResponseBody<B>>),
    /// Ask the service, for all who want the same.
    Lead(Ticket),
    /// Ask the service, for this client alone.
    Alone(Status),
}

async fn seek<S, R, B>(cache: &Cache, plan: &Plan, upstream: &mut Upstream<S, R>) -> Sought<B>
where
    S: Service<Request<R>> + Clone,
{
    // A HEAD does not wait for a load in another process either: it asks for less than that.
    let unlocked = plan.is_head.then(|| cache.with_distributed_lock(false));
    let cache = unlocked.as_ref().unwrap_or(cache);
    for _ in 0..ATTEMPTS {
        let sought = match cache.turn(&plan.key, plan.owner, &plan.options()).await {
            Turn::Hit(hit) => use_hit(cache, &hit, plan).await,
            // HEAD brings nothing to be stored: whoever asks by GET leads, and is not waited for.
            _ if plan.is_head => return Sought::Alone(Status::Head),
            Turn::Lead(ticket) => return Sought::Lead(ticket),
            // Without a runtime there is no timer to bound the wait.
            Turn::Follow(follower) if Handle::try_current().is_ok() => {
                upstream.yield_readiness();
                follow(cache, follower, plan).await
            }
            Turn::Follow(_) | Turn::Alone => break,
        };
        if let Some(sought) = sought {
            return sought;
        }
    }
    Sought::Alone(Status::Unavailable)
}

/// `None`: ask again.
async fn use_hit<B>(cache: &Cache, hit: &Hit, plan: &Plan) -> Option<Sought<B>> {
    match Answer::of(hit, plan) {
        Answer::Response(response) => Some(Sought::Answer(response)),
        Answer::Alone(status) => Some(Sought::Alone(status)),
        Answer::Damaged => match cache.delete(&plan.key).await {
            Ok(_) => None,
            Err(_) => Some(Sought::Alone(Status::Unavailable)),
        },
    }
}

/// `None`: ask again.
async fn follow<B>(cache: &Cache, follower: Follower, plan: &Plan) -> Option<Sought<B>> {
    match follower.wait_progress().await {
        Followed::Value(hit) => use_hit(cache, &hit, plan).await,
        Followed::Progress(progress) => Some(match progress.downcast_ref() {
            Some(Progress::Shared(admitted, growing)) => join(admitted, growing, plan),
            _ => Sought::Alone(Status::HitForMiss),
        }),
        Followed::Failed(_) | Followed::Alone => Some(Sought::Alone(Status::Unavailable)),
        Followed::Again => None,
    }
}

/// Takes part in an answer that is still coming, if it is fresh enough and can be read from its
/// beginning.
fn join<B>(admitted: &Admitted, growing: &Arc<Growing>, plan: &Plan) -> Sought<B> {
    let is_fresh = !admitted.ttl().is_zero() && plan.lookup.takes(admitted.age());
    match growing.reader().filter(|_| is_fresh) {
        Some(reader) => Sought::Answer(answer::collapsed(admitted, reader)),
        None => Sought::Alone(Status::Unavailable),
    }
}

/// Leads the flight in a task of its own, and waits for the head of the answer.
async fn begin<S, R, B>(
    shared: Arc<Shared>,
    ticket: Ticket,
    plan: Plan,
    upstream: Upstream<S, R>,
) -> Result<Response<ResponseBody<B>>, S::Error>
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    R: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    let (client, answer) = oneshot::channel();
    let work = carry(lead(shared, ticket, plan, upstream, client)).in_current_span();
    let Ok(runtime) = Handle::try_current() else {
        return drive(Box::pin(work), answer).await;
    };
    let task = runtime.spawn(work);
    match answer.await {
        Ok(answer) => answer,
        Err(_) => match task.await {
            Ok(()) => unreachable!("the work answers before it ends"),
            Err(error) => fall_with(error),
        },
    }
}

/// Does the work here, as there is no runtime to do it; what is left when the head has come is
/// done by whoever reads the body.
async fn drive<B, E>(
    work: Driver,
    mut answer: oneshot::Receiver<Result<Response<ResponseBody<B>>, E>>,
) -> Result<Response<ResponseBody<B>>, E> {
    let mut work = Some(work);
    let answer = poll_fn(|context| {
        if work
            .as_mut()
            .is_some_and(|it| it.as_mut().poll(context).is_ready())
        {
            work = None;
        }
        Pin::new(&mut answer).poll(context)
    });
    let mut response = answer.await.expect("the work answers before it ends")?;
    if let Some(work) = work {
        response.body_mut().drive(work);
    }
    Ok(response)
}

/// Panics as the task has, so that whoever catches panics in front of the layer sees it.
pub(crate) fn fall_with(error: JoinError) -> ! {
    match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => panic!("the runtime was shut down while it ran a request"),
    }
}
