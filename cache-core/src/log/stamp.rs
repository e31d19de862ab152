//! Positions in the log.

use crate::random;

/// One life of a log. Positions of different lives do not compare: what carries another
/// incarnation counts as hidden, unless the log [descends](super::Lineage) from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation {
    number: u64,
    nonce: u64,
}

impl Incarnation {
    /// The incarnation `number`, made its own by a random nonce.
    pub fn random(number: u64) -> Self {
        Self::new(number, random::u64())
    }

    /// The incarnation with these parts, as read from stored bytes.
    pub const fn new(number: u64, nonce: u64) -> Self {
        Self { number, nonce }
    }

    /// Which life of the log this is, counted from 1 by the backend.
    pub const fn number(self) -> u64 {
        self.number
    }

    /// What tells it from another incarnation of the same number.
    pub const fn nonce(self) -> u64 {
        self.nonce
    }
}

/// A position in the log: everything up to `sequence` of `incarnation` had been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    incarnation: Incarnation,
    sequence: u64,
}

impl Stamp {
    /// The position with these parts.
    pub const fn new(incarnation: Incarnation, sequence: u64) -> Self {
        Self {
            incarnation,
            sequence,
        }
    }

    /// The life of the log that the position belongs to.
    pub const fn incarnation(self) -> Incarnation {
        self.incarnation
    }

    /// The number of records up to here, since the incarnation began, or the first of those that
    /// it descends from.
    pub const fn sequence(self) -> u64 {
        self.sequence
    }
}
