//! What items are called on the server, where names are shorter and plainer than keys.
//!
//! A key of at most 250 visible ASCII bytes is its own name. Any other becomes the beginning of it,
//! with `_` for what cannot be shown, a `#`, and its SHA-256. Two keys can have one name, if
//! somebody makes them so: what is stored holds the whole key, which is compared.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The longest name that memcached takes.
const MAX_BYTES: usize = 250;
/// How much of a key can be read in a name that is made of its hash.
const READABLE_BYTES: usize = 180;

/// The name of the item for `key`.
pub(super) fn name_of(key: &str) -> Cow<'_, str> {
    match key.len() <= MAX_BYTES && key.bytes().all(is_plain) {
        true => Cow::Borrowed(key),
        false => Cow::Owned(hashed(key)),
    }
}

fn hashed(key: &str) -> String {
    let visible = |byte: u8| if is_plain(byte) { byte.into() } else { '_' };
    let mut name: String = key.bytes().take(READABLE_BYTES).map(visible).collect();
    name.push('#');
    for byte in Sha256::digest(key.as_bytes()) {
        write!(name, "{byte:02x}").expect("a String takes all that is written");
    }
    name
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_key_is_its_own_name() {
        for key in ["cache:users:42", "{cache}:log", &"x".repeat(MAX_BYTES)] {
            assert_eq!(name_of(key), key);
        }
    }

    #[test]
    fn any_other_key_has_a_name_that_is_plain_and_short_and_its_own() {
        let long = "x".repeat(1_024);
        let keys = ["a b", "a\nb", "a\r\nb", "é", "a\0b", "", &long, &long[1..]];
        let names: Vec<_> = keys.iter().filter(|key| !key.is_empty()).collect();
        let names: Vec<_> = names.into_iter().map(|key| name_of(key)).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(
                name.len() <= MAX_BYTES && name.bytes().all(is_plain),
                "{name}"
            );
            assert!(!names[..index].contains(name), "{name}");
        }
        assert!(names[0].starts_with("a_b#"));
    }
}
