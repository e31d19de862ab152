//! What the `metrics` facade is told, name by name and label by label.

use std::collections::{BTreeMap, BTreeSet};

use cache_core::{Cache, MAX_EXPORTED, MemoryProvider, MemoryTier};
use cache_tests::redis_node::node;
use cache_tests::redis_server::RedisServer;
use metrics::Key;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

const KEY: &str = "secret-key";
const VALUE: &str = "secret-value";

/// Exports to a recorder on this thread.
struct Exporter {
    snapshotter: Snapshotter,
    _guard: metrics::LocalRecorderGuard<'static>,
}

impl Exporter {
    fn new() -> Self {
        let recorder: &'static _ = Box::leak(Box::new(DebuggingRecorder::new()));
        Self {
            snapshotter: recorder.snapshotter(),
            _guard: metrics::set_default_local_recorder(recorder),
        }
    }

    /// What has been told since this was asked last.
    fn told(&self) -> BTreeMap<String, f64> {
        let told = self.snapshotter.snapshot().into_vec();
        let told = told.into_iter().map(|(key, _, _, value)| (key, value));
        told.map(|(key, value)| (series(key.key()), number(&value)))
            .collect()
    }
}

/// `name{label=value,…}`, the labels in the order of their names.
fn series(key: &Key) -> String {
    let mut labels: Vec<_> = key
        .labels()
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    labels.sort();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

/// The sum, the level, or how many times were told.
fn number(value: &DebugValue) -> f64 {
    match value {
        DebugValue::Counter(sum) => *sum as f64,
        DebugValue::Gauge(level) => level.into_inner(),
        DebugValue::Histogram(times) => times.len() as f64,
    }
}

async fn load(cache: &Cache, key: &str) {
    let load = || async { Ok::<_, ()>(VALUE.to_owned()) };
    cache.get_or_set(key, load).await.unwrap();
}

#[tokio::test]
async fn sums_are_published_when_asked_for_and_as_often_as_one_likes() {
    let exporter = Exporter::new();
    let builder = Cache::builder(MemoryProvider::new()).key_prefix("shop");
    let cache = builder.build().unwrap();
    let users = cache.namespace("users");
    load(&users, KEY).await;
    load(&users, KEY).await;
    users.set("b", VALUE).await.unwrap();
    users.delete("b").await.unwrap();
    users.invalidate_tag("t").await.unwrap();
    cache.sweep().await.unwrap();
    assert_eq!(exporter.told().len(), 1, "the time of the load alone");
    cache.publish_metrics();
    cache.publish_metrics();
    let told = exporter.told();
    let users = |name: &str, more: &str| {
        told[&format!("{name}{{cache=shop,namespace=users,provider=memory{more}}}")]
    };
    assert_eq!(users("cache_hits_total", ""), 1.0);
    assert_eq!(users("cache_misses_total", ",reason=absent"), 1.0);
    assert_eq!(users("cache_misses_total", ",reason=expired"), 0.0);
    assert_eq!(users("cache_sets_total", ""), 1.0);
    assert_eq!(users("cache_deletes_total", ""), 1.0);
    assert_eq!(users("cache_invalidations_total", ""), 1.0);
    assert_eq!(users("cache_loads_total", ""), 1.0);
    let stored = "cache_entries{cache=shop,provider=memory,tier=provider}";
    assert_eq!(told[stored], 1.0);
    assert!(told.contains_key("cache_hits_total{cache=shop,namespace=(root),provider=memory}"));
}

#[tokio::test]
async fn a_hit_in_memory_tells_nothing() {
    let cache = Cache::memory();
    load(&cache, KEY).await;
    let exporter = Exporter::new();
    load(&cache, KEY).await;
    assert!(cache.get::<String>(KEY).await.unwrap().is_some());
    assert!(exporter.told().is_empty());
}

#[tokio::test]
async fn beyond_a_limit_namespaces_share_their_series() {
    let exporter = Exporter::new();
    let cache = Cache::memory();
    for tenant in 0..MAX_EXPORTED + 9 {
        let tenant = cache.namespace(&format!("tenant:{tenant}"));
        tenant.set("a", VALUE).await.unwrap();
    }
    cache.publish_metrics();
    let told = exporter.told();
    let sets: BTreeMap<_, _> = told
        .iter()
        .filter(|(name, _)| name.starts_with("cache_sets_total"))
        .collect();
    assert_eq!(sets.len(), MAX_EXPORTED + 1);
    let others = "cache_sets_total{cache=cache,namespace=(others),provider=memory}";
    // The root is one of those that have series of their own.
    assert_eq!(*sets[&others.to_owned()], 10.0);
    assert_eq!(
        sets.values().copied().sum::<f64>(),
        (MAX_EXPORTED + 9) as f64
    );
}

#[tokio::test]
async fn calls_of_a_server_are_timed_by_operation_and_outcome() {
    let server = RedisServer::start();
    let cache = Cache::builder(node(&server).await).build().unwrap();
    let exporter = Exporter::new();
    cache.set(KEY, VALUE).await.unwrap();
    cache.increment(KEY, 1).await.unwrap_err();
    let told = exporter.told();
    let call = |operation: &str, outcome: &str| {
        let labels = format!("operation={operation},outcome={outcome},provider=redis");
        told[&format!("cache_call_duration_seconds{{{labels}}}")]
    };
    assert_eq!(
        (call("set", "ok"), call("increment", "wrong_type")),
        (1.0, 1.0)
    );
}

/// The names in the first column of the page, and the labels in the fourth.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `cache_"));
    let texts = |cell: &str| {
        let texts = cell.split('`').skip(1).step_by(2);
        texts.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    rows.map(|row| row.split('|').collect::<Vec<_>>())
        .map(|cells| {
            (
                cells[1].trim().trim_matches('`').to_owned(),
                texts(cells[4]),
            )
        })
        .collect()
}

#[tokio::test]
async fn what_is_told_is_what_is_documented_and_names_no_key() {
    let server = RedisServer::start();
    let exporter = Exporter::new();
    let builder = Cache::builder(node(&server).await).memory_tier(MemoryTier::new());
    let cache = builder.build().unwrap();
    load(&cache.namespace("users"), KEY).await;
    cache.publish_metrics();
    let mut told = BTreeMap::<String, BTreeSet<String>>::new();
    for series in exporter.told().into_keys() {
        assert!(!series.contains("secret"), "{series}");
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
        let labels = labels
            .split(',')
            .map(|it| it.split_once('=').unwrap().0.to_owned());
        told.entry(name.to_owned()).or_default().extend(labels);
    }
    assert_eq!(told, documented());
}
