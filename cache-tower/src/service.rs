//! The service: finds the rule for a request, and takes the way that it says.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::answer::Answer;
use crate::body::ResponseBody;
use crate::cache_status::Status;
use crate::future::ResponseFuture;
use crate::layer::Shared;
use crate::miss;
use crate::mutation;
use crate::plan::Plan;
use crate::rfc9111;
use crate::sweep::Sweep;
use crate::upstream::Upstream;

/// Answers from the cache what a rule speaks of, and passes on the rest.
///
/// It is ready when the service behind it is, and calls the very service that was ready. A hit
/// gives back at once what readiness cost, such as a permit. The errors are those of the service.
#[derive(Clone)]
pub struct CacheService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> CacheService<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// The service behind this one.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind this one.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind this one.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone> CacheService<S> {
    /// The service that said that it is ready, with what readiness has cost; a clone, which has
    /// not been asked, takes its place.
    fn take_ready(&mut self) -> S {
        let fresh = self.inner.clone();
        mem::replace(&mut self.inner, fresh)
    }
}

/// Which way a request takes.
enum Way<B> {
    Answer(Response<ResponseBody<B>>),
    Pass(Option<Status>),
    Miss(Plan),
    Change(Sweep),
}

impl Shared {
    fn way<R, B>(&self, request: &Request<R>) -> Way<B> {
        match *request.method() {
            Method::GET | Method::HEAD => self.read(request),
            ref method if rfc9111::is_unsafe(method) => {
                Sweep::of(self, request).map_or(Way::Pass(None), Way::Change)
            }
            _ => Way::Pass(None),
        }
    }

    fn read<R, B>(&self, request: &Request<R>) -> Way<B> {
        let path = request.uri().path();
        let Some(matched) = self.rules.get(path) else {
            return Way::Pass(None);
        };
        let plan = match Plan::of(request, &matched) {
            Ok(plan) => plan,
            Err(status) => return Way::Pass(Some(status)),
        };
        let mut answer = None;
        self.cache.peek_if(&plan.key, plan.owner, |hit| {
            let found = answer.insert(Answer::of(hit, &plan));
            matches!(found, Answer::Response(_))
        });
        match answer {
            Some(Answer::Response(response)) => Way::Answer(response),
            Some(Answer::Alone(status)) => Way::Pass(Some(status)),
            Some(Answer::Damaged) | None => plan
                .with_tags(path, &matched)
                .map_or_else(|status| Way::Pass(Some(status)), Way::Miss),
        }
    }
}

impl<S, R, B> Service<Request<R>> for CacheService<S>
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, B, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        match self.shared.way(&request) {
            Way::Pass(status) => ResponseFuture::pass(self.inner.call(request), status),
            Way::Answer(response) => {
                drop(self.take_ready());
                ResponseFuture::answer(response)
            }
            Way::Miss(plan) => {
                let upstream = Upstream::new(self.take_ready(), request);
                let shared = Arc::clone(&self.shared);
                ResponseFuture::work(miss::answer(shared, plan, upstream))
            }
            Way::Change(sweep) => {
                let upstream = Upstream::new(self.take_ready(), request);
                let shared = Arc::clone(&self.shared);
                ResponseFuture::work(mutation::change(shared, sweep, upstream))
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for CacheService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
