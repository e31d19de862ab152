//! One run for all who ask at the same moment, however it ends.

use std::sync::Arc;

use cache_core::cached;
use cache_core::testkit::{Gate, Held, eventually, followers};
use tokio::task::JoinHandle;

use crate::Shop;

#[derive(Clone, Debug, PartialEq)]
struct Shared(usize);

#[derive(Debug, PartialEq)]
struct Own(usize);

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, held))]
async fn load(shop: &Shop, held: Held) -> usize {
    let run = shop.run();
    held.pass().await;
    run
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, held))]
async fn fail(shop: &Shop, held: Held) -> Result<usize, Shared> {
    let run = shop.run();
    held.pass().await;
    Err(Shared(run))
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, held))]
async fn fail_alone(shop: &Shop, held: Held) -> Result<usize, Own> {
    let run = shop.run();
    held.pass().await;
    Err(Own(run))
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, held))]
async fn find(shop: &Shop, held: Held) -> Option<usize> {
    shop.run();
    held.pass().await;
    None
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, held))]
async fn look_up(shop: &Shop, held: Held) -> Result<Option<usize>, Own> {
    shop.run();
    held.pass().await;
    Ok(None)
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, held))]
async fn fail_to_look_up(shop: &Shop, held: Held) -> Result<Option<usize>, Shared> {
    let run = shop.run();
    held.pass().await;
    Err(Shared(run))
}

/// Starts a call that leads and nine that follow it, and lets the leader finish.
async fn herd<F, R>(shop: &Arc<Shop>, key: &str, call: impl Fn(Arc<Shop>, Held) -> F) -> Vec<R>
where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let (gate, held) = Gate::new();
    let mut calls: Vec<JoinHandle<R>> = vec![tokio::spawn(call(Arc::clone(shop), held.clone()))];
    gate.entered().await;
    // Of no interest to any of them: no function here has tags.
    shop.cache.invalidate_tag("another").await.unwrap();
    let others = (0..9).map(|_| tokio::spawn(call(Arc::clone(shop), held.clone())));
    calls.extend(others);
    eventually("all wait", || followers(&shop.cache, key) == 9).await;
    gate.open();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.expect("a call"));
    }
    results
}

#[tokio::test]
async fn many_callers_at_one_moment_share_one_run() {
    let shop = Arc::new(Shop::new());
    let call = |shop: Arc<Shop>, held| async move { load(&shop, held).await };
    assert_eq!(herd(&shop, "p:load", call).await, [1; 10]);
}

#[tokio::test]
async fn an_error_that_can_be_copied_is_shared() {
    let shop = Arc::new(Shop::new());
    let call = |shop: Arc<Shop>, held| async move { fail(&shop, held).await };
    assert_eq!(herd(&shop, "p:fail", call).await, vec![Err(Shared(1)); 10]);
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn an_error_that_can_be_copied_is_shared_by_who_looks_something_up() {
    let shop = Arc::new(Shop::new());
    let call = |shop: Arc<Shop>, held| async move { fail_to_look_up(&shop, held).await };
    let results = herd(&shop, "p:fail_to_look_up", call).await;
    assert_eq!(results, vec![Err(Shared(1)); 10]);
}

#[tokio::test]
async fn after_an_error_that_cannot_be_copied_everybody_runs_for_himself() {
    let shop = Arc::new(Shop::new());
    let call = |shop: Arc<Shop>, held| async move { fail_alone(&shop, held).await };
    let results = herd(&shop, "p:fail_alone", call).await;
    let mut runs: Vec<_> = results.into_iter().map(|r| r.unwrap_err().0).collect();
    runs.sort_unstable();
    assert_eq!(runs, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn none_is_shared_though_it_is_not_kept() {
    let shop = Arc::new(Shop::new());
    let call = |shop: Arc<Shop>, held| async move { find(&shop, held).await };
    assert_eq!(herd(&shop, "p:find", call).await, [None; 10]);
    assert_eq!(shop.runs(), 1);
    assert!(!shop.has("p:find").await);
}

#[tokio::test]
async fn ok_none_is_shared_whatever_the_error() {
    let shop = Arc::new(Shop::new());
    let call = |shop: Arc<Shop>, held| async move { look_up(&shop, held).await };
    let results = herd(&shop, "p:look_up", call).await;
    assert!(results.iter().all(|result| *result == Ok(None)));
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn when_the_running_call_is_dropped_one_that_waited_takes_over() {
    let shop = Arc::new(Shop::new());
    let (gate, held) = Gate::new();
    let spawn = |held: &Held| {
        let (shop, held) = (Arc::clone(&shop), held.clone());
        tokio::spawn(async move { load(&shop, held).await })
    };
    let leader = spawn(&held);
    gate.entered().await;
    let follower = spawn(&held);
    eventually("it waits", || followers(&shop.cache, "p:load") == 1).await;
    leader.abort();
    gate.entered().await;
    gate.open();
    assert_eq!(follower.await.unwrap(), 2);
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop, held, panics))]
async fn panicking(shop: &Shop, held: Held, panics: bool) -> usize {
    held.pass().await;
    assert!(!panics, "as it should");
    shop.run()
}

#[tokio::test]
async fn a_panic_in_the_body_leaves_nothing_locked() {
    let shop = Arc::new(Shop::new());
    let (gate, held) = Gate::new();
    let spawn = |panics| {
        let (shop, held) = (Arc::clone(&shop), held.clone());
        tokio::spawn(async move { panicking(&shop, held, panics).await })
    };
    let leader = spawn(true);
    gate.entered().await;
    let follower = spawn(false);
    eventually("it waits", || followers(&shop.cache, "p:panicking") == 1).await;
    gate.open();
    assert!(leader.await.unwrap_err().is_panic());
    assert_eq!(follower.await.unwrap(), 1);
    assert_eq!(panicking(&shop, held, true).await, 1);
}

#[cached(key_prefix = "p", cache = shop.cache, skip(shop))]
async fn recursive(shop: &Shop, depth: usize) -> usize {
    shop.run();
    match depth {
        0 => 0,
        // The same key again, from inside its own run.
        1 if shop.runs() < 3 => Box::pin(recursive_again(shop, depth)).await,
        _ => 1,
    }
}

fn recursive_again(
    shop: &Shop,
    depth: usize,
) -> std::pin::Pin<Box<dyn Future<Output = usize> + Send + '_>> {
    Box::pin(recursive(shop, depth))
}

#[tokio::test]
async fn a_function_that_asks_for_its_own_key_does_not_wait_for_itself() {
    let shop = Shop::new();
    assert_eq!(recursive(&shop, 1).await, 1);
    assert_eq!(shop.runs(), 3);
    assert_eq!(recursive(&shop, 1).await, 1);
    assert_eq!(shop.runs(), 3);
}
