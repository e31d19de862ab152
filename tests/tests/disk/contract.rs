//! The contracts of the test kit: alone, with a memory tier in front, and with all that can be done
//! to bytes.

use cache_core::testkit::Nodes;
use cache_core::{
    Cache, CacheBuilder, Compression, DiskProviderBuilder, EncryptionKeys, MemoryTier,
};

use crate::Disk;

async fn nodes(
    settings: impl Fn(DiskProviderBuilder) -> DiskProviderBuilder,
    front: impl Fn(CacheBuilder) -> CacheBuilder,
) -> Nodes {
    let disk = Disk::new();
    let clock = disk.clock.clone();
    let provider = settings(disk.builder()).build().await.expect("a provider");
    let cache = front(Cache::builder(provider)).build().expect("a cache");
    Nodes::one(cache).clock(clock).keeping(disk)
}

async fn alone() -> Nodes {
    nodes(|disk| disk, |cache| cache).await
}

async fn tiered() -> Nodes {
    nodes(|disk| disk, |cache| cache.memory_tier(MemoryTier::new())).await
}

async fn packed() -> Nodes {
    let packed = |disk: DiskProviderBuilder| {
        disk.compression(Compression::zstd().above(16))
            .encryption(EncryptionKeys::new(1, [7; 32]))
    };
    nodes(packed, |cache| cache).await
}

mod conformance {
    cache_core::conformance!(crate::contract::alone());
}

mod race {
    cache_core::race_table!(crate::contract::alone());
}

mod tiered_conformance {
    cache_core::conformance!(crate::contract::tiered());
}

mod tiered_race {
    cache_core::race_table!(crate::contract::tiered());
}

/// But for counters: a number that was stored by `set` is sealed, and `increment` refuses it.
mod packed_conformance {
    cache_core::conformance_basics!(crate::contract::packed());
    cache_core::conformance_values!(crate::contract::packed());
    cache_core::conformance_expiry!(crate::contract::packed());
    cache_core::conformance_loading!(crate::contract::packed());
    cache_core::conformance_updates!(crate::contract::packed());
    cache_core::conformance_invalidation!(crate::contract::packed());
    cache_core::conformance_listing!(crate::contract::packed());
}

mod packed_race {
    cache_core::race_table!(crate::contract::packed());
}
