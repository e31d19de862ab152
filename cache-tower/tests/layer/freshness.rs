//! For how long an answer is served, and what clients can say about it.

use std::time::Duration;

use cache_tower::{CacheLayer, Rule};
use tower::Layer;

use crate::support::*;

/// How long an answer with these fields is served, in seconds, up to 1,000.
async fn seconds_served(rule: Rule, fields: &'static [(&str, &str)]) -> u64 {
    let (cache, clock) = timed();
    let (origin, _) = numbered(fields);
    let layer = CacheLayer::builder(cache).rule(rule).build().unwrap();
    let site = layer.layer(origin);
    text(get(&site, "/a").await).await;
    for second in 0..1_000 {
        if !is_hit(&get(&site, "/a").await) {
            return second;
        }
        clock.advance(Duration::from_secs(1));
    }
    1_000
}

#[tokio::test]
async fn the_ttl_of_the_rule_counts_where_the_response_says_nothing() {
    assert_eq!(seconds_served(rule(), &[]).await, 60);
    assert_eq!(seconds_served(Rule::get("/a"), &[]).await, 0);
}

#[tokio::test]
async fn what_the_response_says_comes_first() {
    let served = async |fields| seconds_served(rule(), fields).await;
    assert_eq!(served(&[("cache-control", "max-age=5")]).await, 5);
    assert_eq!(
        served(&[("cache-control", "max-age=5, s-maxage=90")]).await,
        90
    );
    assert_eq!(served(&[("cache-control", "max-age=0")]).await, 0);
    assert_eq!(served(&[("expires", "0")]).await, 0);
}

#[tokio::test]
async fn the_age_that_a_response_came_with_is_taken_off() {
    let aged = &[("cache-control", "max-age=30"), ("age", "10")];
    let served = seconds_served(rule(), aged).await;
    assert!((19..=20).contains(&served), "{served}");
}

#[tokio::test]
async fn a_rule_can_override_what_the_response_says() {
    let fields = &[("cache-control", "max-age=5")];
    assert_eq!(seconds_served(rule().override_ttl(), fields).await, 60);
    let aged = &[("cache-control", "max-age=5"), ("age", "50")];
    assert_eq!(seconds_served(rule().override_ttl(), aged).await, 60);
}

#[tokio::test]
async fn a_hit_tells_its_age_and_what_is_left() {
    let (cache, clock) = timed();
    let (origin, _) = numbered(&[]);
    let site = CacheLayer::builder(cache)
        .rule(rule())
        .build()
        .unwrap()
        .layer(origin);
    let first = get(&site, "/a").await;
    assert_eq!(status(&first), "cache-core; fwd=miss; stored");
    text(first).await;
    clock.advance(Duration::from_millis(7_500));
    let hit = get(&site, "/a").await;
    assert_eq!(hit.headers()["age"], "7");
    assert_eq!(status(&hit), "cache-core; hit; ttl=52");
}

#[tokio::test]
async fn a_client_can_go_past_what_is_stored() {
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
    ] {
        let (origin, calls) = numbered(&[]);
        let site = site(rule(), origin);
        assert_eq!(get_text(&site, "/a").await, "answer 1");
        let past = get_with(&site, "/a", &[(name, value)]).await;
        assert!(status(&past).starts_with("cache-core; fwd=request"));
        assert_eq!(text(past).await, "answer 2");
        assert_eq!(calls.count(), 2);
    }
}

#[tokio::test]
async fn what_a_client_asked_not_to_be_stored_is_not() {
    let (origin, calls) = numbered(&[]);
    let site = site(rule(), origin);
    let answer = get_with(&site, "/a", &[("cache-control", "no-store")]).await;
    text(answer).await;
    assert!(!is_hit(&get(&site, "/a").await));
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_client_is_not_given_what_is_older_than_it_takes() {
    let (cache, clock) = timed();
    let (origin, _) = numbered(&[]);
    let site = CacheLayer::builder(cache)
        .rule(rule())
        .build()
        .unwrap()
        .layer(origin);
    text(get(&site, "/a").await).await;
    clock.advance(Duration::from_millis(9_500));
    let within = get_with(&site, "/a", &[("cache-control", "max-age=10")]).await;
    assert!(is_hit(&within));
    let beyond = get_with(&site, "/a", &[("cache-control", "max-age=9")]).await;
    assert_eq!(status(&beyond), "cache-core; fwd=request; detail=max-age");
}
