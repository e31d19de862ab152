//! Updates on the memory provider: nothing is lost, and values keep their type.

use std::collections::BTreeMap;
use std::sync::Arc;

use cache_core::testkit::ChaosProvider;
use cache_core::{Cache, ErrorKind, Local, MemoryTier};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TASKS: usize = 100;
/// How often each task changes it: without optimization as often as takes a few seconds.
const CHANGES: u64 = if cfg!(debug_assertions) { 100 } else { 1_000 };

type Fields = BTreeMap<String, u64>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

/// Changes a field of its own and a counter that all share, and looks whether any field that it
/// has seen goes back.
async fn change(cache: Cache, task: usize) {
    let mut seen = Fields::new();
    for count in 1..=CHANGES {
        let patch = json!({ task.to_string(): count });
        let now: Fields = cache.update("k", &patch).await.unwrap().unwrap();
        assert_eq!(now[&task.to_string()], count);
        for (field, before) in seen {
            assert!(now[&field] >= before, "field {field} went back");
        }
        seen = now;
        cache.increment("n", 1).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_updates_and_increments_by_a_hundred_tasks_none_is_lost() {
    let cache = Cache::memory();
    cache.set("k", &Fields::new()).await.unwrap();
    let tasks = (0..TASKS).map(|task| tokio::spawn(change(cache.clone(), task)));
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let fields: Fields = cache.get("k").await.unwrap().unwrap();
    assert_eq!(fields.len(), TASKS);
    assert!(fields.values().all(|count| *count == CHANGES));
    let counted = cache.get::<u64>("n").await.unwrap();
    assert_eq!(counted, Some(TASKS as u64 * CHANGES));
}

#[tokio::test]
async fn a_patch_has_to_fit_what_was_stored_not_only_what_is_asked_for() {
    let cache = Cache::memory();
    let point = Point { x: 1, y: 2 };
    cache.set("k", &Arc::new(point.clone())).await.unwrap();
    let patch = json!({ "y": "north" });
    let error = cache.update::<Value>("k", &patch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(error.operation(), "update");
    assert_eq!(cache.get("k").await.unwrap(), Some(point));
    // As what was stored: the next hit clones the `Arc`.
    let updated = cache.update::<Value>("k", &json!({ "y": 3 })).await;
    assert_eq!(updated.unwrap(), Some(json!({ "x": 1, "y": 3 })));
    let stored: Arc<Point> = cache.get("k").await.unwrap().unwrap();
    assert_eq!(*stored, Point { x: 1, y: 3 });
}

#[tokio::test]
async fn a_value_that_stays_in_memory_has_no_fields_to_change() {
    let cache = Cache::memory();
    cache.set("k", &Local(7)).await.unwrap();
    let error = cache.update::<Value>("k", &json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(cache.get::<Local<i32>>("k").await.unwrap(), Some(Local(7)));
}

#[tokio::test]
async fn an_update_is_seen_through_the_memory_tier() {
    let tiered = Cache::builder(ChaosProvider::remote().0).memory_tier(MemoryTier::new());
    let cache = tiered.build().unwrap();
    cache.set("k", &Point { x: 1, y: 2 }).await.unwrap();
    let get = || async { cache.get::<Point>("k").await.unwrap() };
    assert_eq!(get().await, Some(Point { x: 1, y: 2 }));
    cache
        .update::<Point>("k", &json!({ "x": 9 }))
        .await
        .unwrap();
    assert_eq!(get().await, Some(Point { x: 9, y: 2 }));
}

#[tokio::test]
async fn an_update_while_the_backend_is_away_is_an_error() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    cache.set("k", &Point { x: 1, y: 2 }).await.unwrap();
    chaos.away(true);
    let error = cache
        .update::<Point>("k", &json!({ "x": 9 }))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
}

#[test]
fn outside_a_runtime_an_update_works_on_memory() {
    let cache = Cache::memory();
    let ready = |future| {
        let mut future: cache_core::provider::BoxFuture<'_, _> = future;
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => output,
            std::task::Poll::Pending => panic!("memory never waits"),
        }
    };
    ready(Box::pin(async {
        cache.set("k", &Point { x: 1, y: 2 }).await.unwrap();
        let updated = cache.update::<Point>("k", &json!({ "x": 9 })).await;
        assert_eq!(updated.unwrap(), Some(Point { x: 9, y: 2 }));
    }));
}
