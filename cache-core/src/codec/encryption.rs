//! Encryption of stored payloads: which keys there are, and how a payload is sealed and opened.

use std::fmt;

use chacha20poly1305::aead::{Aead, Generate, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use super::packing::Damaged;
use crate::error::{Error, ErrorKind, Result};

const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;

/// The keys that a provider encrypts values with on a server; for
/// [`RedisProviderBuilder::encryption`](crate::RedisProviderBuilder::encryption).
///
/// Each value is sealed by XChaCha20-Poly1305
/// ([draft-irtf-cfrg-xchacha](https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha-03)) under
/// a random nonce of 192 bits, together with its key, tags, owner, stamp, codec and id: none of them
/// can be changed, and no value be moved to another key. A value that was not sealed, or with a key
/// that is not here, is a miss, counted as damaged, and makes way for what is computed; turning
/// encryption on, or off, thus begins with a cold cache.
///
/// # Rotation
///
/// Give all processes the new key [to read](Self::and_read) first, then have all of them write it, and
/// take the old one away when the longest time to live is over. A key goes by a number that
/// is stored with each value; a number stands for one key for ever.
///
/// ```
/// use cache_core::EncryptionKeys;
///
/// # let (key, old_key) = ([1; 32], [2; 32]);
/// let keys = EncryptionKeys::new(2, key).and_read(1, old_key);
/// ```
///
/// # What is not protected
///
/// | | |
/// |---|---|
/// | what everybody who can read the server sees | keys, tags, owners, times and sizes of values; invalidations; counters |
/// | what who can write there can do to values | erase them; put back an older value of the same key, unless it was invalidated since; lengthen or shorten its time to live; make keys be listed that have no value |
/// | to invalidations | make them forgotten by processes that start later, and by others if he rewrites the log as a failover would: then an older value can be one that was invalidated |
/// | to counters | anything. Scripts add to their digits on the server, so they are never encrypted. One that is planted is shown to whoever reads a number that was stored through the handle, but not to `#[cached]` functions or the HTTP layer |
///
/// Values are compressed before they are sealed, where the provider compresses. Sizes then tell how
/// much of a value repeats: do not compress values that hold a secret beside text that an attacker
/// can choose.
///
/// A number that was stored by `set` is encrypted, and therefore no counter:
/// [`increment`](crate::Cache::increment) answers
/// [`WrongType`](crate::ErrorKind::WrongType).
#[derive(Clone)]
#[must_use]
pub struct EncryptionKeys(Vec<(u32, XChaCha20Poly1305)>);

impl EncryptionKeys {
    /// Writes and reads with `key`, which goes by the number `id`. Take 32 random bytes for it, not
    /// a password.
    pub fn new(id: u32, key: [u8; 32]) -> Self {
        Self(Vec::new()).and_read(id, key)
    }

    /// Reads values that were written with this key, too.
    pub fn and_read(mut self, id: u32, key: [u8; 32]) -> Self {
        self.0.push((id, XChaCha20Poly1305::new(&key.into())));
        self
    }

    /// A number that two keys go by.
    pub(crate) fn ambiguous(&self) -> Option<u32> {
        let twice = |(index, (id, _)): (usize, &(u32, _))| {
            let earlier = self.0[..index].iter().any(|(other, _)| other == id);
            earlier.then_some(*id)
        };
        self.0.iter().enumerate().find_map(twice)
    }

    /// The number of the key, the nonce, then `plain` sealed together with `header`.
    pub(super) fn seal(&self, header: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let nonce = XNonce::try_generate();
        let nonce = nonce.map_err(|error| unsealable().with_source(error.to_string()))?;
        let (id, cipher) = self.0.first().ok_or_else(unsealable)?;
        let sealed = cipher.encrypt(&nonce, together(header, plain));
        let sealed = sealed.map_err(|_| unsealable())?;
        Ok([&id.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    /// What was sealed together with `header`.
    pub(super) fn open(&self, header: &[u8], stored: &[u8]) -> Result<Vec<u8>, Damaged> {
        let (id, rest) = stored.split_first_chunk::<KEY_ID_BYTES>().ok_or(Damaged)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Damaged)?;
        let id = u32::from_be_bytes(*id);
        let (_, cipher) = self
            .0
            .iter()
            .find(|(known, _)| *known == id)
            .ok_or(Damaged)?;
        let opened = cipher.decrypt(&XNonce::from(*nonce), together(header, sealed));
        opened.map_err(|_| Damaged)
    }
}

fn together<'a>(header: &'a [u8], message: &'a [u8]) -> Payload<'a, 'a> {
    Payload {
        msg: message,
        aad: header,
    }
}

fn unsealable() -> Error {
    Error::new(ErrorKind::Encode, "a value could not be encrypted")
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.iter().map(|(id, _)| id);
        f.write_str("EncryptionKeys")?;
        f.debug_list().entries(ids).finish()
    }
}
