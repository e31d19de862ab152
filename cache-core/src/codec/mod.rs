//! Values as bytes: which form a stored payload has, and the codecs that read and write it.

pub(crate) mod json;
mod weigh;

use std::fmt;

pub(crate) use weigh::weigh;

/// The form of a stored payload, as one byte of the stored header.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodecId(u8);

impl CodecId {
    /// JSON (RFC 8259), by `serde_json`.
    pub const JSON: Self = Self(0);
    /// Bytes in a form of the type's own.
    pub const RAW: Self = Self(1);

    /// The codec with this byte, if it is one we know.
    pub fn from_byte(byte: u8) -> Option<Self> {
        (byte <= Self::RAW.0).then_some(Self(byte))
    }

    /// The byte that stands for this codec in a stored header.
    pub fn as_byte(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::JSON => "JSON",
            _ => "RAW",
        })
    }
}
