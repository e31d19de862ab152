//! A request that may change something: sent on, and followed by what it makes invalid.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use cache_core::engine::carry;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::runtime::Handle;
use tower_service::Service;
use tracing::Instrument;

use crate::answer;
use crate::body::ResponseBody;
use crate::cache_status::Status;
use crate::layer::Shared;
use crate::miss::fall_with;
use crate::rfc9111;
use crate::sweep::Sweep;
use crate::upstream::Upstream;

/// Sends the request, and makes what it changes go before its answer is handed on.
///
/// That runs in a task of its own: a client that goes away while the service writes must not
/// keep the invalidation.
pub(crate) async fn change<S, R, B>(
    shared: Arc<Shared>,
    sweep: Sweep,
    upstream: Upstream<S, R>,
) -> Result<Response<ResponseBody<B>>, S::Error>
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    R: Send + 'static,
    B: Send + 'static,
{
    let due = Due(shared, Some(sweep));
    let work = carry(send(due, upstream)).in_current_span();
    let Ok(runtime) = Handle::try_current() else {
        return work.await;
    };
    runtime
        .spawn(work)
        .await
        .unwrap_or_else(|error| fall_with(error))
}

/// Where the service fails without an answer, it may have done its work all the same: what is
/// hidden needlessly is only asked for again.
async fn send<S, R, B>(
    mut due: Due,
    upstream: Upstream<S, R>,
) -> Result<Response<ResponseBody<B>>, S::Error>
where
    S: Service<Request<R>, Response = Response<B>> + Clone,
{
    match caught(upstream.send()).await {
        Ok(Ok(response)) => {
            due.take_into_account(response.status(), response.headers());
            let status = due.run().await;
            Ok(answer::passed(response, Some(status)))
        }
        Ok(Err(error)) => {
            due.run().await;
            Err(error)
        }
        Err(panic) => {
            due.run().await;
            resume_unwind(panic)
        }
    }
}

/// What goes unless the service says that it has changed nothing: dropped, it runs.
struct Due(Arc<Shared>, Option<Sweep>);

impl Due {
    fn take_into_account(&mut self, status: StatusCode, headers: &HeaderMap) {
        if !rfc9111::invalidates(status) {
            self.1 = None;
        }
        if let Some(sweep) = &mut self.1 {
            sweep.add_named(&self.0, headers);
        }
    }

    async fn run(&mut self) -> Status {
        let Some(sweep) = &self.1 else {
            return Status::Changed;
        };
        let status = sweep.run(&self.0).await;
        self.1 = None;
        status
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        let Self(shared, Some(sweep)) = self else {
            return;
        };
        // There is nobody left to wait: no runtime, or one that is shutting down. In memory the
        // first poll does it all.
        let run = pin!(sweep.run(shared));
        let mut context = Context::from_waker(Waker::noop());
        if run.poll(&mut context).is_pending() {
            shared.count_failed_invalidations(1);
            tracing::error!("what a request has changed before it was dropped may still be served");
        }
    }
}

/// The output of a future, or the panic that ended it.
async fn caught<F: Future>(future: F) -> thread::Result<F::Output> {
    let mut future = pin!(future);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}
