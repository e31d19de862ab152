//! The key of a request, and the tag of a URL.
//!
//! A key reads `{path} {host} :{scheme} ?{query} {field}={value} … cookie:{name}={value} …`. It
//! is injective: what came from outside is escaped so that it contains no space, each part begins
//! with what no other kind of part can begin with, and fields are written once per line.
//!
//! The path is in its normal form, so that patterns over keys can be written by hand. Since a
//! router may tell apart what is equivalent (`/%61` matches `/{x}` where `/a` has a route of its
//! own), a path that was sent in another form is a part of its own.

use std::borrow::Cow;
use std::fmt::Write;

use cache_core::MAX_TAG_BYTES;
use http::header::{COOKIE, HOST};
use http::{HeaderMap, Request, Uri};
use sha2::{Digest, Sha256};

use crate::percent;
use crate::rules::{CompiledRule, forms};

/// The longest path that is cached, as it stands in a key: it stays readable in whole.
const MAX_PATH_BYTES: usize = 400;
/// The longest key that is written out. A prefix and a namespace have to fit in front of it.
const MAX_KEY_BYTES: usize = 640;
/// What stands before a digest: escaping never leaves two of these.
const DIGEST: &str = "##";

/// The key of this request; `None` if it has none: the path is too long, or the host is in
/// doubt.
pub(crate) fn of<R>(request: &Request<R>, rule: &CompiledRule) -> Option<String> {
    let uri = request.uri();
    let path = percent::normalize(uri.path());
    let mut key = String::with_capacity(64);
    push_escaped(path.as_bytes(), &mut key);
    let path_length = key.len();
    if path_length > MAX_PATH_BYTES {
        return None;
    }
    key.push(' ');
    if !rule.ignore_host {
        push_escaped(authority(uri, request.headers())?.as_bytes(), &mut key);
    }
    if let Some(scheme) = uri.scheme_str() {
        // A service may answer the one by sending its clients to the other.
        key.push_str(" :");
        push_escaped(scheme.to_ascii_lowercase().as_bytes(), &mut key);
    }
    if let Some(query) = rule.query.select(uri.query()) {
        key.push_str(" ?");
        push_escaped(query.as_bytes(), &mut key);
    }
    if path != uri.path() {
        // It begins with `/`, which no other part does.
        push_part(uri.path().as_bytes(), &mut key);
    }
    push_fields(request.headers(), rule, &mut key);
    if key.len() > MAX_KEY_BYTES {
        let digest = digest(key.as_bytes());
        key.truncate(path_length);
        write!(key, " {DIGEST}{digest}").expect("a String takes all that is written");
    }
    Some(key)
}

fn push_fields(headers: &HeaderMap, rule: &CompiledRule, key: &mut String) {
    for name in &rule.fields {
        for value in headers.get_all(name) {
            push_part(name.as_str().as_bytes(), key);
            key.push('=');
            push_escaped(value.as_bytes(), key);
        }
    }
    for line in headers.get_all(COOKIE) {
        for cookie in line.as_bytes().split(|byte| *byte == b';') {
            let cookie = cookie.trim_ascii();
            if rule.cookies.iter().any(|name| is_named(cookie, name)) {
                // No field name contains a colon.
                key.push_str(" cookie:");
                push_escaped(cookie, key);
            }
        }
    }
}

/// Whether the cookie has this name. Names are compared decoded, as many handlers read them.
fn is_named(cookie: &[u8], name: &str) -> bool {
    let end = cookie.iter().position(|byte| *byte == b'=');
    let found = cookie[..end.unwrap_or(cookie.len())].trim_ascii();
    let found = std::str::from_utf8(found).map(percent::decode_bytes);
    found.is_ok_and(|found| found == name.as_bytes())
}

/// The host and port that the request is for (RFC 9110 §7.2), in lower case; empty if it names
/// none, `None` if it names two.
pub(crate) fn authority<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<Cow<'r, str>> {
    let mut named = uri.authority().map(http::uri::Authority::as_str);
    for host in headers.get_all(HOST) {
        let host = host.to_str().ok()?;
        match named {
            None => named = Some(host),
            Some(known) if known.eq_ignore_ascii_case(host) => {}
            Some(_) => return None,
        }
    }
    let named = named.unwrap_or_default();
    if named.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(Cow::Owned(named.to_ascii_lowercase()));
    }
    Some(Cow::Borrowed(named))
}

/// The tag that every response of this URL carries, whatever its host, query and variant.
pub(crate) fn url_tag(path: &str) -> String {
    let path = percent::normalize(path);
    let tag = format!("http:{path}");
    if tag.len() <= MAX_TAG_BYTES {
        return tag;
    }
    format!("http:{DIGEST}{}", digest(path.as_bytes()))
}

/// The tag of this URL in the form that equal ones share: `/cities/007` and `/cities/7` are one
/// city to a handler that takes a number. Every response carries it, beside its own.
pub(crate) fn equal_url_tag(path: &str) -> String {
    let segments = path.split('/').map(forms::equal);
    url_tag(&segments.collect::<Vec<_>>().join("/"))
}

/// The glob over keys that takes every response of the paths that match `path`, a glob whose
/// literal parts are in the form of [`path_literal`].
pub(crate) fn path_pattern(path: &str) -> String {
    format!("{path} *")
}

/// A part of a path as it stands in a key, where it contains nothing that a glob acts on.
pub(crate) fn path_literal(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    push_escaped(percent::normalize(part).as_bytes(), &mut escaped);
    escaped
}

/// A glob over paths whose literal parts are in the form of [`path_literal`].
pub(crate) fn path_glob(glob: &str) -> String {
    let mut written = String::with_capacity(glob.len());
    let mut rest = glob;
    while let Some(at) = rest.find(['*', '[', '\\']) {
        written.push_str(&path_literal(&rest[..at]));
        let special = &rest[at..];
        let end = match special.as_bytes()[0] {
            b'[' => special.find(']').map_or(special.len(), |end| end + 1),
            b'\\' => special.chars().take(2).map(char::len_utf8).sum(),
            _ => 1,
        };
        let (special, after) = special.split_at(end);
        match special.strip_prefix('\\') {
            Some(literal) if !literal.is_empty() => written.push_str(&path_literal(literal)),
            _ => written.push_str(special),
        }
        rest = after;
    }
    written.push_str(&path_literal(rest));
    written
}

fn push_part(part: &[u8], key: &mut String) {
    key.push(' ');
    push_escaped(part, key);
}

/// Writes text so that it has no space, no brace and nothing that a glob acts on.
fn push_escaped(text: &[u8], key: &mut String) {
    for &byte in text {
        match byte {
            b'#' | b'{' | b'}' | b'*' | b'?' | b'[' | b']' | b'^' | b'\\' => escape(byte, key),
            b'!'..=b'~' => key.push(byte.into()),
            _ => escape(byte, key),
        }
    }
}

fn escape(byte: u8, key: &mut String) {
    write!(key, "#{byte:02X}").expect("a String takes all that is written");
}

fn digest(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}").expect("a String takes all that is written");
    }
    hex
}

#[cfg(test)]
mod tests;
