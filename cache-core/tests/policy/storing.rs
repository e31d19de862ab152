//! Under which terms values are stored: jitter, negative caching, and terms of one result.

use cache_core::engine::Turn;
use cache_core::testkit::{Gate, eventually};
use cache_core::{EntryOptions, Owner, Ttl, cached};

use crate::*;

async fn ttl(cache: &Cache, key: &str) -> Option<Duration> {
    match cache.get_ttl(key).await.unwrap()? {
        Ttl::After(span) => Some(span),
        Ttl::Never => None,
    }
}

#[tokio::test]
async fn jitter_spreads_what_is_stored_and_keeps_within_its_part() {
    let bench = Bench::new(Policy::new().jitter(0.5));
    let keys: Vec<_> = (0..200).map(|index| format!("k{index}")).collect();
    for key in &keys[..100] {
        bench.read_at(key).await.unwrap();
    }
    let values: Vec<_> = keys[100..].iter().map(|key| (&**key, 1)).collect();
    let options = EntryOptions::new();
    bench.cache.set_many(&values, options).await.unwrap();
    let mut spans = Vec::new();
    for key in &keys {
        spans.push(ttl(&bench.cache, key).await.unwrap());
    }
    for spans in [&spans[..100], &spans[100..]] {
        let (least, most) = (spans.iter().min().unwrap(), spans.iter().max().unwrap());
        assert!(*least >= TTL / 2 && *most <= TTL);
        assert!(*most - *least > TTL / 4, "{least:?} {most:?}");
    }
}

#[tokio::test]
async fn jitter_leaves_counters_and_what_does_not_expire() {
    let bench = Bench::new(Policy::new().jitter(1.0).stale_if_error(TTL));
    bench.cache.increment("counter", 1).await.unwrap();
    assert_eq!(ttl(&bench.cache, "counter").await, Some(TTL));
    bench.cache.set("forever", &1).no_ttl().await.unwrap();
    assert_eq!(
        bench.cache.get_ttl("forever").await.unwrap(),
        Some(Ttl::Never)
    );
}

#[tokio::test]
async fn jitter_takes_nothing_of_the_time_that_a_value_is_kept_stale() {
    let policy = forgiving().jitter(1.0);
    let bench = Bench::new(policy);
    bench.read().await.unwrap();
    let fresh = ttl(&bench.cache, KEY).await.unwrap();
    bench.source.fails();
    bench.clock.advance(fresh + SECOND * 30 - TICK);
    assert_eq!(bench.read().await.unwrap(), "old");
    bench.clock.advance(TICK);
    assert_eq!(failed(bench.read().await), "no");
}

async fn find(cache: &Cache, key: &str, found: Option<u8>) -> Option<u8> {
    let load = move || async move { Ok::<_, ()>(found) };
    cache.get_or_load(key, load).await.unwrap()
}

#[tokio::test]
async fn a_none_lives_as_long_as_negative_ttl_says() {
    let bench = Bench::new(forgiving().negative_ttl(SECOND));
    assert_eq!(find(&bench.cache, "none", None).await, None);
    assert_eq!(find(&bench.cache, "some", Some(1)).await, Some(1));
    assert_eq!(ttl(&bench.cache, "none").await, Some(SECOND));
    assert_eq!(ttl(&bench.cache, "some").await, Some(TTL));
    let load = || async { Ok::<_, ()>(None::<u8>) };
    assert_eq!(bench.cache.get_or_set("set", load).await, Ok(None));
    assert_eq!(ttl(&bench.cache, "set").await, Some(SECOND));
    assert_eq!(find(&bench.cache, "none", Some(2)).await, None);
    bench.clock.advance(SECOND);
    let fail = || async { Err::<Option<u8>, _>(()) };
    let read = bench.cache.get_or_load("none", fail).await;
    assert!(read.is_err(), "it is not shown stale");
}

#[tokio::test]
async fn a_none_is_a_value_like_others_unless_the_policy_says_otherwise() {
    let bench = Bench::new(Policy::new());
    assert_eq!(find(&bench.cache, KEY, None).await, None);
    assert_eq!(ttl(&bench.cache, KEY).await, Some(TTL));
    let bench = Bench::new(Policy::new().negative_ttl(Duration::ZERO));
    assert_eq!(find(&bench.cache, KEY, None).await, None);
    assert_eq!(
        find(&bench.cache, KEY, Some(1)).await,
        Some(1),
        "not stored"
    );
}

#[tokio::test]
async fn a_result_has_terms_of_its_own_which_come_first() {
    let bench = Bench::new(Policy::new().negative_ttl(SECOND));
    let options = EntryOptions::new().ttl(TTL * 2).tag("call");
    let load = || async { Ok::<_, ()>(Loaded::new(None::<u8>).ttl(SECOND * 5).tag("result")) };
    for (tag, key) in [("call", "a"), ("result", "b")] {
        let read = bench.cache.get_or_load_with(key, options.clone(), load);
        let read: Result<Option<u8>, LoadError<()>> = read.await;
        assert_eq!(read.unwrap(), None);
        assert_eq!(ttl(&bench.cache, key).await, Some(SECOND * 5));
        bench.cache.invalidate_tag(tag).await.unwrap();
        assert!(!bench.cache.exists(key).await.unwrap(), "{tag}");
    }
    let load = || async { Ok::<_, ()>(Loaded::new(1).ttl(Duration::ZERO)) };
    let read: Result<i32, _> = bench.cache.get_or_load(KEY, load).await;
    assert_eq!(read.unwrap(), 1);
    assert!(!bench.cache.exists(KEY).await.unwrap());
}

fn passing(value: &str) -> Loaded<String> {
    Loaded::new(value.to_owned()).ttl(Duration::ZERO)
}

#[tokio::test]
async fn a_stale_value_goes_when_a_newer_result_is_not_stored() {
    let bench = Bench::stale(forgiving(), TICK).await;
    bench
        .source
        .change(|answer| answer.value = Ok(passing("new")));
    assert_eq!(bench.read().await.unwrap(), "new");
    bench.source.fails();
    assert_eq!(failed(bench.read().await), "no", "not the oldest");

    let bench = Bench::stale(revalidating(), TICK).await;
    bench
        .source
        .change(|answer| answer.value = Ok(passing("new")));
    assert_eq!(bench.read().await.unwrap(), "old");
    let goes = || bench.cache.metrics().loads == 2;
    eventually("the refresh ends", goes).await;
    assert_eq!(bench.read().await.unwrap(), "new");
}

#[cached(cache = bench.cache, key = "found")]
async fn find_in(bench: &Bench, found: Result<Option<u8>, u8>) -> Result<Option<u8>, u8> {
    bench.source.loads.fetch_add(1, Ordering::SeqCst);
    found
}

#[tokio::test]
async fn a_stale_value_goes_when_a_function_finds_nothing_any_more() {
    let bench = Bench::new(forgiving());
    assert_eq!(find_in(&bench, Ok(Some(1))).await, Ok(Some(1)));
    bench.clock.advance(TTL);
    assert_eq!(find_in(&bench, Ok(None)).await, Ok(None));
    assert_eq!(find_in(&bench, Err(7)).await, Err(7));
}

#[tokio::test]
async fn what_is_fresh_or_was_written_meanwhile_stays_when_a_result_is_not_stored() {
    let bench = Bench::stale(forgiving(), TICK).await;
    let (gate, held) = Gate::new();
    bench.source.is_held(held);
    bench
        .source
        .change(|answer| answer.value = Ok(passing("new")));
    let reading = bench.spawn_read();
    gate.entered().await;
    bench.cache.set(KEY, "set").await.unwrap();
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap(), "new");
    assert_eq!(bench.get().await.as_deref(), Some("set"));

    let bench = Bench::new(Policy::new().early_refresh(1e300));
    bench.source.change(|answer| answer.takes = SECOND);
    assert_eq!(bench.read().await.unwrap(), "old");
    bench
        .source
        .change(|answer| answer.value = Ok(passing("new")));
    assert_eq!(bench.read().await.unwrap(), "old");
    let ends = || bench.cache.metrics().loads == 2;
    eventually("the refresh ends", ends).await;
    assert_eq!(bench.get().await.as_deref(), Some("old"));
}

#[tokio::test]
async fn a_number_that_becomes_a_counter_is_not_kept() {
    let bench = Bench::new(forgiving());
    bench.cache.set(KEY, &7).await.unwrap();
    assert_eq!(bench.cache.increment(KEY, 1).await.unwrap(), 8);
    bench.clock.advance(TTL);
    let load = || async { Err::<i32, _>("no") };
    let read = bench.cache.get_or_load(KEY, load).await;
    assert!(read.is_err(), "it is not shown stale");
}

#[tokio::test]
async fn a_turn_is_under_no_policy() {
    let bench = Bench::new(forgiving().jitter(1.0));
    let options = EntryOptions::new();
    let turn = async || bench.cache.turn(KEY, Owner::HANDLE, &options).await;
    let Turn::Lead(ticket) = turn().await else {
        panic!("a load");
    };
    ticket.publish("v".to_owned(), options.clone()).await;
    let Turn::Hit(hit) = turn().await else {
        panic!("a hit");
    };
    assert_eq!(hit.ttl(), Some(TTL));
    assert_eq!(hit.entry().meta().kept_for, Duration::ZERO);
    bench.cache.set(KEY, "kept").await.unwrap();
    bench.clock.advance(TTL);
    assert!(matches!(turn().await, Turn::Lead(_)), "not the stale value");
}
