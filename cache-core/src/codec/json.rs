//! The JSON codec (RFC 8259).

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CodecId, unreadable, unwritable};
use crate::error::Result;

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    let written = serde_json::to_vec(value).map(Bytes::from);
    written.map_err(|error| unwritable::<T>(CodecId::JSON, error))
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| unreadable::<T>(CodecId::JSON, error))
}
