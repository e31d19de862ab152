//! Which header fields are stored, and whether a body is all that its head announced.

use http::HeaderMap;
use http::header::{
    AGE, CONNECTION, CONTENT_LENGTH, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};

/// Fields about one connection or one proxy, which are not part of a response that is stored
/// (RFC 9111 §3.1, RFC 9110 §7.6.1).
const NEVER_STORED: [HeaderName; 10] = [
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    // Told anew with each answer (RFC 9111 §5.1).
    AGE,
];

/// The fields that are stored of a response: all but those of the connection, which are the
/// fixed ones and those that `Connection` names (RFC 9111 §3.1).
pub(crate) fn to_store(headers: &HeaderMap) -> HeaderMap {
    let mut stored = headers.clone();
    for named in headers.get_all(CONNECTION) {
        for name in named.as_bytes().split(|byte| *byte == b',') {
            if let Ok(name) = HeaderName::from_bytes(name.trim_ascii()) {
                stored.remove(name);
            }
        }
    }
    for name in &NEVER_STORED {
        stored.remove(name);
    }
    stored
}

/// Whether a body of `length` bytes is what the head announced; an incomplete response is not
/// stored (RFC 9111 §3.3).
pub(crate) fn is_complete(headers: &HeaderMap, length: u64) -> bool {
    headers.get_all(CONTENT_LENGTH).iter().all(|announced| {
        let announced = announced.to_str().ok().map(str::parse::<u64>);
        announced == Some(Ok(length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn fields_of_the_connection_are_not_stored() {
        let stored = to_store(&headers(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("age", "7"),
            ("etag", "\"a\""),
            ("link", "</a>"),
            ("link", "</b>"),
        ]));
        let kept = headers(&[("etag", "\"a\""), ("link", "</a>"), ("link", "</b>")]);
        assert_eq!(stored, kept);
    }

    #[test]
    fn a_body_is_complete_if_it_has_the_announced_length() {
        assert!(is_complete(&headers(&[]), 3));
        assert!(is_complete(&headers(&[("content-length", "3")]), 3));
        assert!(!is_complete(&headers(&[("content-length", "4")]), 3));
        assert!(!is_complete(&headers(&[("content-length", "x")]), 3));
    }
}
