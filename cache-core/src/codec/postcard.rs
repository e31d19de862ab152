//! The postcard codec. Its bytes name nothing, so leftovers are all that tells a wrong type.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CodecId, unreadable, unwritable};
use crate::error::Result;

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    let written = postcard::to_stdvec(value).map(Bytes::from);
    written.map_err(|error| unwritable::<T>(CodecId::POSTCARD, error))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(unreadable::<T>(CodecId::POSTCARD, "bytes are left over")),
        Err(error) => Err(unreadable::<T>(CodecId::POSTCARD, error)),
    }
}
