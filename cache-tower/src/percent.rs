//! Percent-encoding (RFC 3986 §2): decoded values, and the one form that equivalent paths have.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with its escapes decoded, as axum gives it to handlers. What is not an escape stays
/// as it is. `None` if the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(decode_bytes(text)).ok().map(Cow::Owned)
}

/// The bytes behind the escapes.
pub(crate) fn decode_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = next(rest) {
        bytes.push(byte.value());
        rest = after;
    }
    bytes
}

/// The path in the form that all equivalent ones share: unreserved characters plain, all else
/// that is escaped with upper-case digits, what must be escaped escaped (RFC 3986 §6.2.2).
pub(crate) fn normalize(path: &str) -> Cow<'_, str> {
    if path.bytes().all(is_plain) {
        return Cow::Borrowed(path);
    }
    let mut normal = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = next(rest) {
        match byte {
            Byte::Plain(byte) if is_plain(byte) || byte == b'%' => normal.push(byte.into()),
            Byte::Escaped(byte) if is_unreserved(byte) => normal.push(byte.into()),
            other => escape(other.value(), &mut normal),
        }
        rest = after;
    }
    Cow::Owned(normal)
}

fn escape(byte: u8, text: &mut String) {
    write!(text, "%{byte:02X}").expect("a String takes all that is written");
}

enum Byte {
    Plain(u8),
    Escaped(u8),
}

impl Byte {
    fn value(&self) -> u8 {
        match self {
            Self::Plain(byte) | Self::Escaped(byte) => *byte,
        }
    }
}

fn next(text: &[u8]) -> Option<(Byte, &[u8])> {
    if let [b'%', high, low, rest @ ..] = text
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return Some((Byte::Escaped(high * 16 + low), rest));
    }
    let (first, rest) = text.split_first()?;
    Some((Byte::Plain(*first), rest))
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// What stands for itself everywhere (RFC 3986 §2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What stands unescaped in a path in its normal form: unreserved characters, and delimiters,
/// whose escaped form can mean something else (RFC 3986 §2.2).
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_as_handlers_see_them() {
        assert_eq!(decode("S%C3%A3o%20Paulo").unwrap(), "São Paulo");
        assert_eq!(decode("100%").unwrap(), "100%");
        assert_eq!(decode("%zz%4").unwrap(), "%zz%4");
        assert_eq!(decode("%FF"), None);
    }

    #[test]
    fn equivalent_paths_have_one_normal_form() {
        assert_eq!(normalize("/c%69ties/%7eb"), "/cities/~b");
        assert_eq!(normalize("/caf%c3%a9"), normalize("/café"));
        assert_eq!(normalize("/a{b}"), "/a%7Bb%7D");
        assert_eq!(normalize("/a%2fb"), "/a%2Fb");
        assert_ne!(normalize("/a%2Fb"), normalize("/a/b"));
        assert!(matches!(normalize("/cities/7"), Cow::Borrowed(_)));
    }
}
