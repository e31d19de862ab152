//! The race table on the memory provider.

use cache_core::Cache;
use cache_core::testkit::Nodes;

mod memory {
    use super::*;

    cache_core::race_table!(async { Nodes::one(Cache::memory()) });
}
