//! What barriers were, for telling what raising them has hidden.

use std::collections::HashMap;

use super::record::Kind;

/// What the barriers of some records were before they were raised, for telling what the rise has
/// hidden.
#[derive(Clone, Debug, Default)]
pub struct Undo(pub(super) [HashMap<Box<str>, u64>; Kind::EVERY.len()]);

impl Undo {
    /// The position that the barrier had, or `now` if its record is none of ours.
    pub(super) fn before(&self, kind: Kind, argument: &str, now: u64) -> u64 {
        let previous = self.0[kind.index()].get(argument);
        previous.copied().unwrap_or(now)
    }
}
