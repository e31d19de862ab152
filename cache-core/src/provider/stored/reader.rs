//! Takes numbers and text off stored bytes.

use super::MAX_EXACT;
use crate::codec::Damaged;

/// Takes fields off the front of bytes that may end anywhere.
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'b [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.take(N)?.try_into().map_err(|_| Damaged)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Damaged> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<usize, Damaged> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Damaged> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Damaged> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn exact(&mut self) -> Result<u64, Damaged> {
        self.u64()
            .and_then(|number| (number < MAX_EXACT).then_some(number).ok_or(Damaged))
    }
}
