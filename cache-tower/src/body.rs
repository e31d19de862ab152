//! The body of a response that went through the layer.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::growing::Reader;

/// Work that nobody drives but the body that waits for it, where there is no runtime.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

pin_project! {
    /// The body of a response that went through [`CacheService`](crate::CacheService): a stored
    /// one, one that is being stored, or the service's own, untouched.
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Full {
            data: Option<Bytes>,
            trailers: Option<HeaderMap>,
        },
        Grow {
            reader: Reader,
            driver: Option<Driver>,
        },
        Pass {
            #[pin]
            body: B,
        },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn full(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        let data = (!data.is_empty()).then_some(data);
        Self {
            kind: Kind::Full { data, trailers },
        }
    }

    pub(crate) fn grow(reader: Reader) -> Self {
        Self {
            kind: Kind::Grow {
                reader,
                driver: None,
            },
        }
    }

    pub(crate) fn pass(body: B) -> Self {
        Self {
            kind: Kind::Pass { body },
        }
    }

    /// Lets a body that is being stored drive the task that stores it.
    pub(crate) fn drive(&mut self, work: Driver) {
        if let Kind::Grow { driver, .. } = &mut self.kind {
            *driver = Some(work);
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().kind.project() {
            KindProjection::Full { data, trailers } => Poll::Ready(
                data.take()
                    .map(Frame::data)
                    .or_else(|| trailers.take().map(Frame::trailers))
                    .map(Ok),
            ),
            KindProjection::Grow { reader, driver } => {
                if driver
                    .as_mut()
                    .is_some_and(|it| it.as_mut().poll(context).is_ready())
                {
                    *driver = None;
                }
                let frame = reader.poll_frame(context);
                frame.map_err(|_| BodyError::Aborted)
            }
            KindProjection::Pass { body } => body.poll_frame(context).map_err(BodyError::Service),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full { data, trailers } => data.is_none() && trailers.is_none(),
            Kind::Grow { reader, .. } => reader.is_end_stream(),
            Kind::Pass { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full { data, .. } => {
                SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64)
            }
            Kind::Grow { reader, .. } => reader.size_hint(),
            Kind::Pass { body } => body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Full { .. } => "ResponseBody::Full",
            Kind::Grow { .. } => "ResponseBody::Grow",
            Kind::Pass { .. } => "ResponseBody::Pass",
        })
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::pass(B::default())
    }
}

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError<E = Infallible> {
    /// The service's own body failed.
    Service(E),
    /// A body that is shared was not written to its end, because the service's body failed or
    /// ended early; or this reader stood still while others waited for it.
    Aborted,
}

impl<E: fmt::Display> fmt::Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(f),
            Self::Aborted => f.write_str("the shared response body was aborted"),
        }
    }
}

// `E: Error` is not asked for, so that services whose bodies fail with a box work, too.
impl<E: fmt::Display + fmt::Debug> Error for BodyError<E> {}
