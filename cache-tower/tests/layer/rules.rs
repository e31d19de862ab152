//! Rules by route: what they say is done, and what none speaks of is left alone.

use std::time::Duration;

use cache_core::Cache;
use cache_tower::{CacheLayer, Rule};
use tower::Layer;

use crate::support::*;

#[tokio::test]
async fn what_no_rule_speaks_of_passes_untouched() {
    let (origin, calls) = numbered(&[("connection", "close")]);
    let site = site(Rule::get("/cities/{id}").ttl(MINUTE), origin);
    for _ in 0..2 {
        let answer = get(&site, "/cities").await;
        assert_eq!(answer.headers().len(), 1);
    }
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn the_rule_of_the_most_specific_route_counts() {
    let (cache, clock) = timed();
    let (origin, calls) = numbered(&[]);
    let layer = CacheLayer::builder(cache)
        .rule(Rule::get("/cities/{id}").ttl(MINUTE))
        .rule(Rule::get("/cities/new").ttl(Duration::from_secs(1)))
        .build()
        .unwrap();
    let site = layer.layer(origin);
    get_text(&site, "/cities/7").await;
    get_text(&site, "/cities/new").await;
    clock.advance(Duration::from_secs(2));
    assert!(is_hit(&get(&site, "/cities/7").await));
    assert!(!is_hit(&get(&site, "/cities/new").await));
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn layers_in_different_namespaces_share_nothing() {
    let cache = Cache::memory();
    let site = |namespace: &str, answer: &'static str| {
        let (origin, _) = origin(move |_| async move { Ok(with_fields(answer, &[])) });
        let layer = CacheLayer::builder(cache.clone())
            .namespace(namespace)
            .rule(rule());
        layer.build().unwrap().layer(origin)
    };
    let (one, other) = (site("one", "1"), site("other", "2"));
    assert_eq!(get_text(&one, "/a").await, "1");
    assert_eq!(get_text(&other, "/a").await, "2");
    assert_eq!(get_text(&one, "/a").await, "1");
}

#[tokio::test]
async fn what_another_rule_stored_is_no_answer() {
    let cache = Cache::memory();
    let site = |rule: Rule, answer: &'static str| {
        let (origin, _) = origin(move |_| async move { Ok(with_fields(answer, &[])) });
        let layer = CacheLayer::builder(cache.clone()).rule(rule);
        layer.build().unwrap().layer(origin)
    };
    let one = site(Rule::get("/{name}").ttl(MINUTE), "1");
    let other = site(Rule::get("/a").ttl(MINUTE), "2");
    assert_eq!(get_text(&one, "/a").await, "1");
    assert_eq!(get_text(&other, "/a").await, "2");
}

#[tokio::test]
async fn what_a_rule_shared_is_no_answer_where_it_no_longer_shares_it() {
    let shared = |rule: Rule, field: &'static str| async move {
        let cache = Cache::memory();
        let site = |rule: Rule| {
            let (origin, _) = origin(move |request| async move {
                let value = request.headers().get(field);
                let value = value.map_or("nobody", |value| value.to_str().unwrap());
                Ok(with_fields(value.to_owned(), &[]))
            });
            let layer = CacheLayer::builder(cache.clone()).rule(rule);
            layer.build().unwrap().layer(origin)
        };
        let alice = get_with(&site(rule), "/a", &[(field, "alice")]).await;
        assert_eq!(text(alice).await, "alice");
        get_text(&site(crate::support::rule()), "/a").await
    };
    assert_eq!(
        shared(rule().share_authorized(), "authorization").await,
        "nobody"
    );
    assert_eq!(shared(rule().ignore_cookies(), "cookie").await, "nobody");
}

#[tokio::test]
async fn a_rule_that_tells_more_apart_does_not_show_what_was_stored_before() {
    let cache = Cache::memory();
    let site = |rule: Rule, answer: &'static str| {
        let (origin, _) = origin(move |_| async move { Ok(with_fields(answer, &[])) });
        let layer = CacheLayer::builder(cache.clone()).rule(rule);
        layer.build().unwrap().layer(origin)
    };
    assert_eq!(get_text(&site(rule(), "de"), "/a").await, "de");
    let telling = site(rule().vary_header("accept-language"), "en");
    assert_eq!(get_text(&telling, "/a").await, "en");
}

#[tokio::test]
async fn a_tag_that_cannot_be_stored_passes_on() {
    let (origin, calls) = numbered(&[]);
    let site = site(Rule::get("/{id}").ttl(MINUTE).tag("id:{id}"), origin);
    let uri = format!("/{}", "x".repeat(300));
    for _ in 0..2 {
        let answer = get(&site, &uri).await;
        assert_eq!(status(&answer), "cache-core; fwd=bypass; detail=no-key");
    }
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn the_cache_of_a_layer_tells_its_hits_and_misses() {
    let (origin, _) = numbered(&[]);
    let layer = layer(rule());
    let site = layer.layer(origin);
    get_text(&site, "/a").await;
    get_text(&site, "/a").await;
    let metrics = layer.cache().metrics();
    assert_eq!((metrics.hits, metrics.misses), (1, 1));
    assert_eq!((metrics.loads, metrics.load_errors), (1, 0));
}

#[tokio::test]
async fn what_is_stored_and_of_no_use_is_no_hit() {
    let (origin, calls) = numbered(&[("cache-control", "private")]);
    let layer = layer(rule());
    let site = layer.layer(origin);
    for _ in 0..10 {
        get_text(&site, "/a").await;
    }
    assert_eq!((calls.count(), layer.cache().metrics().hits), (10, 0));
}
