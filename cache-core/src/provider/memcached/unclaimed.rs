//! Gives a lease back that was asked for by somebody who has gone away before the answer.

use super::entries::Entries;
use crate::provider::Lease;

/// A lease that may stand at its key without anybody who knows. Others would wait for its load.
pub(super) struct Unclaimed<'e> {
    entries: &'e Entries,
    key: &'e str,
    lease: Lease,
    is_answered: bool,
}

impl<'e> Unclaimed<'e> {
    pub(super) fn new(entries: &'e Entries, key: &'e str, lease: Lease) -> Self {
        Self {
            entries,
            key,
            lease,
            is_answered: false,
        }
    }

    /// The asker has heard what became of it.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.entries.release(self.key, self.lease);
        }
    }
}
