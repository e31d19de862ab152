//! Every promise where values are sealed: on one server, and on a cluster.
//!
//! Limits and locks hold no values. Counters are no part of it: a number that was stored by `set` is sealed, so that no script can
//! add to it, and `increment` refuses it, as `EncryptionKeys` says.

use cache_core::testkit::Nodes;
use cache_core::{Cache, Compression, EncryptionKeys, RedisProviderBuilder};
use cache_tests::cluster_node::{self, own_prefix, shared};
use cache_tests::redis_node::{self, build};
use cache_tests::redis_server::RedisServer;

/// Compressed whatever its size, then sealed.
async fn sealing(builder: RedisProviderBuilder) -> Cache {
    let keys = EncryptionKeys::new(2, [2; 32]).and_read(1, [1; 32]);
    let builder = builder
        .compression(Compression::lz4().above(0))
        .encryption(keys);
    Cache::builder(build(builder).await)
        .build()
        .expect("a cache")
}

async fn server() -> Nodes {
    let server = RedisServer::start();
    let one = sealing(redis_node::patient(&server)).await;
    let other = sealing(redis_node::patient(&server)).await;
    Nodes::two(one, other).keeping(server)
}

async fn cluster() -> Nodes {
    let (cluster, prefix) = (shared(), own_prefix());
    let node = || sealing(cluster_node::patient(&cluster).key_prefix(&*prefix));
    let (one, other) = (node().await, node().await);
    Nodes::two(one, other).keeping(cluster)
}

mod on_a_server {
    cache_core::conformance_basics!(crate::server());
    cache_core::conformance_values!(crate::server());
    cache_core::conformance_expiry!(crate::server());
    cache_core::conformance_loading!(crate::server());
    cache_core::conformance_policies!(crate::server());
    cache_core::conformance_updates!(crate::server());
    cache_core::conformance_invalidation!(crate::server());
    cache_core::conformance_listing!(crate::server());
    cache_core::conformance_events!(crate::server());
}

mod races_on_a_server {
    cache_core::race_table!(crate::server());
}

mod on_a_cluster {
    cache_core::conformance_values!(crate::cluster());
    cache_core::conformance_expiry!(crate::cluster());
    cache_core::conformance_loading!(crate::cluster());
    cache_core::conformance_policies!(crate::cluster());
    cache_core::conformance_updates!(crate::cluster());
    cache_core::conformance_invalidation!(crate::cluster());
    cache_core::conformance_listing!(crate::cluster());
    cache_core::conformance_events!(crate::cluster());
}

mod races_on_a_cluster {
    cache_core::race_table!(crate::cluster());
}
