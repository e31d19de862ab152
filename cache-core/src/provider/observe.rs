//! A call of a backend as traces see it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
#[cfg(feature = "metrics")]
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::instrument::{Instrument, Instrumented};

#[cfg(any(feature = "disk", feature = "memcached", feature = "redis"))]
use super::BoxFuture;
use crate::error::Result;
#[cfg(feature = "metrics")]
use crate::metrics::facade;
use crate::namespace;

/// Puts a call of a backend into a span `cache.call` of level DEBUG, whose fields are `provider`,
/// `operation`, `namespace` (of `key`, or of the first of several) and `outcome`: `ok`, or the
/// [kind](crate::ErrorKind::as_str) of the error. A call that was dropped has no outcome. No key is in
/// it. With the feature `metrics` its time goes into the histogram `cache_call_duration_seconds`.
///
/// The providers of a server or a file do so with every call; it is here for providers of your own. Where nobody
/// listens to traces it costs a look at a flag.
///
/// ```
/// use cache_core::Result;
/// use cache_core::provider::observe;
///
/// # async fn ask(key: &str) -> Result<Option<u8>> { Ok(None) }
/// async fn get(key: &str) -> Result<Option<u8>> {
///     observe("my store", "get", Some(key), ask(key)).await
/// }
/// ```
pub fn observe<T, F>(
    provider: &'static str,
    operation: &'static str,
    key: Option<&str>,
    call: F,
) -> impl Future<Output = Result<T>> + use<T, F>
where
    F: Future<Output = Result<T>>,
{
    let span = tracing::debug_span!(
        target: "cache_core",
        "cache.call",
        provider,
        operation,
        namespace = Empty,
        outcome = Empty,
    );
    if let Some(key) = key.filter(|_| !span.is_disabled()) {
        span.record("namespace", namespace::split(key).0);
    }
    Observed {
        call: call.instrument(span),
        watch: Watch::new(provider, operation),
    }
}

/// A call of a provider's backend: observed, and its error says what was attempted.
#[cfg(any(feature = "disk", feature = "memcached", feature = "redis"))]
pub(super) fn call<'a, T: Send + 'a>(
    provider: &'static str,
    operation: &'static str,
    key: Option<&str>,
    attempt: impl Future<Output = Result<T>> + Send + 'a,
) -> BoxFuture<'a, Result<T>> {
    let attempt = async move {
        let answer = attempt.await;
        answer.map_err(|error| error.during(operation, provider))
    };
    Box::pin(observe(provider, operation, key, attempt))
}

pin_project! {
    /// By hand: one that is made by `async` has room for what it awaits twice.
    struct Observed<F> {
        #[pin]
        call: Instrumented<F>,
        watch: Watch,
    }
}

impl<T, F: Future<Output = Result<T>>> Future for Observed<F> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        this.watch.start();
        let result = ready!(this.call.as_mut().poll(context));
        let outcome = outcome(&result);
        this.call.span().record("outcome", outcome);
        this.watch.stop(outcome);
        Poll::Ready(result)
    }
}

/// Times the call where somebody wants to know.
struct Watch {
    #[cfg(feature = "metrics")]
    call: facade::Call,
    #[cfg(feature = "metrics")]
    began: Option<Instant>,
}

#[cfg(feature = "metrics")]
impl Watch {
    fn new(provider: &'static str, operation: &'static str) -> Self {
        Self {
            call: facade::Call {
                provider,
                operation,
            },
            began: None,
        }
    }

    fn start(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    fn stop(&self, outcome: &'static str) {
        if let Some(began) = self.began {
            self.call.took(began.elapsed(), outcome);
        }
    }
}

#[cfg(not(feature = "metrics"))]
impl Watch {
    fn new(_provider: &'static str, _operation: &'static str) -> Self {
        Self {}
    }

    fn start(&mut self) {}

    fn stop(&self, _outcome: &'static str) {}
}

fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.kind().as_str(),
    }
}
