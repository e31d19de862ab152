//! Every promise on a Redis Cluster: conformance and the race table, with and without a memory tier.

use cache_core::testkit::Nodes;
use cache_core::{Cache, MemoryTier};
use cache_tests::cluster::Cluster;
use cache_tests::cluster_node::{own_prefix, patient, shared};
use cache_tests::redis_node::build;

async fn cache(cluster: &Cluster, prefix: &str, tier: Option<MemoryTier>) -> Cache {
    let provider = build(patient(cluster).key_prefix(prefix)).await;
    let mut builder = Cache::builder(provider);
    if let Some(tier) = tier {
        builder = builder.memory_tier(tier);
    }
    builder.build().expect("the cache is built")
}

async fn nodes(tier: Option<MemoryTier>) -> Nodes {
    let (cluster, prefix) = (shared(), own_prefix());
    let one = cache(&cluster, &prefix, tier).await;
    let other = cache(&cluster, &prefix, tier).await;
    Nodes::two(one, other).keeping(cluster)
}

async fn tiered_nodes() -> Nodes {
    nodes(Some(MemoryTier::new())).await
}

mod conformance {
    cache_core::conformance!(crate::nodes(None));
}

mod race {
    cache_core::race_table!(crate::nodes(None));
}

mod tiered_conformance {
    cache_core::conformance!(crate::tiered_nodes());
}

mod tiered_race {
    cache_core::race_table!(crate::tiered_nodes());
}
