//! Compression and encryption as a section asks for them.

use serde::Deserialize;

#[cfg(feature = "encryption")]
use crate::codec::EncryptionKeys;
use crate::codec::{Algorithm, Compression, Packing};
use crate::config::{HumanBytes, Section, not_built};
use crate::error::Result;

/// The fields of a section whose provider stores bytes.
pub(super) struct PackingFields {
    pub(super) compression: Option<String>,
    pub(super) compression_above: Option<HumanBytes>,
    pub(super) encryption: Option<Vec<KeyFields>>,
}

/// One of the keys that values are encrypted by. Nothing prints it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(feature = "encryption"),
    expect(dead_code, reason = "it is refused")
)]
pub(super) struct KeyFields {
    id: u32,
    key: String,
}

impl PackingFields {
    /// How the provider of this section packs values.
    pub(super) fn packing(&self, section: &Section) -> Result<Packing> {
        let packing = Packing {
            compression: self.compression(section)?,
            ..Packing::PLAIN
        };
        match &self.encryption {
            Some(keys) => encrypting(section, packing, keys),
            None => Ok(packing),
        }
    }

    fn compression(&self, section: &Section) -> Result<Option<Compression>> {
        let Some(name) = &self.compression else {
            return match self.compression_above {
                Some(_) => {
                    let what = "this needs `compression`, `zstd` or `lz4`";
                    Err(section.error("compression_above", what))
                }
                None => Ok(None),
            };
        };
        let compression = Compression::by(algorithm(section, name)?);
        let above = self.compression_above;
        let above = above.map(|HumanBytes(bytes)| usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(Some(match above {
            Some(bytes) => compression.above(bytes),
            None => compression,
        }))
    }
}

fn algorithm(section: &Section, name: &str) -> Result<Algorithm> {
    match name {
        "zstd" if cfg!(feature = "zstd") => Ok(Algorithm::Zstd),
        "lz4" if cfg!(feature = "lz4") => Ok(Algorithm::Lz4),
        "zstd" | "lz4" => Err(section.error("compression", not_built(name))),
        _ => Err(section.error("compression", "expected `zstd` or `lz4`")),
    }
}

/// The first key writes, all of them read.
#[cfg(feature = "encryption")]
fn encrypting(section: &Section, mut packing: Packing, keys: &[KeyFields]) -> Result<Packing> {
    let Some((first, others)) = keys.split_first() else {
        let what = "expected at least one key; leave the field out to store values as they are";
        return Err(section.error("encryption", what));
    };
    let mut all = EncryptionKeys::new(first.id, first.bytes(section)?);
    for key in others {
        all = all.and_read(key.id, key.bytes(section)?);
    }
    packing.keys = Some(all);
    Ok(packing)
}

#[cfg(not(feature = "encryption"))]
fn encrypting(section: &Section, _: Packing, _: &[KeyFields]) -> Result<Packing> {
    Err(section.error("encryption", not_built("encryption")))
}

#[cfg(feature = "encryption")]
impl KeyFields {
    fn bytes(&self, section: &Section) -> Result<[u8; 32]> {
        bytes(&self.key).ok_or_else(|| {
            let what = format!(
                "the key {} is not 64 hexadecimal digits, as `openssl rand -hex 32` prints them",
                self.id
            );
            section.error("encryption", what)
        })
    }
}

#[cfg(feature = "encryption")]
fn bytes(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    });
    let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
    bytes.try_into().ok()
}
