//! What each codec reads back, and what it refuses.

use serde::{Deserialize, Serialize};

use super::*;
use crate::entry::Payload;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    tags: Vec<Option<i8>>,
}

fn user() -> User {
    User {
        id: u64::MAX,
        name: "Ada \"Countess\"".into(),
        tags: vec![Some(-7), None],
    }
}

fn serde_codecs() -> impl Iterator<Item = CodecId> {
    let all = CodecId::COMPILED.iter().copied();
    all.filter(|&codec| codec != CodecId::RAW)
}

#[test]
fn every_codec_reads_what_it_has_written() {
    for codec in serde_codecs() {
        let bytes = encode(&user(), codec).unwrap();
        assert_eq!(decode::<User>(&bytes, codec).unwrap(), user(), "{codec:?}");
    }
}

#[test]
fn every_codec_refuses_bytes_that_were_cut_short_or_go_on() {
    for codec in serde_codecs() {
        let bytes = encode(&user(), codec).unwrap();
        for end in 0..bytes.len() {
            let error = decode::<User>(&bytes[..end], codec).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode, "{codec:?} {end}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(decode::<User>(&longer, codec).is_err(), "{codec:?}");
    }
}

#[test]
fn every_codec_is_known_by_its_byte_and_no_other_byte_is_one() {
    for byte in 0..=u8::MAX {
        let known = CodecId::from_byte(byte);
        assert!(known.is_none_or(|codec| codec.as_byte() == byte));
    }
    let known = (0..=u8::MAX).filter_map(CodecId::from_byte);
    assert_eq!(known.collect::<Vec<_>>(), CodecId::COMPILED);
}

#[cfg(feature = "messagepack")]
#[test]
fn a_struct_in_messagepack_can_gain_a_field_and_change_their_order() {
    #[derive(Serialize)]
    struct Newer {
        email: &'static str,
        tags: Vec<Option<i8>>,
        name: String,
        id: u64,
    }
    let User { id, name, tags } = user();
    let newer = Newer {
        email: "ada@example.org",
        tags,
        name,
        id,
    };
    let bytes = encode(&newer, CodecId::MESSAGE_PACK).unwrap();
    assert_eq!(
        decode::<User>(&bytes, CodecId::MESSAGE_PACK).unwrap(),
        user()
    );
}

#[test]
fn bytes_and_text_are_raw_as_they_are() {
    let text = "no \"quotes\"".to_owned();
    let bytes = encode(&text, CodecId::RAW).unwrap();
    assert_eq!(bytes, text.as_bytes());
    assert_eq!(encode(&bytes, CodecId::RAW).unwrap(), bytes);
    assert_eq!(encode(&bytes.to_vec(), CodecId::RAW).unwrap(), bytes);
    assert_eq!(decode::<String>(&bytes, CodecId::RAW).unwrap(), text);
    assert_eq!(decode::<Bytes>(&bytes, CodecId::RAW).unwrap(), bytes);
    assert_eq!(decode::<Vec<u8>>(&bytes, CodecId::RAW).unwrap(), bytes);
}

#[test]
fn nothing_but_bytes_and_text_is_raw() {
    let error = encode(&user(), CodecId::RAW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    let error = decode::<User>(b"{}", CodecId::RAW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    let error = decode::<String>(b"\xff", CodecId::RAW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[test]
fn a_typed_value_is_read_as_another_type_through_the_codec_of_its_cache() {
    for codec in serde_codecs() {
        let payload = Payload::typed_in(7_u32, codec);
        assert_eq!(payload.to_bytes().unwrap().1, codec);
        assert_eq!(payload.value::<u32>().unwrap(), 7);
        assert_eq!(payload.value::<u64>().unwrap(), 7, "{codec:?}");
    }
    let text = Payload::typed_in("text".to_owned(), CodecId::RAW);
    assert_eq!(text.value::<Vec<u8>>().unwrap(), b"text");
}
