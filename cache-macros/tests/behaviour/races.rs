//! The race table on `#[cached]`: a call's body is held open, meanwhile somebody makes its value
//! go, then the body finishes. The next call must not see the old value.

use std::sync::Arc;

use cache_core::testkit::race::Act;
use cache_core::testkit::{ChaosProvider, Gate, Held, eventually, followers};
use cache_core::{Cache, cached};
use tokio::task::JoinHandle;

const OLD: &str = "old";
const NEW: &str = "new";

/// Its key is `user:1`, its tag `team:7` and its namespace `users`, as the acts expect.
#[cached(
    key_prefix = "user",
    key = "{id}",
    namespace = "users",
    tags = ["team:{team}"],
    cache = cache,
)]
async fn name_of(cache: &Cache, id: u64, team: u32, name: &str, held: Option<Held>) -> String {
    let _ = (id, team);
    if let Some(held) = held {
        held.pass().await;
    }
    name.to_owned()
}

fn spawn(cache: &Cache, name: &'static str, held: Option<Held>) -> JoinHandle<String> {
    let cache = cache.clone();
    tokio::spawn(async move { name_of(&cache, 1, 7, name, held).await })
}

async fn it_is_not_stored(cache: &Cache, act: Act) {
    let (gate, held) = Gate::new();
    let old = spawn(cache, OLD, Some(held));
    gate.entered().await;
    act.perform(cache).await.expect("the act succeeds");
    gate.open();
    assert_eq!(old.await.unwrap(), OLD, "its own caller has it");
    assert_eq!(name_of(cache, 1, 7, NEW, None).await, NEW);
    assert_eq!(name_of(cache, 1, 7, "newer", None).await, NEW, "it is kept");
}

async fn later_calls_run_anew(cache: &Cache, act: Act) {
    let (gate, held) = Gate::new();
    let old = spawn(cache, OLD, Some(held));
    gate.entered().await;
    act.perform(cache).await.expect("the act succeeds");
    assert_eq!(name_of(cache, 1, 7, NEW, None).await, NEW, "while it runs");
    gate.open();
    assert_eq!(old.await.unwrap(), OLD);
    assert_eq!(name_of(cache, 1, 7, "newer", None).await, NEW);
}

async fn those_who_waited_share_it(cache: &Cache, act: Act) {
    let (gate, held) = Gate::new();
    let old = spawn(cache, OLD, Some(held));
    gate.entered().await;
    let waiting: Vec<_> = (0..10).map(|_| spawn(cache, NEW, None)).collect();
    let users = cache.namespace("users");
    eventually("all wait", || followers(&users, "user:1") == 10).await;
    act.perform(cache).await.expect("the act succeeds");
    gate.open();
    assert_eq!(old.await.unwrap(), OLD);
    for call in waiting {
        assert_eq!(call.await.unwrap(), OLD);
    }
    assert_eq!(name_of(cache, 1, 7, NEW, None).await, NEW);
}

async fn what_is_stored_goes(cache: &Cache, act: Act) {
    assert_eq!(name_of(cache, 1, 7, OLD, None).await, OLD);
    assert_eq!(name_of(cache, 1, 7, NEW, None).await, OLD, "it is kept");
    act.perform(cache).await.expect("the act succeeds");
    assert_eq!(name_of(cache, 1, 7, NEW, None).await, NEW);
}

macro_rules! races {
    ($($test:ident: $act:ident,)*) => { $(
        #[tokio::test]
        async fn $test() {
            for checked in [Cache::memory, without_peeking] {
                it_is_not_stored(&checked(), Act::$act).await;
                later_calls_run_anew(&checked(), Act::$act).await;
                those_who_waited_share_it(&checked(), Act::$act).await;
                what_is_stored_goes(&checked(), Act::$act).await;
            }
        }
    )* };
}

/// A provider that has to be waited for, as a remote one has.
fn without_peeking() -> Cache {
    let (provider, _chaos) = ChaosProvider::remote();
    Cache::builder(provider).build().expect("a cache")
}

races! {
    a_cached_function_that_was_running_when_its_key_was_deleted_is_not_stored: Delete,
    a_cached_function_that_was_running_when_its_key_was_deleted_with_others_is_not_stored: DeleteMany,
    a_cached_function_that_was_running_when_its_key_was_invalidated_is_not_stored: Invalidate,
    a_cached_function_that_was_running_when_its_tag_was_invalidated_is_not_stored: InvalidateTag,
    a_cached_function_that_was_running_when_its_pattern_was_invalidated_is_not_stored: InvalidatePattern,
    a_cached_function_that_was_running_when_its_pattern_was_deleted_is_not_stored: DeleteByPattern,
    a_cached_function_that_was_running_when_its_namespace_was_cleared_is_not_stored: Clear,
    a_cached_function_that_was_running_when_the_namespace_around_was_cleared_is_not_stored: ClearAround,
    a_cached_function_that_was_running_when_its_key_was_set_is_not_stored: Set,
    a_cached_function_that_was_running_when_its_key_was_set_with_others_is_not_stored: SetMany,
}

/// The same by `#[cache_invalidate]`.
#[tokio::test]
async fn a_cached_function_that_was_running_when_another_function_changed_its_source_is_not_stored()
{
    #[cache_core::cache_invalidate(key_pattern = "user:{id}", namespace = "users", cache = cache)]
    async fn rename(cache: &Cache, id: u64) {
        let _ = (cache, id);
    }
    let cache = Arc::new(Cache::memory());
    let (gate, held) = Gate::new();
    let old = spawn(&cache, OLD, Some(held));
    gate.entered().await;
    rename(&cache, 1).await;
    assert_eq!(name_of(&cache, 1, 7, NEW, None).await, NEW);
    gate.open();
    assert_eq!(old.await.unwrap(), OLD);
    assert_eq!(name_of(&cache, 1, 7, "newer", None).await, NEW);
}
