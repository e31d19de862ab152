//! The leases that loads of this process rest on, its own and those that it has joined.
//!
//! Who looks at a key and does not find the lease there any more that this process's load rests on,
//! learns that something has happened at the key since, though it left no record: another process has
//! set it, and the value has been evicted or is over. That load is not for him.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::entry::EntryId;

/// How many are remembered. Loads that have joined another process's leave theirs behind if they
/// fail and nobody looks at the key again.
const MOST: usize = 65_536;

/// The tokens of leases, by key.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<Box<str>, EntryId>>);

impl Held {
    /// A load rests on this lease from now on. Returns the keys that are not remembered any more:
    /// nobody is to join their loads.
    pub(super) fn note(&self, key: &str, token: EntryId) -> Vec<Box<str>> {
        let mut held = self.lock();
        let forgotten = match held.len() {
            MOST.. => held.drain().map(|(key, _)| key).collect(),
            _ => Vec::new(),
        };
        held.insert(key.into(), token);
        forgotten
    }

    /// What a load of this key rests on. Whoever asks the server afterwards finds it there, or it
    /// has been voided.
    pub(super) fn of(&self, key: &str) -> Option<EntryId> {
        self.lock().get(key).copied()
    }

    /// No load rests on this lease any more.
    pub(super) fn forget(&self, key: &str, token: EntryId) {
        let mut held = self.lock();
        if held.get(key) == Some(&token) {
            held.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, EntryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_forgotten_by_its_own_token_only() {
        let held = Held::default();
        let (old, new) = (EntryId::random(), EntryId::random());
        held.note("k", old);
        held.note("k", new);
        held.forget("k", old);
        assert_eq!(held.of("k"), Some(new));
        held.forget("k", new);
        assert_eq!(held.of("k"), None);
    }

    #[test]
    fn where_there_are_too_many_all_are_given_up_and_named() {
        let held = Held::default();
        let token = EntryId::random();
        for index in 0..MOST {
            assert!(held.note(&index.to_string(), token).is_empty());
        }
        assert_eq!(held.note("one more", token).len(), MOST);
        assert_eq!((held.of("0"), held.of("one more")), (None, Some(token)));
    }
}
