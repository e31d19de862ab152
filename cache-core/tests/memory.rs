//! The contracts of the test kit on the memory provider.

use cache_core::testkit::Nodes;
use cache_core::{Cache, ManualClock, MemoryProvider};

async fn memory() -> Nodes {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    let cache = Cache::builder(provider).build().expect("a cache");
    Nodes::one(cache).clock(clock)
}

mod conformance {
    cache_core::conformance!(crate::memory());
}

mod race {
    cache_core::race_table!(crate::memory());
}
