//! Bytes and text as they are, without a codec.

use std::any::{Any, TypeId};

use bytes::Bytes;

use super::{CodecId, unreadable, unwritable};
use crate::error::Result;

const WHAT_CAN: &str = "only Bytes, Vec<u8> and String are stored as they are";

pub(super) fn encode<T: 'static>(value: &T) -> Result<Bytes> {
    let value: &dyn Any = value;
    if let Some(bytes) = value.downcast_ref::<Bytes>() {
        return Ok(bytes.clone());
    }
    let text = value.downcast_ref::<String>().map(String::as_bytes);
    let bytes = text.or_else(|| value.downcast_ref::<Vec<u8>>().map(Vec::as_slice));
    let bytes = bytes.map(Bytes::copy_from_slice);
    bytes.ok_or_else(|| unwritable::<T>(CodecId::RAW, WHAT_CAN))
}

pub(super) fn decode<T: 'static>(bytes: &[u8]) -> Result<T> {
    let wanted = TypeId::of::<T>();
    let value = if wanted == TypeId::of::<String>() {
        let text = str::from_utf8(bytes);
        let text = text.map_err(|error| unreadable::<T>(CodecId::RAW, error))?;
        moved(text.to_owned())
    } else if wanted == TypeId::of::<Vec<u8>>() {
        moved(bytes.to_vec())
    } else {
        moved(Bytes::copy_from_slice(bytes))
    };
    value.ok_or_else(|| unreadable::<T>(CodecId::RAW, WHAT_CAN))
}

/// The value, if a `T` is what it is.
fn moved<S: 'static, T: 'static>(value: S) -> Option<T> {
    let mut value = Some(value);
    let value: &mut dyn Any = &mut value;
    value.downcast_mut::<Option<T>>()?.take()
}
