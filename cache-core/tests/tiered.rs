//! A memory tier in front of a remote provider that lives in the same process.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cache_core::testkit::{FailingProvider, Nodes, Switch};
use cache_core::{
    Cache, Consistency, EntryOptions, ErrorKind, MemoryProvider, MemoryTier, Provider,
};

fn tiered(tier: MemoryTier) -> (Cache, Switch) {
    let (provider, switch) = FailingProvider::new();
    let cache = Cache::builder(provider).memory_tier(tier).build();
    (cache.expect("a cache"), switch)
}

async fn nodes() -> Nodes {
    Nodes::one(tiered(MemoryTier::new()).0)
}

mod conformance {
    cache_core::conformance!(crate::nodes());
}

mod race {
    cache_core::race_table!(crate::nodes());
}
