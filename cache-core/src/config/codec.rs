//! Codecs by their names.

use serde::de::{Deserialize, Deserializer, Error};

use crate::codec::CodecId;

const EXPECTED: &str = "expected `json`, `messagepack`, `postcard` or `raw`";

/// A codec in a configuration: `json`, `messagepack`, `postcard` or `raw`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedCodec(pub(crate) CodecId);

impl<'de> Deserialize<'de> for NamedCodec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let codec = match name.as_str() {
            "json" => CodecId::JSON,
            "raw" => CodecId::RAW,
            #[cfg(feature = "messagepack")]
            "messagepack" => CodecId::MESSAGE_PACK,
            #[cfg(feature = "postcard")]
            "postcard" => CodecId::POSTCARD,
            #[allow(unreachable_patterns, reason = "not where both are compiled in")]
            "messagepack" | "postcard" => return Err(D::Error::custom(not_built(&name))),
            _ => return Err(D::Error::custom(EXPECTED)),
        };
        Ok(Self(codec))
    }
}

/// What is said of something that needs a feature which the program lacks.
pub(crate) fn not_built(feature: &str) -> String {
    format!("this program is built without the feature `{feature}` of cache-core")
}
