//! The cache never takes the service down.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use cache_core::testkit::{Gate, eventually, followers};
use cache_tower::{CacheLayer, Invalidation};
use http::{Method, Response, StatusCode};
use tower::Layer;

use crate::stores;
use crate::support::*;

#[tokio::test]
async fn the_service_answers_while_the_cache_is_down() {
    let (origin, calls) = numbered(&[]);
    let layer = CacheLayer::builder(stores::down()).rule(rule());
    let site = layer.build().unwrap().layer(origin);
    for number in 1..=2 {
        let answer = get(&site, "/a").await;
        assert_eq!(status(&answer), "cache-core; fwd=miss; detail=unavailable");
        assert_eq!(text(answer).await, format!("answer {number}"));
    }
    let head = ask(&site, request(Method::HEAD, "/a", &[])).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn a_change_is_answered_while_the_cache_is_down_and_its_failure_is_counted() {
    let (origin, _) = numbered(&[]);
    let layer = CacheLayer::builder(stores::down())
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
async fn a_change_that_others_have_yet_to_hear_of_says_so() {
    let (origin, _) = numbered(&[]);
    let layer = CacheLayer::builder(stores::away()).rule(rule());
    let layer = layer.build().unwrap();
    let site = layer.layer(origin);
    get_text(&site, "/a").await;
    let answer = ask(&site, request(Method::PUT, "/a", &[])).await;
    assert_eq!(
        status(&answer),
        "cache-core; fwd=method; detail=invalidation-pending"
    );
    assert_eq!(layer.failed_invalidations(), 0);
    assert!(!is_hit(&get(&site, "/a").await));
}

#[tokio::test]
async fn who_has_read_all_of_an_answer_finds_it_stored_however_slow_the_store_is() {
    let (gate, cache) = stores::slow();
    let (origin, calls) = numbered(&[]);
    let layer = CacheLayer::builder(cache).rule(rule());
    let site = layer.build().unwrap().layer(origin);
    let mut answer = get(&site, "/a").await;
    let last = tokio::spawn(async move { next(&mut answer).await.unwrap().unwrap() });
    gate.entered().await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!last.is_finished(), "it is not stored yet");
    gate.open();
    assert_eq!(last.await.unwrap(), "answer 1");
    assert!(is_hit(&get(&site, "/a").await));
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn who_has_an_empty_answer_finds_it_stored_however_slow_the_store_is() {
    let (gate, cache) = stores::slow();
    let (origin, _) = origin(|_| async { Ok(Response::new(TestBody::Full(None))) });
    let layer = CacheLayer::builder(cache).rule(rule());
    let site = layer.build().unwrap().layer(origin);
    let asking = site.clone();
    let answer = tokio::spawn(async move { get(&asking, "/a").await });
    gate.entered().await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished(), "it is not stored yet");
    gate.open();
    text(answer.await.unwrap()).await;
    assert!(is_hit(&get(&site, "/a").await));
}

#[tokio::test]
async fn who_waited_for_what_is_not_shared_does_not_wait_for_a_slow_store() {
    let (store, cache) = stores::slow();
    let (service, held) = Gate::new();
    let (origin, _) = origin(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            Ok(with_fields("page", &[("cache-control", "private")]))
        }
    });
    let layer = CacheLayer::builder(cache).rule(rule()).build().unwrap();
    let site = layer.layer(origin);
    let callers =
        [site.clone(), site].map(|site| tokio::spawn(async move { get_text(&site, "/a").await }));
    service.entered().await;
    eventually("one waits", || followers(layer.cache(), &key("/a")) == 1).await;
    service.open();
    for caller in callers {
        assert_eq!(soon(caller).await.unwrap(), "page");
    }
    drop(store);
}

#[tokio::test]
async fn a_damaged_response_is_replaced() {
    let (origin, calls) = numbered(&[]);
    let layer = CacheLayer::builder(stores::damaging()).rule(rule());
    let site = layer.build().unwrap().layer(origin);
    assert_eq!(get_text(&site, "/a").await, "answer 1");
    assert_eq!(get_text(&site, "/a").await, "answer 2");
    assert!(is_hit(&get(&site, "/a").await));
    assert_eq!(calls.count(), 2);
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

#[test]
fn a_change_that_is_dropped_halfway_without_a_runtime_makes_go_what_it_may_have_changed() {
    let (origin, _) = origin(|request| async move {
        if request.method() == Method::PUT {
            std::future::pending::<()>().await;
        }
        Ok(with_fields("page", &[]))
    });
    let site = site(rule(), origin);
    block_on(async {
        get_text(&site, "/a").await;
        assert!(is_hit(&get(&site, "/a").await));
        let mut put = Box::pin(ask(&site, request(Method::PUT, "/a", &[])));
        let first = std::future::poll_fn(|context| Poll::Ready(put.as_mut().poll(context)));
        assert!(first.await.is_pending());
        drop(put);
        assert!(!is_hit(&get(&site, "/a").await));
    });
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
