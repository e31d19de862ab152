//! A memory tier in front of the provider, where that may be.

use std::sync::Arc;

use crate::cache::CacheBuilder;
use crate::engine::MemoryTier;
use crate::error::ErrorKind;

checks! {
    tier as conformance_tier, needs [];

    /// Copies of what changes without being told are refused before there are any.
    async fn a_tier_in_front_of_what_tells_nobody_of_changes_is_refused(nodes, cache) {
        let provider = Arc::clone(&nodes.actor.engine().provider);
        let built = CacheBuilder::new(provider).memory_tier(MemoryTier::new()).build();
        match built {
            Ok(_) => assert!(cache.capability().copies),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Configuration, "{error}"),
        }
    }
}
