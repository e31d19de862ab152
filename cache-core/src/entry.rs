//! The stored unit: a value and what decides whether it may still be shown.

use std::any::Any;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::codec::{self, CodecId};
use crate::deferred;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{is_index_tag, is_reserved};
use crate::log::Stamp;
use crate::random;
use crate::value::{AnyValue, Shape, Value};

/// The most tags that one entry may carry, the values included that it is
/// [indexed](crate::EntryOptions::index) by.
pub const MAX_TAGS: usize = 64;
/// The longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 256;

/// A random number that tells one write of a key from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId(pub(crate) u64);

impl EntryId {
    /// A new id.
    pub fn random() -> Self {
        Self(random::u64())
    }

    /// The id with this number, as read from stored bytes.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number, as written to stored bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// Who computed a value. That of a `#[cached]` function is a hash of its module, type, name,
/// generic arguments and code.
///
/// It is compared on every hit, so that two functions that were given the same key by mistake
/// never see each other's values, nor a new version of a function those of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(u64);

impl Owner {
    /// Values that were stored through a [`Cache`](crate::Cache) handle.
    pub const HANDLE: Self = Self(0);

    /// The owner that goes by this description. Equal descriptions are the same owner, on every
    /// compiler and machine (FNV-1a, 64 bit).
    pub const fn of(description: &str) -> Self {
        Self::HANDLE.and(description)
    }

    /// The owner that adds `part` to this one's description.
    #[must_use]
    pub const fn and(self, part: &str) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let bytes = part.as_bytes();
        let mut hash = self.0 ^ OFFSET;
        let mut index = 0;
        while index < bytes.len() {
            hash = (hash ^ bytes[index] as u64).wrapping_mul(PRIME);
            index += 1;
        }
        // A separator no UTF-8 text contains, so that parts cannot run into each other.
        Self((hash ^ 0xff).wrapping_mul(PRIME))
    }

    /// The owner with this number, as read from stored bytes.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number, as written to stored bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The tags of an entry.
pub type Tags = Arc<[Box<str>]>;

/// Checks tags against the limits, each as [`check_tag`] does, and adds those of indexes: at most
/// [`MAX_TAGS`] of both.
///
/// # Errors
///
/// [`ErrorKind::InvalidTag`].
pub(crate) fn tags(tags: &[Box<str>], indexes: &[Box<str>]) -> Result<Tags> {
    tags.iter().try_for_each(|tag| check_tag(tag))?;
    let count = tags.len() + indexes.len();
    if count > MAX_TAGS {
        let message =
            format!("an entry carries at most {MAX_TAGS} tags and values of indexes, not {count}");
        return Err(Error::new(ErrorKind::InvalidTag, message));
    }
    Ok(tags.iter().chain(indexes).cloned().collect())
}

/// Checks one tag that a user gives: 1 to [`MAX_TAG_BYTES`] bytes, and no NUL in front.
pub(crate) fn check_tag(tag: &str) -> Result<()> {
    match tag.len() {
        _ if is_reserved(tag) => Err(Error::new(
            ErrorKind::InvalidTag,
            "a tag begins with a NUL, as those do that indexes are made of",
        )),
        1..=MAX_TAG_BYTES => Ok(()),
        0 => Err(Error::new(ErrorKind::InvalidTag, "a tag is empty")),
        len => Err(Error::new(
            ErrorKind::InvalidTag,
            format!("a tag has {len} bytes; at most {MAX_TAG_BYTES} are possible"),
        )),
    }
}

/// What an entry holds: the value itself in memory, bytes from a remote tier.
#[derive(Clone)]
pub enum Payload {
    /// A value of the type that `shape` describes.
    Typed {
        /// The value.
        value: AnyValue,
        /// How to write, read and weigh it.
        shape: &'static Shape,
        /// The form that it gets as bytes, unless it has one of its own.
        codec: CodecId,
    },
    /// A value as a codec wrote it.
    Bytes {
        /// The bytes.
        bytes: Bytes,
        /// The codec.
        codec: CodecId,
    },
    /// A counter, which every provider can increment atomically.
    Counter(i64),
}

impl Payload {
    /// Holds `value` as it is; where it becomes bytes, they are JSON.
    pub fn typed<T: Value>(value: T) -> Self {
        Self::typed_in(value, CodecId::JSON)
    }

    /// Holds `value` as it is; where it becomes bytes, this codec writes them.
    pub fn typed_in<T: Value>(value: T, codec: CodecId) -> Self {
        Self::Typed {
            value: Arc::new(value),
            shape: &const { T::SHAPE },
            codec,
        }
    }

    /// The form that the value has as bytes, or would have.
    pub(crate) fn codec(&self) -> CodecId {
        match self {
            Self::Typed { shape, codec, .. } => shape.own_form.unwrap_or(*codec),
            Self::Bytes { codec, .. } => *codec,
            Self::Counter(_) => CodecId::JSON,
        }
    }

    /// The value as a `T`: a clone if that is what is held, else read through the codec.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if what is stored is not a `T`.
    pub fn value<T: Value>(&self) -> Result<T> {
        if let Self::Bytes { bytes, codec } = self {
            return Self::decode(bytes, *codec);
        }
        if let Self::Typed { value, .. } = self
            && let Some(value) = value.downcast_ref::<T>()
        {
            return Ok(value.clone());
        }
        let (bytes, codec) = self.to_bytes()?;
        Self::decode(&bytes, codec)
    }

    fn decode<T: Value>(bytes: &[u8], codec: CodecId) -> Result<T> {
        let shape = &const { T::SHAPE };
        if shape.own_form.is_some_and(|own| own != codec) {
            let name = (shape.name)();
            let message = format!("the stored {codec:?} payload is not a {name}");
            return Err(Error::new(ErrorKind::Decode, message));
        }
        // Nobody else has it yet: it is moved out, not cloned.
        let value = crate::value::downcast_arc::<T>((shape.decode)(bytes, codec)?)?;
        Ok(Arc::unwrap_or_clone(value))
    }

    /// The payload as bytes, and the codec that reads them. Counters are JSON numbers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if the value cannot be written.
    pub fn to_bytes(&self) -> Result<(Bytes, CodecId)> {
        let codec = self.codec();
        let bytes = match self {
            Self::Typed { value, shape, .. } => (shape.encode)(erase(value), codec)?,
            Self::Bytes { bytes, .. } => bytes.clone(),
            Self::Counter(number) => Bytes::from(number.to_string()),
        };
        Ok((bytes, codec))
    }

    /// The number, if a counter or another payload that reads as an integer is held.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] for anything else.
    pub fn as_number(&self) -> Result<i64> {
        match self {
            Self::Counter(number) => Ok(*number),
            other => match other.to_bytes() {
                Ok((bytes, CodecId::JSON)) => {
                    codec::json::decode(&bytes).map_err(|_| not_a_number())
                }
                _ => Err(not_a_number()),
            },
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Typed { value, shape, .. } => (shape.weigh)(erase(value)),
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Counter(_) => 0,
        }
    }
}

/// What an increment of anything but a number answers.
pub(crate) fn not_a_number() -> Error {
    Error::new(
        ErrorKind::WrongType,
        "the stored value is not an integer in the range of i64, and was left alone",
    )
}

/// What an increment of another owner's value answers.
pub(crate) fn not_yours() -> Error {
    Error::new(
        ErrorKind::WrongType,
        "what is stored is a function's result, or a response, and was left alone; \
         a counter needs a key of its own",
    )
}

// `&**value` written out, because an `Arc` is `Any` itself.
fn erase(value: &AnyValue) -> &(dyn Any + Send + Sync) {
    &**value
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values can hold personal data, so they are not printed.
        match self {
            Self::Typed { shape, .. } => write!(f, "Typed({})", (shape.name)()),
            Self::Bytes { bytes, codec } => write!(f, "Bytes({codec:?}, {})", bytes.len()),
            Self::Counter(_) => f.write_str("Counter"),
        }
    }
}

/// What decides whether an entry may be shown, apart from its key.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Tells this write of the key from others.
    pub id: EntryId,
    /// Who computed the value.
    pub owner: Owner,
    /// Up to where the node had applied the log before the value's computation began.
    pub stamp: Stamp,
    /// When the value was stored.
    pub created: Timestamp,
    /// From when on it is not fresh any more; `None` for never.
    pub expires: Option<Timestamp>,
    /// For how long it is kept after that: a [`Policy`](crate::Policy) can then show it stale.
    pub kept_for: Duration,
    /// How long its load took; zero for what was not loaded. Early refresh goes by it.
    pub load_time: Duration,
    /// What it can be invalidated by, besides key and pattern.
    pub tags: Tags,
}

impl Meta {
    /// Whether the time to live has passed.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The time to live that is left: `None` for no limit.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        self.expires.map(|expires| expires.since(now))
    }

    /// From when on nobody can have any use for it, so that its memory may be freed; `None` for
    /// never.
    pub fn gone(&self) -> Option<Timestamp> {
        let expires = self.expires?;
        Some(expires.saturating_add(self.kept_for))
    }

    /// Whether nobody can have any use for it.
    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.gone().is_some_and(|gone| gone <= now)
    }

    /// How long ago the time to live has passed; `None` if it has not, or the entry is not kept
    /// any longer.
    pub fn stale_for(&self, now: Timestamp) -> Option<Duration> {
        let expires = self.expires.filter(|_| self.is_expired(now))?;
        self.gone()
            .filter(|&gone| now < gone)
            .map(|_| now.since(expires))
    }
}

/// A stored value with its [`Meta`].
#[derive(Debug)]
pub struct Entry {
    meta: Meta,
    payload: Payload,
    weight: u32,
    /// The publication counter that was current when the entry was last found visible.
    checked: AtomicU64,
}

/// About what a member of an index takes in memory.
const MEMBER_BYTES: usize = 170;

/// No publication counter reaches this, so an entry that carries it has yet to be checked.
const UNCHECKED: u64 = u64::MAX;

impl Entry {
    /// An entry of these parts. Weighs the value, which may run the user's `Serialize`.
    pub fn new(meta: Meta, payload: Payload) -> Self {
        let tags: usize = meta.tags.iter().map(|tag| tag_weight(tag)).sum();
        let weight = size_of::<Self>() + tags + payload.weight();
        Self {
            meta,
            payload,
            weight: u32::try_from(weight).unwrap_or(u32::MAX),
            checked: AtomicU64::new(UNCHECKED),
        }
    }

    /// The same value under other terms, without weighing it again.
    #[must_use]
    pub fn with_meta(&self, meta: Meta) -> Self {
        Self {
            meta,
            payload: self.payload.clone(),
            weight: self.weight,
            checked: AtomicU64::new(UNCHECKED),
        }
    }

    /// The same terms for another value, under a new id. A counter is not kept when it has expired, and
    /// was not loaded, whatever stood there before.
    #[must_use]
    pub fn with_payload(&self, payload: Payload) -> Self {
        let mut meta = Meta {
            id: EntryId::random(),
            ..self.meta.clone()
        };
        if let Payload::Counter(_) = payload {
            (meta.kept_for, meta.load_time) = (Duration::ZERO, Duration::ZERO);
        }
        Self::new(meta, payload)
    }

    /// What decides whether the entry may be shown.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// What the entry holds.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// About how many bytes the entry takes in memory.
    pub fn weight_bytes(&self) -> u32 {
        self.weight
    }

    /// Whether the entry was found visible when the publication counter stood at `publication`.
    pub(crate) fn is_checked(&self, publication: u64) -> bool {
        self.checked.load(Ordering::Relaxed) == publication
    }

    /// Notes that the entry was found visible after the counter was read as `publication`.
    pub(crate) fn mark_checked(&self, publication: u64) {
        self.checked.store(publication, Ordering::Relaxed);
    }
}

/// A tag by itself; that of an index has a member beside it.
fn tag_weight(tag: &str) -> usize {
    let own = tag.len() + 16;
    match is_index_tag(tag) {
        true => own + MEMBER_BYTES,
        false => own,
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        deferred::discard(mem::replace(&mut self.payload, Payload::Counter(0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Local;

    #[test]
    fn a_value_of_another_type_goes_through_the_codec() {
        let payload = Payload::typed(7_u32);
        assert_eq!(payload.value::<u32>().unwrap(), 7);
        assert_eq!(payload.value::<u64>().unwrap(), 7);
        let error = payload.value::<String>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    }

    #[test]
    fn a_counter_reads_as_any_integer() {
        assert_eq!(Payload::Counter(-3).value::<i64>().unwrap(), -3);
        assert_eq!(Payload::Counter(3).value::<u8>().unwrap(), 3);
        assert!(Payload::Counter(300).value::<u8>().is_err());
    }

    #[test]
    fn a_local_value_never_becomes_bytes() {
        let payload = Payload::typed(Local("secret"));
        assert_eq!(*payload.value::<Local<&str>>().unwrap(), "secret");
        assert_eq!(payload.to_bytes().unwrap_err().kind(), ErrorKind::Encode);
    }

    #[test]
    fn what_is_no_json_number_is_no_number() {
        let digits = Payload::Bytes {
            bytes: Bytes::from_static(b"42"),
            codec: CodecId::RAW,
        };
        for payload in [
            digits,
            Payload::typed(Local(42)),
            Payload::typed("42".to_owned()),
        ] {
            let error = payload.as_number().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongType);
        }
        assert_eq!(Payload::typed(42_u8).as_number().unwrap(), 42);
    }

    #[test]
    fn the_parts_of_an_owner_do_not_run_into_each_other() {
        assert_ne!(Owner::of("ab").and("c"), Owner::of("a").and("bc"));
        assert_eq!(Owner::of("a").and("b"), Owner::of("a").and("b"));
    }

    #[test]
    fn tags_have_limits() {
        let of = |tag: &str| tags(&[tag.into()], &[]);
        assert_eq!(of("").unwrap_err().kind(), ErrorKind::InvalidTag);
        assert!(of(&"x".repeat(MAX_TAG_BYTES)).is_ok());
        assert!(of(&"x".repeat(MAX_TAG_BYTES + 1)).is_err());
        assert!(tags(&vec!["x".into(); MAX_TAGS + 1], &[]).is_err());
    }

    #[test]
    fn tags_of_indexes_count_and_nobody_else_may_give_one() {
        let index = crate::index::index_tag("email", "a@b.c");
        let of = |count| tags(&vec!["x".into(); count], std::slice::from_ref(&index));
        assert_eq!(of(MAX_TAGS - 1).unwrap().len(), MAX_TAGS);
        assert_eq!(of(MAX_TAGS).unwrap_err().kind(), ErrorKind::InvalidTag);
        for reserved in ["\0", &*index] {
            let error = tags(&[reserved.into()], &[]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidTag);
        }
    }
}
