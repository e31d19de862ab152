//! What is counted beyond what every provider has in common.

use std::time::Duration;

use cache_core::testkit::{Chaos, ChaosProvider};
use cache_core::{Cache, MAX_COUNTED, MemoryProvider, Metrics};
use serde_json::json;

fn away() -> (Cache, Chaos) {
    let (provider, chaos) = ChaosProvider::over(MemoryProvider::new());
    (Cache::builder(provider).build().unwrap(), chaos)
}

async fn load_for(cache: &Cache, key: &str, span: Duration) {
    let load = || async {
        tokio::time::sleep(span).await;
        Ok::<_, ()>("value".to_owned())
    };
    cache.get_or_set(key, load).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_time_of_each_load_is_in_its_bucket() {
    let cache = Cache::memory();
    load_for(&cache, "a", Duration::from_millis(3)).await;
    load_for(&cache, "b", Duration::from_millis(200)).await;
    load_for(&cache, "c", Duration::from_secs(9)).await;
    let times = cache.metrics().load_times;
    assert!(times.longest() >= Duration::from_secs(9));
    assert!(times.total() >= Duration::from_millis(9_203));
    let full: Vec<_> = times.buckets().filter(|(_, count)| *count > 0).collect();
    let ends = [Some(4), Some(256), None];
    assert_eq!(full, ends.map(|end| (end.map(Duration::from_millis), 1)));
}

#[tokio::test]
async fn a_load_of_many_keys_is_one_and_fails_with_any_of_them() {
    let cache = Cache::memory();
    let load = async |keys: Vec<String>| {
        let result = |key: String| (key.clone(), if key == "bad" { Err("no") } else { Ok(1) });
        Ok(keys.into_iter().map(result).collect::<Vec<_>>())
    };
    cache.get_many_or_load(&["a", "b"], load).await;
    assert_eq!((cache.metrics().loads, cache.metrics().load_errors), (1, 0));
    cache.get_many_or_load(&["c", "bad"], load).await;
    assert_eq!((cache.metrics().loads, cache.metrics().load_errors), (2, 1));
    assert_eq!(cache.metrics().sets, 0, "what loads store is no set");
}

#[tokio::test]
async fn a_load_without_a_cache_is_counted_and_one_that_is_dropped_is_not() {
    let (cache, chaos) = away();
    chaos.away(true);
    load_for(&cache, "a", Duration::ZERO).await;
    assert_eq!(cache.metrics().loads, 1);
    let endless = cache.get_or_set("b", std::future::pending::<Result<u8, ()>>);
    let ended = tokio::time::timeout(Duration::from_millis(1), endless).await;
    assert!(ended.is_err());
    assert_eq!(cache.metrics().loads, 1);
}

#[tokio::test]
async fn changes_count_as_sets_and_what_failed_is_not_counted() {
    let (cache, chaos) = away();
    cache.increment("n", 1).await.unwrap();
    cache.decrement("n", 1).await.unwrap();
    cache.set("user", &json!({ "name": "Ada" })).await.unwrap();
    let patch = json!({ "name": "Grace" });
    cache
        .update::<serde_json::Value>("user", &patch)
        .await
        .unwrap()
        .unwrap();
    assert!(
        cache
            .update::<serde_json::Value>("absent", &patch)
            .await
            .unwrap()
            .is_none()
    );
    cache
        .set("gone", "at once")
        .ttl(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(cache.metrics().sets, 4);
    chaos.away(true);
    cache.set("a", "v").await.unwrap_err();
    cache.increment("n", 1).await.unwrap_err();
    cache.invalidate("a").await.unwrap_err();
    cache.delete("a").await.unwrap_err();
    let metrics = cache.metrics();
    assert_eq!(
        (metrics.sets, metrics.deletes, metrics.invalidations),
        (4, 0, 0)
    );
}

#[tokio::test]
async fn namespaces_are_listed_by_name_and_beyond_the_limit_together() {
    let cache = Cache::memory();
    let inner = cache.namespace("b:inner");
    inner.set("k", "v").await.unwrap();
    let listed = cache.metrics_by_namespace();
    let names: Vec<&str> = listed.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["", "b/inner"]);
    for index in 0..MAX_COUNTED {
        let _ = cache.namespace(&index.to_string());
    }
    let late = cache.namespace("late");
    late.set("k", "v").await.unwrap();
    assert_eq!(cache.get_metrics("late"), None);
    let listed = cache.metrics_by_namespace();
    assert_eq!(listed.len(), MAX_COUNTED + 1);
    let others = listed.iter().find(|(name, _)| name == "(others)").unwrap();
    assert_eq!(others.1.sets, 1);
    assert_eq!(cache.total_metrics().sets, 2);
    assert_ne!(late.metrics(), Metrics::default());
}
