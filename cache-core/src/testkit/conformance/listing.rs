//! Listing: what is there, by pattern.

use super::{SHORT, keys, text};
use crate::terms::EntryOptions;

checks! {
    listing as conformance_listing, needs [Storage, Scan];

    /// The count is of what could be shown.
    async fn delete_by_pattern_counts_what_was_visible(nodes, cache) {
        for key in ["a:1", "a:2", "a:3", "b:1"] {
            cache.set(key, "v").await.unwrap();
        }
        cache.set("a:expired", "v").ttl(SHORT).await.unwrap();
        cache.set("a:hidden", "v").tag("t").await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        nodes.elapse(SHORT).await;
        assert_eq!(cache.delete_by_pattern("a:*").await.unwrap(), 3);
        assert_eq!(cache.delete_by_pattern("a:*").await.unwrap(), 0);
        assert_eq!(keys(cache, "*").await, ["b:1"]);
        cache.set("a:1", "v").await.unwrap();
        cache.invalidate_pattern("a:*").await.unwrap();
        assert_eq!(cache.delete_by_pattern("a:*").await.unwrap(), 0, "hidden before");
        cache.set("a:1", "v").await.unwrap();
        assert_eq!(text(cache, "a:1").await.as_deref(), Some("v"));
    }

    /// Scanning returns every key once or more, whatever the page.
    async fn a_scan_sees_every_key(nodes, cache) {
        let names: Vec<String> = (0..100).map(|n| format!("k{n:03}")).collect();
        let values: Vec<(&str, i32)> = names.iter().map(|name| (&**name, 1)).collect();
        cache.set_many(&values, EntryOptions::new()).await.unwrap();
        cache.namespace("inner").set("k", &1).await.unwrap();
        assert_eq!(keys(cache, "*").await, names);
        assert_eq!(keys(cache, "k00?").await.len(), 10);
    }

    /// Neither what has expired nor what is hidden is listed.
    async fn what_is_gone_is_not_listed(nodes, cache) {
        cache.set("stays", "v").await.unwrap();
        cache.set("expired", "v").ttl(SHORT).await.unwrap();
        cache.set("hidden", "v").await.unwrap();
        cache.invalidate_pattern("hid*").await.unwrap();
        nodes.elapse(SHORT).await;
        assert_eq!(keys(cache, "*").await, ["stays"]);
    }
}
