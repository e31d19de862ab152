//! Bodies: streamed while they are stored, never cut short, never held back.

use bytes::Bytes;
use cache_core::testkit::eventually;
use cache_tower::BodyError;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tower::Layer;

use crate::support::*;

/// A service whose bodies the test feeds, and the feeders, one for each call.
fn feeding(
    fields: &'static [(&'static str, &'static str)],
    hint: SizeHint,
) -> (tokio::sync::mpsc::UnboundedReceiver<Feeder>, Origin, Calls) {
    let (feeders, fed_by) = tokio::sync::mpsc::unbounded_channel();
    let (origin, calls) = origin(move |_| {
        let (feeder, body) = fed();
        feeders.send(feeder).unwrap();
        let TestBody::Fed(frames, _) = body else {
            unreachable!("it is fed");
        };
        let mut response = Response::new(TestBody::Fed(frames, hint));
        for (name, value) in fields {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(*name, value);
        }
        async { Ok(response) }
    });
    (fed_by, origin, calls)
}

fn streaming(
    fields: &'static [(&'static str, &'static str)],
) -> (tokio::sync::mpsc::UnboundedReceiver<Feeder>, Origin, Calls) {
    feeding(fields, SizeHint::default())
}

#[tokio::test]
async fn a_body_reaches_its_client_while_it_is_still_coming() {
    let (mut feeders, origin, calls) = streaming(&[]);
    let site = site(rule(), origin);
    let mut answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("one ")).unwrap();
    assert_eq!(next(&mut answer).await.unwrap().unwrap(), "one ");
    feeder.send(chunk("two")).unwrap();
    drop(feeder);
    assert_eq!(text(answer).await, "two");
    assert_eq!(get_text(&site, "/a").await, "one two");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn who_comes_in_the_middle_gets_all_of_the_body() {
    let (mut feeders, origin, calls) = streaming(&[]);
    let site = site(rule(), origin);
    let mut first = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("one ")).unwrap();
    next(&mut first).await;
    let mut second = get(&site, "/a").await;
    assert_eq!(status(&second), "cache-core; fwd=miss; collapsed");
    assert_eq!(next(&mut second).await.unwrap().unwrap(), "one ");
    feeder.send(chunk("two")).unwrap();
    drop(feeder);
    assert_eq!(text(first).await, "two");
    assert_eq!(text(second).await, "two");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn events_pass_at_once_and_to_each_client_its_own() {
    let (mut feeders, origin, calls) = streaming(&[("content-type", "text/event-stream")]);
    let site = site(rule(), origin);
    let mut one = get(&site, "/a").await;
    let mut other = get(&site, "/a").await;
    assert_eq!(calls.count(), 2);
    for (answer, data) in [(&mut one, "data: 1\n\n"), (&mut other, "data: 2\n\n")] {
        let feeder = feeders.recv().await.unwrap();
        feeder.send(chunk(data)).unwrap();
        assert_eq!(next(answer).await.unwrap().unwrap(), data);
    }
}

#[tokio::test]
async fn a_body_that_fails_is_an_error_for_all_and_never_stored() {
    let (mut feeders, origin, calls) = streaming(&[]);
    let site = site(rule(), origin);
    let first = get(&site, "/a").await;
    let second = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("half")).unwrap();
    feeder.send(Err(Broken)).unwrap();
    assert_eq!(read(first).await.unwrap_err(), BodyError::Aborted);
    assert_eq!(read(second).await.unwrap_err(), BodyError::Aborted);
    let third = get(&site, "/a").await;
    assert_eq!(status(&third), "cache-core; fwd=miss; stored");
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_body_that_is_shorter_than_announced_is_never_stored() {
    let (mut feeders, origin, calls) = streaming(&[("content-length", "8")]);
    let site = site(rule(), origin);
    let answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("half")).unwrap();
    drop(feeder);
    assert_eq!(read(answer).await.unwrap_err(), BodyError::Aborted);
    assert!(!is_hit(&get(&site, "/a").await));
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_body_goes_on_when_its_client_has_gone() {
    let (mut feeders, origin, calls) = streaming(&[]);
    let site = site(rule(), origin);
    let mut answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("one ")).unwrap();
    next(&mut answer).await;
    drop(answer);
    feeder.send(chunk("two")).unwrap();
    drop(feeder);
    assert_eq!(get_text(&site, "/a").await, "one two");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_body_that_announces_more_than_the_limit_passes_untouched() {
    let (mut feeders, origin, calls) = feeding(&[], SizeHint::with_exact(8));
    let site = site(rule().body_limit(7), origin);
    for call in 1..=2 {
        let mut answer = get(&site, "/a").await;
        assert_eq!(answer.body().size_hint().exact(), Some(8));
        let said = ["cache-core; fwd=miss; detail=too-large", HIT_FOR_MISS];
        assert_eq!((status(&answer), calls.count()), (said[call - 1], call));
        let feeder = feeders.recv().await.unwrap();
        feeder.send(chunk("one ")).unwrap();
        assert_eq!(next(&mut answer).await.unwrap().unwrap(), "one ");
        feeder.send(chunk("two.")).unwrap();
        drop(feeder);
        assert_eq!(text(answer).await, "two.");
    }
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_passes_untouched_to_all_who_read_it() {
    let (mut feeders, origin, calls) = streaming(&[]);
    let site = site(rule().body_limit(7), origin);
    let first = get(&site, "/a").await;
    let second = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    let reading = tokio::spawn(async { tokio::join!(text(first), text(second)) });
    for _ in 0..100_000 {
        feeder.send(chunk("0123456789")).unwrap();
    }
    let goes_alone = async || status(&get(&site, "/a").await) == HIT_FOR_MISS;
    soon(async { while !goes_alone().await {} }).await;
    assert!(calls.count() >= 2);
    drop(feeder);
    let whole = "0123456789".repeat(100_000);
    assert!(soon(reading).await.unwrap() == (whole.clone(), whole));
}

const HIT_FOR_MISS: &str = "cache-core; fwd=bypass; detail=hit-for-miss";

#[tokio::test]
async fn a_body_over_the_limit_that_fails_is_an_error() {
    let (mut feeders, origin, _) = streaming(&[]);
    let site = site(rule().body_limit(3), origin);
    let answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("0123456789")).unwrap();
    feeder.send(Err(Broken)).unwrap();
    assert_eq!(read(answer).await.unwrap_err(), BodyError::Aborted);
}

#[tokio::test]
async fn a_body_over_the_limit_that_nobody_reads_is_let_go() {
    let (mut feeders, origin, _) = streaming(&[]);
    let site = site(rule().body_limit(3), origin);
    let mut answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("0123456789")).unwrap();
    next(&mut answer).await;
    drop(answer);
    eventually("the body is dropped", || feeder.is_closed()).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_and_that_does_not_end_is_let_go() {
    let (mut feeders, origin, _) = streaming(&[]);
    let site = site(rule(), origin);
    let answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    drop(answer);
    let closed = tokio::time::timeout(MINUTE, feeder.closed());
    assert!(closed.await.is_ok(), "it is still read");
}

#[tokio::test]
async fn trailers_are_kept() {
    let (mut feeders, origin, _) = streaming(&[]);
    let site = site(rule(), origin);
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-sum"),
        HeaderValue::from_static("9"),
    )]);
    let first = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("body")).unwrap();
    feeder.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(feeder);
    for answer in [first, get(&site, "/a").await, get(&site, "/a").await] {
        let collected = answer.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
        assert_eq!(collected.to_bytes(), "body");
    }
}

#[tokio::test]
async fn the_announced_length_is_kept() {
    let (origin, _) = numbered(&[]);
    let site = site(rule(), origin);
    let first = get(&site, "/a").await;
    assert_eq!(first.body().size_hint().exact(), Some(8));
    text(first).await;
    let hit = get(&site, "/a").await;
    assert_eq!(hit.body().size_hint().exact(), Some(8));
}

#[tokio::test]
async fn an_empty_body_is_stored() {
    let (origin, calls) = origin(|_| async { Ok(Response::new(TestBody::Full(None))) });
    let site = site(rule(), origin);
    assert_eq!(get_text(&site, "/a").await, "");
    let hit = get(&site, "/a").await;
    assert!(is_hit(&hit) && hit.body().is_end_stream());
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn who_has_read_all_of_an_answer_finds_it_stored() {
    let (origin, _) = numbered(&[]);
    let layer = layer(rule());
    let site = layer.layer(origin);
    for page in 0..200 {
        let uri = format!("/{page}");
        let mut answer = get(&site, &uri).await;
        next(&mut answer).await.unwrap().unwrap();
        assert!(is_hit(&get(&site, &uri).await));
    }
}

#[tokio::test]
async fn a_hit_shares_the_bytes_that_are_stored() {
    let (origin, _) = origin(|_| async { Ok(with_fields(vec![7; 100_000], &[])) });
    let site = site(rule(), origin);
    read_bytes(get(&site, "/a").await).await;
    let (one, other) = (get(&site, "/a").await, get(&site, "/a").await);
    let (one, other) = (read_bytes(one).await, read_bytes(other).await);
    assert_eq!(one.as_ptr(), other.as_ptr());
}

async fn read_bytes(answer: Answer) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_longer_than_it_is_fresh_is_given_to_nobody_else() {
    let (mut feeders, origin, calls) = streaming(&[]);
    let site = site(rule(), origin);
    let slow = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("old")).unwrap();
    tokio::time::advance(MINUTE / 2).await;
    let joined = get(&site, "/a").await;
    assert_eq!(joined.headers()["age"], "30");
    tokio::time::advance(MINUTE / 2).await;
    let late = get(&site, "/a").await;
    assert_eq!(calls.count(), 2);
    drop((feeder, late));
    assert_eq!(
        (text(slow).await, text(joined).await),
        ("old".into(), "old".into())
    );
    assert!(!is_hit(&get(&site, "/a").await));
}

#[tokio::test(start_paused = true)]
async fn an_answer_ages_while_its_body_comes() {
    let (mut feeders, origin, _) = streaming(&[]);
    let site = site(rule(), origin);
    let slow = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    tokio::time::advance(MINUTE / 2).await;
    feeder.send(chunk("body")).unwrap();
    drop(feeder);
    text(slow).await;
    let hit = get(&site, "/a").await;
    assert_eq!(hit.headers()["age"], "30");
    assert_eq!(status(&hit), "cache-core; hit; ttl=29");
}
