//! Glob patterns over keys, with the syntax and the meaning of Redis's own.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// The longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1_024;

/// A glob over keys, as in Redis's `KEYS`, `SCAN` and `PSUBSCRIBE`.
///
/// `*` matches any number of bytes, `?` one byte, `[a-c]` one byte of the class and `[^a]` one
/// byte outside it; `\` takes the next byte literally. Matching is by bytes, so `?` matches a
/// part of a character outside ASCII, as it does in Redis.
///
/// ```
/// use cache_core::Pattern;
///
/// let pattern = Pattern::new("users:get_user:*")?;
/// assert!(pattern.matches("users:get_user:42"));
/// assert!(!pattern.matches("users:get_team:42"));
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    source: Box<str>,
    /// The text that every match begins with, unescaped.
    prefix: Box<str>,
    /// Whether the pattern is that text and one `*`.
    is_prefix: bool,
}

impl Pattern {
    /// Checks a pattern.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPattern`] if it is empty, longer than [`MAX_PATTERN_BYTES`], ends in
    /// a lone `\`, or has a `[` without its `]`. Redis accepts the last two and gives them a
    /// meaning that nobody intends.
    pub fn new(source: impl Into<Box<str>>) -> Result<Self> {
        let source = source.into();
        check(source.as_bytes())?;
        let (prefix, rest) = split_literal(&source);
        Ok(Self {
            is_prefix: rest == "*",
            prefix: prefix.into(),
            source,
        })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether `key` matches.
    pub fn matches(&self, key: &str) -> bool {
        if self.is_prefix {
            return key.starts_with(&*self.prefix);
        }
        glob(self.source.as_bytes(), key.as_bytes())
    }

    /// The text that every match begins with: what stands before the first special character.
    pub(crate) fn literal_prefix(&self) -> &str {
        &self.prefix
    }

    /// `text` as a pattern that matches nothing else.
    ///
    /// ```
    /// # use cache_core::Pattern;
    /// assert_eq!(Pattern::escape("a*b"), r"a\*b");
    /// ```
    pub fn escape(text: &str) -> String {
        let mut escaped = String::with_capacity(text.len());
        for character in text.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '^' | '\\') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        escaped
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn check(pattern: &[u8]) -> Result<()> {
    let wrong = |message: String| Err(Error::new(ErrorKind::InvalidPattern, message));
    match pattern.len() {
        0 => return wrong("the pattern is empty; `*` matches every key".into()),
        1..=MAX_PATTERN_BYTES => {}
        len => {
            return wrong(format!(
                "the pattern has {len} bytes; at most {MAX_PATTERN_BYTES} are possible"
            ));
        }
    }
    let mut rest = pattern;
    while let Some((token, after)) = Token::next(rest) {
        match token {
            Token::Broken('\\') => {
                return wrong(
                    r"the pattern ends in a lone `\`; write `\\` for the character".into(),
                );
            }
            Token::Broken(_) => {
                return wrong(
                    r"the pattern has a `[` without `]`; write `\[` for the character".into(),
                );
            }
            _ => rest = after,
        }
    }
    Ok(())
}

/// One step of a pattern.
enum Token<'p> {
    Many,
    One,
    Literal(u8),
    Class { not: bool, members: &'p [u8] },
    Broken(char),
}

impl<'p> Token<'p> {
    fn next(pattern: &'p [u8]) -> Option<(Self, &'p [u8])> {
        let (&first, rest) = pattern.split_first()?;
        Some(match first {
            b'*' => (Self::Many, rest),
            b'?' => (Self::One, rest),
            b'\\' => match rest.split_first() {
                Some((&literal, rest)) => (Self::Literal(literal), rest),
                None => (Self::Broken('\\'), rest),
            },
            b'[' => Self::class(rest),
            literal => (Self::Literal(literal), rest),
        })
    }

    fn class(rest: &'p [u8]) -> (Self, &'p [u8]) {
        let not = rest.first() == Some(&b'^');
        let members = if not { &rest[1..] } else { rest };
        let mut end = 0;
        while end < members.len() {
            match members[end] {
                b']' => {
                    let class = Self::Class {
                        not,
                        members: &members[..end],
                    };
                    return (class, &members[end + 1..]);
                }
                b'\\' if end + 1 < members.len() => end += 2,
                // The upper end of a range is taken as it stands, even when it is `]`.
                _ if members.len() > end + 2 && members[end + 1] == b'-' => end += 3,
                _ => end += 1,
            }
        }
        (Self::Broken('['), &[])
    }

    fn accepts(&self, byte: u8) -> bool {
        match self {
            Self::One => true,
            Self::Literal(literal) => *literal == byte,
            Self::Class { not, members } => class_has(members, byte) != *not,
            Self::Many | Self::Broken(_) => false,
        }
    }
}

fn class_has(mut members: &[u8], byte: u8) -> bool {
    let mut found = false;
    while let Some((&first, rest)) = members.split_first() {
        members = match (first, rest) {
            (b'\\', [literal, rest @ ..]) => {
                found |= *literal == byte;
                rest
            }
            (low, [b'-', high, rest @ ..]) => {
                let (low, high) = (low.min(*high), low.max(*high));
                found |= (low..=high).contains(&byte);
                rest
            }
            (literal, rest) => {
                found |= literal == byte;
                rest
            }
        };
    }
    found
}

/// Matches with one point to come back to, the last `*`: time is at most the product of the
/// lengths, whatever the pattern.
fn glob(pattern: &[u8], key: &[u8]) -> bool {
    let (mut pattern, mut key) = (pattern, key);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let token = Token::next(pattern);
        if let Some((Token::Many, after)) = token {
            retry = Some((after, key));
            pattern = after;
            continue;
        }
        let step = match (&token, key.split_first()) {
            (None, None) => return true,
            (Some((token, after)), Some((&byte, rest))) if token.accepts(byte) => {
                Some((*after, rest))
            }
            _ => None,
        };
        if let Some(next) = step {
            (pattern, key) = next;
        } else if let Some((after, [_, rest @ ..])) = retry {
            retry = Some((after, rest));
            (pattern, key) = (after, rest);
        } else {
            return false;
        }
    }
}

/// The literal text at the start, unescaped, and the pattern behind it.
fn split_literal(pattern: &str) -> (String, &str) {
    let mut literal = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let escaped = match first {
            '*' | '?' | '[' => break,
            '\\' => 1,
            _ => 0,
        };
        let Some(character) = rest[escaped..].chars().next() else {
            break;
        };
        literal.push(character);
        rest = &rest[escaped + character.len_utf8()..];
    }
    (literal, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, key: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(key)
    }

    #[test]
    fn globs_mean_what_they_mean_to_redis() {
        assert!(matches("*", ""));
        assert!(matches("a*c", "abbbc"));
        assert!(!matches("a*c", "abbb"));
        assert!(matches("h?llo", "hello"));
        assert!(matches("h[^e]llo", "hallo"));
        assert!(!matches("h[^e]llo", "hello"));
        assert!(matches("[a-c]", "b"));
        assert!(matches("[c-a]", "b"));
        assert!(matches(r"\*", "*"));
        assert!(!matches(r"\*", "x"));
        assert!(matches(r"[\]]", "]"));
        assert!(matches("*a*b*", "xxaxxbxx"));
        assert!(!matches("[]", "x"));
    }

    #[test]
    fn an_empty_or_broken_pattern_is_refused_with_a_reason() {
        for (pattern, reason) in [("", "empty"), ("a[b", "without `]`"), ("a\\", "lone")] {
            let error = Pattern::new(pattern).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidPattern);
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(Pattern::new("x".repeat(MAX_PATTERN_BYTES + 1)).is_err());
    }

    #[test]
    fn the_literal_prefix_ends_at_the_first_special_character() {
        for (pattern, prefix) in [
            ("users:*", "users:"),
            (r"a\*b?c", "a*b"),
            ("plain", "plain"),
            ("[ab]c", ""),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().literal_prefix(), prefix);
        }
    }

    #[test]
    fn an_escaped_text_matches_itself_alone() {
        let text = r"a*b?c[d]\^-e{}";
        let pattern = Pattern::new(Pattern::escape(text)).unwrap();
        assert!(pattern.matches(text));
        assert!(!pattern.matches("axb?c[d]\\^-e{}"));
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(1_000)));
    }
}
