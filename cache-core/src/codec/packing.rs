//! What becomes of a payload between the codec and the server, and on the way back.

use bytes::Bytes;

use super::compression::{Algorithm, Compression};

/// What a provider decompresses a value to, at most, unless it is told otherwise.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// The bytes are not what was stored, or nobody here can read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// How a payload is packed, as one byte of the stored header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    compressed: Option<Algorithm>,
}

impl Flags {
    pub(crate) const PLAIN: Self = Self { compressed: None };

    /// What the byte says, if the format knows it.
    pub(crate) fn from_byte(byte: u8) -> Result<Self, Damaged> {
        let compressed = match byte {
            0 => None,
            1 => Some(Algorithm::Zstd),
            2 => Some(Algorithm::Lz4),
            _ => return Err(Damaged),
        };
        Ok(Self { compressed })
    }

    /// The byte in the stored header.
    pub(crate) fn as_byte(self) -> u8 {
        match self.compressed {
            None => 0,
            Some(Algorithm::Zstd) => 1,
            Some(Algorithm::Lz4) => 2,
        }
    }
}

/// How a provider packs payloads, and what it takes from others.
#[derive(Clone, Debug)]
pub(crate) struct Packing {
    pub(crate) compression: Option<Compression>,
    pub(crate) max_decompressed_bytes: usize,
}

impl Packing {
    pub(crate) const PLAIN: Self = Self {
        compression: None,
        max_decompressed_bytes: MAX_DECOMPRESSED_BYTES,
    };

    /// The payload as it is stored, and how that is to be undone. What would be too large to be read
    /// back compressed stays plain.
    pub(crate) fn pack(&self, plain: Bytes) -> (Flags, Bytes) {
        let fits = plain.len() <= self.max_decompressed_bytes;
        let compression = self.compression.filter(|_| fits);
        match compression.and_then(|compression| compression.compress(&plain)) {
            None => (Flags::PLAIN, plain),
            Some((algorithm, compressed)) => {
                let compressed_by = Some(algorithm);
                (
                    Flags {
                        compressed: compressed_by,
                    },
                    compressed.into(),
                )
            }
        }
    }

    /// What was packed, by these settings or by others.
    pub(crate) fn unpack(&self, flags: Flags, stored: Bytes) -> Result<Bytes, Damaged> {
        match flags.compressed {
            None => Ok(stored),
            Some(algorithm) => algorithm
                .decompress(&stored, self.max_decompressed_bytes)
                .map(Bytes::from),
        }
    }
}
