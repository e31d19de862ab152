//! What every provider must do, as checks that run against a cache over it.
//!
//! Each check gets [`Nodes`](super::Nodes) of its own and begins on an empty namespace. The checks stand in
//! groups. A group that needs what the provider [says](Capability) it cannot do checks instead
//! that it answers so: no check is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cache::Cache;
use crate::error::{ErrorKind, Result};
use crate::provider::{Capability, RateLimit};

/// The functions of one group, and the macro that emits a test for each.
macro_rules! checks {
    (
        $group:ident as $emit:ident, needs [$($need:ident),*];
        $($(#[$doc:meta])* async fn $name:ident($nodes:ident, $cache:ident) $body:block)*
    ) => {
        const NEEDS: &[$crate::testkit::conformance::Need] =
            &[$($crate::testkit::conformance::Need::$need),*];

        $(
            $(#[$doc])*
            ///
            /// # Panics
            ///
            /// If the provider does otherwise.
            pub async fn $name($nodes: &$crate::testkit::Nodes) {
                let $cache = &$nodes.actor.namespace(stringify!($name));
                if !$crate::testkit::conformance::refused(NEEDS, $cache).await {
                    $body
                }
            }
        )*

        #[doc(hidden)]
        #[macro_export]
        macro_rules! $emit {
            ($fixture:expr) => {
                $crate::conformance_tests! { $group, $fixture; $($name)* }
            };
        }
    };
}

pub mod basics;
pub mod counters;
pub mod events;
pub mod expiry;
pub mod figures;
pub mod indexes;
pub mod invalidation;
pub mod limits;
pub mod listing;
pub mod loading;
pub mod locks;
pub mod policies;
pub mod tier;
pub mod updates;
pub mod values;

/// Emits every check of [`testkit::conformance`](crate::testkit::conformance) as a named test, in a
/// module for each group. The argument is as in [`race_table!`](crate::race_table).
///
/// ```
/// mod memory {
///     cache_core::conformance!(async {
///         cache_core::testkit::Nodes::one(cache_core::Cache::memory())
///     });
/// }
/// ```
#[macro_export]
macro_rules! conformance {
    ($fixture:expr) => {
        $crate::conformance_basics! { $fixture }
        $crate::conformance_values! { $fixture }
        $crate::conformance_expiry! { $fixture }
        $crate::conformance_loading! { $fixture }
        $crate::conformance_policies! { $fixture }
        $crate::conformance_counters! { $fixture }
        $crate::conformance_updates! { $fixture }
        $crate::conformance_invalidation! { $fixture }
        $crate::conformance_listing! { $fixture }
        $crate::conformance_limits! { $fixture }
        $crate::conformance_locks! { $fixture }
        $crate::conformance_figures! { $fixture }
        $crate::conformance_events! { $fixture }
        $crate::conformance_indexes! { $fixture }
        $crate::conformance_tier! { $fixture }
    };
}

/// One test for each name, in a module.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($group:ident, $fixture:expr; $($name:ident)*) => {
        mod $group {
            $(
                #[test]
                fn $name() {
                    $crate::testkit::block_on(async {
                        let nodes = $fixture.await;
                        $crate::testkit::conformance::$group::$name(&nodes).await;
                    });
                }
            )*
        }
    };
}

/// What a group of checks rests on.
#[derive(Clone, Copy, Debug)]
enum Need {
    Storage,
    Counters,
    Update,
    Scan,
    Limits,
    Locks,
    Indexes,
}

impl Need {
    fn is_met(self, capability: Capability) -> bool {
        match self {
            Self::Storage => capability.storage,
            Self::Counters => capability.counters,
            Self::Update => capability.update,
            Self::Scan => capability.scan,
            Self::Limits => capability.limits,
            Self::Locks => capability.locks,
            Self::Indexes => capability.indexes,
        }
    }

    /// Asks for what the provider cannot do.
    async fn is_refused(self, cache: &Cache) {
        match self {
            Self::Storage => {
                cache.set("k", "v").await.expect("a set that keeps nothing");
                assert_eq!(text(cache, "k").await, None);
                assert!(!cache.exists("k").await.expect("exists"));
            }
            Self::Counters => unsupported(cache.increment("n", 1).await),
            Self::Update if !cache.capability().storage => {
                let updated = cache.update::<User>("user", &json!({})).await;
                assert_eq!(updated.expect("an update of nothing"), None);
            }
            Self::Update => {
                cache.set("user", &ada()).await.expect("a set");
                unsupported(cache.update::<User>("user", &json!({})).await);
                assert_eq!(cache.get("user").await.expect("get"), Some(ada()));
            }
            Self::Scan => {
                let mut scan = cache.scan_keys("*", 10).expect("a pattern");
                unsupported(scan.next_page().await);
                unsupported(cache.delete_by_pattern("*").await);
            }
            Self::Limits => unsupported(cache.rate_limiter(RateLimit::fixed_window(1, LONG))),
            Self::Locks => unsupported(cache.lock("name").await),
            Self::Indexes => indexes::are_refused(cache).await,
        }
    }
}

/// Whether the provider says that it cannot do all of these. Then each that it cannot do has been
/// asked for, and answered as it must be.
async fn refused(needs: &[Need], cache: &Cache) -> bool {
    let capability = cache.capability();
    let is_lacking = |need: &&Need| !need.is_met(capability);
    for lacking in needs.iter().filter(is_lacking) {
        lacking.is_refused(cache).await;
    }
    needs.iter().any(|need| is_lacking(&need))
}

fn unsupported<T: std::fmt::Debug>(answer: Result<T>) {
    let error = answer.expect_err("what is not declared is refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

/// Long enough for a real server to answer in between, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(300);
/// Long enough for a busy machine to come to the next line, short enough to be waited for.
const WHILE: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(600);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: Option<u8>,
    scores: Vec<f64>,
    notes: BTreeMap<String, Vec<u8>>,
}

fn ada() -> User {
    User {
        name: "Ada \"Λ\" \u{0}".into(),
        age: None,
        scores: vec![0.1, -0.0, f64::MAX],
        notes: BTreeMap::from([(String::new(), vec![0, 255])]),
    }
}

async fn text(cache: &Cache, key: &str) -> Option<String> {
    cache.get(key).await.expect("get")
}

async fn number(cache: &Cache, key: &str) -> Option<i64> {
    cache.get(key).await.expect("get")
}

async fn keys(cache: &Cache, pattern: &str) -> Vec<String> {
    let mut scan = cache.scan_keys(pattern, 10).expect("a pattern");
    let mut keys = Vec::new();
    while let Some(page) = scan.next_page().await.expect("a page") {
        keys.extend(page);
    }
    keys.sort();
    keys.dedup();
    keys
}
