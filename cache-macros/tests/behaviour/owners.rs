//! Two functions never share a value: not by module, not by type, not by generic instance.

use std::fmt::Debug;
use std::marker::PhantomData;

use cache_core::cached;
use serde::Serialize;

use crate::Shop;

mod first {
    use super::*;

    #[cached(cache = shop.cache, skip(shop))]
    pub(super) async fn get(shop: &Shop, id: u64) -> String {
        format!("first {id}, run {}", shop.run())
    }

    #[cached(key_prefix = "same", cache = shop.cache, skip(shop))]
    pub(super) async fn prefixed(shop: &Shop, id: u64) -> String {
        format!("first {id}, run {}", shop.run())
    }
}

mod second {
    use super::*;

    #[cached(cache = shop.cache, skip(shop))]
    pub(super) async fn get(shop: &Shop, id: u64) -> String {
        format!("second {id}, run {}", shop.run())
    }

    #[cached(key_prefix = "same", cache = shop.cache, skip(shop))]
    pub(super) async fn prefixed(shop: &Shop, id: u64) -> String {
        format!("second {id}, run {}", shop.run())
    }
}

#[tokio::test]
async fn functions_of_one_name_in_two_modules_have_keys_of_their_own() {
    let shop = Shop::new();
    assert_eq!(first::get(&shop, 1).await, "first 1, run 1");
    assert_eq!(second::get(&shop, 1).await, "second 1, run 2");
    assert_eq!(first::get(&shop, 1).await, "first 1, run 1");
    assert_eq!(second::get(&shop, 1).await, "second 1, run 2");
}

#[tokio::test]
async fn functions_that_were_given_the_same_key_never_see_each_others_values() {
    let shop = Shop::new();
    assert_eq!(first::prefixed(&shop, 1).await, "first 1, run 1");
    assert_eq!(second::prefixed(&shop, 1).await, "second 1, run 2");
    assert_eq!(first::prefixed(&shop, 1).await, "first 1, run 3");
    assert_eq!(shop.cache.metrics().wrong_owner, 2);
}

#[tokio::test]
async fn a_value_that_was_set_through_a_handle_is_not_taken_for_a_functions() {
    let shop = Shop::new();
    shop.cache
        .set("behaviour::owners::first:get:1", "planted")
        .await
        .unwrap();
    assert_eq!(first::get(&shop, 1).await, "first 1, run 1");
}

struct Users;
struct Teams;

trait Find {
    async fn find(&self, shop: &Shop, id: u64) -> String;
}

trait Name {
    async fn find(&self, shop: &Shop, id: u64) -> String;
}

impl Users {
    #[cached(cache = shop.cache, skip(shop))]
    async fn get(&self, shop: &Shop, id: u64) -> String {
        format!("user {id}, run {}", shop.run())
    }

    #[cached(cache = shop.cache, skip(shop))]
    async fn by(shop: &Shop, id: u64) -> String {
        format!("user {id}, run {}", shop.run())
    }
}

impl Teams {
    #[cached(cache = shop.cache, skip(shop))]
    async fn get(&self, shop: &Shop, id: u64) -> String {
        format!("team {id}, run {}", shop.run())
    }

    #[cached(cache = shop.cache, skip(shop))]
    async fn by(shop: &Shop, id: u64) -> String {
        format!("team {id}, run {}", shop.run())
    }
}

impl Find for Users {
    #[cached(cache = shop.cache, skip(shop))]
    async fn find(&self, shop: &Shop, id: u64) -> String {
        format!("find {id}, run {}", shop.run())
    }
}

impl Name for Users {
    #[cached(cache = shop.cache, skip(shop))]
    async fn find(&self, shop: &Shop, id: u64) -> String {
        format!("name {id}, run {}", shop.run())
    }
}

#[tokio::test]
async fn methods_of_two_types_in_one_module_have_keys_of_their_own() {
    let shop = Shop::new();
    assert_eq!(Users.get(&shop, 1).await, "user 1, run 1");
    assert_eq!(Teams.get(&shop, 1).await, "team 1, run 2");
    assert_eq!(Users.get(&shop, 1).await, "user 1, run 1");
    assert!(shop.has("behaviour::owners:Users:get:1").await);
    assert!(shop.has("behaviour::owners:Teams:get:1").await);
}

#[tokio::test]
async fn associated_functions_without_self_have_keys_of_their_own() {
    let shop = Shop::new();
    assert_eq!(Users::by(&shop, 1).await, "user 1, run 1");
    assert_eq!(Teams::by(&shop, 1).await, "team 1, run 2");
    assert_eq!(Users::by(&shop, 1).await, "user 1, run 1");
    assert!(shop.has("behaviour::owners:Teams:by:1").await);
}

#[tokio::test]
async fn methods_of_two_traits_never_see_each_others_values() {
    let shop = Shop::new();
    assert_eq!(Find::find(&Users, &shop, 1).await, "find 1, run 1");
    assert_eq!(Name::find(&Users, &shop, 1).await, "name 1, run 2");
    assert_eq!(Name::find(&Users, &shop, 1).await, "name 1, run 2");
}

#[cached(cache = shop.cache, skip(shop))]
async fn generic<T: Serialize + Debug>(shop: &Shop, value: T) -> String {
    format!("{value:?}, run {}", shop.run())
}

#[cached(cache = shop.cache, skip(shop))]
async fn by_type_alone<T: Default + Debug, const N: usize>(shop: &Shop) -> String {
    format!("{:?} {N}, run {}", T::default(), shop.run())
}

#[tokio::test]
async fn instances_of_a_generic_function_have_keys_of_their_own() {
    let shop = Shop::new();
    assert_eq!(generic(&shop, 1_u8).await, "1, run 1");
    assert_eq!(generic(&shop, 1_u64).await, "1, run 2");
    assert_eq!(generic(&shop, 1_u8).await, "1, run 1");
    assert!(shop.has("behaviour::owners:generic:u8:1").await);
}

#[tokio::test]
async fn parameters_that_no_argument_mentions_are_in_the_key() {
    let shop = Shop::new();
    assert_eq!(by_type_alone::<u8, 1>(&shop).await, "0 1, run 1");
    assert_eq!(by_type_alone::<bool, 1>(&shop).await, "false 1, run 2");
    assert_eq!(by_type_alone::<u8, 2>(&shop).await, "0 2, run 3");
    assert_eq!(by_type_alone::<u8, 1>(&shop).await, "0 1, run 1");
}

struct Table<T>(PhantomData<T>);

impl<T: Default + Debug> Table<T> {
    #[cached(cache = shop.cache, skip(shop))]
    async fn default(&self, shop: &Shop) -> String {
        format!("{:?}, run {}", T::default(), shop.run())
    }

    #[cached(key_prefix = "tables", cache = shop.cache, skip(shop))]
    async fn empty(shop: &Shop) -> String {
        format!("{:?}, run {}", T::default(), shop.run())
    }
}

#[tokio::test]
async fn methods_of_instances_of_a_generic_type_have_keys_of_their_own() {
    let shop = Shop::new();
    assert_eq!(Table::<u8>(PhantomData).default(&shop).await, "0, run 1");
    assert_eq!(
        Table::<bool>(PhantomData).default(&shop).await,
        "false, run 2"
    );
    assert_eq!(Table::<u8>(PhantomData).default(&shop).await, "0, run 1");
    assert!(shop.has("behaviour::owners:Table<u8>:default").await);
}

mod elsewhere {
    use super::*;

    impl<T: Default + Debug> Table<T> {
        #[cached(cache = shop.cache, skip(shop, database))]
        pub(super) async fn read<D: Debug>(&self, shop: &Shop, database: D) -> String {
            let _ = database;
            format!("{:?}, run {}", T::default(), shop.run())
        }
    }
}

impl<T: Default + Debug> Table<T> {
    #[cached(key_prefix = "tables", cache = shop.cache, skip(shop, database))]
    async fn prefixed<D: Debug>(&self, shop: &Shop, database: D) -> String {
        let _ = database;
        format!("{:?}, run {}", T::default(), shop.run())
    }
}

#[tokio::test]
async fn a_skipped_parameter_does_not_hide_those_of_the_type_from_the_owner() {
    let shop = Shop::new();
    let (numbers, flags) = (Table::<u8>(PhantomData), Table::<bool>(PhantomData));
    assert_eq!(numbers.prefixed(&shop, "pool").await, "0, run 1");
    assert_eq!(flags.prefixed(&shop, "pool").await, "false, run 2");
    assert_eq!(flags.prefixed(&shop, 7_u8).await, "false, run 2");
}

#[tokio::test]
async fn a_skipped_parameter_does_not_hide_those_of_the_type() {
    let shop = Shop::new();
    let (numbers, flags) = (Table::<u8>(PhantomData), Table::<bool>(PhantomData));
    assert_eq!(numbers.read(&shop, "pool").await, "0, run 1");
    assert_eq!(flags.read(&shop, "pool").await, "false, run 2");
    assert_eq!(numbers.read(&shop, 7_u8).await, "0, run 1");
    assert!(
        shop.has("behaviour::owners::elsewhere:Table<u8>:read")
            .await
    );
}

/// The macro sees neither the `impl` nor its parameter here.
#[tokio::test]
async fn the_parameters_of_an_impl_tell_values_apart_though_the_macro_does_not_see_them() {
    let shop = Shop::new();
    assert_eq!(Table::<u8>::empty(&shop).await, "0, run 1");
    assert_eq!(Table::<bool>::empty(&shop).await, "false, run 2");
    assert_eq!(Table::<bool>::empty(&shop).await, "false, run 2");
}

#[cached(cache = shop.cache, skip(shop, database))]
async fn with_any_database<D: Debug>(shop: &Shop, database: D, id: u64) -> String {
    let _ = database;
    format!("{id}, run {}", shop.run())
}

#[cached(cache = shop.cache, skip(shop, _database))]
async fn with_some_database(shop: &Shop, _database: impl Debug, id: u64) -> String {
    format!("{id}, run {}", shop.run())
}

#[tokio::test]
async fn the_type_of_a_skipped_argument_makes_no_difference() {
    let shop = Shop::new();
    assert_eq!(with_any_database(&shop, "pool", 1).await, "1, run 1");
    assert_eq!(with_any_database(&shop, 7_u8, 1).await, "1, run 1");
    assert_eq!(with_some_database(&shop, "pool", 1).await, "1, run 2");
    assert_eq!(with_some_database(&shop, 7_u8, 1).await, "1, run 2");
}

async fn outer(shop: &Shop) -> String {
    #[cached(cache = shop.cache, skip(shop))]
    async fn inner(shop: &Shop) -> String {
        format!("outer, run {}", shop.run())
    }
    inner(shop).await
}

async fn other(shop: &Shop) -> String {
    #[cached(cache = shop.cache, skip(shop))]
    async fn inner(shop: &Shop) -> String {
        format!("other, run {}", shop.run())
    }
    inner(shop).await
}

#[tokio::test]
async fn functions_inside_functions_have_keys_of_their_own() {
    let shop = Shop::new();
    assert_eq!(outer(&shop).await, "outer, run 1");
    assert_eq!(other(&shop).await, "other, run 2");
    assert_eq!(outer(&shop).await, "outer, run 1");
    assert!(shop.has("behaviour::owners:outer:inner").await);
}

struct Shelf<T>(PhantomData<T>);

impl<T: Default + Debug> Shelf<T> {
    #[cached(key_prefix = "shelves", cache = shop.cache, skip(shop, database))]
    async fn empty<D: Debug>(shop: &Shop, database: D) -> String {
        let _ = (shop, database);
        format!("{:?}", T::default())
    }
}

#[tokio::test]
async fn instances_of_an_impl_that_nothing_names_share_no_value_when_a_generic_argument_is_skipped()
{
    let shop = Shop::new();
    assert_eq!(Shelf::<u8>::empty(&shop, "pool").await, "0");
    assert_eq!(Shelf::<bool>::empty(&shop, "pool").await, "false");
}

async fn front_page(shop: &Shop, admin: bool) -> String {
    if admin {
        #[cached(cache = shop.cache, skip(shop))]
        async fn inner(shop: &Shop) -> String {
            let _ = shop;
            "admin's page".to_owned()
        }
        inner(shop).await
    } else {
        #[cached(cache = shop.cache, skip(shop))]
        async fn inner(shop: &Shop) -> String {
            let _ = shop;
            "guest's page".to_owned()
        }
        inner(shop).await
    }
}

#[tokio::test]
async fn functions_of_one_name_in_two_blocks_never_see_each_others_values() {
    let shop = Shop::new();
    assert_eq!(front_page(&shop, true).await, "admin's page");
    assert_eq!(front_page(&shop, false).await, "guest's page");
    assert_eq!(front_page(&shop, true).await, "admin's page");
}
