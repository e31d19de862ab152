//! What must hold of any bytes that stand where an entry is looked for.

use bytes::Bytes;
use serde_json::Value;

#[cfg(feature = "encryption")]
use super::Form;
use super::{FIRST_VERSION, FIXED, Header, Packing, REFRESH, VERSION, decode, decode_header};
#[cfg(feature = "encryption")]
use crate::codec::EncryptionKeys;
#[cfg(feature = "encryption")]
use crate::entry::Owner;
use crate::entry::Payload;

/// Reads `data` where the key stands that it names itself.
pub(crate) fn from_anybody(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let key = own_key(data).unwrap_or("k");
    if let Ok(header) = decode_header(key, data) {
        assert_eq!(header.encode(key, 0).ok(), Some(as_written(data, &header)));
    }
    if let Ok((_, payload)) = decode(key, &bytes, &Packing::PLAIN) {
        read_as_anything(&payload);
    }
    #[cfg(feature = "encryption")]
    if let Ok((header, _)) = decode(key, &bytes, &sealing()) {
        let is_counter = header.form == Form::Counter && header.owner == Owner::HANDLE;
        assert!(is_counter || header.form == Form::Lease, "not sealed");
    }
    assert!(
        decode_header(&format!("{key}x"), data).is_err(),
        "another's"
    );
}

/// Where the key begins in version 1.
const FIRST_FIXED: usize = 72;

fn own_key(data: &[u8]) -> Option<&str> {
    let fixed = match *data.get(4)? {
        FIRST_VERSION => FIRST_FIXED,
        _ => FIXED,
    };
    let length = u16::from_be_bytes(data.get(68..70)?.try_into().ok()?);
    let key = data.get(fixed..fixed + usize::from(length))?;
    std::str::from_utf8(key).ok()
}

/// The header that stands there, as this version writes it: without a load beside it.
fn as_written(data: &[u8], header: &Header) -> Vec<u8> {
    let mut bytes = data[..header.length].to_vec();
    if bytes[4] == FIRST_VERSION {
        let more = FIXED - FIRST_FIXED;
        bytes.splice(FIRST_FIXED..FIRST_FIXED, vec![0; more]);
        let length = u32::try_from(header.length + more).unwrap_or(u32::MAX);
        bytes[64..68].copy_from_slice(&length.to_be_bytes());
        bytes[4] = VERSION;
    }
    bytes[REFRESH].fill(0);
    bytes
}

fn read_as_anything(payload: &Payload) {
    let _ = payload.value::<Value>();
    let _ = payload.value::<String>();
    let _ = payload.value::<Vec<u8>>();
    let _ = payload.value::<Option<(u64, f32, char)>>();
    let _ = payload.as_number();
}

#[cfg(feature = "encryption")]
fn sealing() -> Packing {
    let keys = EncryptionKeys::new(9, [0xA5; 32]);
    Packing {
        keys: Some(keys),
        ..Packing::PLAIN
    }
}
