//! How long a response is fresh, and how old it was when it came (RFC 9111 §4.2).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AGE, DATE, EXPIRES, HeaderName};

use super::cache_control::{CacheControl, delta_seconds};

/// The freshness lifetime that the response itself states, for a shared cache (§4.2.1):
/// `s-maxage`, else `max-age`, else `Expires` less `Date`. `None` if it states none.
pub(crate) fn explicit_lifetime(headers: &HeaderMap, received: SystemTime) -> Option<Duration> {
    let directives = CacheControl::of(headers);
    directives
        .s_maxage
        .or(directives.max_age)
        .or_else(|| expires_in(headers, received))
}

/// `Expires` less `Date`; an invalid or a repeated `Expires` is in the past (§5.3).
fn expires_in(headers: &HeaderMap, received: SystemTime) -> Option<Duration> {
    if !headers.contains_key(EXPIRES) {
        return None;
    }
    let date = http_date(headers, &DATE).unwrap_or(received);
    let lifetime =
        http_date(headers, &EXPIRES).and_then(|expires| expires.duration_since(date).ok());
    Some(lifetime.unwrap_or_default())
}

/// How old the response was when it had come: `corrected_initial_age` of §4.2.3.
pub(crate) fn initial_age(
    headers: &HeaderMap,
    requested: SystemTime,
    received: SystemTime,
) -> Duration {
    let since = |earlier| received.duration_since(earlier).unwrap_or_default();
    let apparent = http_date(headers, &DATE).map_or(Duration::ZERO, since);
    match age(headers) {
        Some(age) => apparent.max(age + since(requested)),
        None => apparent,
    }
}

/// The `Age` that the response came with: of several, the first; an invalid one is ignored
/// (§5.1). Without it there is no cache upstream, so the delay of the response is not age.
fn age(headers: &HeaderMap) -> Option<Duration> {
    let first = headers.get(AGE)?.as_bytes();
    let first = first.split(|byte| *byte == b',').next()?;
    delta_seconds(first).map(Duration::from_secs)
}

/// A field that is one date (RFC 9110 §5.6.7).
fn http_date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let date = httpdate::parse_http_date(lines.next()?.to_str().ok()?).ok()?;
    lines.next().is_none().then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Fri, 20 Nov 2026 06:30:00 GMT";
    const LATER: &str = "Fri, 20 Nov 2026 06:31:00 GMT";

    fn now() -> SystemTime {
        httpdate::parse_http_date(NOW).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn lifetime(fields: &[(&'static str, &'static str)]) -> Option<Duration> {
        explicit_lifetime(&headers(fields), now())
    }

    #[test]
    fn s_maxage_comes_before_max_age_and_max_age_before_expires() {
        let all = [
            ("cache-control", "max-age=2, s-maxage=1"),
            ("expires", LATER),
        ];
        assert_eq!(lifetime(&all), Some(seconds(1)));
        let two = [("cache-control", "max-age=2"), ("expires", LATER)];
        assert_eq!(lifetime(&two), Some(seconds(2)));
        assert_eq!(lifetime(&[]), None);
    }

    #[test]
    fn expires_counts_from_the_date_of_the_response() {
        let dated = [("expires", LATER), ("date", NOW)];
        assert_eq!(lifetime(&dated), Some(seconds(60)));
        assert_eq!(lifetime(&[("expires", LATER)]), Some(seconds(60)));
    }

    #[test]
    fn an_invalid_repeated_or_past_expires_is_stale() {
        assert_eq!(lifetime(&[("expires", "0")]), Some(Duration::ZERO));
        let twice = [("expires", LATER), ("expires", LATER)];
        assert_eq!(lifetime(&twice), Some(Duration::ZERO));
        let past = [("expires", NOW), ("date", LATER)];
        assert_eq!(lifetime(&past), Some(Duration::ZERO));
    }

    #[test]
    fn a_response_is_as_old_as_the_older_of_its_age_and_its_date() {
        let of = |fields: &[_]| initial_age(&headers(fields), now() - seconds(2), now());
        assert_eq!(of(&[]), Duration::ZERO);
        assert_eq!(of(&[("age", "5")]), seconds(7));
        assert_eq!(
            of(&[("date", "Fri, 20 Nov 2026 06:29:50 GMT")]),
            seconds(10)
        );
        assert_eq!(of(&[("date", LATER)]), Duration::ZERO);
        assert_eq!(of(&[("age", "soon")]), Duration::ZERO);
    }
}
