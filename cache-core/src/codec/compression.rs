//! Compression of stored payloads: above which size, and by what.

use super::packing::Damaged;

/// What is smaller is seldom worth the time.
const THRESHOLD_BYTES: usize = 1 << 10;
/// The size of what was compressed, in front of it.
const LENGTH_BYTES: usize = 4;

/// How a provider compresses the values that it stores on a server; for
/// [`RedisProviderBuilder::compression`](crate::RedisProviderBuilder::compression).
///
/// A value of [`above`](Self::above) bytes or more, after the codec, is compressed, unless it would
/// not get smaller. Readers go by what stands there, whatever they write themselves; a value whose
/// compression is not compiled in is a miss, counted as damaged.
///
/// | | feature | for |
/// |---|---|---|
/// | [Zstandard](https://www.rfc-editor.org/rfc/rfc8878), level 3 | `zstd` | small values on the server |
/// | [LZ4 blocks](https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md) | `lz4` | little time; pure Rust |
///
/// ```
/// # #[cfg(feature = "lz4")] {
/// use cache_core::Compression;
///
/// let compression = Compression::lz4().above(4 << 10);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Compression {
    algorithm: Algorithm,
    threshold_bytes: usize,
}

impl Compression {
    /// By Zstandard.
    #[cfg(feature = "zstd")]
    pub const fn zstd() -> Self {
        Self::by(Algorithm::Zstd)
    }

    /// By LZ4.
    #[cfg(feature = "lz4")]
    pub const fn lz4() -> Self {
        Self::by(Algorithm::Lz4)
    }

    pub(crate) const fn by(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            threshold_bytes: THRESHOLD_BYTES,
        }
    }

    /// From how many bytes on a value is compressed; default 1,024.
    pub const fn above(mut self, bytes: usize) -> Self {
        self.threshold_bytes = bytes;
        self
    }

    /// What is stored in place of `plain`, and by which algorithm; `None` if that is `plain` itself.
    pub(super) fn compress(&self, plain: &[u8]) -> Option<(Algorithm, Vec<u8>)> {
        if plain.len() < self.threshold_bytes {
            return None;
        }
        let length = u32::try_from(plain.len()).ok()?.to_be_bytes();
        let compressed = [&length[..], &self.algorithm.compress(plain)?].concat();
        (compressed.len() < plain.len()).then_some((self.algorithm, compressed))
    }
}

/// What the format knows, compiled in or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Zstd,
    Lz4,
}

impl Algorithm {
    fn compress(self, plain: &[u8]) -> Option<Vec<u8>> {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::bulk::compress(plain, zstd::DEFAULT_COMPRESSION_LEVEL).ok(),
            #[cfg(feature = "lz4")]
            Self::Lz4 => Some(lz4_flex::block::compress(plain)),
            #[allow(unreachable_patterns, reason = "not where both are compiled in")]
            _ => None,
        }
    }

    /// What was compressed. The size that it claims decides how much memory it is given, so a claim
    /// of more than `max_bytes` is not looked into.
    pub(super) fn decompress(self, stored: &[u8], max_bytes: usize) -> Result<Vec<u8>, Damaged> {
        let (length, compressed) = stored.split_first_chunk::<LENGTH_BYTES>().ok_or(Damaged)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Damaged)?;
        if length > max_bytes {
            return Err(Damaged);
        }
        let plain = self.expand(compressed, length).ok_or(Damaged)?;
        (plain.len() == length).then_some(plain).ok_or(Damaged)
    }

    fn expand(self, compressed: &[u8], length: usize) -> Option<Vec<u8>> {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::bulk::decompress(compressed, length).ok(),
            #[cfg(feature = "lz4")]
            Self::Lz4 => lz4_flex::block::decompress(compressed, length).ok(),
            #[allow(unreachable_patterns, reason = "not where both are compiled in")]
            _ => None,
        }
    }
}
