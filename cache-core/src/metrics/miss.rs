//! Why a read found nothing.

/// Why a read found no value that it could show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Miss {
    /// Nothing is stored.
    Absent,
    /// The time to live has passed.
    Expired,
    /// An invalidation hides it.
    Invalidated,
    /// What is stored cannot be read as the type that was asked for.
    Damaged,
    /// Another function stored it under the same key.
    WrongOwner,
    /// The cache was not asked: it is out of touch with its backend, it failed, or the key is not
    /// one that it takes.
    Bypassed,
}

impl Miss {
    /// Every reason, in the order of their numbers.
    pub(super) const EVERY: [Self; 6] = [
        Self::Absent,
        Self::Expired,
        Self::Invalidated,
        Self::Damaged,
        Self::WrongOwner,
        Self::Bypassed,
    ];

    /// The reason's name in metrics and traces: `absent`, `expired`, `invalidated`, `damaged`,
    /// `wrong_owner`, `bypassed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
            Self::Damaged => "damaged",
            Self::WrongOwner => "wrong_owner",
            Self::Bypassed => "bypassed",
        }
    }
}
