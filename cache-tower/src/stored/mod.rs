//! A response as it is stored: a head and all of its body.

mod encoding;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{AnyValue, CodecId, Result, Shape, Value};
use http::{HeaderMap, StatusCode};

/// What stands at the key of a request.
#[derive(Clone, Debug)]
pub(crate) enum CachedResponse {
    /// A response for all who ask.
    Response(Arc<Stored>),
    /// The last answer was not for others: ask the service, without waiting for each other
    /// ("hit for miss").
    NotShared,
}

/// A response. `Extensions` are not stored: they are the process's own, and of any type.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// What is known of a response before its body is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// How old the response was when it was received (RFC 9111 §4.2.3).
    pub(crate) initial_age: Duration,
}

impl Value for CachedResponse {
    const SHAPE: Shape = Shape {
        own_form: Some(CodecId::RAW),
        name: || "HTTP response",
        encode: |value, _| encoding::encode(cache_core::downcast(value)?),
        decode: |bytes, _| -> Result<AnyValue> { Ok(Arc::new(encoding::decode(bytes)?)) },
        weigh,
    };
}

fn weigh(value: &(dyn Any + Send + Sync)) -> usize {
    match value.downcast_ref() {
        Some(CachedResponse::Response(stored)) => stored.weight(),
        _ => 0,
    }
}

impl Stored {
    fn weight(&self) -> usize {
        let trailers = self.trailers.as_ref().map_or(0, fields_weight);
        size_of::<Self>() + fields_weight(&self.head.headers) + trailers + self.body.len()
    }
}

/// Names and values, and what a map takes around each.
fn fields_weight(fields: &HeaderMap) -> usize {
    let entry = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + value.len() + 104
    };
    fields.iter().map(entry).sum()
}
