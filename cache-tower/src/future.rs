//! The future of a response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use crate::answer;
use crate::body::ResponseBody;
use crate::cache_status::Status;

type Answered<B, E> = Result<Response<ResponseBody<B>>, E>;

pin_project! {
    /// The future of [`CacheService`](crate::CacheService).
    ///
    /// A hit from memory is ready at once, without a box or a task. Dropped while the service
    /// works on what is to be shared, or on a change, it leaves that to a task of its own, which
    /// goes on.
    pub struct ResponseFuture<F, B, E> {
        #[pin]
        kind: Kind<F, B, E>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F, B, E> {
        Answer {
            response: Option<Response<ResponseBody<B>>>,
        },
        Pass {
            #[pin]
            future: F,
            status: Option<Status>,
        },
        // In a box, so that the futures of hits stay small.
        Work {
            future: Pin<Box<dyn Future<Output = Answered<B, E>> + Send>>,
        },
    }
}

impl<F, B, E> ResponseFuture<F, B, E> {
    pub(crate) fn answer(response: Response<ResponseBody<B>>) -> Self {
        let response = Some(response);
        Self {
            kind: Kind::Answer { response },
        }
    }

    pub(crate) fn pass(future: F, status: Option<Status>) -> Self {
        Self {
            kind: Kind::Pass { future, status },
        }
    }

    pub(crate) fn work(future: impl Future<Output = Answered<B, E>> + Send + 'static) -> Self {
        Self {
            kind: Kind::Work {
                future: Box::pin(future),
            },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Answered<B, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Answer { response } => {
                let response = response.take();
                Poll::Ready(Ok(response.expect("a future is not polled after its end")))
            }
            KindProjection::Pass { future, status } => {
                let response = ready!(future.poll(context))?;
                Poll::Ready(Ok(answer::passed(response, status.take())))
            }
            KindProjection::Work { future } => future.as_mut().poll(context),
        }
    }
}

impl<F, B, E> fmt::Debug for ResponseFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Answer { .. } => "ResponseFuture::Answer",
            Kind::Pass { .. } => "ResponseFuture::Pass",
            Kind::Work { .. } => "ResponseFuture::Work",
        })
    }
}
