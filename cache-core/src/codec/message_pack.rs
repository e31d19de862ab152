//! The MessagePack codec. Structs are maps: a field can be added where others still read.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CodecId, unreadable, unwritable};
use crate::error::Result;

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    let written = rmp_serde::to_vec_named(value).map(Bytes::from);
    written.map_err(|error| unwritable::<T>(CodecId::MESSAGE_PACK, error))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = rmp_serde::Deserializer::new(bytes);
    let value = T::deserialize(&mut reader);
    let value = value.map_err(|error| unreadable::<T>(CodecId::MESSAGE_PACK, error))?;
    match reader.get_ref() {
        [] => Ok(value),
        _ => Err(unreadable::<T>(
            CodecId::MESSAGE_PACK,
            "bytes are left over",
        )),
    }
}
