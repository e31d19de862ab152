//! Patterns with placeholders: what is one whole key, and what matches several.

use crate::template::{Part, Template};

/// What a pattern turned out to be.
pub(super) enum Glob {
    /// It matches one key: the parts of that key.
    Key(Vec<Part>),
    Pattern(Vec<Part>),
}

/// Tells keys from patterns.
///
/// The text alone decides, when the program is compiled: values are written as parts of a key,
/// and those contain no character that means something in a pattern.
pub(super) fn classify(template: Template) -> Result<Glob, &'static str> {
    let mut special = false;
    for part in &template.parts {
        if let Part::Text(text) = part {
            special |= scan(text)?;
        }
    }
    if special {
        return Ok(Glob::Pattern(template.parts));
    }
    Ok(Glob::Key(
        template.parts.into_iter().map(unescape).collect(),
    ))
}

/// Whether text has a special character that is not escaped.
fn scan(text: &str) -> Result<bool, &'static str> {
    let mut special = false;
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match first {
            b'*' | b'?' | b'[' => {
                special = true;
                if first == b'[' {
                    behind_class(after)?
                } else {
                    after
                }
            }
            b'\\' => after
                .get(1..)
                .ok_or(r"`\` takes the next character literally, and there is none; write `\\`")?,
            _ => after,
        }
    }
    Ok(special)
}

/// What stands behind a class, by the rule of `cache_core::Pattern`.
fn behind_class(class: &[u8]) -> Result<&[u8], &'static str> {
    let mut rest = class.strip_prefix(b"^").unwrap_or(class);
    loop {
        rest = match rest {
            [b']', behind @ ..] => return Ok(behind),
            // The upper end of a range is taken as it stands, even when it is `]`.
            [b'\\', _, more @ ..] | [_, b'-', _, more @ ..] | [_, more @ ..] => more,
            [] => {
                return Err(r"the pattern has a `[` without `]`; write `\[` for the character");
            }
        };
    }
}

fn unescape(part: Part) -> Part {
    let Part::Text(text) = part else { return part };
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        plain.push(literal);
    }
    Part::Text(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unescaped_special_characters_make_a_pattern() {
        for text in ["a*", "a?", "[ab]c", r"\**"] {
            assert_eq!(scan(text), Ok(true), "{text}");
        }
        for text in ["users:get_user:", r"a\*b", r"\[x\]", ""] {
            assert_eq!(scan(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        assert!(scan("a[b").unwrap_err().contains("without `]`"));
        assert!(scan(r"a\").unwrap_err().contains("there is none"));
        assert!(scan(r"[\]").is_err());
    }

    #[test]
    fn what_compiles_is_what_runs() {
        for text in [
            "a", "a*", "[a]", "[a-c]", "[a-]", "[a-]]", "[-a]", "[^]", "[^a", "[]", "[", "[]]",
            "]", r"[\]]", r"[\]", r"[a-\]", r"[\a-]", r"[\a-]]", r"\", r"\\", r"\[", r"a[\",
            "[é-]", "[é-]]", "[^-]", "[^a-]", "[a-b-]", "[--]", "[---]",
        ] {
            let runs = cache_core::Pattern::new(text).is_ok();
            assert_eq!(scan(text).is_ok(), runs, "{text}");
        }
    }

    #[test]
    fn a_whole_key_loses_its_escapes() {
        let Part::Text(text) = unescape(Part::Text(r"a\*b\\c".into())) else {
            unreachable!()
        };
        assert_eq!(text, r"a*b\c");
    }
}
