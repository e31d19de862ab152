//! Times to live: given, read, changed, and over.

use std::convert::Infallible;
use std::time::Duration;

use super::{LONG, SHORT, text};
use crate::terms::{EntryOptions, Ttl};

checks! {
    expiry as conformance_expiry, needs [Storage];

    /// Entries expire by themselves, and a write begins a new time to live.
    async fn entries_expire(nodes, cache) {
        cache.set("k", "v").ttl(SHORT).await.unwrap();
        cache.set("stays", "v").ttl(SHORT).await.unwrap();
        cache.set("stays", "w").ttl(LONG).await.unwrap();
        assert_eq!(text(cache, "k").await.as_deref(), Some("v"));
        nodes.elapse(SHORT).await;
        assert_eq!(text(cache, "k").await, None);
        assert!(!cache.exists("k").await.unwrap());
        assert!(!cache.delete("k").await.unwrap());
        assert_eq!(text(cache, "stays").await.as_deref(), Some("w"));
    }

    /// What a load brought expires, too.
    async fn loaded_values_expire(nodes, cache) {
        let options = EntryOptions::new().ttl(SHORT);
        let load = |value: i64| async move { Ok::<_, Infallible>(value) };
        let call = |value| cache.get_or_set_with("k", options.clone(), move || load(value));
        assert_eq!(call(1).await, Ok(1));
        assert_eq!(call(2).await, Ok(1));
        nodes.elapse(SHORT).await;
        assert_eq!(call(3).await, Ok(3));
    }

    /// The time to live that is left.
    async fn the_time_to_live_can_be_read_and_changed(nodes, cache) {
        let left = |ttl| match ttl {
            Some(Ttl::After(span)) => span,
            other => panic!("a limited time to live, not {other:?}"),
        };
        cache.set("k", "v").ttl(LONG).await.unwrap();
        let ttl = left(cache.get_ttl("k").await.unwrap());
        assert!(ttl <= LONG && ttl > LONG / 2, "{ttl:?}");

        assert!(cache.expire("k", LONG * 4).await.unwrap());
        let ttl = left(cache.get_ttl("k").await.unwrap());
        assert!(ttl > LONG * 2 && ttl <= LONG * 4, "{ttl:?}");

        assert!(cache.expire("k", Ttl::Never).await.unwrap());
        assert_eq!(cache.get_ttl("k").await.unwrap(), Some(Ttl::Never));
        assert_eq!(text(cache, "k").await.as_deref(), Some("v"));

        assert!(cache.expire("k", SHORT).await.unwrap());
        nodes.elapse(SHORT).await;
        assert_eq!(text(cache, "k").await, None);
        assert!(!cache.expire("k", LONG).await.unwrap(), "gone is gone");
        assert_eq!(text(cache, "k").await, None);
    }

    /// The longest time to live is as good as for ever.
    async fn the_longest_time_to_live_there_is_keeps_an_entry(nodes, cache) {
        let longest = EntryOptions::new().ttl(Duration::MAX);
        cache.set("k", "v").ttl(Duration::MAX).await.unwrap();
        assert_eq!(text(cache, "k").await.as_deref(), Some("v"));
        cache.set("changed", "v").ttl(LONG).await.unwrap();
        assert!(cache.expire("changed", Duration::MAX).await.unwrap());
        assert_eq!(text(cache, "changed").await.as_deref(), Some("v"));
        assert_eq!(cache.increment_with("n", 7, longest).await.unwrap(), 7);
        assert_eq!(cache.get("n").await.unwrap(), Some(7_i64));
    }

    /// A time to live of zero keeps nothing.
    async fn a_time_to_live_of_zero_removes(nodes, cache) {
        cache.set("k", "v").await.unwrap();
        cache.set("k", "w").ttl(Duration::ZERO).await.unwrap();
        assert_eq!(text(cache, "k").await, None);
        cache.set("k", "v").await.unwrap();
        assert!(cache.expire("k", Duration::ZERO).await.unwrap());
        assert_eq!(text(cache, "k").await, None);
        let options = EntryOptions::new().ttl(Duration::ZERO);
        let load = || async { Ok::<_, Infallible>(1) };
        assert_eq!(cache.get_or_set_with("k", options, load).await, Ok(1));
        assert!(!cache.exists("k").await.unwrap());
    }

    /// The default time to live is the handle's.
    async fn the_default_time_to_live_is_the_namespaces(nodes, cache) {
        let forever = cache.with_default_ttl(Ttl::Never);
        forever.set("k", "v").await.unwrap();
        assert_eq!(cache.get_ttl("k").await.unwrap(), Some(Ttl::Never));
        cache.with_default_ttl(SHORT).set("k", "v").await.unwrap();
        nodes.elapse(SHORT).await;
        assert_eq!(text(cache, "k").await, None);
    }
}
