//! What holds even where nothing is stored.

use super::{LONG, text};
use crate::error::ErrorKind;

checks! {
    basics as conformance_basics, needs [];

    /// `get` of what is not there is `None`.
    async fn an_absent_key_is_a_miss_and_no_error(nodes, cache) {
        assert_eq!(text(cache, "k").await, None);
        assert!(!cache.exists("k").await.unwrap());
        assert_eq!(cache.get_ttl("k").await.unwrap(), None);
        assert!(!cache.delete("k").await.unwrap());
        assert!(!cache.expire("k", LONG).await.unwrap());
    }

    /// A backend that is there says so.
    async fn a_ping_is_answered(nodes, cache) {
        let ping = cache.ping().await.unwrap();
        assert!(ping.in_touch);
        assert_ne!(ping.memory_tier, Some(false));
    }

    /// Broken patterns are refused.
    async fn a_broken_pattern_is_an_error(nodes, cache) {
        for pattern in ["", "a[", "a\\"] {
            let errors = [
                cache.invalidate_pattern(pattern).await.map(drop),
                cache.delete_by_pattern(pattern).await.map(drop),
                cache.scan_keys(pattern, 10).map(drop),
            ];
            for error in errors {
                assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidPattern);
            }
        }
    }
}
