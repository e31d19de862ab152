//! The `Cache-Status` field (RFC 9211): what this cache did with a request.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::rfc9111::{Bypass, Unstorable};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// How this cache is called in the field.
const NAME: &str = "cache-core";

/// What became of a request that a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Answered from what is stored; it is fresh for this long.
    Hit(Option<Duration>),
    /// Answered by the service; the answer is being stored.
    Stored,
    /// Answered by the service, together with others.
    Collapsed,
    /// Answered by the service, with what is not for others.
    Unstorable(Unstorable),
    /// Passed on because of the request.
    Bypass(Bypass),
    /// Passed on because an answer was not for others a moment ago.
    HitForMiss,
    /// Passed on because the cache could not be used.
    Unavailable,
    /// Passed on because the request has no key, or its tags are too long.
    Unnamed,
    /// Passed on because what HEAD asks for is not stored.
    Head,
    /// A request that may change something; all that it makes invalid has gone.
    Changed,
    /// A request that may change something; other processes may still show what it makes invalid,
    /// until the backend can be told.
    InvalidationPending,
    /// A request that may change something; some of what it makes invalid may still be there.
    InvalidationFailed,
}

impl Status {
    /// Adds this cache's member to the field, behind those of caches nearer to the origin.
    pub(crate) fn add_to(self, headers: &mut HeaderMap) {
        let member = format!("{NAME}; {}", self.parameters());
        let member = HeaderValue::try_from(member).expect("tokens and digits are a field value");
        headers.append(CACHE_STATUS, member);
    }

    fn parameters(self) -> String {
        match self {
            Self::Hit(Some(ttl)) => format!("hit; ttl={}", ttl.as_secs()),
            Self::Hit(None) => "hit".to_owned(),
            Self::Stored => "fwd=miss; stored".to_owned(),
            Self::Collapsed => "fwd=miss; collapsed".to_owned(),
            Self::Unstorable(reason) => format!("fwd=miss; detail={}", reason.detail()),
            Self::Bypass(reason) if reason.is_by_request() => {
                format!("fwd=request; detail={}", reason.detail())
            }
            Self::Bypass(reason) => format!("fwd=bypass; detail={}", reason.detail()),
            Self::HitForMiss => "fwd=bypass; detail=hit-for-miss".to_owned(),
            Self::Unavailable => "fwd=miss; detail=unavailable".to_owned(),
            Self::Unnamed => "fwd=bypass; detail=no-key".to_owned(),
            Self::Head => "fwd=miss; detail=head".to_owned(),
            Self::Changed => "fwd=method".to_owned(),
            Self::InvalidationPending => "fwd=method; detail=invalidation-pending".to_owned(),
            Self::InvalidationFailed => "fwd=method; detail=invalidation-failed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_cache_adds_itself_behind_the_others() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_STATUS, HeaderValue::from_static("origin; hit"));
        Status::Hit(Some(Duration::from_millis(4_900))).add_to(&mut headers);
        let members: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(members, ["origin; hit", "cache-core; hit; ttl=4"]);
    }

    #[test]
    fn a_client_that_asked_for_it_is_told_so() {
        let no_cache = Status::Bypass(Bypass::NoCache).parameters();
        assert_eq!(no_cache, "fwd=request; detail=no-cache");
        let cookie = Status::Bypass(Bypass::Cookie).parameters();
        assert_eq!(cookie, "fwd=bypass; detail=cookie");
    }
}
