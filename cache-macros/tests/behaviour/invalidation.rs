//! What `#[cache_invalidate]` makes go, and when.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use cache_core::testkit::{ChaosProvider, Gate, Held};
use cache_core::{Cache, cache_invalidate, cached};

use crate::{Shop, User};

#[cached(key_prefix = "users", cache = shop.cache, skip(shop), tags = ["user:{id}", "users"])]
async fn get_user(shop: &Shop, id: u64) -> usize {
    let _ = id;
    shop.run()
}

#[cached(key_prefix = "users", cache = shop.cache, skip(shop), tags = ["name:{name}"])]
async fn by_name(shop: &Shop, name: &str) -> usize {
    let _ = name;
    shop.run()
}

/// A shop where users 1 and 2, and those called `*` and `Ada`, have been read.
async fn filled() -> Shop {
    let shop = Shop::new();
    fill(&shop).await;
    shop
}

async fn fill(shop: &Shop) {
    get_user(shop, 1).await;
    get_user(shop, 2).await;
    by_name(shop, "*").await;
    by_name(shop, "Ada").await;
}

/// Which of these are still there.
async fn left(shop: &Shop) -> [bool; 4] {
    [
        shop.has("users:get_user:1").await,
        shop.has("users:get_user:2").await,
        shop.has("users:by_name:%2A").await,
        shop.has("users:by_name:Ada").await,
    ]
}

#[cache_invalidate(key_pattern = "users:get_user:{user.id}", cache = shop.cache)]
async fn rename(shop: &Shop, user: User, name: String) -> Result<User, String> {
    assert!(shop.has("users:get_user:1").await, "it goes afterwards");
    if name.is_empty() {
        return Err("no name".into());
    }
    Ok(User { name, ..user })
}

#[tokio::test]
async fn after_success_the_key_is_gone_and_no_other() {
    let shop = filled().await;
    let user = User {
        id: 1,
        ..User::ada()
    };
    let renamed = rename(&shop, user, "Bob".into()).await.unwrap();
    assert_eq!(renamed.name, "Bob");
    assert_eq!(left(&shop).await, [false, true, true, true]);
}

#[tokio::test]
async fn after_an_err_nothing_is_gone() {
    let shop = filled().await;
    let user = User {
        id: 1,
        ..User::ada()
    };
    assert!(rename(&shop, user, String::new()).await.is_err());
    assert_eq!(left(&shop).await, [true; 4]);
}

#[cache_invalidate(key_pattern = "users:get_user:*", cache = shop.cache)]
async fn change_all(shop: &Shop) -> Option<()> {
    let _ = shop;
    None
}

#[tokio::test]
async fn a_pattern_takes_all_that_match_and_none_is_a_success() {
    let shop = filled().await;
    assert_eq!(change_all(&shop).await, None);
    assert_eq!(left(&shop).await, [false, false, true, true]);
}

#[cache_invalidate(key_pattern = "users:by_name:{name}", cache = shop.cache)]
async fn change_named(shop: &Shop, name: String) {
    let _ = (shop, name);
}

#[cache_invalidate(key_pattern = "*:by_name:{name}", cache = shop.cache)]
async fn change_named_anywhere(shop: &Shop, name: String) {
    let _ = (shop, name);
}

#[tokio::test]
async fn an_argument_is_never_a_pattern() {
    let shop = filled().await;
    change_named(&shop, "*".into()).await;
    assert_eq!(left(&shop).await, [true, true, false, true]);
    fill(&shop).await;
    change_named_anywhere(&shop, "*".into()).await;
    assert_eq!(left(&shop).await, [true, true, false, true]);
    change_named_anywhere(&shop, "[A]da".into()).await;
    change_named_anywhere(&shop, "?da".into()).await;
    assert_eq!(left(&shop).await, [true, true, false, true]);
    change_named_anywhere(&shop, "Ada".into()).await;
    assert_eq!(left(&shop).await, [true, true, false, false]);
}

#[cache_invalidate(key_pattern = r"users:\*:{id}", key_pattern = "a{{{id}}}", cache = shop.cache)]
async fn change_odd(shop: &Shop, id: u64) {
    let _ = (shop, id);
}

#[tokio::test]
async fn escaped_characters_mean_themselves() {
    let shop = Shop::new();
    for key in ["users:*:1", "users:x:1", "a{1}"] {
        shop.cache.set(key, &1).await.unwrap();
    }
    change_odd(&shop, 1).await;
    assert!(!shop.has("users:*:1").await);
    assert!(shop.has("users:x:1").await);
    assert!(!shop.has("a{1}").await);
}

#[cache_invalidate(
    key_pattern = "users:get_user:{id}",
    key_pattern = "users:by_name:[*]",
    key_patterns = ["users:by_name:A*", "unrelated:*"],
    tags = ["user:{other}"],
    cache = shop.cache,
)]
async fn change_several(shop: &Shop, id: u64, other: u64) -> Result<(), String> {
    let _ = (shop, id, other);
    Ok(())
}

#[tokio::test]
async fn several_can_go_at_once() {
    let shop = filled().await;
    change_several(&shop, 1, 2).await.unwrap();
    assert_eq!(left(&shop).await, [false, false, true, false]);
}

#[cache_invalidate(tags = ["user:{id}", "name:{name}"], cache = shop.cache)]
async fn change_tagged(shop: &Shop, id: u64, name: &str) {
    let _ = (shop, id, name);
}

#[cache_invalidate(tags = "users", cache = shop.cache)]
async fn change_users(shop: &Shop) {
    let _ = shop;
}

#[tokio::test]
async fn tags_of_both_attributes_are_written_alike() {
    let shop = filled().await;
    change_tagged(&shop, 2, "*").await;
    assert_eq!(left(&shop).await, [true, false, false, true]);
    change_users(&shop).await;
    assert_eq!(left(&shop).await, [false, false, false, true]);
}

#[cache_invalidate(key_pattern = "users:get_user:{id}", before, cache = shop.cache)]
async fn change_after(shop: &Shop, id: u64) -> Result<(), String> {
    assert!(!shop.has("users:get_user:1").await, "it is gone already");
    Err(id.to_string())
}

#[tokio::test]
async fn before_means_before_and_whatever_the_result() {
    let shop = filled().await;
    assert_eq!(change_after(&shop, 1).await, Err("1".into()));
    assert_eq!(left(&shop).await, [false, true, true, true]);
}

#[cache_invalidate(key_pattern = "users:get_user:{id}", namespace = "inner", cache = shop.cache)]
async fn change_inner(shop: &Shop, id: u64) {
    let _ = (shop, id);
}

#[tokio::test]
async fn only_the_namespace_is_touched() {
    let shop = filled().await;
    let inner = shop.cache.namespace("inner");
    inner.set("users:get_user:1", &1).await.unwrap();
    change_inner(&shop, 1).await;
    assert!(!inner.exists("users:get_user:1").await.unwrap());
    assert_eq!(left(&shop).await, [true; 4]);
}

#[cached(key_prefix = "default")]
async fn in_the_default_cache(id: u64) -> u64 {
    id
}

#[cache_invalidate(key_pattern = "default:in_the_default_cache:{id}")]
async fn change_in_the_default_cache(id: u64) {
    let _ = id;
}

#[tokio::test]
async fn without_a_cache_the_default_one_is_meant() {
    let key = "default:in_the_default_cache:1";
    in_the_default_cache(1).await;
    assert!(Cache::global().exists(key).await.unwrap());
    change_in_the_default_cache(1).await;
    assert!(!Cache::global().exists(key).await.unwrap());
}

#[tokio::test]
async fn a_failure_to_invalidate_is_counted_and_the_functions_result_returned() {
    let (provider, chaos) = ChaosProvider::remote();
    let shop = Shop::over(Cache::builder(provider).build().unwrap());
    fill(&shop).await;
    chaos.away(true);
    change_several(&shop, 1, 2).await.unwrap();
    assert_eq!(shop.cache.metrics().errors, 1, "all in one");
    chaos.away(false);
    change_several(&shop, 1, 2).await.unwrap();
    assert_eq!(left(&shop).await, [false, false, true, false]);
}

#[cache_invalidate(key_pattern = "users:by_name:{price}", tags = ["user:{id}", ":{long}", "users{nothing}"], cache = shop.cache)]
async fn change_priced(shop: &Shop, id: u64, price: f64, long: [&str; 3], nothing: f32) {
    let _ = (shop, id, price, long, nothing);
}

#[tokio::test]
async fn what_cannot_be_written_does_not_keep_the_rest_from_going() {
    let shop = filled().await;
    change_priced(&shop, 1, f64::NAN, ["x"; 3], f32::NAN).await;
    assert_eq!(left(&shop).await, [false, true, true, true]);
    assert_eq!(shop.cache.metrics().errors, 2);
}

#[cache_invalidate(key_pattern = "users:get_user:{id}", cache = shop.cache)]
async fn change_slowly(shop: Arc<Shop>, id: u64, held: Held) {
    let _ = (shop, id);
    held.pass().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_halfway_invalidates_all_the_same() {
    let shop = Arc::new(filled().await);
    let (gate, held) = Gate::new();
    let call = tokio::spawn(change_slowly(Arc::clone(&shop), 1, held));
    gate.entered().await;
    assert_eq!(left(&shop).await, [true; 4]);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(left(&shop).await, [false, true, true, true]);
}

#[cache_invalidate(key_pattern = "users:get_user:{id}", cache = shop.cache)]
async fn change_and_panic(shop: &Shop, id: u64) {
    let _ = shop;
    panic!("user {id}");
}

#[tokio::test]
async fn a_call_that_panics_invalidates_all_the_same() {
    let shop = Arc::new(filled().await);
    let call = tokio::spawn({
        let shop = Arc::clone(&shop);
        async move { change_and_panic(&shop, 1).await }
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(left(&shop).await, [false, true, true, true]);
}

#[test]
fn outside_a_runtime_memory_is_invalidated_all_the_same() {
    let shop = tokio::runtime::Runtime::new().unwrap().block_on(filled());
    let shop = Arc::new(shop);
    let (_gate, held) = Gate::new();
    let mut call = Box::pin(change_slowly(Arc::clone(&shop), 1, held));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    std::panic::catch_unwind(AssertUnwindSafe(|| drop(call))).unwrap();
    let left = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(left(&shop));
    assert_eq!(left, [false, true, true, true]);
}
