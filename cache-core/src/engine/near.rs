//! The memory tier in front of a remote provider: copies, each stored behind a fence of its own.
//!
//! A copy is made of what the remote tier answered, or of what it has accepted. Before either is
//! asked for, a lease is left at the key in memory; a record about the key that is applied
//! meanwhile voids it, and the copy is not made. Records about tags, patterns and namespaces need
//! no fence: a copy carries the entry's own stamp and is judged on each read.
//!
//! Who finds a fence joins it: it stands for "no record since it was left", and he asks later than
//! that. If he left one of his own instead, callers who come faster than the remote tier answers
//! would void each other's for ever.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::MemoryTier;
use crate::clock::{Clock, Timestamp};
use crate::entry::{Entry, EntryId, Meta, Payload};
use crate::log::{Log, Watcher};
use crate::provider::Usage;
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
            store: Store::new(tier.max_bytes, clock.clone(), Box::new(|_, _, _| ())),
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

    /// How many copies there are, and how many have left by themselves.
    pub(super) fn usage(&self) -> Usage {
        self.store.usage()
    }

    /// Frees copies that have expired or are hidden, and says how many they were.
    pub(super) async fn sweep(&self, log: &Log) -> u64 {
        let now = self.clock.now();
        let doomed = |key: &str, meta: &Meta| meta.is_expired(now) || !log.is_visible(key, meta);
        self.store.sweep(doomed).await
    }

    /// Whether copies may be shown at `now`: while the node is in touch, and for as long
    /// afterwards as its user prefers an old value to the work of computing it.
    pub(super) fn may_serve(&self, log: &Log, now: Timestamp) -> bool {
        log.in_touch(now.saturating_sub(self.tier.serve_while_away))
    }

    /// Leaves a fence at a key, or joins the one that stands, to be taken before the remote tier is
    /// asked; `None` if somebody has just made a copy.
    pub(super) fn fence(self: &Arc<Self>, key: &Arc<str>) -> Option<Promotion> {
        let seen = self.store.get(key).map(|entry| entry.meta().id);
        let token = self.store.join(key, seen).ok()?;
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
        // What the tier ends earlier is asked for anew, not loaded early.
        let is_capped = expires != meta.expires;
        Meta {
            expires,
            // A copy is never shown stale.
            kept_for: Duration::ZERO,
            load_time: match is_capped {
                true => Duration::ZERO,
                false => meta.load_time,
            },
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
        f.debug_struct("Near")
            .field("usage", &self.usage())
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
        let copy = Payload::typed_in(value.clone(), entry.payload().codec());
        let copy = Entry::new(meta, copy);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Owner;
    use crate::log::{Caps, Record};

    const KEY: &str = "cache::k";

    struct Tier {
        near: Arc<Near>,
        log: Log,
    }

    fn tier() -> Tier {
        let log = Log::remote(Caps::DEFAULT);
        let near = Near::new(MemoryTier::new(), Clock::system(), &log);
        Tier { near, log }
    }

    impl Tier {
        fn fence(&self) -> Promotion {
            self.near.fence(&KEY.into()).expect("no copy is made")
        }

        fn entry(&self) -> Entry {
            let meta = Meta {
                id: EntryId::random(),
                owner: Owner::HANDLE,
                stamp: self.log.stamp(),
                created: Clock::system().now(),
                expires: None,
                kept_for: Duration::ZERO,
                load_time: Duration::ZERO,
                tags: [].into(),
            };
            Entry::new(meta, Payload::typed(1_u8))
        }

        /// Whether a copy is made with what the fence allows.
        fn is_copied(&self, promotion: &Promotion) -> bool {
            let entry = self.entry();
            promotion.entry(&entry);
            let copy = self.near.get(KEY);
            copy.is_some_and(|copy| copy.meta().id == entry.meta().id)
        }
    }

    #[test]
    fn who_finds_a_fence_joins_it_and_both_may_copy() {
        let tier = tier();
        let (first, second) = (tier.fence(), tier.fence());
        assert!(tier.is_copied(&first));
        assert!(!tier.is_copied(&second), "there is a copy by now");
        let (first, second) = (tier.fence(), tier.fence());
        assert!(tier.is_copied(&second));
        assert!(!tier.is_copied(&first), "there is a newer copy by now");
    }

    #[test]
    fn a_record_voids_the_fence_for_all_who_hold_it() {
        for record in [Record::Key(KEY.into()), Record::Changed(KEY.into())] {
            let tier = tier();
            let (first, second) = (tier.fence(), tier.fence());
            tier.log.append_local(&record);
            let third = tier.fence();
            assert!(!tier.is_copied(&first));
            assert!(!tier.is_copied(&second));
            assert!(tier.is_copied(&third), "it was left after the record");
        }
    }

    #[test]
    fn a_new_state_of_the_log_voids_the_fence_for_all_who_hold_it() {
        let tier = tier();
        let (first, second) = (tier.fence(), tier.fence());
        tier.near.fence_all();
        assert!(!tier.is_copied(&first));
        assert!(!tier.is_copied(&second));
    }

    #[test]
    fn a_copy_is_not_kept_and_one_that_ends_before_its_entry_is_not_to_be_loaded_early() {
        let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
        for (max_ttl, load_time) in [(second, Duration::ZERO), (minute * 2, second)] {
            let mut tier = tier();
            let settings = MemoryTier::new().max_ttl(max_ttl);
            tier.near = Near::new(settings, Clock::system(), &tier.log);
            let entry = tier.entry();
            let meta = Meta {
                expires: Some(Clock::system().now().saturating_add(minute)),
                kept_for: minute,
                load_time: second,
                ..entry.meta().clone()
            };
            tier.fence().entry(&entry.with_meta(meta));
            let copy = tier.near.get(KEY).unwrap();
            assert_eq!(copy.meta().kept_for, Duration::ZERO);
            assert_eq!(copy.meta().load_time, load_time);
        }
    }

    #[test]
    fn a_fence_stands_until_the_last_who_holds_it_is_gone() {
        let tier = tier();
        let (first, second, third) = (tier.fence(), tier.fence(), tier.fence());
        drop((first, second));
        assert!(tier.is_copied(&third));
    }

    #[test]
    fn who_held_a_voided_fence_takes_nothing_of_the_next_one_along() {
        let tier = tier();
        let (first, second) = (tier.fence(), tier.fence());
        tier.log.append_local(&Record::Key(KEY.into()));
        let third = tier.fence();
        drop((first, second));
        assert!(tier.is_copied(&third));
    }

    #[test]
    fn a_fence_beside_a_copy_replaces_it_by_what_was_asked_later() {
        let tier = tier();
        assert!(tier.is_copied(&tier.fence()));
        let (first, second) = (tier.fence(), tier.fence());
        assert!(tier.is_copied(&first));
        assert!(!tier.is_copied(&second));
    }
}
