//! The JSON codec (RFC 8259).

use std::any::type_name;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| {
        let message = format!("a {} cannot be written as JSON", type_name::<T>());
        Error::new(ErrorKind::Encode, message).with_source(error)
    })
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("the stored JSON is not a {}", type_name::<T>());
        Error::new(ErrorKind::Decode, message).with_source(error)
    })
}
