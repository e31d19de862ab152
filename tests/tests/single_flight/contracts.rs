//! The contracts hold with the lock on, as they do without it.

use cache_core::Cache;
use cache_core::MemoryTier;
use cache_core::testkit::Nodes;
use cache_tests::redis_node::{build, patient};
use cache_tests::redis_server::RedisServer;

use crate::over;

async fn cache(server: &RedisServer) -> Cache {
    let builder = over(build(patient(server)).await);
    builder.build().expect("the cache is built")
}

async fn two_nodes() -> Nodes {
    let server = RedisServer::start();
    Nodes::two(cache(&server).await, cache(&server).await).keeping(server)
}

async fn tiered(server: &RedisServer) -> Cache {
    let builder = over(build(patient(server)).await).memory_tier(MemoryTier::new());
    builder.build().expect("the cache is built")
}

async fn two_tiered_nodes() -> Nodes {
    let server = RedisServer::start();
    Nodes::two(tiered(&server).await, tiered(&server).await).keeping(server)
}

mod conformance {
    cache_core::conformance!(crate::contracts::two_nodes());
}

mod race {
    cache_core::race_table!(crate::contracts::two_nodes());
}

mod race_with_a_memory_tier {
    cache_core::race_table!(crate::contracts::two_tiered_nodes());
}
