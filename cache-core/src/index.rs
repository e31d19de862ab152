//! The tags that values of indexes are stored as.
//!
//! An entry that is indexed carries one reserved tag for each value: so its stored form has a place
//! for them, and whoever reads the entry sees by itself what it belongs to. The tag is a NUL and the
//! SHA-256, in hexadecimal digits, of the name's length, the name, and the value. All are of one
//! length, and a value that is personal data stands nowhere in the clear.

use sha2::{Digest, Sha256};

/// What the tags of indexes begin with, and no other tag does.
const RESERVED: char = '\0';

const HEX: &[u8; 16] = b"0123456789abcdef";

/// How long the tag of an index is.
pub(crate) const INDEX_TAG_BYTES: usize = 1 + 2 * 32;

/// The tag of the entries that have this value in the index of this name.
pub(crate) fn index_tag(name: &str, value: &str) -> Box<str> {
    let mut hash = Sha256::new();
    // The length keeps apart where one ends and the other begins.
    hash.update((name.len() as u64).to_be_bytes());
    hash.update(name);
    hash.update(value);
    let mut tag = String::with_capacity(INDEX_TAG_BYTES);
    tag.push(RESERVED);
    for byte in hash.finalize() {
        let digits = [byte >> 4, byte & 0xf].map(|digit| HEX[usize::from(digit)]);
        tag.extend(digits.map(char::from));
    }
    tag.into()
}

/// Whether a tag is an index's, and not for users to give.
pub(crate) fn is_reserved(tag: &str) -> bool {
    tag.starts_with(RESERVED)
}

/// Whether a tag has the form that [`index_tag`] gives.
pub(crate) fn is_index_tag(tag: &str) -> bool {
    is_reserved(tag) && tag.len() == INDEX_TAG_BYTES
}

/// Whether one of the tags is this.
pub(crate) fn carries(tags: &[Box<str>], tag: &str) -> bool {
    tags.iter().any(|carried| **carried == *tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_values_share_a_tag_wherever_the_name_ends() {
        let pairs = [
            ("", ""),
            ("a", ""),
            ("", "a"),
            ("a", "b"),
            ("ab", ""),
            ("", "ab"),
            ("a", "b\0"),
            ("a\0", "b"),
        ];
        let tags = pairs.map(|(name, value)| index_tag(name, value));
        for (at, tag) in tags.iter().enumerate() {
            assert!(!tags[..at].contains(tag), "{:?}", pairs[at]);
        }
    }

    #[test]
    fn a_tag_has_one_length_and_shows_no_value() {
        for value in ["", "ada@example.org", &"x".repeat(10_000)] {
            let tag = index_tag("email", value);
            assert!(is_index_tag(&tag));
            assert!(value.is_empty() || !tag.contains(value));
        }
        assert!(!is_index_tag("team:7"));
        assert!(!is_index_tag("\0team:7") && is_reserved("\0team:7"));
    }

    #[test]
    fn the_tag_of_a_value_stays_what_it_was_when_it_was_stored() {
        let tag = index_tag("email", "a@b.c");
        assert_eq!(tag.get(1..17), Some("b5fa7e5a180eeafb"));
    }
}
