//! What a rule means for one request: key, owner, tags, and what may be stored of the answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cache_core::{EntryOptions, MAX_TAG_BYTES, MAX_TAGS, Owner};
use http::header::DATE;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Request};
use http_body::SizeHint;
use tokio::time::Instant;

use crate::cache_status::Status;
use crate::key;
use crate::rfc9111::{self, Lookup, Unstorable};
use crate::rules::{CompiledRule, Matched, forms};
use crate::stored::Head;

/// A request that may be answered from the cache.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) key: String,
    pub(crate) owner: Owner,
    pub(crate) lookup: Lookup,
    pub(crate) is_head: bool,
    /// The tags of what is stored, and thereby of what may be followed.
    pub(crate) tags: Vec<Box<str>>,
    rule: Arc<CompiledRule>,
}

/// What may be stored of an answer, and for how long after it was received.
pub(crate) struct Admitted {
    pub(crate) head: Head,
    /// The length that its body was announced with, in bytes.
    pub(crate) announced: Option<u64>,
    ttl: Duration,
    received: Instant,
}

impl Admitted {
    /// How old the answer is now (RFC 9111 §4.2.3).
    pub(crate) fn age(&self) -> Duration {
        self.head.initial_age + self.received.elapsed()
    }

    /// How long it is fresh from now on.
    pub(crate) fn ttl(&self) -> Duration {
        self.ttl.saturating_sub(self.received.elapsed())
    }

    /// The head, as old as it is now.
    pub(crate) fn aged_head(&self) -> Head {
        Head {
            initial_age: self.age(),
            ..self.head.clone()
        }
    }
}

impl Plan {
    /// Decides by the head of a GET or HEAD request.
    pub(crate) fn of<R>(
        request: &Request<R>,
        matched: &Matched<'_, '_, CompiledRule>,
    ) -> Result<Self, Status> {
        let rule = matched.rule;
        let lookup =
            rfc9111::lookup(request.headers(), rule.credentials).map_err(Status::Bypass)?;
        let key = key::of(request, rule).ok_or(Status::Unnamed)?;
        Ok(Self {
            key,
            owner: rule.owner,
            lookup,
            is_head: request.method() == http::Method::HEAD,
            tags: Vec::new(),
            rule: Arc::clone(rule),
        })
    }

    /// Adds the tags, which a hit has no need of.
    pub(crate) fn with_tags(
        mut self,
        path: &str,
        matched: &Matched<'_, '_, CompiledRule>,
    ) -> Result<Self, Status> {
        self.tags = tags(path, matched).ok_or(Status::Unnamed)?;
        Ok(self)
    }

    /// What a value is stored with.
    pub(crate) fn options(&self) -> EntryOptions {
        EntryOptions::new().tags(self.tags.iter().cloned())
    }

    /// Whether the answer may be stored, by its head and the length of its body. Gives it a date
    /// if it has none.
    pub(crate) fn admit(
        &self,
        parts: &mut Parts,
        length: &SizeHint,
        requested: SystemTime,
    ) -> Result<Admitted, Unstorable> {
        rfc9111::check_storable(parts.status, &parts.headers, self.rule.terms())?;
        let announced = rfc9111::announced_length(&parts.headers, length.exact())?;
        if announced.unwrap_or(length.lower()) > self.body_limit() as u64 {
            return Err(Unstorable::TooLarge);
        }
        let received = SystemTime::now();
        let initial_age = rfc9111::initial_age(&parts.headers, requested, received);
        let ttl = self.ttl(&parts.headers, received, initial_age);
        if ttl.is_zero() {
            return Err(Unstorable::NotFresh);
        }
        add_date(&mut parts.headers, received);
        let head = Head {
            status: parts.status,
            headers: rfc9111::to_store(&parts.headers),
            initial_age,
        };
        Ok(Admitted {
            head,
            announced,
            ttl,
            received: Instant::now(),
        })
    }

    /// How long an answer is fresh that has just been received (RFC 9111 §4.2).
    fn ttl(&self, headers: &HeaderMap, received: SystemTime, initial_age: Duration) -> Duration {
        let explicit = rfc9111::explicit_lifetime(headers, received);
        let lifetime = self.rule.lifetime(explicit).unwrap_or_default();
        if self.rule.override_ttl {
            lifetime
        } else {
            lifetime.saturating_sub(initial_age)
        }
    }

    /// The largest body that is stored, in bytes.
    pub(crate) fn body_limit(&self) -> usize {
        self.rule.body_limit
    }
}

/// A response that has no date gets that of its receipt (RFC 9110 §6.6.1).
fn add_date(headers: &mut HeaderMap, received: SystemTime) {
    if !headers.contains_key(DATE) {
        let date = HeaderValue::try_from(httpdate::fmt_http_date(received));
        headers.insert(DATE, date.expect("a date is a field value"));
    }
}

/// The tags of the rule, and the URL's, as it was sent and as equal ones are; `None` if one cannot be stored.
fn tags(path: &str, matched: &Matched<'_, '_, CompiledRule>) -> Option<Vec<Box<str>>> {
    let mut tags = vec![key::url_tag(path).into_boxed_str()];
    let equal = key::equal_url_tag(path).into_boxed_str();
    if equal != tags[0] {
        tags.push(equal);
    }
    for template in &matched.rule.tags {
        let filled = matched.fill(template, forms::in_tag);
        tags.extend(filled.into_iter().map(String::into_boxed_str));
    }
    let fits = tags
        .iter()
        .all(|tag| (1..=MAX_TAG_BYTES).contains(&tag.len()));
    (fits && tags.len() <= MAX_TAGS).then_some(tags)
}
