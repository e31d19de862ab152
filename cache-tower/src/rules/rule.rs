//! What may be cached of one route.

use std::time::Duration;

use cache_core::{Error, ErrorKind, MAX_TAG_BYTES, Owner, Result};
use http::StatusCode;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};

use super::query::Query;
use super::template::Template;
use crate::rfc9111::{Credentials, Terms};

/// Raised when what is stored under a key changes its meaning.
const OWNER: Owner = Owner::of("cache-tower").and("2");

/// How many placeholders a tag or a path may have: each stands for up to two forms, so that one
/// text becomes at most 32.
const MAX_PLACEHOLDERS: usize = 5;

/// What may be cached of the responses to GET on one route.
///
/// Routes are written and matched as in axum 0.8: `/cities/{id}`, `/files/{*path}`. The rule
/// looks at the path alone: where the application has `/cities/new` beside `/cities/{id}`, give
/// that a rule of its own, or it goes by this one.
///
/// What is stored of a response is shared by all whose requests have the same key: path, query,
/// host, and the header fields and cookies that the rule names. A response that differs by
/// anything else must say so, by `Vary`, `Cache-Control: private` or `Set-Cookie`; it is not
/// stored then.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rule {
    pub(super) route: String,
    ttl: Option<Duration>,
    override_ttl: bool,
    query: Query,
    ignore_host: bool,
    fields: Vec<String>,
    cookies: Vec<String>,
    tags: Vec<String>,
    statuses: Vec<StatusCode>,
    body_limit: Option<usize>,
    credentials: Credentials,
}

impl Rule {
    /// A rule for GET on this route, and for HEAD, which is answered from what GET stored.
    pub fn get(route: impl Into<String>) -> Self {
        Self {
            route: route.into(),
            ttl: None,
            override_ttl: false,
            query: Query::default(),
            ignore_host: false,
            fields: Vec::new(),
            cookies: Vec::new(),
            tags: Vec::new(),
            statuses: vec![StatusCode::OK],
            body_limit: None,
            credentials: Credentials::default(),
        }
    }

    /// How long a response is fresh that does not say so itself, by `s-maxage`, `max-age` or
    /// `Expires` (RFC 9111 §4.2.1). Without it, only responses that say so are stored.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The rule's [`ttl`](Self::ttl) counts, whatever lifetime the response states. `no-store`,
    /// `no-cache` and `private` are obeyed all the same.
    pub fn override_ttl(mut self) -> Self {
        self.override_ttl = true;
        self
    }

    /// Which part of the query tells one response from another; by default all of it, sorted.
    pub fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// The response is the same on every host name that the service goes by.
    pub fn ignore_host(mut self) -> Self {
        self.ignore_host = true;
        self
    }

    /// Responses differ by this request field. Responses with a `Vary` that names any other are
    /// not stored. With `authorization` or `cookie`, each user has responses of their own.
    pub fn vary_header(mut self, name: impl Into<String>) -> Self {
        self.fields.push(name.into());
        self
    }

    /// Responses differ by this cookie, and by no other.
    pub fn vary_cookie(mut self, name: impl Into<String>) -> Self {
        self.cookies.push(name.into());
        self
    }

    /// Cookies do not change the response. Without this, or a [`vary_cookie`](Self::vary_cookie),
    /// requests with cookies go upstream, and their responses to nobody else.
    pub fn ignore_cookies(mut self) -> Self {
        self.credentials.cookies = true;
        self
    }

    /// Responses are the same for all who may ask, whatever their `Authorization`. Without this,
    /// requests that carry one go upstream, and their responses to nobody else (RFC 9111 §3.5).
    ///
    /// Who may ask must then be checked in front of the layer: a hit never reaches the service.
    pub fn share_authorized(mut self) -> Self {
        self.credentials.authorization = true;
        self
    }

    /// Tags for what is stored; `{name}` is the route parameter, decoded, of which there are at
    /// most five. A number that is written as `007` stands for `7` as well, and a text for itself
    /// in lower case. Tags are the same for
    /// functions and responses, so that one invalidation reaches both.
    pub fn tag(mut self, template: impl Into<String>) -> Self {
        self.tags.push(template.into());
        self
    }

    /// The statuses that are stored; by default 200 alone. 206 and 304 never are.
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// The largest body that is stored, in bytes; by default the layer's limit.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// Checks the rule, whose route has the parameters of `route`.
    pub(super) fn compile(self, route: &Template, body_limit: usize) -> Result<CompiledRule> {
        let wrong = |what| wrong(&self.route, what);
        if self.override_ttl && self.ttl.is_none() {
            return Err(wrong("override_ttl needs a ttl".to_owned()));
        }
        if let Some(status) = self.statuses.iter().find(|status| never_stored(**status)) {
            return Err(wrong(format!("{status} responses are never stored")));
        }
        let field = |name: &String| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            name.filter(|name| name.as_str() != "*")
        };
        let fields: Option<Vec<_>> = self.fields.iter().map(field).collect();
        let fields = fields.ok_or_else(|| wrong("vary_header needs field names".to_owned()))?;
        let tags = self.tags.iter().map(|text| tag(&self.route, route, text));
        let tags = tags.collect::<Result<_>>()?;
        let credentials = Credentials {
            authorization: self.credentials.authorization || fields.contains(&AUTHORIZATION),
            cookies: self.credentials.cookies
                || !self.cookies.is_empty()
                || fields.contains(&COOKIE),
        };
        Ok(CompiledRule {
            owner: self.owner(&fields, credentials),
            credentials,
            fields,
            tags,
            body_limit: self.body_limit.unwrap_or(body_limit),
            ttl: self.ttl,
            override_ttl: self.override_ttl,
            query: self.query,
            ignore_host: self.ignore_host,
            cookies: self.cookies,
            statuses: self.statuses,
        })
    }
}

impl Rule {
    /// Whose responses these are: of rules that share in the same way. What was stored when the
    /// rule told fewer requests apart, or shared what it no longer does, is no answer any more.
    fn owner(&self, fields: &[HeaderName], credentials: Credentials) -> Owner {
        let shared = format!(
            "{:?} {} {fields:?} {:?} {credentials:?}",
            self.query, self.ignore_host, self.cookies
        );
        OWNER.and(&self.route).and(&shared)
    }
}

/// Informational responses are no answers yet; a part and a "not modified" are no wholes
/// (RFC 9111 §3, §3.3).
fn never_stored(status: StatusCode) -> bool {
    status.is_informational()
        || [StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// A template all of whose placeholders are parameters of the route.
pub(super) fn known(route: &str, parameters: &Template, text: &str) -> Result<Template> {
    let template = Template::parse(text)?;
    let names = parameters.names();
    if let Some(name) = template.names().difference(&names).next() {
        let what = format!("`{{{name}}}` in `{text}` is not a parameter of the route");
        return Err(wrong(route, what));
    }
    Ok(template)
}

/// A template that is filled with each form of each parameter, which must not be too many.
pub(super) fn filled(route: &str, parameters: &Template, text: &str) -> Result<Template> {
    let template = known(route, parameters, text)?;
    if template.placeholders() > MAX_PLACEHOLDERS {
        let what = format!("`{text}` has more than {MAX_PLACEHOLDERS} placeholders");
        return Err(wrong(route, what));
    }
    Ok(template)
}

/// A template of a tag, which is neither empty nor too long in itself.
pub(super) fn tag(route: &str, parameters: &Template, text: &str) -> Result<Template> {
    let template = filled(route, parameters, text)?;
    let shortest = template.fill(|_| vec!["x".to_owned()]).concat();
    match shortest.len() {
        1..=MAX_TAG_BYTES => Ok(template),
        0 => Err(wrong(route, "a tag is empty")),
        _ => Err(wrong(
            route,
            format!("a tag has at most {MAX_TAG_BYTES} bytes"),
        )),
    }
}

pub(super) fn wrong(route: &str, what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("the rule for `{route}`: {what}"),
    )
}

/// A rule that has been checked.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) owner: Owner,
    pub(crate) ttl: Option<Duration>,
    pub(crate) override_ttl: bool,
    pub(crate) query: Query,
    pub(crate) ignore_host: bool,
    pub(crate) fields: Vec<HeaderName>,
    pub(crate) cookies: Vec<String>,
    pub(crate) tags: Vec<Template>,
    pub(crate) body_limit: usize,
    pub(crate) credentials: Credentials,
    statuses: Vec<StatusCode>,
}

impl CompiledRule {
    /// What the rule admits to be stored.
    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms {
            statuses: &self.statuses,
            key_fields: &self.fields,
        }
    }

    /// How long a response is fresh that states `explicit` (RFC 9111 §4.2.1, §4.2.2).
    pub(crate) fn lifetime(&self, explicit: Option<Duration>) -> Option<Duration> {
        if self.override_ttl {
            self.ttl
        } else {
            explicit.or(self.ttl)
        }
    }
}
