//! Invalidation: by tag, pattern and namespace, and nothing besides.

use super::text;
use crate::testkit::delivered;

checks! {
    invalidation as conformance_invalidation, needs [Storage];

    /// Keys of two namespaces never meet.
    async fn namespaces_are_worlds_of_their_own(nodes, cache) {
        let (one, two) = (cache.namespace("tenant:1"), cache.namespace("tenant:2"));
        let tenant = cache.namespace("tenant");
        one.set("k", "one").await.unwrap();
        two.set("k", "two").await.unwrap();
        tenant.set("1:k", "neither").await.unwrap();
        assert_eq!(text(&one, "k").await.as_deref(), Some("one"));
        assert_eq!(text(&tenant.namespace("1"), "k").await.as_deref(), Some("one"));
        one.invalidate_pattern("*").await.unwrap();
        assert_eq!(text(&one, "k").await, None);
        assert_eq!(text(&two, "k").await.as_deref(), Some("two"));
        assert_eq!(text(&tenant, "1:k").await.as_deref(), Some("neither"));
    }

    /// What clear takes: the namespace and those inside it.
    async fn clear_takes_the_namespace_and_those_inside(nodes, cache) {
        let (inner, other) = (cache.namespace("a").namespace("b"), cache.namespace("ab"));
        for cache in [cache, &cache.namespace("a"), &inner, &other] {
            cache.set("k", "v").await.unwrap();
        }
        cache.namespace("a").clear().await.unwrap();
        assert_eq!(text(&cache.namespace("a"), "k").await, None);
        assert_eq!(text(&inner, "k").await, None);
        assert_eq!(text(&other, "k").await.as_deref(), Some("v"));
        assert_eq!(text(cache, "k").await.as_deref(), Some("v"));
        inner.set("k", "new").await.unwrap();
        assert_eq!(text(&inner, "k").await.as_deref(), Some("new"));
    }

    /// A glob takes what it matches in its namespace, and nothing else.
    async fn patterns_take_what_they_match(nodes, cache) {
        let all = ["user:1", "user:2", "user:10", "users:1", "*", "user:é", "{a}", "a[b"];
        for key in all {
            cache.set(key, "v").await.unwrap();
        }
        cache.namespace("inner").set("user:1", "v").await.unwrap();
        cache.invalidate_pattern("user:?").await.unwrap();
        cache.invalidate_pattern(r"\*").await.unwrap();
        cache.invalidate_pattern(r"a\[[a-c]").await.unwrap();
        let left = ["user:10", "user:é", "users:1", "{a}"];
        for key in all {
            let expected = left.contains(&key).then_some("v");
            assert_eq!(text(cache, key).await.as_deref(), expected, "{key}");
        }
        assert!(text(&cache.namespace("inner"), "user:1").await.is_some());
    }

    /// A tag reaches every namespace, and only what carries it.
    async fn a_tag_takes_what_carries_it_everywhere(nodes, cache) {
        let (one, two) = (cache.namespace("one"), cache.namespace("two"));
        one.set("k", "v").tag("team:7").tag("x").await.unwrap();
        two.set("k", "v").tags(["team:7"]).await.unwrap();
        two.set("other", "v").tag("team:77").await.unwrap();
        cache.invalidate_tag("team:7").await.unwrap();
        assert_eq!(text(&one, "k").await, None);
        assert_eq!(text(&two, "k").await, None);
        assert!(text(&two, "other").await.is_some());
        one.set("k", "new").tag("team:7").await.unwrap();
        assert_eq!(text(&one, "k").await.as_deref(), Some("new"));
    }

    /// A write after somebody else's invalidation stands.
    async fn a_set_after_another_nodes_clear_survives(nodes, cache) {
        let other = nodes.reader.namespace("a_set_after_another_nodes_clear_survives");
        cache.set("k", "old").await.unwrap();
        cache.clear().await.unwrap();
        // The other node may not have heard of the clear yet.
        other.set("k", "new").await.unwrap();
        delivered(&nodes.reader, &nodes.actor).await;
        delivered(&nodes.actor, &nodes.reader).await;
        assert_eq!(text(&other, "k").await.as_deref(), Some("new"));
        assert_eq!(text(cache, "k").await.as_deref(), Some("new"));
    }
}
