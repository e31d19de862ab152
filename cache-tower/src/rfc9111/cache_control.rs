//! The `Cache-Control` field (RFC 9111 §5.2).

use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;

/// The largest number of seconds that is told apart (RFC 9111 §1.2.2).
const MAX_SECONDS: u64 = 1 << 31;

/// The directives that a shared cache acts on. What is unknown is ignored (§5.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheControl {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) s_maxage: Option<Duration>,
}

impl CacheControl {
    /// Reads all lines of the field. A list of field names behind `no-cache` or `private` is
    /// taken as the directive without it, which hides more (§5.2.2.4, §5.2.2.7).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for line in headers.get_all(CACHE_CONTROL) {
            for directive in split(line.as_bytes()) {
                directives.take(directive);
            }
        }
        directives
    }

    fn take(&mut self, directive: &[u8]) {
        let equals = directive.iter().position(|byte| *byte == b'=');
        let (name, argument) = match equals {
            Some(at) => (&directive[..at], Some(&directive[at + 1..])),
            None => (directive, None),
        };
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"private" => self.private = true,
            b"max-age" => shorten(&mut self.max_age, argument),
            b"s-maxage" => shorten(&mut self.s_maxage, argument),
            _ => {}
        }
    }
}

/// Takes the shorter of two: conflicting and invalid arguments count as stale (§4.2.1).
fn shorten(known: &mut Option<Duration>, argument: Option<&[u8]>) {
    let seconds = Duration::from_secs(argument.and_then(delta_seconds).unwrap_or(0));
    *known = Some(known.map_or(seconds, |known| known.min(seconds)));
}

/// A number of seconds, as a token or quoted (§5.2); one too large is the largest (§1.2.2).
pub(super) fn delta_seconds(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let text = match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    };
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(text).ok()?;
    Some(digits.parse().unwrap_or(MAX_SECONDS).min(MAX_SECONDS))
}

/// The members of a comma-separated list, in which quoted text may contain commas
/// (RFC 9110 §5.6.1, §5.6.4).
fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |byte| {
        let ends = *byte == b',' && !quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&'static str]) -> CacheControl {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, line.parse().unwrap());
        }
        CacheControl::of(&headers)
    }

    #[test]
    fn directives_are_read_from_every_line_in_any_case() {
        let read = of(&["Max-Age=5 , foo=bar", "No-Store"]);
        assert!(read.no_store && !read.no_cache && !read.private);
        assert_eq!(read.max_age, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_quoted_comma_does_not_end_a_directive() {
        let read = of(&[r#"x="a\", no-store", private="set-cookie, b", s-maxage="7""#]);
        assert!(!read.no_store && read.private);
        assert_eq!(read.s_maxage, Some(Duration::from_secs(7)));
    }

    #[test]
    fn what_is_invalid_or_conflicting_counts_as_stale() {
        assert_eq!(of(&["max-age=-1"]).max_age, Some(Duration::ZERO));
        assert_eq!(of(&["max-age"]).max_age, Some(Duration::ZERO));
        let conflict = of(&["max-age=9, max-age=3"]);
        assert_eq!(conflict.max_age, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_number_too_large_is_the_largest() {
        let read = of(&["max-age=99999999999999999999999"]);
        assert_eq!(read.max_age, Some(Duration::from_secs(MAX_SECONDS)));
    }
}
