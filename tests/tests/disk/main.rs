//! The disk provider: the contracts, restarts, crashes, bounds, and files that are not as they should be.

mod bounds;
mod contract;
mod crash;
mod damage;
mod failures;
mod history;
mod packed;
mod restart;

use std::time::Duration;

use cache_core::{Cache, DiskProvider, DiskProviderBuilder, ManualClock};
use tempfile::TempDir;

/// A folder of its own, and a file in it.
struct Disk {
    folder: TempDir,
    clock: ManualClock,
}

impl Disk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            clock: ManualClock::new(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("cache.redb")
    }

    fn builder(&self) -> DiskProviderBuilder {
        // Whatever else the machine writes at the same time.
        let patience = Duration::from_secs(60);
        let builder = DiskProvider::builder(self.path()).timeout(patience);
        builder.clock(self.clock.clock())
    }

    async fn open(&self) -> (DiskProvider, Cache) {
        opened(self.builder()).await
    }
}

async fn opened(builder: DiskProviderBuilder) -> (DiskProvider, Cache) {
    let provider = builder.build().await.expect("a provider");
    let cache = Cache::builder(provider.clone());
    (provider, cache.build().expect("a cache"))
}
