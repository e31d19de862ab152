//! On a backend that holds bytes and answers later, the layer does as it does on memory.

use cache_tower::{CacheLayer, Rule};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tower::Layer;

use crate::stores;
use crate::support::*;

fn remote_site(rule: Rule, origin: Origin) -> Site {
    let layer = CacheLayer::builder(stores::remote()).rule(rule);
    layer.build().unwrap().layer(origin)
}

#[tokio::test]
async fn a_response_comes_back_as_it_was() {
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("x-sum"),
        HeaderValue::from_static("9"),
    )]);
    let sent = trailers.clone();
    let (origin, calls) = origin(move |_| {
        let (feeder, body) = fed();
        feeder.send(chunk("one ")).unwrap();
        feeder.send(chunk("two")).unwrap();
        feeder.send(Ok(Frame::trailers(sent.clone()))).unwrap();
        let mut response = Response::new(body);
        let latin = HeaderValue::from_bytes(b"caf\xe9").unwrap();
        response.headers_mut().append("x-name", latin);
        async { Ok(response) }
    });
    let site = remote_site(rule(), origin);
    for attempt in 0..3 {
        let answer = get(&site, "/a").await;
        assert_eq!(is_hit(&answer), attempt > 0);
        assert_eq!(answer.headers()["x-name"].as_bytes(), b"caf\xe9");
        let collected = answer.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
        assert_eq!(collected.to_bytes(), "one two");
    }
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn head_is_answered_and_leads_nothing() {
    let (origin, calls) = numbered(&[]);
    let site = remote_site(rule(), origin);
    let head = || request(Method::HEAD, "/a", &[]);
    assert!(!is_hit(&ask(&site, head()).await));
    get_text(&site, "/a").await;
    assert!(is_hit(&ask(&site, head()).await));
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn what_is_not_shared_is_marked() {
    let (origin, calls) = numbered(&[("cache-control", "private")]);
    let site = remote_site(rule(), origin);
    assert_eq!(get_text(&site, "/a").await, "answer 1");
    let marked = get(&site, "/a").await;
    assert_eq!(
        status(&marked),
        "cache-core; fwd=bypass; detail=hit-for-miss"
    );
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_change_makes_it_go() {
    let (origin, _) = numbered(&[]);
    let site = remote_site(rule(), origin);
    get_text(&site, "/a").await;
    assert!(is_hit(&get(&site, "/a").await));
    text(ask(&site, request(Method::PUT, "/a", &[])).await).await;
    assert!(!is_hit(&get(&site, "/a").await));
}
