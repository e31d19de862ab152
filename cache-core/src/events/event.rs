//! The events, and what they are about.

use std::fmt;
use std::sync::Arc;

use crate::namespace::{scopes, split};

/// Something that happened to entries, as [`Cache::events`](crate::Cache::events) tells it.
///
/// Keys, tags and patterns are handed over as they are, for this is the application's own code.
/// They can be personal data: think before you log an event or send it somewhere.
///
/// | | memory provider | Redis, and other shared servers |
/// |---|---|---|
/// | [`Invalidated`](Self::Invalidated) | told by every invalidation | told by every invalidation, of every node, when this node has applied it |
/// | [`Replaced`](Self::Replaced) | when something else is stored in an entry's place | when any node has written the key; whether something stood there is not known |
/// | [`Expired`](Self::Expired), [`Evicted`](Self::Evicted), [`Removed`](Self::Removed) | when an entry is freed | not told: the server frees, and says nothing |
/// | [`Resynced`](Self::Resynced) | never | when invalidations may have been missed |
///
/// Each entry that the memory provider has stored leaves with exactly one of `Expired`, `Evicted`,
/// `Replaced` and `Removed`, told when it is freed: what has expired, or was hidden by a tag, may be
/// freed a good while after nobody is shown it any more. What leaves the memory *tier* is still on the
/// server, and is not told. Nor is what a load stores on a server, or an increment of a counter that
/// is there.
///
/// The disk provider tells invalidations as the memory provider does, and `Resynced` when the file has been
/// opened anew and holds what was not known here. It does not tell `Replaced`, `Expired`, `Evicted` and `Removed`.
///
/// On a server an invalidation may be told more than once: one that had to
/// [wait](crate::Invalidated::Pending) when it holds on this node, and when it comes back from the
/// server; and one whose call had to be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The time to live of this entry had passed, and it was freed.
    Expired(EntryKey),
    /// This entry had to make room for others.
    Evicted(EntryKey),
    /// Something else is stored in the place of this entry.
    Replaced(EntryKey),
    /// This entry was freed because an invalidation had made it go.
    Removed(EntryKey),
    /// Somebody has made this go, and it is gone, however many entries it was about.
    Invalidated(InvalidatedBy),
    /// This node has lost touch with the log for a while and taken it over as it stands. Whatever was
    /// invalidated meanwhile is gone, but not told one by one.
    Resynced,
    /// The reader was too slow: so many events were dropped before the next one.
    Lagged(u64),
}

/// What an invalidation named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidatedBy {
    /// One key: by `invalidate`, `delete`, or a time to live of zero; or a `set` whose outcome is
    /// unknown, where the provider hides its key for safety, as Redis and memcached do.
    Key(EntryKey),
    /// A tag, in all namespaces.
    Tag(Arc<str>),
    /// A glob over the keys of one namespace, which [`EntryKey::key`] returns.
    Pattern(EntryKey),
    /// A whole namespace and those inside it, by `clear`; the empty one is everything. Written as
    /// in [`EntryKey::namespace`].
    Namespace(Arc<str>),
}

/// A key and its namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntryKey {
    /// `{prefix}:{namespace}:{key}`.
    full: Arc<str>,
}

impl EntryKey {
    pub(crate) fn new(full: Arc<str>) -> Self {
        Self { full }
    }

    pub(crate) fn of(full: &str) -> Self {
        Self::new(full.into())
    }

    /// The namespace, as metrics and messages write it: its levels joined by `/`, unusual bytes
    /// percent-encoded; empty for the root handle's own.
    pub fn namespace(&self) -> &str {
        split(&self.full).0
    }

    /// The key inside its namespace, as it was given to the handle.
    pub fn key(&self) -> &str {
        split(&self.full).1
    }

    fn is_within(&self, scope: &str) -> bool {
        scopes(&self.full).any(|around| around == scope)
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryKey")
            .field("namespace", &self.namespace())
            .field("key", &self.key())
            .finish()
    }
}

/// An event, and the namespaces that it is about.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) event: Event,
    /// The whole namespace that went, with its prefix.
    pub(crate) scope: Option<Arc<str>>,
}

impl Told {
    /// An event that is about its key, or about everybody.
    pub(crate) fn of(event: Event) -> Self {
        Self { event, scope: None }
    }

    /// A namespace went.
    pub(crate) fn clear(scope: &str) -> Self {
        let namespace = scope.split_once(':').map_or("", |(_, namespace)| namespace);
        Self {
            event: Event::Invalidated(InvalidatedBy::Namespace(namespace.into())),
            scope: Some(scope.into()),
        }
    }

    /// Whether somebody who follows `scope` is told.
    pub(crate) fn concerns(&self, scope: &str) -> bool {
        match &self.event {
            Event::Expired(key)
            | Event::Evicted(key)
            | Event::Replaced(key)
            | Event::Removed(key)
            | Event::Invalidated(InvalidatedBy::Key(key) | InvalidatedBy::Pattern(key)) => {
                key.is_within(scope)
            }
            _ => self.scope.as_ref().is_none_or(|gone| {
                is_same_or_inside(gone, scope) || is_same_or_inside(scope, gone)
            }),
        }
    }
}

/// Whether the scope `inner` is `outer`, or nested in it.
fn is_same_or_inside(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || outer.ends_with(':'))
}
