//! The stored bytes are pinned by files in `golden/`; whatever else stands there is damaged.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{decode as decode_packed, encode as encode_packed, *};
use crate::clock::Timestamp;
use crate::entry::Meta;

const KEY: &str = "cache:users:get_user:42";
const ENTRY: &[u8] = include_bytes!("../../../golden/entry-v2.bin");
const LEASE: &[u8] = include_bytes!("../../../golden/lease-v2.bin");
const COUNTER: &[u8] = include_bytes!("../../../golden/counter-v2.bin");

const RAW: &[u8] = include_bytes!("../../../golden/entry-v2-raw.bin");
#[cfg(feature = "zstd")]
const ZSTD: &[u8] = include_bytes!("../../../golden/entry-v2-zstd.bin");
#[cfg(feature = "lz4")]
const LZ4: &[u8] = include_bytes!("../../../golden/entry-v2-lz4.bin");
#[cfg(feature = "messagepack")]
const MESSAGE_PACK: &[u8] = include_bytes!("../../../golden/entry-v2-messagepack.bin");
#[cfg(feature = "postcard")]
const POSTCARD: &[u8] = include_bytes!("../../../golden/entry-v2-postcard.bin");

fn encode(key: &str, entry: &Entry) -> Result<Vec<u8>> {
    encode_packed(key, entry, &Packing::PLAIN)
}

fn decode(key: &str, bytes: &Bytes) -> Result<(Header, Payload), Damaged> {
    decode_packed(key, bytes, &Packing::PLAIN)
}

fn stamp() -> Stamp {
    Stamp::new(Incarnation::new(3, 0xfedc_ba98_7654_3210), 7)
}

fn entry(id: u64, stamp: Stamp, tags: &[&str], payload: Payload) -> Entry {
    let meta = Meta {
        id: EntryId::from_u64(id),
        owner: Owner::from_u64(0),
        stamp,
        created: Timestamp::from_millis(1),
        expires: None,
        kept_for: Duration::ZERO,
        load_time: Duration::ZERO,
        tags: tags.iter().map(|&tag| tag.into()).collect(),
    };
    Entry::new(meta, payload)
}

fn without_times(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[TIMES].fill(0);
    bytes
}

fn spans(header: &Header) -> (u64, u64) {
    let spans = [header.kept_for(), header.load_time()];
    let [kept, load] = spans.map(|span| u64::try_from(span.as_millis()).unwrap());
    (kept, load)
}

#[test]
fn an_entry_has_the_bytes_of_version_2() {
    let payload = Payload::Bytes {
        bytes: Bytes::from_static(br#"{"id":42,"name":"Ada"}"#),
        codec: CodecId::JSON,
    };
    let tags = ["team:7", "österreich"];
    let entry = entry(0x0102_0304_0506_0708, stamp(), &tags, payload);
    let owned = Meta {
        owner: Owner::from_u64(0x1122_3344_5566_7788),
        kept_for: Duration::from_secs(90),
        load_time: Duration::from_millis(1_234),
        ..entry.meta().clone()
    };
    assert_eq!(
        encode(KEY, &entry.with_meta(owned)).unwrap(),
        without_times(ENTRY)
    );
}

/// The text that stands in every golden file of a codec: long, and of little variety.
fn text() -> String {
    "the quick brown fox, again. ".repeat(8)
}

fn text_in(codec: CodecId) -> Entry {
    entry(9, stamp(), &["t"], Payload::typed_in(text(), codec))
}

fn read_text(bytes: &'static [u8]) -> (CodecId, String) {
    let (header, payload) = decode(KEY, &Bytes::from_static(bytes)).unwrap();
    (header.codec, payload.value().unwrap())
}

#[test]
fn every_codec_has_the_bytes_of_version_2() {
    for (codec, golden) in [
        (CodecId::RAW, RAW),
        #[cfg(feature = "messagepack")]
        (CodecId::MESSAGE_PACK, MESSAGE_PACK),
        #[cfg(feature = "postcard")]
        (CodecId::POSTCARD, POSTCARD),
    ] {
        assert_eq!(encode(KEY, &text_in(codec)).unwrap(), golden, "{codec:?}");
        assert_eq!(read_text(golden), (codec, text()));
    }
}

/// Not what is written: other versions of a library may compress otherwise.
#[test]
fn compressed_bytes_of_version_2_are_read() {
    for golden in [
        #[cfg(feature = "zstd")]
        ZSTD,
        #[cfg(feature = "lz4")]
        LZ4,
    ] {
        let golden: &[u8] = golden;
        assert_eq!(read_text(golden), (CodecId::JSON, text()));
    }
}

#[test]
fn a_lease_has_the_bytes_of_version_2() {
    let token = EntryId::from_u64(0x0102_0304_0506_0708);
    assert_eq!(encode_lease(KEY, token, stamp()).unwrap(), LEASE);
}

#[test]
fn a_counter_has_the_bytes_of_version_2() {
    let stamp = Stamp::new(Incarnation::new(1, 0), (1 << 48) - 1);
    let counter = entry(u64::MAX - 1, stamp, &[], Payload::Counter(i64::MIN));
    assert_eq!(
        encode("cache::hits", &counter).unwrap(),
        without_times(COUNTER)
    );
}

#[test]
fn the_bytes_of_version_2_are_read() {
    let (header, payload) = decode(KEY, &Bytes::from_static(ENTRY)).unwrap();
    assert_eq!(header.form, Form::Entry);
    assert_eq!(header.id.as_u64(), 0x0102_0304_0506_0708);
    assert_eq!(header.stamp, stamp());
    assert_eq!(header.created_millis, 1_700_000_000_000);
    assert_eq!(header.expires_millis, Some(1_700_000_060_000));
    assert_eq!(header.owner.as_u64(), 0x1122_3344_5566_7788);
    assert_eq!(header.tags.join(" "), "team:7 österreich");
    assert_eq!(spans(&header), (90_000, 1_234));
    assert_eq!(header.refresh, None);
    assert_eq!(
        &payload.to_bytes().unwrap().0[..],
        br#"{"id":42,"name":"Ada"}"#
    );

    let (header, _) = decode(KEY, &Bytes::from_static(LEASE)).unwrap();
    assert_eq!(header.form, Form::Lease);
    let (header, payload) = decode("cache::hits", &Bytes::from_static(COUNTER)).unwrap();
    assert_eq!((header.form, header.expires_millis), (Form::Counter, None));
    assert!(matches!(payload, Payload::Counter(i64::MIN)));
}

#[test]
fn the_load_that_runs_beside_an_entry_is_told_by_its_token() {
    let mut bytes = ENTRY.to_vec();
    bytes[84..92].copy_from_slice(&7_u64.to_be_bytes());
    let header = decode_header(KEY, &bytes).unwrap();
    assert_eq!(header.refresh, Some(EntryId::from_u64(7)));
    assert_eq!(header.id.as_u64(), 0x0102_0304_0506_0708);
}

#[test]
fn a_span_beyond_what_scripts_compute_exactly_is_cut() {
    let endless = Meta {
        kept_for: Duration::MAX,
        load_time: Duration::MAX,
        ..entry(1, stamp(), &[], Payload::Counter(1)).meta().clone()
    };
    let bytes = encode(KEY, &Entry::new(endless, Payload::Counter(1))).unwrap();
    let header = decode_header(KEY, &bytes).unwrap();
    assert_eq!(spans(&header), (1 << 42, u32::MAX.into()));
}

#[test]
fn the_json_of_an_entry_is_readable_behind_the_header() {
    assert!(ENTRY.ends_with(br#"{"id":42,"name":"Ada"}"#));
}

#[test]
fn an_entry_at_another_key_is_damaged() {
    for key in ["", "cache:users:get_user:4", "cache:users:get_user:43"] {
        assert_eq!(
            decode(key, &Bytes::from_static(ENTRY)).unwrap_err(),
            Damaged
        );
    }
}

#[test]
fn an_entry_that_was_cut_short_anywhere_in_its_header_is_damaged() {
    let length = decode_header(KEY, ENTRY).unwrap().length;
    for end in 0..length {
        assert_eq!(decode_header(KEY, &ENTRY[..end]).unwrap_err(), Damaged);
    }
    assert!(decode_header(KEY, &ENTRY[..length]).is_ok());
}

#[test]
fn what_a_later_version_may_mean_is_damaged() {
    for (offset, value) in [
        (0, 0),
        (4, 0),
        (4, 3),
        (5, b'x'),
        (6, 4),
        (6, 200),
        (7, 3),
        (7, 7),
        (7, 8),
        (7, 128),
        (67, 0),
        (71, 65),
    ] {
        let mut bytes = ENTRY.to_vec();
        bytes[offset] = value;
        assert_eq!(
            decode_header(KEY, &bytes).unwrap_err(),
            Damaged,
            "at {offset}"
        );
    }
}

#[test]
fn numbers_that_lua_cannot_hold_are_damaged() {
    for offset in [16, 24, 40, 48, 72, 92] {
        let mut bytes = ENTRY.to_vec();
        bytes[offset..offset + 8].copy_from_slice(&MAX_EXACT.to_be_bytes());
        assert_eq!(
            decode_header(KEY, &bytes).unwrap_err(),
            Damaged,
            "at {offset}"
        );
    }
}

#[test]
fn a_counter_has_one_spelling() {
    let length = decode_header("cache::hits", COUNTER).unwrap().length;
    for digits in ["", "+1", "01", "-0", " 1", "1.0", "9223372036854775808"] {
        let bytes = [&COUNTER[..length], digits.as_bytes()].concat();
        let decoded = decode("cache::hits", &Bytes::from(bytes));
        assert_eq!(decoded.unwrap_err(), Damaged, "{digits}");
    }
}

#[test]
fn a_lease_with_a_payload_is_damaged() {
    let bytes = [LEASE, b"x"].concat();
    assert_eq!(decode(KEY, &Bytes::from(bytes)).unwrap_err(), Damaged);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(KEY, &Bytes::from(bytes.clone()));
        let _ = id_in(&bytes);
    }

    #[test]
    fn no_change_of_a_stored_entry_makes_the_reader_panic(
        changes in proptest::collection::vec((0..ENTRY.len(), any::<u8>()), 1..6),
        end in 0..ENTRY.len(),
    ) {
        let mut bytes = ENTRY.to_vec();
        for (offset, value) in changes {
            bytes[offset] = value;
        }
        let _ = decode(KEY, &Bytes::from(bytes.clone()));
        bytes.truncate(end);
        let _ = decode(KEY, &Bytes::from(bytes));
    }

    #[test]
    fn what_is_written_is_read(
        id: u64,
        sequence in 0..MAX_EXACT,
        key in "[a-z:{}]{0,40}",
        tags in proptest::collection::vec("[a-zé]{1,20}", 0..5),
        payload in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let tags: Vec<_> = tags.iter().map(String::as_str).collect();
        let stamp = Stamp::new(Incarnation::new(5, id), sequence);
        let stored = Payload::Bytes { bytes: payload.clone().into(), codec: CodecId::RAW };
        let entry = entry(id, stamp, &tags, stored);
        let bytes = Bytes::from(encode(&key, &entry).unwrap());
        let (header, read) = decode(&key, &bytes).unwrap();
        prop_assert_eq!(header.id, entry.meta().id);
        prop_assert_eq!(header.stamp, stamp);
        prop_assert_eq!(&header.tags, &Arc::clone(&entry.meta().tags));
        prop_assert_eq!(&read.to_bytes().unwrap().0[..], &payload[..]);
    }
}

mod first_version;
#[cfg(feature = "encryption")]
mod sealed;
