//! A cache failure never fails the function.

use std::collections::HashSet;

use cache_core::testkit::ChaosProvider;
use cache_core::{Cache, cached};
use serde::{Serialize, Serializer};

use crate::Shop;

#[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
async fn load(shop: &Shop, text: &str) -> usize {
    let _ = text;
    shop.run()
}

fn failing() -> (Shop, cache_core::testkit::Chaos) {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    (Shop::over(cache), chaos)
}

#[tokio::test]
async fn with_a_broken_cache_the_body_runs_and_the_failure_is_counted() {
    let (shop, chaos) = failing();
    chaos.away(true);
    assert_eq!(load(&shop, "a").await, 1);
    assert_eq!(load(&shop, "a").await, 2);
    assert_eq!(shop.cache.metrics().errors, 2);
    chaos.away(false);
    assert_eq!(load(&shop, "a").await, 3);
    assert_eq!(load(&shop, "a").await, 3);
}

#[tokio::test]
async fn a_call_with_many_long_arguments_goes_past_the_cache_if_its_key_is_too_long() {
    #[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
    #[allow(clippy::too_many_arguments)]
    #[rustfmt::skip]
    async fn many(
        shop: &Shop, a: &str, b: &str, c: &str, d: &str, e: &str, f: &str, g: &str, h: &str,
        i: &str, j: &str, k: &str,
    ) -> usize {
        let _ = (a, b, c, d, e, f, g, h, i, j, k);
        shop.run()
    }
    let shop = Shop::new();
    let long = "x".repeat(200);
    let x = long.as_str();
    for run in 1..=2 {
        assert_eq!(many(&shop, x, x, x, x, x, x, x, x, x, x, x).await, run);
    }
    assert_eq!(shop.cache.metrics().bypassed, 2);
}

#[tokio::test]
async fn one_long_argument_is_no_reason_to_go_past_the_cache() {
    let shop = Shop::new();
    let long = "x".repeat(100_000);
    assert_eq!(load(&shop, &long).await, 1);
    assert_eq!(load(&shop, &long).await, 1);
    assert_eq!(load(&shop, &(long + "y")).await, 2);
}

/// Serde refuses to write it.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("refused"))
    }
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
async fn with_argument<T: Serialize>(shop: &Shop, argument: T) -> usize {
    let _ = argument;
    shop.run()
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, argument), tags = ["tag:{argument}"])]
async fn with_tag(shop: &Shop, argument: Unwritable) -> usize {
    let _ = argument;
    shop.run()
}

#[tokio::test]
async fn a_call_whose_argument_cannot_be_written_goes_past_the_cache() {
    let shop = Shop::new();
    assert_eq!(with_argument(&shop, Unwritable).await, 1);
    assert_eq!(with_argument(&shop, Unwritable).await, 2);
    assert_eq!(with_argument(&shop, f64::NAN).await, 3);
    assert_eq!(with_argument(&shop, HashSet::from([1])).await, 4);
    let metrics = shop.cache.metrics();
    assert_eq!((metrics.bypassed, metrics.errors), (4, 4));
}

#[tokio::test]
async fn a_value_whose_tag_cannot_be_written_is_not_kept() {
    let shop = Shop::new();
    assert_eq!(with_tag(&shop, Unwritable).await, 1);
    assert_eq!(with_tag(&shop, Unwritable).await, 2);
    assert_eq!(shop.cache.metrics().bypassed, 2);
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
async fn without_bytes(shop: &Shop) -> Result<Nothing, ()> {
    shop.run();
    Ok(Nothing)
}

/// A value that cannot be turned into bytes.
#[derive(Clone, Debug, serde::Deserialize)]
struct Nothing;

impl Serialize for Nothing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("refused"))
    }
}

#[tokio::test]
async fn a_value_that_has_no_bytes_is_still_returned() {
    let (shop, _chaos) = failing();
    for run in 1..=2 {
        assert!(without_bytes(&shop).await.is_ok());
        assert_eq!(
            (shop.runs(), shop.cache.metrics().errors),
            (run, run as u64)
        );
    }
}
