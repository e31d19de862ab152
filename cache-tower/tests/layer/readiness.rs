//! The readiness contract of tower: what is called was ready, and what readiness costs is not
//! kept by who does not need it.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use cache_core::testkit::{Gate, eventually, followers};
use http::{Method, Request, Response};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

use crate::support::*;

/// Panics when it is called without having said that it is ready, as tower's limits do.
#[derive(Default)]
struct Strict {
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<TestBody>;
    type Error = Broken;
    type Future = Ready<Result<Response<TestBody>, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.is_ready),
            "called before it was ready"
        );
        let fields: &[_] = match request.uri().path() {
            "/private" => &[("cache-control", "private")],
            _ => &[],
        };
        ready(Ok(with_fields("page", fields)))
    }
}

#[tokio::test]
async fn only_services_that_were_ready_are_called() {
    let mut site = layer(rule()).layer(Strict::default());
    let requests = [
        (Method::GET, "/a"),
        (Method::GET, "/a"),
        (Method::HEAD, "/a"),
        (Method::HEAD, "/b"),
        (Method::GET, "/private"),
        (Method::GET, "/private"),
        (Method::PUT, "/a"),
        (Method::GET, "/"),
        (Method::OPTIONS, "/a"),
    ];
    for (method, uri) in requests {
        let site = site.ready().await.unwrap();
        let answer = site.call(request(method, uri, &[])).await.unwrap();
        text(answer).await;
    }
}

fn limited(limit: usize, origin: Origin) -> cache_tower::CacheService<ConcurrencyLimit<Origin>> {
    layer(rule()).layer(ConcurrencyLimit::new(origin, limit))
}

#[tokio::test]
async fn a_hit_gives_its_permit_back() {
    let (origin, calls) = numbered(&[]);
    let site = limited(1, origin);
    let asked = || request(Method::GET, "/a", &[]);
    text(site.clone().oneshot(asked()).await.unwrap()).await;
    let mut one = site.clone();
    let hit = one.ready().await.unwrap().call(asked());
    // `one`, the future and its answer are all still there.
    let mut other = site.clone();
    soon(other.ready()).await.unwrap();
    drop(other);
    assert!(is_hit(&hit.await.unwrap()));
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_follower_gives_its_permit_back_while_it_waits() {
    let (gate, held) = Gate::new();
    let (origin, _) = origin(move |_| {
        let held = held.clone();
        async move {
            held.pass().await;
            Ok(with_fields("page", &[]))
        }
    });
    let layer = layer(rule());
    let site = layer.layer(ConcurrencyLimit::new(origin, 2));
    let asked = || request(Method::GET, "/a", &[]);
    let leader = tokio::spawn(site.clone().oneshot(asked()));
    gate.entered().await;
    let follower = tokio::spawn(site.clone().oneshot(asked()));
    eventually("it waits", || followers(layer.cache(), &key("/a")) == 1).await;
    let mut third = site.clone();
    soon(third.ready()).await.unwrap();
    gate.open();
    for caller in [leader, follower] {
        assert_eq!(text(caller.await.unwrap().unwrap()).await, "page");
    }
}

#[tokio::test]
async fn callers_behind_a_limit_all_get_their_answer() {
    let (origin, _) = numbered(&[("cache-control", "private")]);
    let site = limited(1, origin);
    let callers: Vec<_> = (0..50)
        .map(|_| tokio::spawn(site.clone().oneshot(request(Method::GET, "/a", &[]))))
        .collect();
    for caller in callers {
        text(caller.await.unwrap().unwrap()).await;
    }
}

#[tokio::test]
async fn a_service_and_a_body_that_cannot_be_shared_between_threads_are_enough() {
    use http_body_util::BodyExt;
    use http_body_util::combinators::UnsyncBoxBody;
    use tower::util::BoxCloneService;

    let service = tower::service_fn(|_: Request<std::cell::Cell<u8>>| async {
        let body = TestBody::from("page");
        Ok::<_, Broken>(Response::new(UnsyncBoxBody::new(body.map_err(|_| Broken))))
    });
    let site = layer(rule()).layer(BoxCloneService::new(service));
    let asked = || Request::get("/a").body(std::cell::Cell::new(1)).unwrap();
    let answer = site.clone().oneshot(asked()).await.unwrap();
    let collected = answer.into_body().collect().await;
    assert_eq!(collected.unwrap().to_bytes(), "page");
    assert!(is_hit(&site.oneshot(asked()).await.unwrap()));
}
