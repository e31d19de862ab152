//! Figures: what is done is counted, whatever the provider.

use super::{SHORT, text};
use crate::metrics::Metrics;
use crate::terms::EntryOptions;

async fn load(cache: &crate::cache::Cache, key: &str, result: Result<&str, &str>) {
    let load = || async { result.map(str::to_owned) };
    let loaded = cache.get_or_set(key, load).await;
    assert_eq!(loaded.is_ok(), result.is_ok(), "nothing is there");
}

checks! {
    figures as conformance_figures, needs [Storage];

    /// Each value is a set, each one that was there a delete, each thing named an invalidation.
    async fn writes_are_counted_by_values_and_invalidations_by_what_they_name(nodes, cache) {
        cache.set("a", "v").await.unwrap();
        let values = [("b", 1), ("c", 2)];
        cache.set_many(&values, EntryOptions::new()).await.unwrap();
        cache.delete_many(&["a", "b", "absent"]).await.unwrap();
        cache.delete("a").await.unwrap();
        cache.invalidate("c").await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        let mut batch = cache.invalidation();
        batch.key("a").unwrap().pattern("x*").unwrap();
        batch.run().await.unwrap();
        let metrics = cache.metrics();
        let counted = (metrics.sets, metrics.deletes, metrics.invalidations);
        assert_eq!(counted, (3, 2, 4));
    }

    /// Each read is one hit, or one miss with its reason.
    async fn a_read_is_a_hit_or_a_miss_with_its_reason(nodes, cache) {
        cache.set("there", "v").await.unwrap();
        cache.set("gone", "v").ttl(SHORT).await.unwrap();
        nodes.elapse(SHORT).await;
        for key in ["there", "there", "there", "gone"] {
            text(cache, key).await;
        }
        let metrics = cache.metrics();
        assert_eq!((metrics.hits, metrics.misses), (3, 1));
        assert_eq!(metrics.absent + metrics.expired, 1);
        assert!((metrics.hit_rate() - 0.75).abs() < f64::EPSILON);
    }

    /// A load that has ended is counted, timed, and told from one that has failed.
    async fn loads_are_counted_and_timed_and_errors_among_them(nodes, cache) {
        load(cache, "a", Ok("value")).await;
        load(cache, "b", Err("no value")).await;
        let metrics = cache.metrics();
        assert_eq!((metrics.loads, metrics.load_errors), (2, 1));
        assert_eq!(metrics.load_times.count(), 2);
        assert_eq!((metrics.hits, metrics.misses), (0, 2));
        load(cache, "a", Ok("value")).await;
        assert_eq!(cache.metrics().loads, 2, "a hit loads nothing");
    }

    /// A namespace is known by its name, and all of them add up.
    async fn namespaces_are_counted_apart_and_add_up(nodes, cache) {
        let (one, two) = (cache.namespace("one"), cache.namespace("two"));
        one.set("a", "v").await.unwrap();
        two.set("a", "v").await.unwrap();
        text(&one, "a").await;
        text(&two, "absent").await;
        assert_eq!(cache.get_metrics("one"), Some(one.metrics()));
        assert_eq!((cache.hit_rate("one"), cache.hit_rate("two")), (Some(1.0), Some(0.0)));
        assert_eq!(cache.get_metrics("never opened"), None);
        assert_eq!(cache.metrics(), Metrics::default());
        let total = cache.total_metrics();
        assert_eq!((total.sets, total.hits, total.misses), (2, 1, 1));
    }
}
