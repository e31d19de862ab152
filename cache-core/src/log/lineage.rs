//! Earlier incarnations of a log, whose entries are shown as if there had been no break.

use super::stamp::{Incarnation, Stamp};

/// What an incarnation of a log descends from: positions of an ancestor count as long as they are
/// not beyond what survived of it. Empty where all that was stored before is hidden.
///
/// Sequences go on from where the ancestor's ended, so that barriers of all of them compare.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// The last position of each ancestor that survived, newest first.
    ancestors: Vec<Stamp>,
    conceals: bool,
}

impl Lineage {
    /// The lineage whose ancestors ended at these positions, newest first.
    pub fn new(ancestors: Vec<Stamp>) -> Self {
        Self {
            ancestors,
            conceals: false,
        }
    }

    /// The same, for a node that shows nothing of the ancestors all the same.
    #[must_use]
    pub fn concealed(mut self) -> Self {
        self.conceals = true;
        self
    }

    /// Whether what was computed at `stamp`, of an earlier incarnation, may be shown.
    pub(super) fn shows(&self, stamp: Stamp) -> bool {
        let last = self.survived(stamp.incarnation());
        !self.conceals && last.is_some_and(|last| stamp.sequence() <= last)
    }

    /// Where the way of a node that stood in `known`, an earlier incarnation, parted from this
    /// lineage; `None` if nothing that was recorded there concerns what is shown.
    pub(super) fn parting(&self, known: Incarnation) -> Option<Parting> {
        let (newest, oldest) = (self.ancestors.first()?, self.ancestors.last()?);
        if let Some(after) = self.survived(known) {
            return Some(Parting { after, fork: false });
        }
        // What an incarnation before all of these recorded, hides entries that are hidden anyway.
        (known.number() >= oldest.incarnation().number()).then(|| Parting {
            after: newest.sequence(),
            fork: true,
        })
    }

    /// The last position of an ancestor that survived.
    fn survived(&self, ancestor: Incarnation) -> Option<u64> {
        let mut ancestors = self.ancestors.iter();
        let found = ancestors.find(|last| last.incarnation() == ancestor);
        found.map(|last| last.sequence())
    }
}

/// How far a node and a server have a log in common.
pub(super) struct Parting {
    /// Up to this sequence. Later records of the server belong to its new incarnation, if the
    /// node's is an ancestor of it.
    pub(super) after: u64,
    /// The node has been in an incarnation that the server never heard of: sequences tell nothing.
    pub(super) fork: bool,
}
