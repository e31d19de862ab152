//! Growing bodies: what each reader gets.

use std::future::poll_fn;
use std::task::Context;
use std::time::Duration;

use http::HeaderValue;

use super::reader::Aborted;
use super::*;
use crate::detached::Detached;

fn growing() -> (Writer, Arc<Growing>) {
    Growing::new(&SizeHint::default())
}

fn chunk(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn next(reader: &mut Reader) -> Option<Result<Bytes, Aborted>> {
    let frame = poll_fn(|context| reader.poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

async fn rest(reader: &mut Reader) -> Result<String, Aborted> {
    let mut text = String::new();
    while let Some(data) = next(reader).await {
        text.push_str(std::str::from_utf8(&data?).unwrap());
    }
    Ok(text)
}

#[tokio::test]
async fn every_reader_gets_all_of_the_body_whenever_it_comes() {
    let (writer, growing) = growing();
    let mut early = growing.reader().unwrap();
    writer.push(chunk("a"));
    assert_eq!(next(&mut early).await, Some(Ok(chunk("a"))));
    let mut late = growing.reader().unwrap();
    writer.push(chunk("b"));
    assert_eq!(writer.collect(), "ab");
    writer.finish(None);
    assert_eq!(rest(&mut early).await.unwrap(), "b");
    assert_eq!(rest(&mut late).await.unwrap(), "ab");
    assert!(early.is_end_stream());
}

#[tokio::test]
async fn a_waiting_reader_is_woken() {
    let (writer, growing) = growing();
    let mut reader = growing.reader().unwrap();
    let reading = tokio::spawn(async move { rest(&mut reader).await });
    tokio::task::yield_now().await;
    writer.push(chunk("a"));
    tokio::task::yield_now().await;
    writer.finish(None);
    assert_eq!(reading.await.unwrap().unwrap(), "a");
}

#[tokio::test]
async fn a_dropped_writer_is_an_abort_and_no_end() {
    let (writer, growing) = growing();
    let mut reader = growing.reader().unwrap();
    writer.push(chunk("a"));
    drop(writer);
    assert_eq!(next(&mut reader).await, Some(Ok(chunk("a"))));
    assert_eq!(next(&mut reader).await, Some(Err(Aborted)));
    assert!(!reader.is_end_stream());
    assert!(growing.reader().is_none());
}

#[tokio::test]
async fn the_last_chunk_is_seen_when_the_body_is_finished() {
    let (writer, growing) = growing();
    let mut reader = growing.reader().unwrap();
    writer.push_last(chunk("z"));
    assert_eq!(writer.collect(), "z");
    let early = unless_ready(&mut reader).await;
    assert!(early.is_none());
    writer.finish(None);
    assert_eq!(rest(&mut reader).await.unwrap(), "z");
}

async fn unless_ready(reader: &mut Reader) -> Option<Result<Bytes, Aborted>> {
    let ready = async { next(reader).await.unwrap() };
    writer::unless(tokio::task::yield_now(), ready).await
}

#[tokio::test]
async fn trailers_come_behind_the_body() {
    let (writer, growing) = growing();
    let mut reader = growing.reader().unwrap();
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-sum"),
        HeaderValue::from_static("9"),
    )]);
    writer.finish(Some(trailers.clone()));
    assert!(!reader.is_end_stream());
    let frame = poll_fn(|context| reader.poll_frame(context)).await;
    assert_eq!(frame.unwrap().unwrap().into_trailers().unwrap(), trailers);
    assert!(next(&mut reader).await.is_none() && reader.is_end_stream());
}

#[test]
fn the_announced_length_is_handed_on() {
    let (writer, growing) = Growing::new(&SizeHint::with_exact(3));
    let mut reader = growing.reader().unwrap();
    assert_eq!(reader.size_hint().exact(), Some(3));
    writer.push(chunk("ab"));
    let mut context = Context::from_waker(Waker::noop());
    assert!(reader.poll_frame(&mut context).is_ready());
    assert_eq!(reader.size_hint().exact(), Some(1));
}

#[tokio::test]
async fn a_window_keeps_only_what_is_unread_and_takes_nobody_in() {
    let (writer, growing) = growing();
    let mut reader = growing.reader().unwrap();
    writer.push(chunk("abc"));
    next(&mut reader).await;
    writer.keep_window();
    assert_eq!(growing.lock().kept_bytes, 0);
    assert!(growing.reader().is_none());
    writer.push(chunk("d"));
    assert_eq!(growing.lock().kept_bytes, 1);
    drop(reader);
    assert!(!writer.room(1).await);
}

#[tokio::test(start_paused = true)]
async fn many_small_chunks_fill_a_window_too() {
    let (writer, growing) = growing();
    let mut reader = growing.reader().unwrap();
    writer.keep_window();
    for _ in 0..10 {
        writer.push(chunk("a"));
    }
    let waiting = tokio::time::timeout(Duration::from_secs(1), writer.room(100));
    assert!(waiting.await.is_err());
    for _ in 0..9 {
        next(&mut reader).await;
    }
    assert!(writer.room(100).await);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_alone_may_be_as_slow_as_it_likes() {
    let (writer, growing) = growing();
    let mut reader = growing.reader().unwrap();
    writer.keep_window();
    writer.push(chunk("a"));
    let reading = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        next(&mut reader).await;
        reader
    });
    assert!(writer.room(1).await);
    drop(writer);
    assert_eq!(next(&mut reading.await.unwrap()).await, Some(Err(Aborted)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stands_still_while_others_wait_is_cut() {
    let (writer, growing) = growing();
    let (mut quick, mut stalled) = (growing.reader().unwrap(), growing.reader().unwrap());
    writer.keep_window();
    writer.push(chunk("a"));
    next(&mut quick).await;
    let before = Instant::now();
    assert!(writer.room(1).await);
    assert_eq!(before.elapsed(), Duration::from_secs(10));
    assert_eq!(next(&mut stalled).await, Some(Err(Aborted)));
    writer.push(chunk("b"));
    writer.finish(None);
    assert_eq!(rest(&mut quick).await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_moves_is_not_cut() {
    let (writer, growing) = growing();
    let (mut quick, mut slow) = (growing.reader().unwrap(), growing.reader().unwrap());
    for _ in 0..20 {
        writer.push(Bytes::from(vec![0; 50_000]));
    }
    writer.keep_window();
    let quick = tokio::spawn(async move { while let Some(Ok(_)) = next(&mut quick).await {} });
    let slow = tokio::spawn(async move {
        let mut read = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(9)).await;
            match next(&mut slow).await {
                Some(Ok(_)) => read += 1,
                end => return (read, end.is_none()),
            }
        }
    });
    assert!(writer.room(256 << 10).await);
    writer.finish(None);
    quick.await.unwrap();
    assert_eq!(slow.await.unwrap(), (20, true));
}

#[tokio::test(start_paused = true)]
async fn readers_that_all_stand_still_are_not_cut() {
    let (writer, growing) = growing();
    let (mut one, mut other) = (growing.reader().unwrap(), growing.reader().unwrap());
    writer.keep_window();
    writer.push(chunk("a"));
    let waiting = tokio::time::timeout(Duration::from_secs(3_600), writer.room(1));
    assert!(waiting.await.is_err());
    writer.finish(None);
    assert_eq!(rest(&mut one).await.unwrap(), "a");
    assert_eq!(rest(&mut other).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_not_stood_still_for_long_is_not_cut() {
    let (writer, growing) = growing();
    let (mut quick, mut slow) = (growing.reader().unwrap(), growing.reader().unwrap());
    writer.keep_window();
    writer.push(chunk("a"));
    next(&mut quick).await;
    next(&mut slow).await;
    // Nothing comes for a long time.
    tokio::time::sleep(Duration::from_secs(60)).await;
    writer.push(chunk("b"));
    next(&mut quick).await;
    let waiting = tokio::time::timeout(Duration::from_secs(9), writer.room(1));
    assert!(waiting.await.is_err());
    assert_eq!(next(&mut slow).await, Some(Ok(chunk("b"))));
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_a_body_that_is_given_up() {
    let (writer, growing) = growing();
    drop(growing.reader());
    writer.deserted(&Detached::new()).await;
    assert!(growing.reader().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_is_given_up_in_the_end() {
    let (writer, growing) = growing();
    drop(growing.reader());
    let before = Instant::now();
    writer.deserted(&Detached::new()).await;
    assert_eq!(before.elapsed(), Duration::from_secs(30));
}
