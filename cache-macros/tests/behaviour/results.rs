//! Which results are kept: `Ok` and `Some` alone, whatever name the type goes by.

use cache_core::{Local, cached};

use crate::Shop;

type Answer<T, E = String> = Result<T, E>;
type Found<T> = Option<T>;
type Lookup<T> = Answer<Found<T>>;

/// An error that is neither stored nor copied.
#[derive(Debug)]
struct Failure;

#[cached(cache = shop.cache, skip(shop))]
async fn plain(shop: &Shop, _id: u64) -> usize {
    shop.run()
}

#[tokio::test]
async fn a_plain_value_is_kept() {
    let shop = Shop::new();
    assert_eq!(plain(&shop, 1).await, 1);
    assert_eq!(plain(&shop, 1).await, 1);
    assert_eq!(plain(&shop, 2).await, 2);
}

#[cached(cache = shop.cache, skip(shop, fails))]
async fn result(shop: &Shop, fails: bool) -> Result<usize, Failure> {
    let run = shop.run();
    if fails { Err(Failure) } else { Ok(run) }
}

#[cached(cache = shop.cache, skip(shop, fails))]
async fn aliased_result(shop: &Shop, fails: bool) -> Answer<usize> {
    let run = shop.run();
    if fails { Err("no".into()) } else { Ok(run) }
}

#[tokio::test]
async fn only_the_ok_of_a_result_is_kept() {
    let shop = Shop::new();
    assert!(result(&shop, true).await.is_err());
    assert_eq!(result(&shop, false).await.unwrap(), 2);
    assert_eq!(result(&shop, true).await.unwrap(), 2);
}

#[tokio::test]
async fn only_the_ok_of_an_aliased_result_is_kept() {
    let shop = Shop::new();
    assert!(aliased_result(&shop, true).await.is_err());
    assert_eq!(aliased_result(&shop, false).await.unwrap(), 2);
    assert_eq!(aliased_result(&shop, true).await.unwrap(), 2);
}

#[cached(cache = shop.cache, skip(shop, found))]
async fn option(shop: &Shop, found: bool) -> Option<usize> {
    let run = shop.run();
    found.then_some(run)
}

#[cached(cache = shop.cache, skip(shop, found))]
async fn aliased_option(shop: &Shop, found: bool) -> Found<usize> {
    let run = shop.run();
    found.then_some(run)
}

#[tokio::test]
async fn only_the_some_of_an_option_is_kept() {
    let shop = Shop::new();
    assert_eq!(option(&shop, false).await, None);
    assert_eq!(option(&shop, true).await, Some(2));
    assert_eq!(option(&shop, false).await, Some(2));
}

#[tokio::test]
async fn only_the_some_of_an_aliased_option_is_kept() {
    let shop = Shop::new();
    assert_eq!(aliased_option(&shop, false).await, None);
    assert_eq!(aliased_option(&shop, true).await, Some(2));
    assert_eq!(aliased_option(&shop, false).await, Some(2));
}

#[cached(cache = shop.cache, skip(shop, answer))]
async fn lookup(
    shop: &Shop,
    answer: Result<Option<()>, Failure>,
) -> Result<Option<usize>, Failure> {
    let run = shop.run();
    Ok(answer?.map(|()| run))
}

#[cached(cache = shop.cache, skip(shop, answer))]
async fn aliased_lookup(shop: &Shop, answer: Lookup<()>) -> Lookup<usize> {
    let run = shop.run();
    Ok(answer?.map(|()| run))
}

#[tokio::test]
async fn only_the_some_in_the_ok_of_a_result_of_an_option_is_kept() {
    let shop = Shop::new();
    assert!(lookup(&shop, Err(Failure)).await.is_err());
    assert_eq!(lookup(&shop, Ok(None)).await.unwrap(), None);
    assert_eq!(lookup(&shop, Ok(Some(()))).await.unwrap(), Some(3));
    assert_eq!(lookup(&shop, Ok(None)).await.unwrap(), Some(3));
}

#[tokio::test]
async fn only_the_some_in_the_ok_of_an_aliased_result_of_an_option_is_kept() {
    let shop = Shop::new();
    assert!(aliased_lookup(&shop, Err("no".into())).await.is_err());
    assert_eq!(aliased_lookup(&shop, Ok(None)).await.unwrap(), None);
    assert_eq!(aliased_lookup(&shop, Ok(Some(()))).await.unwrap(), Some(3));
    assert_eq!(aliased_lookup(&shop, Ok(None)).await.unwrap(), Some(3));
}

#[cached(cache = shop.cache, skip(shop), cache_none)]
async fn absent(shop: &Shop) -> Option<usize> {
    shop.run();
    None
}

#[cached(cache = shop.cache, skip(shop, fails), cache_none = true)]
async fn looked_up_absent(shop: &Shop, fails: bool) -> Lookup<usize> {
    shop.run();
    if fails { Err("no".into()) } else { Ok(None) }
}

#[cached(cache = shop.cache, skip(shop), cache_none = false)]
async fn absent_not_kept(shop: &Shop) -> Found<usize> {
    shop.run();
    None
}

#[tokio::test]
async fn none_is_kept_where_that_is_asked_for() {
    let shop = Shop::new();
    assert_eq!(absent(&shop).await, None);
    assert_eq!(absent(&shop).await, None);
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn with_cache_none_an_err_is_still_not_kept() {
    let shop = Shop::new();
    assert!(looked_up_absent(&shop, true).await.is_err());
    assert_eq!(looked_up_absent(&shop, false).await, Ok(None));
    assert_eq!(looked_up_absent(&shop, true).await, Ok(None));
    assert_eq!(shop.runs(), 2);
}

#[tokio::test]
async fn cache_none_can_be_said_to_be_off() {
    let shop = Shop::new();
    absent_not_kept(&shop).await;
    absent_not_kept(&shop).await;
    assert_eq!(shop.runs(), 2);
}

/// A type that serde knows nothing of.
#[derive(Clone, Debug, PartialEq)]
struct Handle(usize);

#[cached(cache = shop.cache, skip(shop))]
async fn local(shop: &Shop) -> Option<Local<Handle>> {
    Some(Local(Handle(shop.run())))
}

#[tokio::test]
async fn a_value_without_serde_is_kept_in_memory() {
    let shop = Shop::new();
    assert_eq!(local(&shop).await, Some(Local(Handle(1))));
    assert_eq!(local(&shop).await, Some(Local(Handle(1))));
}
