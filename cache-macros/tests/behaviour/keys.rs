//! What a key is made of, and that two different calls never share one.

use cache_core::{KeyPart, KeyWriter, cached};
use serde::Serialize;

use crate::{Shop, User};

#[cached(key_prefix = "users", cache = shop.cache, skip(shop))]
async fn get_user(shop: &Shop, id: u64, locale: &str) -> usize {
    let _ = (id, locale);
    shop.run()
}

#[cached(cache = shop.cache, skip(shop))]
async fn find(shop: &Shop, id: u64) -> usize {
    let _ = id;
    shop.run()
}

#[cached(key_prefix = "users", cache = shop.cache, skip(shop))]
async fn count_users(shop: &Shop) -> usize {
    shop.run()
}

#[tokio::test]
async fn a_key_is_the_prefix_the_function_and_the_arguments() {
    let shop = Shop::new();
    get_user(&shop, 42, "en").await;
    count_users(&shop).await;
    assert!(shop.has("users:get_user:42:en").await);
    assert!(shop.has("users:count_users").await);
}

#[tokio::test]
async fn without_a_prefix_a_key_begins_with_the_module() {
    let shop = Shop::new();
    find(&shop, 42).await;
    assert!(shop.has("behaviour::keys:find:42").await);
}

#[tokio::test]
async fn a_pattern_behind_the_prefix_names_all_results_of_the_function() {
    let shop = Shop::new();
    get_user(&shop, 1, "en").await;
    get_user(&shop, 2, "de").await;
    count_users(&shop).await;
    shop.cache
        .invalidate_pattern("users:get_user:*")
        .await
        .unwrap();
    assert!(!shop.has("users:get_user:1:en").await);
    assert!(!shop.has("users:get_user:2:de").await);
    assert!(shop.has("users:count_users").await);
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
async fn two_texts(shop: &Shop, first: &str, second: &str) -> usize {
    let _ = (first, second);
    shop.run()
}

#[tokio::test]
async fn hostile_arguments_do_not_share_a_key() {
    let shop = Shop::new();
    let calls = [
        ("a:b", "c"),
        ("a", "b:c"),
        ("a", "b"),
        ("*", "*"),
        ("{", "}"),
        ("", ""),
        ("\"\"", ""),
        ("%3A", ":"),
        (":", "%3A"),
        ("1", "true"),
    ];
    for (run, (first, second)) in calls.into_iter().enumerate() {
        assert_eq!(two_texts(&shop, first, second).await, run + 1);
    }
    for (run, (first, second)) in calls.into_iter().enumerate() {
        assert_eq!(two_texts(&shop, first, second).await, run + 1);
    }
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
async fn any(shop: &Shop, value: impl Serialize) -> usize {
    let _ = value;
    shop.run()
}

#[tokio::test]
async fn the_type_of_an_argument_without_a_named_type_is_in_the_key() {
    let shop = Shop::new();
    assert_eq!(any(&shop, 1_u8).await, 1);
    assert_eq!(any(&shop, 1_u64).await, 2);
    assert_eq!(any(&shop, "1").await, 3);
    assert_eq!(any(&shop, 1_u8).await, 1);
    assert!(shop.has("p:any:u64:1").await);
}

#[derive(Serialize)]
struct UserId(u64);

#[derive(Serialize)]
#[serde(transparent)]
struct TeamId(u64);

#[cached(key_prefix = "p", key = "{value}", cache = shop.cache)]
async fn written<T: Serialize>(shop: &Shop, value: T) -> usize {
    let _ = value;
    shop.run()
}

#[tokio::test]
async fn arguments_are_written_as_the_manual_says() {
    let shop = Shop::new();
    written(&shop, 42).await;
    written(&shop, true).await;
    written(&shop, 1.5).await;
    written(&shop, "anna@example.org").await;
    written(&shop, "a:b*").await;
    written(&shop, "42").await;
    written(&shop, "").await;
    written(&shop, None::<u8>).await;
    written(&shop, Some(7)).await;
    written(&shop, (1, 2)).await;
    written(&shop, vec![1, 2]).await;
    written(&shop, UserId(42)).await;
    let keys = [
        "42",
        "true",
        "1.5",
        "anna@example.org",
        "a%3Ab%2A",
        "%342",
        "\"\"",
        "()",
        "(7)",
        "tuple<1,2>",
        "<1,2>",
        "UserId(42)",
    ];
    for key in keys {
        assert!(shop.has(&format!("p:{key}")).await, "{key}");
    }
    shop.cache.clear().await.unwrap();
    written(&shop, TeamId(42)).await;
    assert!(shop.has("p:42").await);
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, _locale))]
async fn skips(shop: &Shop, id: u64, _locale: &str) -> usize {
    let _ = id;
    shop.run()
}

#[tokio::test]
async fn a_skipped_argument_is_not_in_the_key() {
    let shop = Shop::new();
    assert_eq!(skips(&shop, 1, "en").await, 1);
    assert_eq!(skips(&shop, 1, "de").await, 1);
    assert_eq!(skips(&shop, 2, "de").await, 2);
}

#[cached(key_prefix = "p", cache = shop.cache, include_args = false)]
async fn without_arguments(shop: &Shop, id: u64) -> usize {
    let _ = id;
    shop.run()
}

#[tokio::test]
async fn all_arguments_can_be_left_out() {
    let shop = Shop::new();
    assert_eq!(without_arguments(&shop, 1).await, 1);
    assert_eq!(without_arguments(&shop, 2).await, 1);
    assert!(shop.has("p:without_arguments").await);
}

#[cached(key_prefix = "p", key = "user:{user.id}:{user.team.1}:{{{locale}}}", cache = shop.cache)]
async fn by_template(shop: &Shop, user: &User, locale: &str) -> usize {
    let _ = (user, locale);
    shop.run()
}

#[cached(key = "{id}", cache = shop.cache)]
async fn by_template_alone(shop: &Shop, id: u64) -> usize {
    let _ = id;
    shop.run()
}

#[tokio::test]
async fn a_template_says_what_is_in_the_key() {
    let shop = Shop::new();
    let renamed = User {
        name: "Countess".into(),
        ..User::ada()
    };
    assert_eq!(by_template(&shop, &User::ada(), "en").await, 1);
    assert_eq!(by_template(&shop, &renamed, "en").await, 1);
    assert_eq!(by_template(&shop, &renamed, "de").await, 2);
    assert!(shop.has("p:user:42:engines:{en}").await);
}

#[tokio::test]
async fn a_template_without_a_prefix_stands_behind_module_and_function() {
    let shop = Shop::new();
    by_template_alone(&shop, 7).await;
    assert!(shop.has("behaviour::keys:by_template_alone:7").await);
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
async fn by_patterns(
    shop: &Shop,
    (low, high): (u64, u64),
    User { id, name: _, .. }: User,
    _: &str,
) -> usize {
    let _ = (low, high, id);
    shop.run()
}

#[tokio::test]
async fn the_names_that_a_pattern_binds_are_the_arguments() {
    let shop = Shop::new();
    assert_eq!(by_patterns(&shop, (1, 2), User::ada(), "x").await, 1);
    assert_eq!(by_patterns(&shop, (1, 2), User::ada(), "y").await, 1);
    assert_eq!(by_patterns(&shop, (1, 3), User::ada(), "x").await, 2);
    assert!(shop.has("p:by_patterns:1:2:42").await);
}

struct Point(i32, i32);

impl KeyPart for Point {
    fn write_part(&self, key: &mut KeyWriter) -> cache_core::Result<()> {
        key.part(&(self.0, self.1))
    }
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
async fn at(shop: &Shop, point: Point) -> usize {
    let _ = (point.0, point.1);
    shop.run()
}

#[tokio::test]
async fn a_type_can_write_itself_into_the_key() {
    let shop = Shop::new();
    assert_eq!(at(&shop, Point(1, 2)).await, 1);
    assert_eq!(at(&shop, Point(1, 2)).await, 1);
    assert_eq!(at(&shop, Point(2, 1)).await, 2);
}

#[derive(serde::Serialize)]
struct Item {
    r#type: u8,
}

#[cached(key_prefix = "p", key = "item:{item.type}:{item.r#type}", cache = shop.cache)]
async fn keywords(shop: &Shop, item: Item) -> usize {
    let _ = item;
    shop.run()
}

#[tokio::test]
async fn a_template_can_name_fields_that_are_called_like_keywords() {
    let shop = Shop::new();
    keywords(&shop, Item { r#type: 3 }).await;
    assert!(shop.has("p:item:3:3").await);
}

/// The names that emitted code uses mean nothing to an argument of the same name.
#[cached(key_prefix = "p", cache = __cache_call.cache, skip(__cache_call), tags = ["{key}:{result}", "{type}"])]
async fn clashing(
    __cache_call: &Shop,
    key: u8,
    result: u8,
    __cache_start: u8,
    r#type: u8,
) -> usize {
    let __cache_key = (key, result, __cache_start, r#type);
    __cache_call.run()
}

#[tokio::test]
async fn arguments_may_have_any_name() {
    let shop = Shop::new();
    assert_eq!(clashing(&shop, 1, 2, 3, 4).await, 1);
    assert_eq!(clashing(&shop, 1, 2, 3, 4).await, 1);
    assert!(shop.has("p:clashing:1:2:3:4").await);
}
