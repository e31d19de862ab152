//! The leases of the loads that are under way. They live as long as the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::entry::EntryId;

/// By key, the token of the load that may store its result. There are no more than loads.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashMap<Box<str>, EntryId>>);

impl Leases {
    /// Leaves a lease in the place of whichever stands: within one process the flight that took
    /// that has been fenced, or it would have been followed.
    pub(super) fn leave(&self, key: &str) -> EntryId {
        let token = EntryId::random();
        self.all().insert(key.into(), token);
        token
    }

    /// Ends a lease; false if it does not stand any more.
    pub(super) fn end(&self, key: &str, token: EntryId) -> bool {
        let mut all = self.all();
        let stands = all.get(key) == Some(&token);
        if stands {
            all.remove(key);
        }
        stands
    }

    /// Voids the lease at a key, whosever it is.
    pub(super) fn void(&self, key: &str) {
        self.all().remove(key);
    }

    /// Voids all of them.
    pub(super) fn clear(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Box<str>, EntryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease whose asker has not heard of it yet. It ends with him.
pub(super) struct Unclaimed<'l> {
    leases: &'l Leases,
    key: &'l str,
    token: Option<EntryId>,
}

impl<'l> Unclaimed<'l> {
    pub(super) fn leave(leases: &'l Leases, key: &'l str) -> Self {
        Self {
            leases,
            key,
            token: Some(leases.leave(key)),
        }
    }

    /// Hands the lease over.
    pub(super) fn claim(mut self) -> Option<EntryId> {
        self.token.take()
    }
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.leases.end(self.key, token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_was_replaced_or_voided_does_not_stand() {
        let leases = Leases::default();
        let (first, second) = (leases.leave("k"), leases.leave("k"));
        assert!(!leases.end("k", first));
        assert!(leases.end("k", second));
        let third = leases.leave("k");
        leases.void("k");
        assert!(!leases.end("k", third));
        assert!(leases.all().is_empty());
    }

    #[test]
    fn who_goes_away_before_the_answer_leaves_none() {
        let leases = Leases::default();
        drop(Unclaimed::leave(&leases, "k"));
        assert!(leases.all().is_empty());
        let token = Unclaimed::leave(&leases, "k").claim().unwrap();
        assert!(leases.end("k", token));
    }
}
