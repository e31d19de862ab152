//! GET is stored, HEAD is answered from it, and nothing else is.

use http::{Method, StatusCode};
use http_body::Body;

use crate::support::*;

#[tokio::test]
async fn head_never_poisons_get() {
    let (origin, calls) = origin(|request| async move {
        let body = if request.method() == Method::HEAD {
            ""
        } else {
            "page"
        };
        Ok(with_fields(body, &[]))
    });
    let site = site(rule(), origin);
    let head = ask(&site, request(Method::HEAD, "/a", &[])).await;
    assert_eq!(status(&head), "cache-core; fwd=miss; detail=head");
    assert_eq!(get_text(&site, "/a").await, "page");
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn head_is_answered_from_a_stored_get_without_its_body() {
    let (origin, calls) = numbered(&[("etag", "\"a\"")]);
    let site = site(rule(), origin);
    get_text(&site, "/a").await;
    let head = ask(&site, request(Method::HEAD, "/a", &[])).await;
    assert!(is_hit(&head));
    assert_eq!(head.headers()["content-length"], "8");
    assert_eq!(head.headers()["etag"], "\"a\"");
    assert!(head.body().is_end_stream());
    assert_eq!(get_text(&site, "/a").await, "answer 1");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn post_is_never_cached_nor_answered_from_the_cache() {
    let (origin, calls) = numbered(&[]);
    let site = site(rule(), origin);
    for number in 1..=3 {
        let answer = ask(&site, request(Method::POST, "/a", &[])).await;
        assert_eq!(text(answer).await, format!("answer {number}"));
    }
    assert_eq!(get_text(&site, "/a").await, "answer 4");
    let answer = ask(&site, request(Method::POST, "/a", &[])).await;
    assert_eq!(text(answer).await, "answer 5");
    assert_eq!(calls.count(), 5);
}

#[tokio::test]
async fn a_get_with_a_body_is_passed_on() {
    let (origin, calls) = numbered(&[]);
    let site = site(rule(), origin);
    get_text(&site, "/a").await;
    for field in [("content-length", "3"), ("content-type", "text/plain")] {
        let answer = get_with(&site, "/a", &[field]).await;
        assert_eq!(status(&answer), "cache-core; fwd=bypass; detail=content");
    }
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn options_and_trace_pass_untouched() {
    let (origin, _) = origin(|_| async { Ok(of_status(StatusCode::NO_CONTENT)) });
    let site = site(rule(), origin);
    for method in [Method::OPTIONS, Method::TRACE] {
        let answer = ask(&site, request(method, "/a", &[])).await;
        assert!(answer.headers().is_empty());
    }
}

#[tokio::test]
async fn head_does_not_wait_for_get() {
    let (gate, held) = cache_core::testkit::Gate::new();
    let (origin, calls) = origin(move |request| {
        let held = held.clone();
        async move {
            if request.method() == Method::GET {
                held.pass().await;
                return Ok(with_fields("page", &[]));
            }
            Ok(with_fields("", &[]))
        }
    });
    let site = site(rule(), origin);
    let page = tokio::spawn({
        let site = site.clone();
        async move { get_text(&site, "/a").await }
    });
    gate.entered().await;
    let head = soon(ask(&site, request(Method::HEAD, "/a", &[]))).await;
    assert_eq!(status(&head), "cache-core; fwd=miss; detail=head");
    assert_eq!(text(head).await, "");
    gate.open();
    assert_eq!(page.await.unwrap(), "page");
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn get_does_not_wait_for_head() {
    let (gate, held) = cache_core::testkit::Gate::new();
    let (origin, _) = origin(move |request| {
        let held = held.clone();
        async move {
            if request.method() == Method::HEAD {
                held.pass().await;
            }
            Ok(with_fields("page", &[]))
        }
    });
    let site = site(rule(), origin);
    let head = tokio::spawn({
        let site = site.clone();
        async move { ask(&site, request(Method::HEAD, "/a", &[])).await }
    });
    gate.entered().await;
    assert_eq!(soon(get_text(&site, "/a")).await, "page");
    assert!(is_hit(&get(&site, "/a").await));
    gate.open();
    assert_eq!(head.await.unwrap().status(), StatusCode::OK);
}
