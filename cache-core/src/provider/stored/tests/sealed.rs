//! Sealed entries: their golden files, and that nothing about them can be changed.

use super::*;
use crate::EncryptionKeys;

const SEALED: &[u8] = include_bytes!("../../../../golden/entry-v2-sealed.bin");
const SEALED_1: &[u8] = include_bytes!("../../../../golden/entry-v1-sealed.bin");
#[cfg(feature = "zstd")]
const ZSTD_SEALED: &[u8] = include_bytes!("../../../../golden/entry-v1-zstd-sealed.bin");
#[cfg(feature = "lz4")]
const LZ4_SEALED: &[u8] = include_bytes!("../../../../golden/entry-v1-lz4-sealed.bin");

/// The key of the golden files: the bytes from 0 on.
fn sealing() -> Packing {
    let mut key = [0; 32];
    (0..)
        .zip(&mut key)
        .for_each(|(number, byte)| *byte = number);
    Packing {
        keys: Some(EncryptionKeys::new(7, key)),
        ..Packing::PLAIN
    }
}

fn open(bytes: &[u8], packing: &Packing) -> Result<String, Damaged> {
    let (_, payload) = decode_packed(KEY, &Bytes::copy_from_slice(bytes), packing)?;
    payload.value().map_err(|_| Damaged)
}

#[test]
fn sealed_bytes_of_both_versions_are_read() {
    for golden in [
        SEALED,
        SEALED_1,
        #[cfg(feature = "zstd")]
        ZSTD_SEALED,
        #[cfg(feature = "lz4")]
        LZ4_SEALED,
    ] {
        assert_eq!(open(golden, &sealing()), Ok(text()));
    }
}

#[test]
fn what_is_sealed_has_the_layout_of_version_2_under_a_nonce_of_its_own() {
    let payload = Payload::typed(text());
    let entry = entry(9, stamp(), &["t"], payload);
    let one = encode_packed(KEY, &entry, &sealing()).unwrap();
    let other = encode_packed(KEY, &entry, &sealing()).unwrap();
    let begin = decode_header(KEY, &one).unwrap().length;
    assert_eq!(one[..begin + 4], without_times(SEALED)[..begin + 4]);
    assert_eq!(one.len(), SEALED.len());
    assert_ne!(one[begin + 4..begin + 28], other[begin + 4..begin + 28]);
    assert_eq!(open(&one, &sealing()), Ok(text()));
}

#[test]
fn no_byte_of_a_sealed_entry_can_be_changed_but_for_what_the_server_sets() {
    let set = |offset: &usize| TIMES.contains(offset) || REFRESH.contains(offset);
    let mut refreshed = without_times(SEALED);
    refreshed[REFRESH.start + 7] = 1;
    assert_eq!(open(&refreshed, &sealing()), Ok(text()));
    for offset in (0..SEALED.len()).filter(|offset| !set(offset)) {
        let mut bytes = SEALED.to_vec();
        bytes[offset] ^= 1;
        assert_eq!(open(&bytes, &sealing()), Err(Damaged), "at {offset}");
    }
    for offset in (0..SEALED_1.len()).filter(|offset| !TIMES.contains(offset)) {
        let mut bytes = SEALED_1.to_vec();
        bytes[offset] ^= 1;
        assert_eq!(
            open(&bytes, &sealing()),
            Err(Damaged),
            "of version 1, at {offset}"
        );
    }
}

#[test]
fn a_sealed_entry_that_was_cut_short_anywhere_is_damaged() {
    for end in 0..SEALED.len() {
        assert_eq!(open(&SEALED[..end], &sealing()), Err(Damaged), "at {end}");
    }
}

#[test]
fn nobody_without_the_key_reads_what_is_sealed() {
    let keys = |id, key| Packing {
        keys: Some(EncryptionKeys::new(id, key)),
        ..Packing::PLAIN
    };
    for packing in [Packing::PLAIN, keys(7, [9; 32]), keys(8, [9; 32])] {
        assert_eq!(open(SEALED, &packing), Err(Damaged));
    }
}

#[test]
fn who_seals_reads_nothing_that_is_not_sealed() {
    let plain = encode(KEY, &text_in(CodecId::JSON)).unwrap();
    assert_eq!(open(&plain, &Packing::PLAIN), Ok(text()));
    assert_eq!(open(&plain, &sealing()), Err(Damaged));
}

#[test]
fn a_counter_is_nobodys_result_where_values_are_sealed() {
    let counter = entry(1, stamp(), &[], Payload::Counter(5));
    let bytes = Bytes::from(encode(KEY, &counter).unwrap());
    assert!(decode_packed(KEY, &bytes, &sealing()).is_ok());
    let owned = Meta {
        owner: Owner::of("a function"),
        ..counter.meta().clone()
    };
    let bytes = Bytes::from(encode(KEY, &counter.with_meta(owned)).unwrap());
    assert!(decode(KEY, &bytes).is_ok());
    assert_eq!(decode_packed(KEY, &bytes, &sealing()).unwrap_err(), Damaged);
}
