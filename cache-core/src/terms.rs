//! The terms that a value is stored under.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::entry::{self, Tags};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{carries, index_tag};
use crate::policy::Policy;
use crate::value::Value;

/// How long an entry may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ttl {
    /// For this long, counted from when it is stored.
    After(Duration),
    /// Until it is invalidated, written again or evicted.
    Never,
}

impl From<Duration> for Ttl {
    fn from(span: Duration) -> Self {
        Self::After(span)
    }
}

impl From<Option<Duration>> for Ttl {
    fn from(span: Option<Duration>) -> Self {
        span.map_or(Self::Never, Self::After)
    }
}

impl Ttl {
    pub(crate) fn span(self) -> Option<Duration> {
        match self {
            // No backend counts in less than milliseconds.
            Self::After(span) if span.is_zero() => Some(span),
            Self::After(span) => Some(span.max(Duration::from_millis(1))),
            Self::Never => None,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Self::After(Duration::ZERO)
    }
}

/// The terms that a value is stored under: time to live, tags, and what it is indexed by.
///
/// ```
/// use cache_core::EntryOptions;
/// use std::time::Duration;
///
/// let options = EntryOptions::new()
///     .ttl(Duration::from_secs(30))
///     .tag("team:7");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EntryOptions {
    ttl: Option<Ttl>,
    tags: Vec<Box<str>>,
    /// The tags of the values that the entry is indexed by.
    indexes: Vec<Box<str>>,
    /// Whether the time to live is that of one result, which comes before a policy's.
    is_of_result: bool,
}

impl EntryOptions {
    /// The namespace's default time to live, and no tags.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the entry may be shown. With a time to live of zero, nothing is stored.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// No limit in time: the entry stays until it is invalidated, written again or evicted.
    pub fn no_ttl(self) -> Self {
        self.ttl(Ttl::Never)
    }

    /// Adds a tag: [`Cache::invalidate_tag`](crate::Cache::invalidate_tag) then makes the entry
    /// go. At most [`MAX_TAGS`](crate::MAX_TAGS), of at most
    /// [`MAX_TAG_BYTES`](crate::MAX_TAG_BYTES) each.
    pub fn tag(mut self, tag: impl Into<Box<str>>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds several tags.
    pub fn tags<I>(mut self, tags: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Has the entry found by [`Cache::get_by_index`](crate::Cache::get_by_index) under `value` in
    /// the index `name`, as long as it is there: an entry can be in many indexes, under many
    /// values. Each value counts as one of the [`MAX_TAGS`](crate::MAX_TAGS).
    ///
    /// Names and values can be any text. They are stored as a hash only, so that a value may be
    /// personal data; whoever can guess it can still tell what is stored under it.
    ///
    /// Needs a provider with [`Capability::indexes`](crate::Capability::indexes). With another one
    /// what is to be stored is refused by
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported); a load is counted as an error,
    /// logged, and runs unshared, without being stored.
    pub fn index(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let tag = index_tag(name.as_ref(), value.as_ref());
        if !carries(&self.indexes, &tag) {
            self.indexes.push(tag);
        }
        self
    }

    /// A time to live that the load has given to this very result.
    pub(crate) fn of_result(self, ttl: Ttl) -> Self {
        Self {
            is_of_result: true,
            ..self.ttl(ttl)
        }
    }

    /// Fills in the namespace's default and checks the tags. `can_index`: whether the provider has
    /// indexes.
    pub(crate) fn complete(self, default: Ttl, can_index: bool) -> Result<Terms, Error> {
        Ok(Terms {
            ttl: self.ttl.unwrap_or(default),
            tags: self.checked_tags(can_index)?,
            kept_for: Duration::ZERO,
        })
    }

    /// Like [`complete`](Self::complete), for a loaded value under this policy.
    pub(crate) fn complete_for<T: Value>(
        self,
        value: &T,
        default: Ttl,
        policy: &Policy,
        can_index: bool,
    ) -> Result<Terms, Error> {
        let negative = policy.negative_ttl.filter(|_| value.is_none());
        let is_of_result = self.is_of_result;
        let terms = self.complete(default, can_index)?;
        Ok(match negative {
            Some(ttl) if !is_of_result => terms.absent(ttl, policy),
            Some(_) => terms,
            None => terms.under(policy),
        })
    }

    pub(crate) fn checked_tags(&self, can_index: bool) -> Result<Tags> {
        if self.tags.is_empty() && self.indexes.is_empty() {
            return Ok(Arc::from([]));
        }
        if !self.indexes.is_empty() && !can_index {
            return Err(no_indexes());
        }
        entry::tags(&self.tags, &self.indexes)
    }
}

/// What an index of a provider answers that has none.
pub(crate) fn no_indexes() -> Error {
    let message = "this provider has no indexes; those in memory and on Redis do";
    Error::new(ErrorKind::Unsupported, message)
}

/// Options that have been checked, with nothing left open.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) ttl: Ttl,
    pub(crate) tags: Tags,
    /// How long the entry is kept when it has expired.
    pub(crate) kept_for: Duration,
}

impl Terms {
    /// What a policy makes of them for one entry.
    pub(crate) fn under(self, policy: &Policy) -> Self {
        Self {
            ttl: policy.jittered(self.ttl),
            kept_for: policy.kept_for(),
            tags: self.tags,
        }
    }

    /// What it makes of them for a value that is a `None`: that is not kept stale.
    fn absent(self, ttl: Duration, policy: &Policy) -> Self {
        Self {
            ttl: policy.jittered(Ttl::After(ttl)),
            ..self
        }
    }

    pub(crate) fn expires(&self, now: Timestamp) -> Option<Timestamp> {
        self.ttl.span().map(|span| now.saturating_add(span))
    }
}
