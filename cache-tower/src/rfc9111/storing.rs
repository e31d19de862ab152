//! Whether a response may be stored for others (RFC 9111 §3).

use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, SET_COOKIE, VARY};
use http::{HeaderMap, StatusCode};

use super::cache_control::CacheControl;

/// Why a response is its caller's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unstorable {
    Status,
    NoStore,
    Private,
    NoCache,
    SetCookie,
    /// It depends on a request field that is not part of the key.
    Vary,
    /// A stream of events, which has no end to wait for.
    EventStream,
    /// It states no lifetime, and the rule has none; or the lifetime is over.
    NotFresh,
    TooLarge,
    /// What is said of its length contradicts itself.
    Length,
}

impl Unstorable {
    /// The word for it in `Cache-Status`.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::EventStream => "event-stream",
            Self::NotFresh => "not-fresh",
            Self::TooLarge => "too-large",
            Self::Length => "length",
        }
    }
}

/// What a rule admits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// The statuses that are stored.
    pub(crate) statuses: &'a [StatusCode],
    /// The request fields that are part of the key.
    pub(crate) key_fields: &'a [HeaderName],
}

/// Decides by the head of a response.
///
/// 1. The status is one that the rule admits, and the response is whole: no `Content-Range`
///    (§3.3).
/// 2. It does not say `no-store`, `private` (§5.2.2.5, §5.2.2.7) or `no-cache`, which would need
///    validation for each use (§5.2.2.4); neither there nor in `CDN-Cache-Control` (RFC 9213) or
///    `Surrogate-Control`, whose lifetimes are not looked at. A `Cache-Control` that cannot be
///    read counts as `no-store`.
/// 3. It sets no cookie: §7.3 leaves that to the origin's `Cache-Control`, and few say it.
/// 4. What `Vary` names is part of the key (§4.1); `*` never is.
/// 5. It is not a stream that has no end.
pub(crate) fn check(
    status: StatusCode,
    headers: &HeaderMap,
    terms: Terms<'_>,
) -> Result<(), Unstorable> {
    let directives = CacheControl::of(headers);
    let is_whole = terms.statuses.contains(&status) && !headers.contains_key(CONTENT_RANGE);
    let reasons = [
        (!is_whole, Unstorable::Status),
        (
            directives.no_store || directives.is_malformed,
            Unstorable::NoStore,
        ),
        (directives.private, Unstorable::Private),
        (directives.no_cache, Unstorable::NoCache),
        (
            CacheControl::targeted(headers).any(|it| it.forbids_storing()),
            Unstorable::NoStore,
        ),
        (headers.contains_key(SET_COOKIE), Unstorable::SetCookie),
        (!covers(terms.key_fields, headers), Unstorable::Vary),
        (is_event_stream(headers), Unstorable::EventStream),
    ];
    match reasons.into_iter().find(|(applies, _)| *applies) {
        Some((_, reason)) => Err(reason),
        None => Ok(()),
    }
}

/// Whether the key covers every field that `Vary` names (§4.1). What cannot be read, `*` among
/// it, is not covered.
fn covers(key_fields: &[HeaderName], headers: &HeaderMap) -> bool {
    headers.get_all(VARY).iter().all(|line| {
        let mut names = line.as_bytes().split(|byte| *byte == b',');
        names.all(|name| {
            let name = name.trim_ascii();
            name.is_empty() || HeaderName::from_bytes(name).is_ok_and(|n| key_fields.contains(&n))
        })
    })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    const ENDLESS: [&[u8]; 2] = [b"text/event-stream", b"multipart/x-mixed-replace"];
    headers.get_all(CONTENT_TYPE).iter().any(|line| {
        let essence = line.as_bytes().split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        ENDLESS.iter().any(|it| essence.eq_ignore_ascii_case(it))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE};

    const TERMS: Terms<'_> = Terms {
        statuses: &[StatusCode::OK],
        key_fields: &[ACCEPT_LANGUAGE, ACCEPT_ENCODING],
    };

    fn with(name: &'static str, value: &'static str) -> Result<(), Unstorable> {
        let mut headers = HeaderMap::new();
        headers.append("content-type", "text/html".parse().unwrap());
        headers.append(name, value.parse().unwrap());
        check(StatusCode::OK, &headers, TERMS)
    }

    #[test]
    fn only_statuses_of_the_rule_are_stored() {
        let of = |status| check(status, &HeaderMap::new(), TERMS);
        assert_eq!(of(StatusCode::OK), Ok(()));
        assert_eq!(of(StatusCode::PARTIAL_CONTENT), Err(Unstorable::Status));
        assert_eq!(of(StatusCode::NOT_MODIFIED), Err(Unstorable::Status));
        assert_eq!(of(StatusCode::NOT_FOUND), Err(Unstorable::Status));
        assert_eq!(
            with("content-range", "bytes 0-1/9"),
            Err(Unstorable::Status)
        );
    }

    #[test]
    fn a_response_that_says_so_is_not_stored() {
        let says = |value| with("cache-control", value);
        assert_eq!(says("no-store"), Err(Unstorable::NoStore));
        assert_eq!(says("private, max-age=9"), Err(Unstorable::Private));
        assert_eq!(says("no-cache=\"x\""), Err(Unstorable::NoCache));
        assert_eq!(says("public, max-age=9"), Ok(()));
    }

    #[test]
    fn a_response_that_sets_a_cookie_is_not_stored() {
        assert_eq!(with("set-cookie", "id=alice"), Err(Unstorable::SetCookie));
    }

    #[test]
    fn what_vary_names_must_be_in_the_key() {
        assert_eq!(with("vary", "Accept-Language, accept-encoding"), Ok(()));
        assert_eq!(with("vary", ""), Ok(()));
        assert_eq!(
            with("vary", "accept-language, origin"),
            Err(Unstorable::Vary)
        );
        assert_eq!(with("vary", "*"), Err(Unstorable::Vary));
        assert_eq!(with("vary", "a b"), Err(Unstorable::Vary));
    }

    #[test]
    fn streams_without_end_are_not_stored() {
        let typed = |value| with("content-type", value);
        assert_eq!(
            typed("Text/Event-Stream; charset=utf-8"),
            Err(Unstorable::EventStream)
        );
        assert_eq!(typed("text/plain"), Ok(()));
    }
}
