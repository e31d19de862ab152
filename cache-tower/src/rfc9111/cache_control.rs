//! The `Cache-Control` field (RFC 9111 §5.2).

use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName};

/// The largest number of seconds that is told apart (RFC 9111 §1.2.2).
const MAX_SECONDS: u64 = 1 << 31;

/// Fields by which an origin speaks to caches of services such as this one (RFC 9213; the older
/// one is of the Edge Architecture Specification).
const TARGETED: [HeaderName; 2] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];

/// The directives that a shared cache acts on. What is unknown is ignored (§5.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheControl {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) s_maxage: Option<Duration>,
    /// Some of it is no directive: what was meant is unknown.
    pub(super) is_malformed: bool,
}

impl CacheControl {
    /// Reads all lines of the field. A list of field names behind `no-cache` or `private` is
    /// taken as the directive without it, which hides more (§5.2.2.4, §5.2.2.7).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self::read(headers, &CACHE_CONTROL, b",")
    }

    /// Reads the fields for caches of this kind, whose directives can have parameters.
    pub(super) fn targeted(headers: &HeaderMap) -> impl Iterator<Item = Self> {
        TARGETED
            .into_iter()
            .map(|name| Self::read(headers, &name, b",;"))
    }

    /// Whether a response that says this is not to be stored without asking (§5.2.2).
    pub(super) fn forbids_storing(&self) -> bool {
        self.no_store || self.no_cache || self.private || self.is_malformed
    }

    fn read(headers: &HeaderMap, name: &HeaderName, separators: &[u8]) -> Self {
        let mut directives = Self::default();
        for line in headers.get_all(name) {
            for directive in split(line.as_bytes(), separators) {
                directives.take(directive.trim_ascii());
            }
        }
        directives
    }

    fn take(&mut self, directive: &[u8]) {
        if directive.is_empty() {
            // A list may have empty members (RFC 9110 §5.6.1.2).
            return;
        }
        let equals = directive.iter().position(|byte| *byte == b'=');
        let (name, argument) = match equals {
            Some(at) => (&directive[..at], Some(directive[at + 1..].trim_ascii())),
            None => (directive, None),
        };
        let name = name.trim_ascii();
        self.is_malformed |= !is_token(name) || !argument.is_none_or(is_argument);
        match name.to_ascii_lowercase().as_slice() {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"private" => self.private = true,
            b"max-age" => shorten(&mut self.max_age, argument),
            b"s-maxage" => shorten(&mut self.s_maxage, argument),
            _ => {}
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    let is_sign = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    let mut bytes = text.iter();
    !text.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
}

/// A token, or a quoted string that ends where the argument does (RFC 9110 §5.6.4).
fn is_argument(text: &[u8]) -> bool {
    let [b'"', inner @ ..] = text else {
        return is_token(text);
    };
    let mut escaped = false;
    let end = inner.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.is_some_and(|end| end + 1 == inner.len())
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

/// The members of a list, in which quoted text may contain what separates them
/// (RFC 9110 §5.6.1, §5.6.4).
fn split<'l>(line: &'l [u8], separators: &[u8]) -> impl Iterator<Item = &'l [u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |byte| {
        let ends = separators.contains(byte) && !quoted;
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
    fn what_is_no_directive_is_malformed() {
        for line in [
            "private; max-age=0",
            "max-age=60\", private",
            "x=\"a, no-store",
            "x=\"a\\\"",
            "x=\"a\"b\"",
            "x=\"",
            "private max-age=60",
            "max-age=60 private",
            "max-age=",
            "=60",
        ] {
            assert!(of(&[line]).is_malformed, "{line}");
        }
        for line in [
            "",
            ", max-age=60, ,",
            "max-age = 60",
            r#"x="a\", b", y="", z=1.5+2"#,
        ] {
            assert!(!of(&[line]).is_malformed, "{line}");
        }
    }

    #[test]
    fn fields_for_caches_of_this_kind_are_read_with_their_parameters() {
        let forbids = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )]);
            CacheControl::targeted(&headers).any(|directives| directives.forbids_storing())
        };
        assert!(forbids("cdn-cache-control", "max-age=60, no-store"));
        assert!(forbids("surrogate-control", "no-store;edge, max-age=60"));
        assert!(!forbids(
            "surrogate-control",
            r#"content="ESI/1.0", max-age=60+60;edge"#
        ));
    }

    #[test]
    fn a_number_too_large_is_the_largest() {
        let read = of(&["max-age=99999999999999999999999"]);
        assert_eq!(read.max_age, Some(Duration::from_secs(MAX_SECONDS)));
    }
}
