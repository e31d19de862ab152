//! Values as bytes: which form a stored payload has, and the codecs that read and write it.

mod absence;
#[cfg_attr(
    not(all(
        any(feature = "disk", feature = "memcached", feature = "redis"),
        any(feature = "zstd", feature = "lz4")
    )),
    allow(
        dead_code,
        unreachable_pub,
        unused_variables,
        reason = "nothing compresses"
    )
)]
mod compression;
#[cfg(feature = "encryption")]
#[cfg_attr(
    not(any(feature = "disk", feature = "memcached", feature = "redis")),
    allow(dead_code, reason = "no provider stores bytes")
)]
mod encryption;
pub(crate) mod json;
#[cfg(feature = "messagepack")]
mod message_pack;
#[cfg_attr(
    not(any(feature = "disk", feature = "memcached", feature = "redis")),
    allow(dead_code, reason = "no provider stores bytes")
)]
mod packing;
#[cfg(feature = "postcard")]
mod postcard;
mod raw;
mod weigh;

use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
pub(crate) use absence::is_none;
#[cfg(all(
    feature = "config",
    any(feature = "disk", feature = "memcached", feature = "redis")
))]
pub(crate) use compression::Algorithm;
#[cfg(any(feature = "zstd", feature = "lz4"))]
pub use compression::Compression;
#[cfg(all(
    feature = "config",
    any(feature = "disk", feature = "memcached", feature = "redis"),
    not(any(feature = "zstd", feature = "lz4"))
))]
pub(crate) use compression::Compression;
#[cfg(feature = "encryption")]
pub use encryption::EncryptionKeys;
#[cfg(any(feature = "disk", feature = "memcached", feature = "redis"))]
pub(crate) use packing::{Damaged, Flags, Packing};
pub(crate) use weigh::weigh;

/// The form of a stored payload, as one byte of the stored header.
///
/// A cache [writes one](crate::CacheBuilder::codec) and reads every one that is compiled in,
/// whichever the writer chose. An entry in another form is a miss, counted as damaged, and makes
/// way for what is computed. In memory values keep their type and need none, until they are read
/// as another type.
///
/// | codec | what it writes | what to know |
/// |---|---|---|
/// | [`JSON`](Self::JSON) | text that people can read | the default; the only one whose numbers [`increment`](crate::Cache::increment) can go on with |
/// | [`RAW`](Self::RAW) | the bytes of a `Bytes`, a `Vec<u8>` or a `String`, without quotes | other types are an error of kind [`ErrorKind::Encode`] |
/// | `MESSAGE_PACK` | [MessagePack](https://msgpack.org) with the names of fields | fields may be added and reordered, as with JSON |
/// | `POSTCARD` | [postcard](https://postcard.jamesmunns.com): no names, no types | the smallest, and blind: bytes of another type, or of an older version of the type, can read as a wrong value. Change the namespace with the type. What asks for `deserialize_any` (`flatten`, untagged enums, `serde_json::Value`) cannot be read back |
///
/// Counters are decimal digits under every codec.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodecId(u8);

impl CodecId {
    /// JSON (RFC 8259), by `serde_json`.
    pub const JSON: Self = Self(0);
    /// Bytes as they are, or in a form of the type's own.
    pub const RAW: Self = Self(1);
    /// MessagePack, by `rmp-serde`; with the feature `messagepack`.
    #[cfg(feature = "messagepack")]
    pub const MESSAGE_PACK: Self = Self(2);
    /// Postcard's wire format, version 1; with the feature `postcard`.
    #[cfg(feature = "postcard")]
    pub const POSTCARD: Self = Self(3);

    const COMPILED: &[Self] = &[
        Self::JSON,
        Self::RAW,
        #[cfg(feature = "messagepack")]
        Self::MESSAGE_PACK,
        #[cfg(feature = "postcard")]
        Self::POSTCARD,
    ];

    /// The codec with this byte, if it is one we know and that is compiled in.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::COMPILED.iter().copied().find(|codec| codec.0 == byte)
    }

    /// The byte that stands for this codec in a stored header.
    pub fn as_byte(self) -> u8 {
        self.0
    }

    fn name(self) -> &'static str {
        match self.0 {
            0 => "JSON",
            1 => "RAW",
            2 => "MessagePack",
            _ => "postcard",
        }
    }
}

impl fmt::Debug for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes a value in one of the forms that are compiled in.
pub(crate) fn encode<T: Serialize + 'static>(value: &T, codec: CodecId) -> Result<Bytes> {
    match codec {
        CodecId::RAW => raw::encode(value),
        #[cfg(feature = "messagepack")]
        CodecId::MESSAGE_PACK => message_pack::encode(value),
        #[cfg(feature = "postcard")]
        CodecId::POSTCARD => postcard::encode(value),
        _ => json::encode(value),
    }
}

/// Reads a value from bytes in one of the forms that are compiled in.
pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &[u8], codec: CodecId) -> Result<T> {
    match codec {
        CodecId::RAW => raw::decode(bytes),
        #[cfg(feature = "messagepack")]
        CodecId::MESSAGE_PACK => message_pack::decode(bytes),
        #[cfg(feature = "postcard")]
        CodecId::POSTCARD => postcard::decode(bytes),
        _ => json::decode(bytes),
    }
}

type Source = Box<dyn StdError + Send + Sync>;

fn unwritable<T>(codec: CodecId, source: impl Into<Source>) -> Error {
    let message = format!("a {} cannot be written as {codec:?}", type_name::<T>());
    Error::new(ErrorKind::Encode, message).with_source(source)
}

fn unreadable<T>(codec: CodecId, source: impl Into<Source>) -> Error {
    let message = format!("the stored {codec:?} is not a {}", type_name::<T>());
    Error::new(ErrorKind::Decode, message).with_source(source)
}

#[cfg(test)]
mod tests;
