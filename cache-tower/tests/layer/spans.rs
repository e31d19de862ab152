//! What the service logs while it works for many stands in the span of the request that began it.

use std::sync::{Arc, Mutex};

use http::Method;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument, Metadata, Subscriber};
use tracing_core::span::Current;

use crate::support::*;

/// Knows which spans the thread is in, and notes them at each event.
#[derive(Clone, Default)]
struct Spans {
    known: Arc<Mutex<Vec<&'static Metadata<'static>>>>,
    entered: Arc<Mutex<Vec<Id>>>,
    noted: Arc<Mutex<Vec<Vec<Id>>>>,
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("layer")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut known = self.known.lock().unwrap();
        known.push(span.metadata());
        Id::from_u64(known.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        let entered = self.entered.lock().unwrap().clone();
        self.noted.lock().unwrap().push(entered);
    }

    fn enter(&self, span: &Id) {
        self.entered.lock().unwrap().push(span.clone());
    }

    fn exit(&self, span: &Id) {
        self.entered.lock().unwrap().retain(|it| it != span);
    }

    fn current_span(&self) -> Current {
        match self.entered.lock().unwrap().last() {
            Some(id) => {
                let index = usize::try_from(id.into_u64() - 1).unwrap();
                Current::new(id.clone(), self.known.lock().unwrap()[index])
            }
            None => Current::none(),
        }
    }
}

#[tokio::test]
async fn the_service_works_in_the_span_of_the_request() {
    let spans = Spans::default();
    let _spans = tracing::subscriber::set_default(spans.clone());
    let (origin, _) = origin(|_| async {
        tokio::task::yield_now().await;
        tracing::error!("at work");
        Ok(with_fields("page", &[]))
    });
    let site = site(rule(), origin);
    for (method, span) in [
        (Method::GET, tracing::error_span!("read")),
        (Method::PUT, tracing::error_span!("write")),
    ] {
        let id = span.id().unwrap();
        text(
            ask(&site, request(method, "/a", &[]))
                .instrument(span)
                .await,
        )
        .await;
        assert_eq!(spans.noted.lock().unwrap().pop(), Some(vec![id]));
    }
}
