//! What annotated functions do, under the lints of somebody who allows no warning.

#![deny(warnings)]

mod failures;
mod forms;
mod invalidation;
mod keys;
mod options;
mod owners;
mod races;
mod results;
mod sharing;

use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::Cache;
use serde::{Deserialize, Serialize};

/// What the functions under test are given: a cache of their own, and a count of their runs.
struct Shop {
    cache: Cache,
    runs: AtomicUsize,
}

impl Shop {
    fn new() -> Self {
        Self::over(Cache::memory())
    }

    fn over(cache: Cache) -> Self {
        let runs = AtomicUsize::new(0);
        Self { cache, runs }
    }

    /// Counts a run of a body, and says which one it is.
    fn run(&self) -> usize {
        self.runs.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    async fn has(&self, key: &str) -> bool {
        self.cache.exists(key).await.expect("the cache answers")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    team: (u32, String),
}

impl User {
    fn ada() -> Self {
        Self {
            id: 42,
            name: "Ada".into(),
            team: (7, "engines".into()),
        }
    }
}
