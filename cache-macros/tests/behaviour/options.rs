//! Time to live, tags, and which cache is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{Cache, ManualClock, MemoryProvider, Ttl, cached};

use crate::{Shop, User};

fn shop_with_a_clock() -> (Shop, ManualClock) {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    let cache = Cache::builder(provider)
        .default_ttl(Duration::from_secs(10))
        .build();
    (Shop::over(cache.unwrap()), clock)
}

#[cached(ttl = 60, cache = shop.cache, skip(shop))]
async fn for_a_minute(shop: &Shop) -> usize {
    shop.run()
}

#[cached(ttl = Duration::from_millis(millis), cache = shop.cache, skip(shop))]
async fn for_some_time(shop: &Shop, millis: u64) -> usize {
    let _ = millis;
    shop.run()
}

#[cached(ttl = 2 * (60 - 30), cache = shop.cache, skip(shop))]
async fn for_sixty_seconds(shop: &Shop) -> usize {
    shop.run()
}

#[cached(cache = shop.cache, skip(shop))]
async fn for_the_default_time(shop: &Shop) -> usize {
    shop.run()
}

#[tokio::test]
async fn a_value_is_gone_when_its_time_has_passed() {
    let (shop, clock) = shop_with_a_clock();
    assert_eq!(for_a_minute(&shop).await, 1);
    clock.advance(Duration::from_secs(59));
    assert_eq!(for_a_minute(&shop).await, 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(for_a_minute(&shop).await, 2);
}

#[tokio::test]
async fn a_time_of_whole_numbers_is_in_seconds() {
    let (shop, clock) = shop_with_a_clock();
    assert_eq!(for_sixty_seconds(&shop).await, 1);
    clock.advance(Duration::from_secs(59));
    assert_eq!(for_sixty_seconds(&shop).await, 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(for_sixty_seconds(&shop).await, 2);
}

#[tokio::test]
async fn the_time_can_be_computed_from_the_arguments() {
    let (shop, clock) = shop_with_a_clock();
    assert_eq!(for_some_time(&shop, 100).await, 1);
    assert_eq!(for_some_time(&shop, 300).await, 2);
    clock.advance(Duration::from_millis(200));
    assert_eq!(for_some_time(&shop, 100).await, 3);
    assert_eq!(for_some_time(&shop, 300).await, 2);
}

#[tokio::test]
async fn without_a_time_the_caches_default_counts() {
    let (shop, clock) = shop_with_a_clock();
    assert_eq!(for_the_default_time(&shop).await, 1);
    clock.advance(Duration::from_secs(10));
    assert_eq!(for_the_default_time(&shop).await, 2);
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, user), tags = ["user:{user.id}", "team:{user.team.1}", "all"])]
async fn profile(shop: &Shop, id: u64, user: User) -> usize {
    drop(user);
    let _ = id;
    shop.run()
}

#[tokio::test]
async fn tags_make_a_value_go() {
    for tag in ["user:42", "team:engines", "all"] {
        let shop = Shop::new();
        assert_eq!(profile(&shop, 1, User::ada()).await, 1);
        shop.cache.invalidate_tag("user:43").await.unwrap();
        assert_eq!(profile(&shop, 1, User::ada()).await, 1);
        shop.cache.invalidate_tag(tag).await.unwrap();
        assert_eq!(profile(&shop, 1, User::ada()).await, 2, "{tag}");
    }
}

static EVALUATED: AtomicUsize = AtomicUsize::new(0);

fn minute() -> Duration {
    EVALUATED.fetch_add(1, Ordering::SeqCst);
    Duration::from_secs(60)
}

#[cached(ttl = minute(), cache = shop.cache, skip(shop))]
async fn with_a_costly_ttl(shop: &Shop) -> usize {
    shop.run()
}

#[tokio::test]
async fn a_hit_evaluates_no_options() {
    let shop = Shop::new();
    for _ in 0..3 {
        with_a_costly_ttl(&shop).await;
    }
    assert_eq!(EVALUATED.load(Ordering::SeqCst), 1);
}

#[cached(key_prefix = "p", namespace = "tenant:7", cache = shop.cache, skip(shop))]
async fn in_a_namespace(shop: &Shop) -> usize {
    shop.run()
}

#[tokio::test]
async fn a_namespace_is_opened_in_the_given_cache() {
    let shop = Shop::new();
    in_a_namespace(&shop).await;
    let namespace = shop.cache.namespace("tenant").namespace("7");
    assert!(namespace.exists("p:in_a_namespace").await.unwrap());
    assert!(!shop.has("p:in_a_namespace").await);
    namespace.clear().await.unwrap();
    assert_eq!(in_a_namespace(&shop).await, 2);
}

#[cached(ttl = 60, key_prefix = "p")]
async fn in_the_default_cache(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, key_prefix = "p", namespace = "inner")]
async fn in_a_namespace_of_the_default_cache(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn without_a_cache_the_default_one_is_used() {
    in_the_default_cache(1).await;
    in_a_namespace_of_the_default_cache(1).await;
    let cache = Cache::global();
    let key = "p:in_a_namespace_of_the_default_cache:1";
    assert!(cache.exists("p:in_the_default_cache:1").await.unwrap());
    assert!(!cache.exists(key).await.unwrap());
    let inner = cache.namespace("inner");
    assert!(inner.exists(key).await.unwrap());
    let Some(Ttl::After(left)) = inner.get_ttl(key).await.unwrap() else {
        panic!("the value has a time to live");
    };
    assert!(left <= Duration::from_secs(60));
}

fn open(shop: &Shop) -> Cache {
    shop.cache.namespace("opened")
}

#[cached(key_prefix = "p", cache = open(shop), skip(shop))]
async fn by_call(shop: &Shop) -> usize {
    shop.run()
}

#[cached(key_prefix = "p", cache = cache, skip(shop, cache))]
async fn by_arc(shop: &Shop, cache: Arc<Cache>) -> usize {
    drop(cache);
    shop.run()
}

#[tokio::test]
async fn a_cache_can_be_any_expression() {
    let shop = Shop::new();
    by_call(&shop).await;
    assert!(open(&shop).exists("p:by_call").await.unwrap());
    by_arc(&shop, Arc::new(shop.cache.clone())).await;
    assert!(shop.has("p:by_arc").await);
}

mod reexported {
    pub(super) mod toolkit {
        pub(crate) use cache_core::*;
    }
}

#[cached(key_prefix = "p", crate = reexported::toolkit, cache = shop.cache, skip(shop))]
async fn by_another_path(shop: &Shop) -> usize {
    shop.run()
}

#[tokio::test]
async fn the_toolkit_can_be_reached_by_another_path() {
    let shop = Shop::new();
    by_another_path(&shop).await;
    assert!(shop.has("p:by_another_path").await);
}

macro_rules! cached_for {
    ($name:ident, $argument:ident, $seconds:expr, $prefix:literal, $key:literal) => {
        #[cached(ttl = $seconds, key_prefix = $prefix, key = $key, tags = ["{shop.tag}:{id}"], cache = shop.cache)]
        async fn $name(shop: &Tagged, id: u64, $argument: u64) -> usize {
            let _ = (id, $argument);
            shop.run()
        }
    };
}

struct Tagged {
    shop: Shop,
    tag: u8,
}

impl std::ops::Deref for Tagged {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

cached_for!(generated, page, 5, "generated", "{id}:{page}");

#[tokio::test]
async fn a_function_can_come_from_a_macro() {
    let (shop, clock) = shop_with_a_clock();
    let shop = Tagged { shop, tag: 7 };
    assert_eq!(generated(&shop, 1, 2).await, 1);
    assert!(shop.has("generated:1:2").await);
    clock.advance(Duration::from_secs(5));
    assert_eq!(generated(&shop, 1, 2).await, 2);
    shop.cache.invalidate_tag("7:1").await.unwrap();
    assert_eq!(generated(&shop, 1, 2).await, 3);
}
