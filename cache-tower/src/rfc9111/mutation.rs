//! What a request that changes something makes invalid (RFC 9111 §4.4).

use http::header::{CONTENT_LOCATION, HeaderName, LOCATION};
use http::{HeaderMap, Method, StatusCode, Uri};

/// Whether the method may change something: all but the safe ones (RFC 9110 §9.2.1). One that
/// is unknown may (RFC 9111 §4.4).
pub(crate) fn is_unsafe(method: &Method) -> bool {
    ![
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ]
    .contains(method)
}

/// Whether the answer to an unsafe request makes what is stored of its target invalid: any that
/// is not an error (§4.4), and those by which a gateway or an overloaded service leaves open
/// whether the request was carried out (RFC 9110 §15.6.3 to §15.6.5).
pub(crate) fn invalidates(status: StatusCode) -> bool {
    const OPEN: [StatusCode; 3] = [
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    status.is_success() || status.is_redirection() || OPEN.contains(&status)
}

/// The paths of other resources that the answer names as changed, in `Location` and
/// `Content-Location`. Those of another origin are left alone (§4.4).
pub(crate) fn named_paths<'h>(
    headers: &'h HeaderMap,
    authority: &'h str,
) -> impl Iterator<Item = String> + 'h {
    const NAMES: [HeaderName; 2] = [LOCATION, CONTENT_LOCATION];
    NAMES.into_iter().filter_map(move |name| {
        let uri: Uri = headers.get(name)?.to_str().ok()?.parse().ok()?;
        let same_origin = uri
            .authority()
            .is_none_or(|other| other.as_str().eq_ignore_ascii_case(authority));
        (same_origin && uri.path().starts_with('/')).then(|| uri.path().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_are_not_known_to_be_safe_are_unsafe() {
        assert!(is_unsafe(&Method::POST) && is_unsafe(&Method::PATCH));
        assert!(is_unsafe(&Method::from_bytes(b"REBUILD").unwrap()));
        assert!(!is_unsafe(&Method::GET) && !is_unsafe(&Method::OPTIONS));
    }

    #[test]
    fn only_answers_that_may_follow_a_change_invalidate() {
        assert!(invalidates(StatusCode::NO_CONTENT) && invalidates(StatusCode::SEE_OTHER));
        assert!(invalidates(StatusCode::GATEWAY_TIMEOUT));
        assert!(!invalidates(StatusCode::CONFLICT));
        assert!(!invalidates(StatusCode::INTERNAL_SERVER_ERROR));
    }

    #[test]
    fn locations_on_other_origins_are_left_alone() {
        let paths = |location: &'static str| -> Vec<String> {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
            named_paths(&headers, "example.com").collect()
        };
        assert_eq!(paths("/cities/7?x=1"), ["/cities/7"]);
        assert_eq!(paths("http://EXAMPLE.com/cities/7"), ["/cities/7"]);
        assert_eq!(paths("http://example.org/cities/7"), [""; 0]);
    }
}
