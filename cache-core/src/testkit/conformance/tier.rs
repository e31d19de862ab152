//! A memory tier in front of the provider, where that may be.

use std::sync::Arc;

use crate::cache::CacheBuilder;
use crate::engine::MemoryTier;
use crate::error::ErrorKind;
use crate::provider::Peek;

checks! {
    tier as conformance_tier, needs [];

    /// Copies of what changes without being told, or is in memory itself, are refused before there
    /// are any; all others are made.
    async fn a_tier_in_front_of_what_tells_nobody_of_changes_is_refused(nodes, cache) {
        let provider = Arc::clone(&nodes.actor.engine().provider);
        let in_memory = !matches!(provider.peek(""), Peek::Ask);
        let built = CacheBuilder::new(provider).memory_tier(MemoryTier::new()).build();
        let copies = cache.capability().copies && !in_memory;
        assert_eq!(built.is_ok(), copies, "{built:?}");
        if let Err(error) = built {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        }
    }
}
