//! Whether a request may be answered from what is stored.

use std::time::Duration;

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE,
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA,
    RANGE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use super::cache_control::CacheControl;

/// Why a request goes upstream, and its answer to nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bypass {
    /// A part is asked for, or a protocol switch.
    Range,
    /// The answer depends on what the client holds.
    Conditional,
    NoStore,
    NoCache,
    /// What is stored is older than the client takes.
    MaxAge,
    Authorization,
    Cookie,
    /// The request has a body, which no key covers.
    Content,
    Upgrade,
}

impl Bypass {
    /// Whether the client asked for it, by a field that says so (`fwd=request` of RFC 9211).
    pub(crate) fn is_by_request(self) -> bool {
        matches!(self, Self::NoStore | Self::NoCache | Self::MaxAge)
    }

    /// The word for it in `Cache-Status`.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::Conditional => "conditional",
            Self::NoStore => "no-store",
            Self::NoCache => "no-cache",
            Self::MaxAge => "max-age",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::Content => "content",
            Self::Upgrade => "upgrade",
        }
    }
}

/// Which credentials the answer is known not to depend on, or which the key covers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) authorization: bool,
    pub(crate) cookies: bool,
}

/// A request that may be answered from what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// How old an answer the client takes (RFC 9111 §5.2.1.1).
    pub(crate) max_age: Option<Duration>,
}

impl Lookup {
    /// Whether the client takes an answer that is `age` old.
    pub(crate) fn takes(self, age: Duration) -> bool {
        self.max_age.is_none_or(|max_age| age <= max_age)
    }
}

/// Decides by the fields of a GET or HEAD request.
///
/// 1. A part (RFC 9110 §14.2), a condition (§13.1), a protocol switch (§7.8) or a body is passed
///    on: the origin answers these, with what is rightly no answer to anybody else.
/// 2. `no-store` and `no-cache` go past what is stored (RFC 9111 §5.2.1.4, §5.2.1.5), and so
///    does `Pragma: no-cache` where there is no `Cache-Control` (§5.4).
/// 3. Credentials go past it unless the rule says otherwise. For `Authorization` that is §3.5;
///    for `Cookie` it is our own: few applications say `Vary: Cookie` or `private`.
pub(crate) fn lookup(headers: &HeaderMap, shared: Credentials) -> Result<Lookup, Bypass> {
    let directives = CacheControl::of(headers);
    let reasons = [
        (has_any(headers, &[RANGE, IF_RANGE]), Bypass::Range),
        (has_any(headers, &CONDITIONS), Bypass::Conditional),
        (headers.contains_key(UPGRADE), Bypass::Upgrade),
        (has_content(headers), Bypass::Content),
        (directives.no_store, Bypass::NoStore),
        (directives.no_cache || is_pragma(headers), Bypass::NoCache),
        (
            headers.contains_key(AUTHORIZATION) && !shared.authorization,
            Bypass::Authorization,
        ),
        (
            headers.contains_key(COOKIE) && !shared.cookies,
            Bypass::Cookie,
        ),
    ];
    match reasons.into_iter().find(|(applies, _)| *applies) {
        Some((_, reason)) => Err(reason),
        None => Ok(Lookup {
            max_age: directives.max_age,
        }),
    }
}

const CONDITIONS: [HeaderName; 4] = [
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
];

fn has_any(headers: &HeaderMap, names: &[HeaderName]) -> bool {
    names.iter().any(|name| headers.contains_key(name))
}

/// Whether a body comes with the request (RFC 9112 §6.3), or one is described. In HTTP/2 a body
/// need not have a length (RFC 9113 §8.1.1).
fn has_content(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    has_any(
        headers,
        &[TRANSFER_ENCODING, CONTENT_TYPE, CONTENT_ENCODING],
    ) || lengths.any(|length| length != "0")
}

fn is_pragma(headers: &HeaderMap) -> bool {
    let says_no_cache = |line: &HeaderValue| {
        let mut members = line.as_bytes().split(|byte| *byte == b',');
        members.any(|member| member.trim_ascii().eq_ignore_ascii_case(b"no-cache"))
    };
    !headers.contains_key(CACHE_CONTROL) && headers.get_all(PRAGMA).iter().any(says_no_cache)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(name: &'static str, value: &'static str) -> Result<Lookup, Bypass> {
        lookup_of(&[(name, value)], Credentials::default())
    }

    fn lookup_of(
        fields: &[(&'static str, &'static str)],
        shared: Credentials,
    ) -> Result<Lookup, Bypass> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        lookup(&headers, shared)
    }

    #[test]
    fn parts_and_conditions_are_for_the_origin() {
        assert_eq!(look("range", "bytes=0-1"), Err(Bypass::Range));
        for condition in CONDITIONS {
            let headers = HeaderMap::from_iter([(condition, "x".parse().unwrap())]);
            let looked = lookup(&headers, Credentials::default());
            assert_eq!(looked, Err(Bypass::Conditional));
        }
    }

    #[test]
    fn a_body_or_a_protocol_switch_is_for_the_origin() {
        assert_eq!(look("content-length", "3"), Err(Bypass::Content));
        assert_eq!(look("transfer-encoding", "chunked"), Err(Bypass::Content));
        assert_eq!(look("content-type", "text/plain"), Err(Bypass::Content));
        assert_eq!(look("content-encoding", "br"), Err(Bypass::Content));
        let lengths = [("content-length", "0"), ("content-length", "3")];
        let looked = lookup_of(&lengths, Credentials::default());
        assert_eq!(looked, Err(Bypass::Content));
        assert_eq!(look("upgrade", "websocket"), Err(Bypass::Upgrade));
        assert!(look("content-length", "0").is_ok());
    }

    #[test]
    fn the_client_can_go_past_what_is_stored() {
        assert_eq!(look("cache-control", "no-store"), Err(Bypass::NoStore));
        assert_eq!(look("cache-control", "no-cache"), Err(Bypass::NoCache));
        assert_eq!(look("pragma", "x, No-Cache"), Err(Bypass::NoCache));
        let both = [("pragma", "no-cache"), ("cache-control", "max-age=9")];
        assert!(lookup_of(&both, Credentials::default()).is_ok());
    }

    #[test]
    fn max_age_is_how_old_an_answer_may_be() {
        let looked = look("cache-control", "max-age=9").unwrap();
        assert!(looked.takes(Duration::from_secs(9)));
        assert!(!looked.takes(Duration::from_millis(9_001)));
    }

    #[test]
    fn credentials_are_for_the_origin_unless_the_rule_says_otherwise() {
        assert_eq!(look("authorization", "x"), Err(Bypass::Authorization));
        assert_eq!(look("cookie", "a=b"), Err(Bypass::Cookie));
        let both = [("authorization", "x"), ("cookie", "a=b")];
        let shared = Credentials {
            authorization: true,
            cookies: true,
        };
        assert!(lookup_of(&both, shared).is_ok());
    }
}
