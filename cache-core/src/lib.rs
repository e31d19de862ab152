//! Caching for web services: typed values over moka and Redis, with invalidation that holds.

#[cfg(test)]
extern crate self as cache_core;

mod clock;
mod codec;
mod entry;
mod error;
mod key;
pub mod log;
mod namespace;
mod pattern;
pub mod provider;
mod random;
mod value;

#[cfg(feature = "testkit")]
pub use clock::ManualClock;
pub use clock::{Clock, Timestamp};
pub use codec::CodecId;
pub use entry::{Entry, EntryId, MAX_TAG_BYTES, MAX_TAGS, Meta, Owner, Payload, Tags};
pub use error::{Error, ErrorKind, Result};
#[doc(hidden)]
pub use key::key_part;
pub use key::{KeyPart, KeyWriter};
pub use namespace::MAX_KEY_BYTES;
pub use pattern::{MAX_PATTERN_BYTES, Pattern};
pub use value::{AnyValue, Local, Value};
