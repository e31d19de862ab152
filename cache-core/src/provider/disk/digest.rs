//! A sum that tells bytes which have changed on the disk from those that were written.

/// FNV-1a, 64 bit: against accidents, not against somebody.
#[derive(Clone, Copy)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    #[must_use]
    pub(super) fn and(self, bytes: &[u8]) -> Self {
        let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }

    pub(super) fn sum(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files in use were written with it.
    #[test]
    fn the_sum_is_the_one_that_files_were_written_with() {
        let digest = Digest::new().and(b"foo").and(b"bar");
        assert_eq!(digest.sum(), 0x8594_4171_f739_67e8);
    }
}
