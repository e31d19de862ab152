//! What must hold of any bytes that come from outside, for the fuzz targets in `fuzz/`, and for tests
//! that run it on their corpora.

use crate::pattern::Pattern;
#[cfg(feature = "redis")]
use crate::provider::stored;

/// The longest pattern and key that the slow matcher is asked about.
const MAX_COMPARED: usize = 14;

/// `data` is what stands on a server at the key that it names itself. It is read, or damaged; if it is
/// read, it has the only form that it can have; and nobody makes a sealed value without the keys.
///
/// # Panics
///
/// If that is not so.
#[cfg(feature = "redis")]
pub fn envelope(data: &[u8]) {
    stored::fuzz::from_anybody(data);
}

/// `data` is a pattern, a line break, and a key. The pattern is refused or matches as Redis's globs
/// do; what it matches begins with its literal beginning.
///
/// # Panics
///
/// If that is not so.
pub fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (source, key) = text.split_once('\n').unwrap_or((text, ""));
    let escaped = Pattern::new(Pattern::escape(key));
    assert!(escaped.map_or(true, |pattern| pattern.matches(key)));
    let Ok(pattern) = Pattern::new(source) else {
        return;
    };
    let matches = pattern.matches(key);
    assert!(!matches || key.starts_with(pattern.literal_prefix()));
    if source.len() <= MAX_COMPARED && key.len() <= MAX_COMPARED {
        assert_eq!(matches, matches_slowly(source.as_bytes(), key.as_bytes()));
    }
}

/// Says the same by trying everything: exponential, and obvious.
fn matches_slowly(pattern: &[u8], key: &[u8]) -> bool {
    match pattern {
        [] => key.is_empty(),
        [b'*', rest @ ..] => (0..=key.len()).any(|taken| matches_slowly(rest, &key[taken..])),
        [b'[', class @ ..] => key.split_first().is_some_and(|(byte, after)| {
            let (accepts, rest) = in_class(class, *byte);
            accepts && matches_slowly(rest, after)
        }),
        [b'?', rest @ ..] => !key.is_empty() && matches_slowly(rest, &key[1..]),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            key.first() == Some(literal) && matches_slowly(rest, &key[1..])
        }
    }
}

/// Whether a class that begins here accepts the byte, and what comes behind it.
fn in_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => return (found != negated, rest),
            [b']', rest @ ..] => return (found != negated, rest),
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [low, b'-', high, rest @ ..] => {
                found |= (*low.min(high)..=*low.max(high)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
        };
    }
}

/// `data` is a letter, `t` for TOML and any other for YAML, and a configuration. It is read, or
/// refused by an error that says something.
///
/// # Panics
///
/// If that is not so.
#[cfg(feature = "config")]
pub fn configuration(data: &[u8]) {
    let Some((first, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let builder = crate::CacheConfig::builder().environment([("NAME", "value"), ("NUMBER", "7")]);
    let read = match first {
        b't' => builder.toml("caches.toml", text),
        _ => builder.yaml("caches.yaml", text),
    };
    if let Err(error) = read.build() {
        assert_eq!(error.kind(), crate::ErrorKind::Configuration);
        assert!(error.to_string().len() > 20, "{error}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_pattern_matches_as_by_trying_everything(
            source in r"[ab*?\[\]^\\-]{0,8}",
            key in r"[ab*?\[\]^\\-]{0,6}",
        ) {
            super::pattern(format!("{source}\n{key}").as_bytes());
        }

        #[test]
        #[cfg(feature = "config")]
        fn any_configuration_is_read_or_refused(text in "[a-z:$ {}\\[\\]\n\"'=.-]{0,60}") {
            super::configuration(format!("y{text}").as_bytes());
            super::configuration(format!("t{text}").as_bytes());
        }
    }
}
