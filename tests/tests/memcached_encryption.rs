//! Every promise where values are compressed and sealed on memcached, and what is not sealed.
//!
//! The checks of counters are no part of it: a number that was stored by `set` is sealed, and
//! `increment` refuses it, as `EncryptionKeys` says.

use cache_core::testkit::Nodes;
use cache_core::{Cache, Compression, EncryptionKeys, ErrorKind};
use cache_tests::memcached_node::{build, cache, node, patient};
use cache_tests::memcached_server::MemcachedServer;

/// Compressed whatever its size, then sealed.
async fn sealing(server: &MemcachedServer) -> Cache {
    let keys = EncryptionKeys::new(2, [2; 32]).and_read(1, [1; 32]);
    let builder = patient(server.url())
        .compression(Compression::lz4().above(0))
        .encryption(keys);
    cache(build(builder).await)
}

async fn nodes() -> Nodes {
    let server = MemcachedServer::start();
    let (one, other) = (sealing(&server).await, sealing(&server).await);
    Nodes::two(one, other).keeping(server)
}

mod contract {
    cache_core::conformance_basics!(crate::nodes());
    cache_core::conformance_values!(crate::nodes());
    cache_core::conformance_expiry!(crate::nodes());
    cache_core::conformance_loading!(crate::nodes());
    cache_core::conformance_updates!(crate::nodes());
    cache_core::conformance_invalidation!(crate::nodes());
    cache_core::conformance_listing!(crate::nodes());
    cache_core::conformance_tier!(crate::nodes());
}

mod races {
    cache_core::race_table!(crate::nodes());
}

#[tokio::test]
async fn the_server_sees_no_value_and_nobody_shows_one_that_was_not_sealed() {
    let server = MemcachedServer::start();
    let (sealing, plain) = (sealing(&server).await, cache(node(&server).await));
    sealing.set("k", "a secret").await.unwrap();
    let bytes = server.item("cache::k").unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
    assert_eq!(plain.get::<String>("k").await.unwrap(), None);
    plain.set("k", "planted").await.unwrap();
    assert_eq!(sealing.get::<String>("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_sealed_number_is_no_counter_and_stays_sealed() {
    let server = MemcachedServer::start();
    let cache = sealing(&server).await;
    cache.set("sealed", &41).await.unwrap();
    let error = cache.increment("sealed", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(cache.get::<i64>("sealed").await.unwrap(), Some(41));
    assert_eq!(cache.increment("counter", 41).await.unwrap(), 41);
    assert_eq!(cache.increment("counter", 1).await.unwrap(), 42);
}
