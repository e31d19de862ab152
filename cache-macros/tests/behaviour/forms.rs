//! Where the attributes can stand, and that what stands there keeps its shape.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use cache_core::{Cache, cache_invalidate, cached};

use crate::{Shop, User};

struct Repository {
    cache: Cache,
    tenant: String,
    shop: Shop,
}

impl Repository {
    fn new(tenant: &str) -> Self {
        let shop = Shop::new();
        Self {
            cache: shop.cache.clone(),
            tenant: tenant.into(),
            shop,
        }
    }

    #[cached(cache = self.cache)]
    async fn by_reference(&self, id: u64) -> String {
        format!("{} {id}, run {}", self.tenant, self.shop.run())
    }

    #[cached(cache = &self.cache)]
    async fn by_mutable_reference(&mut self, name: &str) -> String {
        self.tenant.push_str(name);
        format!("{}, run {}", self.tenant, self.shop.run())
    }

    #[cached(cache = self.cache, key = "{self.tenant}")]
    async fn by_value(mut self) -> String {
        self.tenant.push('!');
        format!("{}, run {}", self.tenant, self.shop.run())
    }

    #[cached(cache = self.cache.clone(), key = "tenant:{self.tenant}:{id}")]
    async fn shared(self: Arc<Self>, id: u64) -> String {
        format!("{} {id}, run {}", self.tenant, self.shop.run())
    }

    #[cache_invalidate(key_pattern = "behaviour::forms:Repository:by_reference:{id}", cache = self.cache)]
    async fn change(&mut self, id: u64, tenant: String) {
        let _ = id;
        self.tenant = tenant;
    }
}

#[tokio::test]
async fn a_method_can_take_self_by_reference() {
    let repository = Repository::new("a");
    assert_eq!(repository.by_reference(1).await, "a 1, run 1");
    assert_eq!(repository.by_reference(1).await, "a 1, run 1");
}

#[tokio::test]
async fn a_method_can_take_self_by_mutable_reference() {
    let mut repository = Repository::new("a");
    assert_eq!(repository.by_mutable_reference("b").await, "ab, run 1");
    assert_eq!(repository.by_mutable_reference("b").await, "ab, run 1");
    assert_eq!(repository.tenant, "ab", "a hit does not run the body");
    repository.change(1, "c".into()).await;
    assert_eq!(repository.tenant, "c");
}

#[tokio::test]
async fn a_method_can_take_self_by_value_and_change_it() {
    assert_eq!(Repository::new("a").by_value().await, "a!, run 1");
}

#[tokio::test]
async fn self_is_in_the_key_where_a_template_says_so() {
    let first = Arc::new(Repository::new("a"));
    let second = Arc::new(Repository {
        cache: first.cache.clone(),
        ..Repository::new("b")
    });
    assert_eq!(Arc::clone(&first).shared(1).await, "a 1, run 1");
    assert_eq!(Arc::clone(&second).shared(1).await, "b 1, run 1");
    assert_eq!(first.shared(1).await, "a 1, run 1");
}

struct Borrowing<'a> {
    shop: &'a Shop,
    name: &'a str,
}

impl<'a> Borrowing<'a> {
    #[cached(cache = self.shop.cache)]
    async fn join<'b, T>(&self, other: &'b str, rest: &'b [Cow<'a, str>], more: &T) -> String
    where
        T: AsRef<str> + serde::Serialize + ?Sized,
    {
        let run = self.shop.run();
        format!(
            "{}{other}{}{}, run {run}",
            self.name,
            rest.len(),
            more.as_ref()
        )
    }

    #[cached(cache = self.shop.cache, skip(text))]
    async fn checked<'b>(&self, text: &'b str) -> Result<usize, &'b str> {
        let run = self.shop.run();
        if text.is_empty() { Err(text) } else { Ok(run) }
    }

    #[cached(cache = self.shop.cache, skip(text))]
    async fn elided(&self, text: Cow<'_, str>) -> Result<usize, Cow<'_, str>> {
        let run = self.shop.run();
        if text.is_empty() {
            Err(self.name.into())
        } else {
            Ok(run)
        }
    }
}

#[tokio::test]
async fn arguments_may_borrow_and_be_generic() {
    let shop = Shop::new();
    let name = String::from("a");
    let borrowing = Borrowing {
        shop: &shop,
        name: &name,
    };
    let rest = [Cow::Borrowed("x")];
    assert_eq!(borrowing.join("b", &rest, "c").await, "ab1c, run 1");
    assert_eq!(borrowing.join("b", &rest, "c").await, "ab1c, run 1");
    assert_eq!(borrowing.join("b", &[], "c").await, "ab0c, run 2");
}

#[tokio::test]
async fn errors_may_borrow() {
    let shop = Shop::new();
    let borrowing = Borrowing {
        shop: &shop,
        name: "a",
    };
    let text = String::new();
    assert_eq!(borrowing.checked(&text).await, Err(""));
    assert_eq!(borrowing.checked("x").await, Ok(2));
    assert_eq!(borrowing.elided(text.into()).await, Err("a".into()));
    assert_eq!(borrowing.elided("x".into()).await, Ok(4));
}

/// As `async_trait` writes a method: the future in a box, lifetimes named, arguments moved.
impl Repository {
    #[cached(cache = self.cache)]
    fn boxed<'life0, 'life1, 'async_trait>(
        &'life0 self,
        name: &'life1 str,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let __self = self;
            let name = name;
            if name.is_empty() {
                return Err("empty".to_owned());
            }
            Ok(format!("{name}, run {}", __self.shop.run()))
        })
    }

    #[cached(cache = self.cache)]
    fn future(&self, id: u64) -> impl Future<Output = Option<String>> + Send {
        let run = self.shop.run();
        async move { Some(format!("{id}, run {run}")) }
    }

    #[cache_invalidate(key_pattern = "*:future:{id}", cache = self.cache)]
    fn forget(&self, id: u64) -> impl Future<Output = ()> {
        let _ = id;
        std::future::ready(())
    }
}

#[tokio::test]
async fn a_method_can_return_a_boxed_future() {
    let repository = Repository::new("a");
    assert_eq!(repository.boxed("").await, Err("empty".into()));
    assert_eq!(repository.boxed("x").await, Ok("x, run 1".into()));
    assert_eq!(repository.boxed("x").await, Ok("x, run 1".into()));
}

#[tokio::test]
async fn a_method_can_return_some_future() {
    let repository = Repository::new("a");
    assert_eq!(repository.future(1).await.unwrap(), "1, run 1");
    assert_eq!(repository.future(1).await.unwrap(), "1, run 1");
    repository.forget(1).await;
    assert_eq!(repository.future(1).await.unwrap(), "1, run 2");
}

trait Source {
    async fn read(&self, id: u64) -> Option<User>;

    #[cached(cache = shop.cache, skip(shop))]
    async fn described(&self, shop: &Shop, id: u64) -> String {
        format!("{:?} {}", self.read(id).await, shop.run())
    }
}

impl Source for Repository {
    #[cached(cache = self.cache)]
    async fn read(&self, id: u64) -> Option<User> {
        self.shop.run();
        Some(User { id, ..User::ada() })
    }
}

#[tokio::test]
async fn methods_of_traits_can_be_cached_in_the_impl_and_in_the_trait() {
    let repository = Repository::new("a");
    let first = repository.described(&repository.shop, 1).await;
    assert_eq!(repository.described(&repository.shop, 1).await, first);
    assert_eq!(repository.read(1).await.unwrap().id, 1);
    assert_eq!(repository.shop.runs(), 2);
}

/// The body of an annotated function reads as before: `?`, `return`, coercions, nested items.
#[cached(cache = shop.cache, skip(shop))]
async fn with_a_body_of_every_kind(
    shop: &Shop,
    mut numbers: Vec<i64>,
) -> Result<Arc<[i64]>, Box<dyn std::error::Error>> {
    #![allow(clippy::items_after_statements)]
    const STEP: i64 = 1;
    if numbers.is_empty() {
        return Err("no numbers")?;
    }
    shop.run();
    numbers.push("3".parse::<i64>()? + STEP);
    Ok(numbers.into())
}

/// A coercion at the end, and nothing else.
#[cached(cache = shop.cache, skip(shop))]
async fn failing_always(shop: &Shop) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    shop.run();
    Err(Box::new(std::fmt::Error))
}

#[cached]
async fn diverging() -> u8 {
    panic!("as it should")
}

#[tokio::test]
async fn bodies_keep_their_meaning() {
    let shop = Shop::new();
    assert!(with_a_body_of_every_kind(&shop, vec![]).await.is_err());
    let numbers = with_a_body_of_every_kind(&shop, vec![1]).await.unwrap();
    assert_eq!(*numbers, [1, 4]);
    with_a_body_of_every_kind(&shop, vec![1]).await.unwrap();
    assert_eq!(shop.runs(), 1);
    assert!(failing_always(&shop).await.is_err());
    assert!(tokio::spawn(diverging()).await.unwrap_err().is_panic());
}

#[cached(cache = shop.cache, skip(shop, buffer))]
async fn not_sendable(shop: &Shop, buffer: &mut Vec<u8>, id: u64) -> Result<usize, Rc<str>> {
    let local = Rc::new(id);
    tokio::task::yield_now().await;
    buffer.push(u8::try_from(*local).map_err(|_| Rc::from("too large"))?);
    Ok(shop.run())
}

#[tokio::test]
async fn a_body_need_not_be_sendable() {
    let shop = Shop::new();
    let mut buffer = Vec::new();
    assert_eq!(not_sendable(&shop, &mut buffer, 1).await, Ok(1));
    assert_eq!(not_sendable(&shop, &mut buffer, 1).await, Ok(1));
    assert!(not_sendable(&shop, &mut buffer, 1_000).await.is_err());
    assert_eq!(buffer, [1]);
}

/// A cached call can be awaited in a task of its own.
#[tokio::test]
async fn futures_of_cached_functions_can_be_sent() {
    fn sent<F: Future + Send>(future: F) -> F {
        future
    }
    let mut repository = Repository::new("a");
    sent(repository.by_reference(1)).await;
    sent(repository.boxed("x")).await.unwrap();
    sent(repository.change(1, "b".into())).await;
    sent(repository.by_value()).await;
}
