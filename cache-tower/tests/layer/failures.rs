//! The cache never takes the service down.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use cache_core::engine::Turn;
use cache_core::log::{Caps, Log, Record, Stamp};
use cache_core::provider::{BoxFuture, Cursor, Found, Lease, Leased, Page, Provider, Slot};
use cache_core::{Cache, Entry, EntryId, EntryOptions, Error, ErrorKind, Owner, Pattern, Result};
use cache_tower::{CacheLayer, Invalidation};
use http::{Method, StatusCode};
use tower::Layer;

use crate::support::*;

/// A backend that cannot be reached.
#[derive(Debug)]
struct Down(Log);

fn down<'a, T>() -> BoxFuture<'a, Result<T>> {
    Box::pin(async { Err(Error::new(ErrorKind::Connection, "connection refused")) })
}

impl Provider for Down {
    fn name(&self) -> &'static str {
        "down"
    }

    fn log(&self) -> &Log {
        &self.0
    }

    fn get<'a>(&'a self, _: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        down()
    }

    fn lease<'a>(
        &'a self,
        _: &'a str,
        _: Option<EntryId>,
        _: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        down()
    }

    fn release(&self, _: &str, _: Lease) {}

    fn fill<'a>(&'a self, _: &'a str, _: Arc<Entry>, _: Lease) -> BoxFuture<'a, Result<bool>> {
        down()
    }

    fn set<'a>(&'a self, _: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        down()
    }

    fn invalidate<'a>(&'a self, _: &'a [Record]) -> BoxFuture<'a, Result<Vec<bool>>> {
        down()
    }

    fn increment<'a>(&'a self, _: &'a str, _: i64, _: Arc<Entry>) -> BoxFuture<'a, Result<i64>> {
        down()
    }

    fn expire<'a>(&'a self, _: &'a str, _: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        down()
    }

    fn inspect<'a>(&'a self, _: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        down()
    }

    fn scan<'a>(&'a self, _: &'a Pattern, _: Cursor, _: usize) -> BoxFuture<'a, Result<Page>> {
        down()
    }

    fn remove<'a>(&'a self, _: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        down()
    }
}

fn cache_that_is_down() -> Cache {
    Cache::builder(Down(Log::local(Caps::DEFAULT)))
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_service_answers_while_the_cache_is_down() {
    let (origin, calls) = numbered(&[]);
    let layer = CacheLayer::builder(cache_that_is_down()).rule(rule());
    let site = layer.build().unwrap().layer(origin);
    assert_eq!(get_text(&site, "/a").await, "answer 1");
    assert_eq!(get_text(&site, "/a").await, "answer 2");
    let head = ask(&site, request(Method::HEAD, "/a", &[])).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn a_change_is_answered_while_the_cache_is_down_and_its_failure_is_counted() {
    let (origin, _) = numbered(&[]);
    let layer = CacheLayer::builder(cache_that_is_down())
        .rule(rule())
        .invalidate(
            Invalidation::on(Method::PUT, "/a")
                .tag("a")
                .key_pattern("a:*"),
        )
        .build()
        .unwrap();
    let site = layer.layer(origin);
    let answer = ask(&site, request(Method::PUT, "/a", &[])).await;
    assert_eq!(
        status(&answer),
        "cache-core; fwd=method; detail=invalidation-failed"
    );
    assert_eq!(text(answer).await, "answer 1");
    assert_eq!(layer.failed_invalidations(), 3);
}

#[tokio::test]
async fn a_damaged_response_is_replaced() {
    let (origin, calls) = numbered(&[]);
    let layer = layer(rule());
    // As if bytes that are no response stood there.
    let owner = Owner::of("cache-tower").and("1").and("/{*path}");
    let (key, options) = (key("/a"), EntryOptions::new());
    let Turn::Lead(ticket) = layer.cache().turn(&key, owner, &options).await else {
        panic!("nothing is stored yet");
    };
    ticket.publish("no response".to_owned(), options).await;
    assert!(layer.cache().peek(&key, owner).is_some());
    let site = layer.layer(origin);
    assert_eq!(get_text(&site, "/a").await, "answer 1");
    assert!(is_hit(&get(&site, "/a").await));
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn what_somebody_else_stored_under_the_key_is_no_answer() {
    let (origin, _) = numbered(&[]);
    let layer = layer(rule());
    layer.cache().set(&key("/a"), "by hand").await.unwrap();
    let site = layer.layer(origin);
    assert_eq!(get_text(&site, "/a").await, "answer 1");
    assert!(is_hit(&get(&site, "/a").await));
}

#[test]
fn a_layer_works_without_a_runtime() {
    let (origin, calls) = numbered(&[]);
    let site = site(rule(), origin);
    block_on(async {
        assert_eq!(get_text(&site, "/a").await, "answer 1");
        assert!(is_hit(&get(&site, "/a").await));
        let answer = ask(&site, request(Method::PUT, "/a", &[])).await;
        assert_eq!(text(answer).await, "answer 2");
        assert_eq!(get_text(&site, "/a").await, "answer 3");
    });
    assert_eq!(calls.count(), 3);
}

/// Drives a future with nothing around it.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
