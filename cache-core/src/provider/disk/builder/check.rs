//! Settings that cannot work.

use std::time::Duration;

use tokio::runtime::Handle;

use super::DiskProviderBuilder;
#[cfg(feature = "encryption")]
use crate::codec::EncryptionKeys;
use crate::error::{Error, ErrorKind, Result};
use crate::namespace::MAX_PREFIX_BYTES;

impl DiskProviderBuilder {
    pub(super) fn check(&self) -> Result<()> {
        if Handle::try_current().is_err() {
            return wrong("the disk provider is built in a Tokio runtime; there is none");
        }
        if self.max_bytes == 0 {
            return wrong("max_bytes is 0, so nothing could be kept; the null provider does that");
        }
        if self.timeout.is_zero() {
            return wrong("the timeout is zero, so no disk could answer in time");
        }
        if self
            .sweep
            .is_some_and(|sweep| sweep < Duration::from_millis(1))
        {
            return wrong("sweep is shorter than 1 ms");
        }
        #[cfg(feature = "encryption")]
        self.check_keys()?;
        self.check_prefix()
    }

    #[cfg(feature = "encryption")]
    fn check_keys(&self) -> Result<()> {
        let keys = self.packing.keys.as_ref();
        match keys.and_then(EncryptionKeys::ambiguous) {
            None => Ok(()),
            Some(id) => wrong(format!(
                "two encryption keys go by the number {id}; each needs one of its own"
            )),
        }
    }

    fn check_prefix(&self) -> Result<()> {
        match self.key_prefix.len() {
            1..=MAX_PREFIX_BYTES => Ok(()),
            length => wrong(format!(
                "the key prefix has {length} bytes; 1 to {MAX_PREFIX_BYTES} are possible"
            )),
        }
    }
}

fn wrong(message: impl Into<String>) -> Result<()> {
    Err(Error::new(ErrorKind::Configuration, message))
}
