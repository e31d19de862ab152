//! The bytes of a stored response in a remote tier.
//!
//! All numbers are big-endian:
//!
//! ```text
//! version    u8, 1
//! kind       u8: 0 not shared (nothing follows), 1 response
//! status     u16
//! age        u32, seconds
//! head       u16 number of fields; each: u16 length, name, u32 length, value
//! trailers   u8: 0 none, 1 as the head's fields
//! body       the rest
//! ```

use std::num::TryFromIntError;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use cache_core::{Error, ErrorKind, Result};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{CachedResponse, Head, Stored};

const VERSION: u8 = 1;
const NOT_SHARED: u8 = 0;
const RESPONSE: u8 = 1;

/// Writes a response.
///
/// # Errors
///
/// [`ErrorKind::Encode`] for more fields, or longer ones, than the form has room for.
pub(super) fn encode(value: &CachedResponse) -> Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(256);
    bytes.put_u8(VERSION);
    match value {
        CachedResponse::NotShared => bytes.put_u8(NOT_SHARED),
        CachedResponse::Response(stored) => {
            bytes.put_u8(RESPONSE);
            bytes.put_u16(stored.head.status.as_u16());
            let age = u32::try_from(stored.head.initial_age.as_secs());
            bytes.put_u32(age.unwrap_or(u32::MAX));
            put_fields(&stored.head.headers, &mut bytes)?;
            bytes.put_u8(stored.trailers.is_some().into());
            if let Some(trailers) = &stored.trailers {
                put_fields(trailers, &mut bytes)?;
            }
            bytes.put_slice(&stored.body);
        }
    }
    Ok(bytes.freeze())
}

fn put_fields(fields: &HeaderMap, bytes: &mut BytesMut) -> Result<()> {
    bytes.put_u16(u16::try_from(fields.len()).map_err(too_much)?);
    for (name, value) in fields {
        let name = name.as_str().as_bytes();
        bytes.put_u16(u16::try_from(name.len()).map_err(too_much)?);
        bytes.put_slice(name);
        bytes.put_u32(u32::try_from(value.len()).map_err(too_much)?);
        bytes.put_slice(value.as_bytes());
    }
    Ok(())
}

fn too_much(source: TryFromIntError) -> Error {
    let message = "the response has more header fields, or longer ones, than can be stored";
    Error::new(ErrorKind::Encode, message).with_source(source)
}

/// Reads a response back.
///
/// # Errors
///
/// [`ErrorKind::Decode`], whatever the bytes are.
pub(super) fn decode(bytes: &[u8]) -> Result<CachedResponse> {
    let damaged = || {
        let message = "the stored bytes are not a response, or of an unknown version";
        Error::new(ErrorKind::Decode, message)
    };
    Reader(bytes).value().ok_or_else(damaged)
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn value(mut self) -> Option<CachedResponse> {
        if self.u8()? != VERSION {
            return None;
        }
        match self.u8()? {
            NOT_SHARED => self.0.is_empty().then_some(CachedResponse::NotShared),
            RESPONSE => Some(CachedResponse::Response(Arc::new(self.stored()?))),
            _ => None,
        }
    }

    fn stored(mut self) -> Option<Stored> {
        let head = Head {
            status: StatusCode::from_u16(self.u16()?).ok()?,
            initial_age: Duration::from_secs(self.u32()?.into()),
            headers: self.fields()?,
        };
        let trailers = match self.u8()? {
            0 => None,
            1 => Some(self.fields()?),
            _ => return None,
        };
        Some(Stored {
            head,
            trailers,
            body: Bytes::copy_from_slice(self.0),
        })
    }

    fn fields(&mut self) -> Option<HeaderMap> {
        let count = self.u16()?;
        let mut fields = HeaderMap::new();
        for _ in 0..count {
            let length = self.u16()?;
            let name = HeaderName::from_bytes(self.take(length.into())?).ok()?;
            let length = self.u32()?;
            let value = self.take(usize::try_from(length).ok()?)?;
            let value = HeaderValue::from_bytes(value).ok()?;
            fields.try_append(name, value).ok()?;
        }
        Some(fields)
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Stored {
        let mut headers = HeaderMap::new();
        headers.append("etag", HeaderValue::from_static("\"a\""));
        headers.append("link", HeaderValue::from_static("</a>"));
        headers.append("link", HeaderValue::from_bytes(b"\xff").unwrap());
        Stored {
            head: Head {
                status: StatusCode::OK,
                headers,
                initial_age: Duration::from_secs(7),
            },
            body: Bytes::from_static(b"body"),
            trailers: Some(HeaderMap::from_iter([(
                HeaderName::from_static("x-sum"),
                HeaderValue::from_static("9"),
            )])),
        }
    }

    fn bytes_of(stored: Stored) -> Bytes {
        encode(&CachedResponse::Response(Arc::new(stored))).unwrap()
    }

    /// The form that is in other processes' stores: if this changes, `VERSION` must.
    #[test]
    fn the_stored_form_is_the_one_that_was_released() {
        let expected = b"\x01\x01\x00\xc8\x00\x00\x00\x07\x00\x03\
            \x00\x04etag\x00\x00\x00\x03\"a\"\
            \x00\x04link\x00\x00\x00\x04</a>\
            \x00\x04link\x00\x00\x00\x01\xff\
            \x01\x00\x01\x00\x05x-sum\x00\x00\x00\x019body";
        assert_eq!(bytes_of(response()), expected.as_slice());
        assert_eq!(
            encode(&CachedResponse::NotShared).unwrap(),
            b"\x01\x00".as_slice()
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        let without_trailers = Stored {
            trailers: None,
            ..response()
        };
        for stored in [response(), without_trailers] {
            let bytes = bytes_of(stored);
            let read = decode(&bytes).unwrap();
            assert_eq!(encode(&read).unwrap(), bytes);
        }
        let marker = decode(&encode(&CachedResponse::NotShared).unwrap()).unwrap();
        assert!(matches!(marker, CachedResponse::NotShared));
    }

    #[test]
    fn a_response_with_too_many_fields_is_an_error() {
        let mut stored = response();
        for _ in 0..=u16::MAX {
            stored
                .head
                .headers
                .append("link", HeaderValue::from_static("</c>"));
        }
        let error = encode(&CachedResponse::Response(Arc::new(stored))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Encode);
    }

    #[test]
    fn damaged_bytes_are_an_error_and_no_panic() {
        let bytes = bytes_of(response());
        let body = bytes.len() - b"body".len();
        for end in 0..body {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for position in 0..body {
            for flipped in [0x00, 0x0a, 0x80, 0xff] {
                let mut damaged = bytes.to_vec();
                damaged[position] = flipped;
                if let Err(error) = decode(&damaged) {
                    assert_eq!(error.kind(), ErrorKind::Decode);
                }
            }
        }
    }
}
