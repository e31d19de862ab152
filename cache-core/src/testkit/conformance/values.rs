//! Values: what is stored is read back, and nothing else.

use super::{User, ada, number, text};
use crate::error::ErrorKind;
use crate::terms::EntryOptions;

checks! {
    values as conformance_values, needs [Storage];

    /// Values of all shapes survive.
    async fn what_is_set_is_read_back_equal(nodes, cache) {
        cache.set("user", &ada()).await.unwrap();
        assert_eq!(cache.get::<User>("user").await.unwrap(), Some(ada()));
        cache.set("text", "").await.unwrap();
        assert_eq!(text(cache, "text").await.as_deref(), Some(""));
        cache.set("bytes", &[0_u8, 255][..]).await.unwrap();
        assert_eq!(cache.get("bytes").await.unwrap(), Some(vec![0_u8, 255]));
        cache.set("none", &None::<u8>).await.unwrap();
        assert_eq!(cache.get::<Option<u8>>("none").await.unwrap(), Some(None));
        let large = "x".repeat(1 << 20);
        cache.set("large", &large).await.unwrap();
        assert_eq!(text(cache, "large").await, Some(large));
    }

    /// The last write is what is read.
    async fn a_set_replaces_what_was_there(nodes, cache) {
        cache.set("k", "one").await.unwrap();
        cache.set("k", &2).await.unwrap();
        assert_eq!(number(cache, "k").await, Some(2));
        assert_eq!(text(cache, "k").await, None, "another type than was stored");
    }

    /// `delete` and `exists` tell.
    async fn delete_says_whether_it_was_there(nodes, cache) {
        cache.set("k", "v").await.unwrap();
        assert!(cache.exists("k").await.unwrap());
        assert!(cache.delete("k").await.unwrap());
        assert!(!cache.exists("k").await.unwrap());
        assert!(!cache.delete("k").await.unwrap());
    }

    /// Many at once, in the order of the question.
    async fn many_keys_are_handled_in_order(nodes, cache) {
        let values = [("a", 1), ("b", 2), ("c", 3)];
        cache.set_many(&values, EntryOptions::new().tag("t")).await.unwrap();
        let read = cache.get_many::<i32>(&["c", "x", "a", "a"]).await.unwrap();
        assert_eq!(read, [Some(3), None, Some(1), Some(1)]);
        assert_eq!(cache.delete_many(&["a", "x", "b"]).await.unwrap(), 2);
        assert_eq!(cache.get_many::<i32>(&["a", "b", "c"]).await.unwrap(), [None, None, Some(3)]);
        assert_eq!(cache.get_many::<i32>(&[]).await.unwrap(), []);
        cache.set_many::<i32>(&[], EntryOptions::new()).await.unwrap();
        assert_eq!(cache.delete_many(&[]).await.unwrap(), 0);
    }

    /// The longest possible key works, and one byte more is an error.
    async fn keys_have_a_limit(nodes, cache) {
        let mut length = 1_024;
        while cache.set(&"x".repeat(length), "v").await.is_err() {
            length -= 1;
        }
        assert!(length > 900, "prefix and namespace are short: {length}");
        assert_eq!(text(cache, &"x".repeat(length)).await.as_deref(), Some("v"));
        let error = cache.set(&"x".repeat(length + 1), "v").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey);
        assert!(error.to_string().contains("1024"), "{error}");
    }

    /// Hits and misses are counted by namespace.
    async fn reads_are_counted_by_namespace(nodes, cache) {
        let before = cache.metrics();
        cache.set("k", "v").await.unwrap();
        text(cache, "k").await;
        text(cache, "absent").await;
        cache.set("gone", "v").tag("t").await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        text(cache, "gone").await;
        let after = cache.metrics();
        assert_eq!(after.hits - before.hits, 1);
        assert_eq!(after.absent - before.absent, 1);
        assert_eq!(after.invalidated - before.invalidated, 1);
        assert_eq!(cache.namespace("other").metrics().hits, 0);
    }
}
