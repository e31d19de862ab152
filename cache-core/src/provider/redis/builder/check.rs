//! Settings that cannot work are refused before anything is connected.

use std::time::Duration;

use super::RedisProviderBuilder;
#[cfg(feature = "encryption")]
use crate::codec::EncryptionKeys;
use crate::error::Result;
use crate::namespace::MAX_PREFIX_BYTES;
#[cfg(feature = "tls")]
use crate::provider::redis::address;
use crate::provider::redis::error::configuration;

impl RedisProviderBuilder {
    pub(super) fn check(&self) -> Result<()> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(configuration(
                "there is no Tokio runtime here; build the provider inside one",
            ));
        }
        self.check_prefix()?;
        #[cfg(feature = "tls")]
        if self.tls.is_set() && !self.urls().any(address::is_secure) {
            return Err(configuration(
                "certificates are of use with a rediss:// URL only; nothing here is encrypted",
            ));
        }
        #[cfg(feature = "encryption")]
        self.check_keys()?;
        self.check_spans()
    }

    #[cfg(feature = "encryption")]
    fn check_keys(&self) -> Result<()> {
        let keys = self.packing.keys.as_ref();
        match keys.and_then(EncryptionKeys::ambiguous) {
            None => Ok(()),
            Some(id) => Err(configuration(format!(
                "two encryption keys go by the number {id}; each needs one of its own"
            ))),
        }
    }

    fn check_prefix(&self) -> Result<()> {
        let length = self.key_prefix.len();
        if (1..=MAX_PREFIX_BYTES).contains(&length) {
            return Ok(());
        }
        Err(configuration(format!(
            "the key prefix has {length} bytes; 1 to {MAX_PREFIX_BYTES} are possible"
        )))
    }

    fn check_spans(&self) -> Result<()> {
        for (name, span) in self.spans() {
            if span < Duration::from_millis(1) {
                return Err(configuration(format!("{name} is shorter than 1 ms")));
            }
        }
        if self.bounds.touch <= self.heartbeat {
            return Err(configuration(
                "touch_bound must be longer than heartbeat, or the provider loses touch between two of them",
            ));
        }
        Ok(())
    }

    #[cfg(feature = "tls")]
    fn urls(&self) -> impl Iterator<Item = &str> {
        let others = self.sentinels.iter().flatten();
        #[cfg(feature = "redis-cluster")]
        let others = others.chain(self.cluster_nodes.iter().flatten());
        std::iter::once(&self.url).chain(others).map(String::as_str)
    }

    fn spans(&self) -> [(&'static str, Duration); 6] {
        [
            ("connect_timeout", self.bounds.connect),
            ("command_timeout", self.bounds.command),
            ("heartbeat", self.heartbeat),
            ("touch_bound", self.bounds.touch),
            ("lease_ttl", self.lease_ttl),
            ("sweep", self.sweep.unwrap_or(Duration::MAX)),
        ]
    }
}
