//! What becomes of a payload between the codec and the server, and on the way back: it is
//! compressed first, then sealed.

use bytes::Bytes;

use super::compression::{Algorithm, Compression};
#[cfg(feature = "encryption")]
use super::encryption::EncryptionKeys;
use crate::error::Result;

/// What a provider decompresses a value to, at most, unless it is told otherwise.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;
const COMPRESSION: u8 = 0b011;
const SEALED: u8 = 0b100;

/// The bytes are not what was stored, or nobody here can read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// How a payload is packed, as one byte of the stored header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    compressed: Option<Algorithm>,
    sealed: bool,
}

impl Flags {
    pub(crate) const PLAIN: Self = Self {
        compressed: None,
        sealed: false,
    };

    /// What the byte says, if the format knows it.
    pub(crate) fn from_byte(byte: u8) -> Result<Self, Damaged> {
        let compressed = match byte & COMPRESSION {
            0 => None,
            1 => Some(Algorithm::Zstd),
            2 => Some(Algorithm::Lz4),
            _ => return Err(Damaged),
        };
        match byte & !COMPRESSION {
            0 | SEALED => Ok(Self {
                compressed,
                sealed: byte & SEALED != 0,
            }),
            _ => Err(Damaged),
        }
    }

    /// The byte in the stored header.
    pub(crate) fn as_byte(self) -> u8 {
        let compressed = match self.compressed {
            None => 0,
            Some(Algorithm::Zstd) => 1,
            Some(Algorithm::Lz4) => 2,
        };
        compressed | if self.sealed { SEALED } else { 0 }
    }
}

/// How a provider packs payloads, and what it takes from others.
#[derive(Clone, Debug)]
pub(crate) struct Packing {
    pub(crate) compression: Option<Compression>,
    pub(crate) max_decompressed_bytes: usize,
    #[cfg(feature = "encryption")]
    pub(crate) keys: Option<EncryptionKeys>,
}

impl Packing {
    pub(crate) const PLAIN: Self = Self {
        compression: None,
        max_decompressed_bytes: MAX_DECOMPRESSED_BYTES,
        #[cfg(feature = "encryption")]
        keys: None,
    };

    /// Whether payloads are sealed. Those that are not are then nobody's.
    pub(crate) fn seals(&self) -> bool {
        #[cfg(feature = "encryption")]
        let seals = self.keys.is_some();
        #[cfg(not(feature = "encryption"))]
        let seals = false;
        seals
    }

    /// The payload as it is to be [sealed](Self::seal), and what the header is to say of it. What
    /// would be too large to be read back compressed stays as it is.
    pub(crate) fn compress(&self, plain: Bytes) -> (Flags, Bytes) {
        let fits = plain.len() <= self.max_decompressed_bytes;
        let compression = self.compression.filter(|_| fits);
        let compressed = compression.and_then(|compression| compression.compress(&plain));
        let (compressed, bytes) = match compressed {
            None => (None, plain),
            Some((algorithm, bytes)) => (Some(algorithm), bytes.into()),
        };
        let sealed = self.seals();
        (Flags { compressed, sealed }, bytes)
    }

    /// The payload as it is stored, behind `header`, which cannot be changed any more if it is
    /// sealed.
    pub(crate) fn seal(&self, header: &[u8], payload: Bytes) -> Result<Bytes> {
        #[cfg(feature = "encryption")]
        if let Some(keys) = &self.keys {
            return keys.seal(header, &payload).map(Bytes::from);
        }
        let _ = header;
        Ok(payload)
    }

    /// What was packed behind `header`, by these settings or by others.
    pub(crate) fn unpack(
        &self,
        flags: Flags,
        header: &[u8],
        stored: Bytes,
    ) -> Result<Bytes, Damaged> {
        let compressed = match (self.seals(), flags.sealed) {
            (false, false) => stored,
            (true, true) => self.open(header, &stored)?,
            // Sealed for others; or by nobody: anybody could have written it.
            _ => return Err(Damaged),
        };
        match flags.compressed {
            None => Ok(compressed),
            Some(algorithm) => algorithm
                .decompress(&compressed, self.max_decompressed_bytes)
                .map(Bytes::from),
        }
    }

    fn open(&self, header: &[u8], stored: &[u8]) -> Result<Bytes, Damaged> {
        #[cfg(feature = "encryption")]
        if let Some(keys) = &self.keys {
            return keys.open(header, stored).map(Bytes::from);
        }
        let _ = (header, stored);
        Err(Damaged)
    }
}
