//! The race table: a load is held open, meanwhile somebody makes its value go, then it finishes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Gate, Held, Nodes, delivered, eventually, followers};
use crate::cache::Cache;
use crate::error::{Error, ErrorKind, Result};
use crate::terms::EntryOptions;

const KEY: &str = "user:1";
const TAG: &str = "team:7";
const OLD: &str = "old";
const NEW: &str = "new";

/// Less than the default `flight_wait`, after which a caller would load by itself anyway.
const PATIENCE: Duration = Duration::from_secs(3);

/// What somebody does while a load is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `delete`
    Delete,
    /// `delete_many`
    DeleteMany,
    /// `invalidate`
    Invalidate,
    /// `invalidate_tag`
    InvalidateTag,
    /// `invalidate_pattern`
    InvalidatePattern,
    /// `delete_by_pattern`; where the provider cannot scan, that it is refused, and
    /// `invalidate_pattern`
    DeleteByPattern,
    /// `clear`
    Clear,
    /// `clear` on the namespace around
    ClearAround,
    /// `set` of a new value
    Set,
    /// `set_many` of a new value
    SetMany,
}

impl Act {
    /// Does it.
    ///
    /// # Errors
    ///
    /// What the cache answers.
    ///
    /// # Panics
    ///
    /// If a provider that cannot scan does not say so.
    pub async fn perform(self, cache: &Cache) -> Result<()> {
        let users = users(cache);
        match self {
            Self::Delete => users.delete(KEY).await.map(drop),
            Self::DeleteMany => users.delete_many(&["other", KEY]).await.map(drop),
            Self::Invalidate => users.invalidate(KEY).await.map(drop),
            Self::InvalidateTag => users.invalidate_tag(TAG).await.map(drop),
            Self::InvalidatePattern => users.invalidate_pattern("user:*").await.map(drop),
            Self::DeleteByPattern if !cache.capability().scan => {
                let refused = users.delete_by_pattern("user:[0-9]").await.map(drop);
                let kind = refused.as_ref().map_err(Error::kind);
                // A store that keeps nothing has nothing to list.
                assert!(
                    matches!(kind, Ok(()) | Err(ErrorKind::Unsupported)),
                    "{refused:?}"
                );
                users.invalidate_pattern("user:[0-9]").await.map(drop)
            }
            Self::DeleteByPattern => users.delete_by_pattern("user:[0-9]").await.map(drop),
            Self::Clear => users.clear().await.map(drop),
            Self::ClearAround => cache.clear().await.map(drop),
            Self::Set => users.set(KEY, NEW).tag(TAG).await,
            Self::SetMany => {
                let options = EntryOptions::new().tag(TAG);
                users.set_many(&[(KEY, NEW.to_owned())], options).await
            }
        }
    }

    fn writes(self) -> bool {
        matches!(self, Self::Set | Self::SetMany)
    }
}

fn users(cache: &Cache) -> Cache {
    cache.namespace("users")
}

async fn load(cache: &Cache, value: &str, held: Option<Held>) -> String {
    let options = EntryOptions::new().tag(TAG);
    let load = || async {
        if let Some(held) = held {
            held.pass().await;
        }
        Ok::<_, Infallible>(value.to_owned())
    };
    let Ok(value) = users(cache).get_or_set_with(KEY, options, load).await;
    value
}

fn spawn_load(cache: &Cache, held: Held) -> tokio::task::JoinHandle<String> {
    let cache = cache.clone();
    tokio::spawn(async move { load(&cache, OLD, Some(held)).await })
}

/// The load finishes after the act; the next read must not see what it loaded.
///
/// # Panics
///
/// If it does.
pub async fn its_value_is_never_shown_again(nodes: &Nodes, act: Act) {
    let (gate, held) = Gate::new();
    let old = spawn_load(&nodes.reader, held);
    gate.entered().await;
    act.perform(&nodes.actor).await.expect("the act succeeds");
    gate.open();
    assert_eq!(old.await.expect("the load"), OLD, "its own caller has it");
    delivered(&nodes.reader, &nodes.actor).await;
    for cache in [&nodes.actor, &nodes.reader] {
        let seen: Option<String> = users(cache).get(KEY).await.expect("the read");
        let expected = act.writes().then_some(NEW);
        assert_eq!(seen.as_deref(), expected, "after {act:?}");
    }
    assert_eq!(load(&nodes.reader, NEW, None).await, NEW);
}

/// A caller that arrives after the act, while the load is still under way, starts a new one; the
/// slow old one does not overwrite what that brought.
///
/// # Panics
///
/// If the caller is given the old value, or a later one is.
pub async fn later_callers_load_anew(nodes: &Nodes, act: Act) {
    let (gate, held) = Gate::new();
    let old = spawn_load(&nodes.reader, held);
    gate.entered().await;
    act.perform(&nodes.actor).await.expect("the act succeeds");
    delivered(&nodes.reader, &nodes.actor).await;
    let anew = tokio::time::timeout(PATIENCE, load(&nodes.reader, NEW, None)).await;
    assert_eq!(anew.expect("it does not wait for the old load"), NEW);
    gate.open();
    assert_eq!(old.await.expect("the load"), OLD);
    for cache in [&nodes.actor, &nodes.reader] {
        assert_eq!(load(cache, NEW, None).await, NEW, "when it has loaded");
    }
}

/// A value that is stored already goes, on every node.
///
/// # Panics
///
/// If it does not.
pub async fn what_is_stored_goes(nodes: &Nodes, act: Act) {
    for cache in [&nodes.actor, &nodes.reader] {
        assert_eq!(load(cache, OLD, None).await, OLD);
    }
    act.perform(&nodes.actor).await.expect("the act succeeds");
    assert_eq!(load(&nodes.actor, NEW, None).await, NEW);
    delivered(&nodes.reader, &nodes.actor).await;
    assert_eq!(load(&nodes.reader, NEW, None).await, NEW);
}

/// However many wait for a load that is then fenced, it runs once, and they have its value.
///
/// # Panics
///
/// If another load runs, or one of them has another value.
pub async fn those_who_waited_share_it(nodes: &Nodes, act: Act) {
    let (gate, held) = Gate::new();
    let old = spawn_load(&nodes.reader, held);
    gate.entered().await;
    let loads = Arc::new(AtomicUsize::new(0));
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (cache, loads) = (users(&nodes.reader), Arc::clone(&loads));
            tokio::spawn(async move {
                let options = EntryOptions::new().tag(TAG);
                let load = || async {
                    loads.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, Infallible>(NEW.to_owned())
                };
                cache.get_or_set_with(KEY, options, load).await
            })
        })
        .collect();
    let users = users(&nodes.reader);
    eventually("all wait for the load", || followers(&users, KEY) == 20).await;
    act.perform(&nodes.actor).await.expect("the act succeeds");
    gate.open();
    assert_eq!(old.await.expect("the load"), OLD);
    for follower in waiting {
        let Ok(value) = follower.await.expect("a follower");
        assert_eq!(value, OLD);
    }
    assert_eq!(loads.load(Ordering::SeqCst), 0, "one load for all");
}

/// Emits the race table as named tests: every check of [`testkit::race`](crate::testkit::race)
/// against every [`Act`](crate::testkit::race::Act).
///
/// The argument is an expression that is evaluated inside each test's runtime and gives a future
/// of [`Nodes`](crate::testkit::Nodes).
///
/// ```
/// mod memory {
///     cache_core::race_table!(async {
///         cache_core::testkit::Nodes::one(cache_core::Cache::memory())
///     });
/// }
/// ```
#[macro_export]
macro_rules! race_table {
    ($nodes:expr) => {
        $crate::race_table! { @acts $nodes;
            its_value_is_never_shown_again,
            later_callers_load_anew,
            what_is_stored_goes,
            those_who_waited_share_it,
        }
    };
    (@acts $nodes:expr; $($check:ident,)*) => { $(
        mod $check {
            #[allow(unused_imports)]
            use super::*;
            $crate::race_table! { @tests $nodes; $check;
                when_its_key_is_deleted: Delete,
                when_its_key_is_deleted_with_others: DeleteMany,
                when_its_key_is_invalidated: Invalidate,
                when_its_tag_is_invalidated: InvalidateTag,
                when_its_pattern_is_invalidated: InvalidatePattern,
                when_its_pattern_is_deleted: DeleteByPattern,
                when_its_namespace_is_cleared: Clear,
                when_the_namespace_around_is_cleared: ClearAround,
                when_its_key_is_set: Set,
                when_its_key_is_set_with_others: SetMany,
            }
        }
    )* };
    (@tests $nodes:expr; $check:ident; $($name:ident: $act:ident,)*) => { $(
        #[test]
        fn $name() {
            $crate::testkit::block_on(async {
                let nodes = $nodes.await;
                $crate::testkit::race::$check(&nodes, $crate::testkit::race::Act::$act).await;
            });
        }
    )* };
}
