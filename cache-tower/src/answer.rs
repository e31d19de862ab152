//! Answers to the client: from what is stored, from what is being stored, and the service's own.

use std::time::Duration;

use bytes::Bytes;
use cache_core::engine::Hit;
use http::header::{AGE, CONTENT_LENGTH};
use http::{HeaderValue, Response};

use crate::body::ResponseBody;
use crate::cache_status::Status;
use crate::growing::Reader;
use crate::plan::{Admitted, Plan};
use crate::rfc9111::Bypass;
use crate::stored::{CachedResponse, Head, Stored};

/// What a hit is for this request.
#[expect(clippy::large_enum_variant, reason = "a hit is not put in a box")]
pub(crate) enum Answer<B> {
    Response(Response<ResponseBody<B>>),
    /// Ask the service, for this client alone.
    Alone(Status),
    /// What is stored cannot be read.
    Damaged,
}

impl<B> Answer<B> {
    pub(crate) fn of(hit: &Hit, plan: &Plan) -> Self {
        match hit.value() {
            Ok(CachedResponse::Response(stored)) => {
                let age = stored.head.initial_age + hit.age();
                if plan.lookup.takes(age) {
                    Self::Response(from_store(&stored, age, hit.ttl(), plan.is_head))
                } else {
                    Self::Alone(Status::Bypass(Bypass::MaxAge))
                }
            }
            Ok(CachedResponse::NotShared) => Self::Alone(Status::HitForMiss),
            Err(_) => Self::Damaged,
        }
    }
}

fn from_store<B>(
    stored: &Stored,
    age: Duration,
    ttl: Option<Duration>,
    is_head: bool,
) -> Response<ResponseBody<B>> {
    let body = if is_head {
        ResponseBody::full(Bytes::new(), None)
    } else {
        ResponseBody::full(stored.body.clone(), stored.trailers.clone())
    };
    let mut response = with_head(&stored.head, body);
    let headers = response.headers_mut();
    headers.insert(AGE, age.as_secs().into());
    if is_head {
        // The length of what GET would answer (RFC 9110 §9.3.2).
        let length = HeaderValue::from(stored.body.len());
        headers.entry(CONTENT_LENGTH).or_insert(length);
    }
    Status::Hit(ttl).add_to(headers);
    response
}

/// The answer that somebody else asked the service for.
pub(crate) fn collapsed<B>(admitted: &Admitted, reader: Reader) -> Response<ResponseBody<B>> {
    let mut response = with_head(&admitted.head, ResponseBody::grow(reader));
    let (headers, age) = (response.headers_mut(), admitted.age().as_secs());
    if age > 0 {
        headers.insert(AGE, age.into());
    }
    Status::Collapsed.add_to(headers);
    response
}

fn with_head<B>(head: &Head, body: ResponseBody<B>) -> Response<ResponseBody<B>> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers.clone();
    response
}

/// The service's own answer, untouched but for what is said about it.
pub(crate) fn passed<B>(
    response: Response<B>,
    status: Option<Status>,
) -> Response<ResponseBody<B>> {
    let mut response = response.map(ResponseBody::pass);
    if let Some(status) = status {
        status.add_to(response.headers_mut());
    }
    response
}
