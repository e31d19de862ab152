//! Bodies: streamed while they are stored, never cut short, never held back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_core::testkit::eventually;
use cache_core::{Cache, MemoryProvider};
use cache_tower::{BodyError, CacheLayer};
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
async fn a_body_that_is_shorter_than_its_service_knows_is_never_stored() {
    let (mut feeders, origin, calls) = feeding(&[], SizeHint::with_exact(8));
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
async fn a_length_that_is_for_the_connection_alone_is_a_length_all_the_same() {
    let fields = &[("content-length", "8"), ("connection", "content-length")];
    let (mut feeders, origin, _) = streaming(fields);
    let site = site(rule(), origin);
    let answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("half")).unwrap();
    drop(feeder);
    assert_eq!(read(answer).await.unwrap_err(), BodyError::Aborted);
    assert!(!is_hit(&get(&site, "/a").await));
}

#[tokio::test]
async fn an_answer_whose_lengths_contradict_each_other_passes_untouched() {
    let (origin, _) = numbered(&[("content-length", "9")]);
    let site = site(rule(), origin);
    let answer = get(&site, "/a").await;
    assert_eq!(status(&answer), "cache-core; fwd=miss; detail=length");
    assert_eq!(text(answer).await, "answer 1");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_does_not_keep_others_from_theirs() {
    let (mut feeders, origin, calls) = streaming(&[]);
    let site = site(rule().ttl(1_000 * MINUTE), origin);
    let stuck = get(&site, "/a").await;
    let stuck_feeder = feeders.recv().await.unwrap();
    stuck_feeder.send(chunk("old")).unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let other = get(&site, "/a").await;
    assert_eq!(status(&other), "cache-core; fwd=miss; stored");
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("new")).unwrap();
    drop(feeder);
    assert_eq!(text(other).await, "new");
    // It is still that of its client.
    for _ in 0..100_000 {
        stuck_feeder.send(chunk(" and late")).unwrap();
    }
    drop(stuck_feeder);
    let late = " and late".repeat(100_000);
    assert!(soon(text(stuck)).await == format!("old{late}"));
    assert_eq!(get_text(&site, "/a").await, "new");
    assert_eq!(calls.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_may_pause_even_where_nobody_waits_for_others() {
    let hasty = Cache::builder(MemoryProvider::new()).flight_wait(Duration::ZERO);
    let layer = CacheLayer::builder(hasty.build().unwrap()).rule(rule());
    let (mut feeders, origin, _) = streaming(&[]);
    let site = layer.build().unwrap().layer(origin);
    let answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    feeder.send(chunk("page")).unwrap();
    drop(feeder);
    assert_eq!(text(answer).await, "page");
    assert!(is_hit(&get(&site, "/a").await));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stood_still_and_is_cut_short_is_an_error() {
    let (mut feeders, origin, _) = streaming(&[("content-length", "8")]);
    let site = site(rule(), origin);
    let answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("half")).unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    drop(feeder);
    assert_eq!(read(answer).await.unwrap_err(), BodyError::Aborted);
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
async fn a_body_that_announces_at_least_more_than_the_limit_passes_untouched() {
    let mut hint = SizeHint::new();
    hint.set_lower(8);
    let (_feeders, origin, _) = feeding(&[], hint);
    let site = site(rule().body_limit(7), origin);
    let said = "cache-core; fwd=miss; detail=too-large";
    assert_eq!(status(&get(&site, "/a").await), said);
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
async fn a_body_over_the_limit_is_read_no_faster_than_its_client_reads() {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let (origin, _) = origin(move |_| {
        let body = TestBody::Ready(Arc::clone(&counted), 4_000);
        async { Ok(Response::new(body)) }
    });
    let site = site(rule().body_limit(3), origin);
    let _answer = get(&site, "/a").await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let kilobytes = read.load(Ordering::SeqCst);
    assert!((200..=300).contains(&kilobytes), "{kilobytes}");
}

#[tokio::test]
async fn a_body_in_too_many_pieces_is_not_stored() {
    for (pieces, stored) in [(1_024, true), (1_025, false)] {
        let (mut feeders, origin, _) = streaming(&[]);
        let site = site(rule().body_limit(2_000), origin);
        let answer = get(&site, "/a").await;
        let feeder = feeders.recv().await.unwrap();
        for _ in 0..pieces {
            feeder.send(chunk("x")).unwrap();
        }
        drop(feeder);
        assert_eq!(text(answer).await, "x".repeat(pieces));
        assert_eq!(is_hit(&get(&site, "/a").await), stored, "{pieces}");
    }
}

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
    drop(get(&site, "/a").await);
    let feeder = feeders.recv().await.unwrap();
    let began = tokio::time::Instant::now();
    while feeder.send(chunk("it goes on")).is_ok() && began.elapsed() < MINUTE {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(began.elapsed().as_secs(), 31);
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

/// A body with these trailers, read twice: what comes with it, and whether it was stored.
async fn read_twice(limit: usize, trailers: &HeaderMap) -> (Option<HeaderMap>, bool) {
    let (mut feeders, origin, calls) = streaming(&[]);
    let site = site(rule().body_limit(limit), origin);
    let first = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    feeder.send(chunk("body")).unwrap();
    feeder.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(feeder);
    let first = first.into_body().collect().await.unwrap();
    let stored = is_hit(&get(&site, "/a").await);
    assert_eq!(calls.count() == 1, stored);
    let shown = first.trailers().cloned();
    assert_eq!(first.to_bytes(), "body");
    (shown, stored)
}

fn trailers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        let name = http::HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    fields.iter().map(field).collect()
}

#[tokio::test]
async fn a_body_that_sets_a_cookie_in_its_trailers_is_not_stored() {
    let sent = trailers(&[("set-cookie", "id=alice"), ("x-sum", "9")]);
    let shown = trailers(&[("x-sum", "9")]);
    assert_eq!(read_twice(100, &sent).await, (Some(shown), false));
}

#[tokio::test]
async fn trailers_of_the_connection_are_not_stored() {
    let sent = trailers(&[("keep-alive", "timeout=5"), ("x-sum", "9")]);
    let shown = trailers(&[("x-sum", "9")]);
    assert_eq!(read_twice(100, &sent).await, (Some(shown), true));
}

#[tokio::test]
async fn trailers_count_in_the_length_of_the_body() {
    let sent = trailers(&[("x-sum", "9")]);
    let length = "body".len() + "x-sum".len() + "9".len();
    assert_eq!(read_twice(length, &sent).await, (Some(sent.clone()), true));
    assert_eq!(
        read_twice(length - 1, &sent).await,
        (Some(sent.clone()), false)
    );
}

/// Bytes that say when they are let go.
struct Watched(Vec<u8>, Arc<AtomicUsize>);

impl Watched {
    fn bytes(length: usize, gone: &Arc<AtomicUsize>) -> Bytes {
        Bytes::from_owner(Self(vec![b'x'; length], Arc::clone(gone)))
    }
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_small_body_does_not_hold_the_large_buffer_that_it_came_in() {
    let gone = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&gone);
    let (origin, _) = origin(move |_| {
        let buffer = Watched::bytes(1 << 20, &seen);
        let mut response = Response::new(TestBody::from(buffer.slice(..10)));
        let value = HeaderValue::from_maybe_shared(buffer.slice(10..20)).unwrap();
        response.headers_mut().append("etag", value);
        async { Ok(response) }
    });
    let site = site(rule(), origin);
    get_text(&site, "/a").await;
    assert!(is_hit(&get(&site, "/a").await));
    assert_eq!(gone.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn empty_pieces_are_not_kept() {
    let gone = Arc::new(AtomicUsize::new(0));
    let (mut feeders, origin, _) = streaming(&[]);
    let site = site(rule(), origin);
    let mut answer = get(&site, "/a").await;
    let feeder = feeders.recv().await.unwrap();
    for _ in 0..10_000 {
        let empty = Watched::bytes(0, &gone);
        feeder.send(Ok(Frame::data(empty))).unwrap();
    }
    feeder.send(chunk("x")).unwrap();
    assert_eq!(next(&mut answer).await.unwrap().unwrap(), "x");
    assert_eq!(gone.load(Ordering::SeqCst), 10_000);
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
    let layer = CacheLayer::builder(patient()).rule(rule());
    let site = layer.build().unwrap().layer(origin);
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
    let layer = CacheLayer::builder(patient()).rule(rule());
    let site = layer.build().unwrap().layer(origin);
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
