//! The memory tier in front of a remote provider: copies, each stored behind a fence of its own.
//!
//! A copy is made of what the remote tier answered, or of what it has accepted. Before either is
//! asked for, a lease is left at the key in memory; a record about the key that is applied
//! meanwhile voids it, and the copy is not made. Records about tags, patterns and namespaces need
//! no fence: a copy carries the entry's own stamp and is judged on each read.

use std::fmt;
use std::sync::Arc;

use super::MemoryTier;
use crate::clock::{Clock, Timestamp};
use crate::entry::{Entry, EntryId, Meta, Payload};
use crate::log::{Log, Watcher};
use crate::provider::memory::Store;
use crate::value::Value;

/// The memory tier of one engine.
pub(crate) struct Near {
    store: Store,
    clock: Clock,
    tier: MemoryTier,
}

impl Near {
    /// A tier with these settings that hears of every record in `log`.
    pub(crate) fn new(tier: MemoryTier, clock: Clock, log: &Log) -> Arc<Self> {
        let near = Arc::new(Self {
            store: Store::new(tier.max_bytes, clock.clone()),
            clock,
            tier,
        });
        let watcher: Arc<dyn Watcher> = near.clone();
        log.watch(Arc::downgrade(&watcher));
        near
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.store.get(key)
    }

    /// Whether copies may be shown at `now`: while the node is in touch, and for as long
    /// afterwards as its user prefers an old value to the work of computing it.
    pub(super) fn may_serve(&self, log: &Log, now: Timestamp) -> bool {
        log.in_touch(now.saturating_sub(self.tier.serve_while_away))
    }

    /// Leaves a fence at a key, to be taken before the remote tier is asked; `None` if somebody
    /// has just made a copy.
    pub(super) fn fence(self: &Arc<Self>, key: &Arc<str>) -> Option<Promotion> {
        let seen = self.store.get(key).map(|entry| entry.meta().id);
        let token = self.store.lease(key, seen).ok()?;
        Some(Promotion {
            near: Arc::clone(self),
            key: Arc::clone(key),
            token,
        })
    }

    /// The entry's terms, ending no later than the tier allows.
    fn terms(&self, meta: &Meta) -> Meta {
        let cap = self.tier.max_ttl;
        let cap = cap.map(|cap| self.clock.now().saturating_add(cap));
        let expires = match (meta.expires, cap) {
            (Some(expires), Some(cap)) => Some(expires.min(cap)),
            (expires, cap) => expires.or(cap),
        };
        Meta {
            expires,
            ..meta.clone()
        }
    }
}

impl Watcher for Near {
    fn fence(&self, key: &str) {
        drop(self.store.take(key));
    }

    fn fence_all(&self) {
        self.store.clear();
    }
}

impl fmt::Debug for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, bytes) = self.store.size();
        f.debug_struct("Near")
            .field("entries", &entries)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

/// The right to copy one entry into memory, as long as no record about its key is applied.
#[derive(Debug)]
pub(super) struct Promotion {
    near: Arc<Near>,
    key: Arc<str>,
    token: EntryId,
}

impl Promotion {
    /// Copies an entry whose value has just been read. Counters are not copied: they change
    /// without a record.
    pub(super) fn value<T: Value>(&self, entry: &Entry, value: &T) {
        if matches!(entry.payload(), Payload::Counter(_)) {
            return;
        }
        let meta = self.near.terms(entry.meta());
        let copy = Entry::new(meta, Payload::typed(value.clone()));
        self.near.store.fill(&self.key, Arc::new(copy), self.token);
    }

    /// Copies an entry that the remote tier has accepted.
    pub(super) fn entry(&self, entry: &Entry) {
        let copy = entry.with_meta(self.near.terms(entry.meta()));
        self.near.store.fill(&self.key, Arc::new(copy), self.token);
    }
}

impl Drop for Promotion {
    fn drop(&mut self) {
        self.near.store.release(&self.key, self.token);
    }
}
