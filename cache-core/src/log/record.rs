//! What the log records.

use crate::events::{EntryKey, Event, InvalidatedBy, Told};

/// One invalidation, or one explicit write, as it stands in the log. Keys, patterns and
/// namespaces are whole, with the deployment's prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// The key was invalidated or deleted.
    Key(Box<str>),
    /// The key was written. Hides nothing at the key itself.
    Changed(Box<str>),
    /// Entries with this tag are hidden, in every namespace of the deployment.
    Tag(Box<str>),
    /// Entries whose key matches this glob are hidden.
    Pattern(Box<str>),
    /// Entries of this namespace and of those nested in it are hidden.
    All(Box<str>),
}

/// The kinds of records; each has a bound of its own on the barriers that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// [`Record::Key`]
    Key,
    /// [`Record::Changed`]
    Changed,
    /// [`Record::Tag`]
    Tag,
    /// [`Record::Pattern`]
    Pattern,
    /// [`Record::All`]
    All,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const EVERY: [Self; 5] = [
        Self::Key,
        Self::Changed,
        Self::Tag,
        Self::Pattern,
        Self::All,
    ];

    /// The kind's number, from 0.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The letter that stands for the kind in stored records.
    pub const fn letter(self) -> char {
        match self {
            Self::Key => 'k',
            Self::Changed => 'c',
            Self::Tag => 't',
            Self::Pattern => 'p',
            Self::All => 'a',
        }
    }
}

impl Record {
    /// The record of this kind about `argument`.
    pub fn new(kind: Kind, argument: impl Into<Box<str>>) -> Self {
        let argument = argument.into();
        match kind {
            Kind::Key => Self::Key(argument),
            Kind::Changed => Self::Changed(argument),
            Kind::Tag => Self::Tag(argument),
            Kind::Pattern => Self::Pattern(argument),
            Kind::All => Self::All(argument),
        }
    }

    /// The record's kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Key(_) => Kind::Key,
            Self::Changed(_) => Kind::Changed,
            Self::Tag(_) => Kind::Tag,
            Self::Pattern(_) => Kind::Pattern,
            Self::All(_) => Kind::All,
        }
    }

    /// The key that was invalidated by itself; `None` for a record of another kind.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            _ => None,
        }
    }

    /// What the record is about.
    pub fn argument(&self) -> &str {
        match self {
            Self::Key(argument)
            | Self::Changed(argument)
            | Self::Tag(argument)
            | Self::Pattern(argument)
            | Self::All(argument) => argument,
        }
    }

    /// The event that the record is, when it takes effect.
    pub(super) fn told(&self) -> Told {
        let invalidated = |by| Told::of(Event::Invalidated(by));
        match self {
            Self::Key(key) => invalidated(InvalidatedBy::Key(EntryKey::of(key))),
            Self::Changed(key) => Told::of(Event::Replaced(EntryKey::of(key))),
            Self::Tag(tag) => invalidated(InvalidatedBy::Tag((&**tag).into())),
            Self::Pattern(glob) => invalidated(InvalidatedBy::Pattern(EntryKey::of(glob))),
            Self::All(scope) => Told::clear(scope),
        }
    }
}

/// A record and where it stands in its incarnation of the log, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positioned {
    /// The position.
    pub sequence: u64,
    /// The record.
    pub record: Record,
}
