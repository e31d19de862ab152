//! What version 1 has written is read: nothing of it is kept after it has expired.

use super::*;

const ENTRY: &[u8] = include_bytes!("../../../../golden/entry-v1.bin");
const LEASE: &[u8] = include_bytes!("../../../../golden/lease-v1.bin");
const COUNTER: &[u8] = include_bytes!("../../../../golden/counter-v1.bin");
const RAW: &[u8] = include_bytes!("../../../../golden/entry-v1-raw.bin");
#[cfg(feature = "zstd")]
const ZSTD: &[u8] = include_bytes!("../../../../golden/entry-v1-zstd.bin");
#[cfg(feature = "lz4")]
const LZ4: &[u8] = include_bytes!("../../../../golden/entry-v1-lz4.bin");
#[cfg(feature = "messagepack")]
const MESSAGE_PACK: &[u8] = include_bytes!("../../../../golden/entry-v1-messagepack.bin");
#[cfg(feature = "postcard")]
const POSTCARD: &[u8] = include_bytes!("../../../../golden/entry-v1-postcard.bin");

#[test]
fn its_entry_is_read() {
    let (header, payload) = decode(KEY, &Bytes::from_static(ENTRY)).unwrap();
    assert_eq!(header.form, Form::Entry);
    assert_eq!(header.id.as_u64(), 0x0102_0304_0506_0708);
    assert_eq!(header.stamp, stamp());
    assert_eq!(header.created_millis, 1_700_000_000_000);
    assert_eq!(header.expires_millis, Some(1_700_000_060_000));
    assert_eq!(header.owner.as_u64(), 0x1122_3344_5566_7788);
    assert_eq!(header.tags.join(" "), "team:7 österreich");
    assert_eq!((spans(&header), header.refresh), ((0, 0), None));
    let (json, _) = payload.to_bytes().unwrap();
    assert_eq!(&json[..], br#"{"id":42,"name":"Ada"}"#);
}

#[test]
fn its_leases_and_counters_are_read() {
    let (header, _) = decode(KEY, &Bytes::from_static(LEASE)).unwrap();
    assert_eq!(header.form, Form::Lease);
    let (header, payload) = decode("cache::hits", &Bytes::from_static(COUNTER)).unwrap();
    assert_eq!((header.form, header.expires_millis), (Form::Counter, None));
    assert!(matches!(payload, Payload::Counter(i64::MIN)));
}

#[test]
fn its_codecs_and_compressions_are_read() {
    for (codec, golden) in [
        (CodecId::RAW, RAW),
        #[cfg(feature = "zstd")]
        (CodecId::JSON, ZSTD),
        #[cfg(feature = "lz4")]
        (CodecId::JSON, LZ4),
        #[cfg(feature = "messagepack")]
        (CodecId::MESSAGE_PACK, MESSAGE_PACK),
        #[cfg(feature = "postcard")]
        (CodecId::POSTCARD, POSTCARD),
    ] {
        assert_eq!(read_text(golden), (codec, text()));
    }
}

#[test]
fn its_entry_that_was_cut_short_anywhere_in_its_header_is_damaged() {
    let length = decode_header(KEY, ENTRY).unwrap().length;
    for end in 0..length {
        assert_eq!(decode_header(KEY, &ENTRY[..end]).unwrap_err(), Damaged);
    }
    assert!(decode_header(KEY, &ENTRY[..length]).is_ok());
}

#[cfg(feature = "testkit")]
#[test]
fn what_is_asked_of_any_bytes_holds_of_both_versions() {
    let second = [super::ENTRY, super::LEASE, super::COUNTER];
    for golden in [ENTRY, LEASE, COUNTER].into_iter().chain(second) {
        super::super::fuzz::from_anybody(golden);
        let mut refreshed = golden.to_vec();
        refreshed[90] ^= 1;
        super::super::fuzz::from_anybody(&refreshed);
    }
}
