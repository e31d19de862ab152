//! Which header fields are stored, and whether a body is all that its head announced.

use http::header::{
    AGE, CONNECTION, CONTENT_LENGTH, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use super::storing::Unstorable;

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
///
/// They are copied: a value can be a piece of a large buffer, which it would keep.
pub(crate) fn to_store(headers: &HeaderMap) -> HeaderMap {
    let copied = headers.iter().map(|(name, value)| {
        let copied = HeaderValue::from_bytes(value.as_bytes());
        (name.clone(), copied.expect("it is a value already"))
    });
    let mut stored = HeaderMap::with_capacity(headers.len());
    copied.for_each(|(name, value)| {
        stored.append(name, value);
    });
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

/// The length that a body was announced with, by its head or by the service itself: a body of
/// another length is incomplete and not stored (RFC 9111 §3.3).
///
/// # Errors
///
/// [`Unstorable::Length`] if what was announced cannot be read, or contradicts itself.
pub(crate) fn announced_length(
    headers: &HeaderMap,
    known: Option<u64>,
) -> Result<Option<u64>, Unstorable> {
    let mut length = known;
    for announced in headers.get_all(CONTENT_LENGTH) {
        let announced = announced.to_str().ok().and_then(|text| text.parse().ok());
        let announced = announced.ok_or(Unstorable::Length)?;
        if *length.get_or_insert(announced) != announced {
            return Err(Unstorable::Length);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::ETAG;

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
    fn a_length_is_announced_by_the_head_and_by_the_service() {
        let announced = |lines: &[&'static str], known| {
            let fields: Vec<_> = lines.iter().map(|line| ("content-length", *line)).collect();
            announced_length(&headers(&fields), known)
        };
        assert_eq!(announced(&[], None), Ok(None));
        assert_eq!(announced(&[], Some(3)), Ok(Some(3)));
        assert_eq!(announced(&["3"], None), Ok(Some(3)));
        assert_eq!(announced(&["3", "3"], Some(3)), Ok(Some(3)));
        assert_eq!(announced(&["3"], Some(4)), Err(Unstorable::Length));
        assert_eq!(announced(&["3", "4"], None), Err(Unstorable::Length));
        assert_eq!(announced(&["x"], None), Err(Unstorable::Length));
    }

    #[test]
    fn what_is_stored_holds_no_buffer_of_the_service() {
        let line = bytes::Bytes::from(vec![b'x'; 1_000]);
        let value = HeaderValue::from_maybe_shared(line.slice(..3)).unwrap();
        let stored = to_store(&HeaderMap::from_iter([(ETAG, value)]));
        assert_eq!(stored[ETAG], "xxx");
        assert!(line.is_unique());
    }
}
