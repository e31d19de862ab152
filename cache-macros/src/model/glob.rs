//! Patterns with placeholders: what is one whole key, and what matches several.

use std::str::Chars;

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
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' => special = true,
            '[' => {
                special = true;
                end_of_class(&mut characters)?;
            }
            '\\' => {
                characters.next().ok_or(
                    r"`\` takes the next character literally, and there is none; write `\\`",
                )?;
            }
            _ => {}
        }
    }
    Ok(special)
}

fn end_of_class(characters: &mut Chars<'_>) -> Result<(), &'static str> {
    while let Some(character) = characters.next() {
        match character {
            ']' => return Ok(()),
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    Err(r"the pattern has a `[` without `]`; write `\[` for the character")
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
    fn a_whole_key_loses_its_escapes() {
        let Part::Text(text) = unescape(Part::Text(r"a\*b\\c".into())) else {
            unreachable!()
        };
        assert_eq!(text, r"a*b\c");
    }
}
