//! What becomes of values on their way to the server.

use super::RedisProviderBuilder;
#[cfg(any(feature = "zstd", feature = "lz4"))]
use crate::codec::Compression;
#[cfg(feature = "encryption")]
use crate::codec::EncryptionKeys;
#[cfg(feature = "config")]
use crate::codec::Packing;

impl RedisProviderBuilder {
    /// All of it at once, as a configuration says.
    #[cfg(feature = "config")]
    pub(crate) fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// Compresses large values before they are stored; default none.
    ///
    /// What is compressed and encrypted, be it
    /// on the way to the server only, betrays by its length how much of it repeats: do not
    /// compress values that hold a secret beside text that an attacker can choose (CRIME, BREACH).
    #[cfg(any(feature = "zstd", feature = "lz4"))]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.packing.compression = Some(compression);
        self
    }

    /// What a value may have been before it was compressed, at most; default 64 MiB. Larger ones
    /// are stored plain, and one that claims to be larger is a miss, counted as damaged, before
    /// memory is spent on it.
    #[cfg(any(feature = "zstd", feature = "lz4"))]
    pub fn max_decompressed_bytes(mut self, bytes: usize) -> Self {
        self.packing.max_decompressed_bytes = bytes;
        self
    }

    /// Encrypts values before they are stored, and shows none that was not encrypted; default none.
    /// [`EncryptionKeys`] says what that protects, and what it does not: counters, for one.
    ///
    /// A `set` then takes three round trips instead of one, because the position in the log that it
    /// is stored as of is encrypted with it, and one of many entries is not one step.
    #[cfg(feature = "encryption")]
    pub fn encryption(mut self, keys: EncryptionKeys) -> Self {
        self.packing.keys = Some(keys);
        self
    }
}
