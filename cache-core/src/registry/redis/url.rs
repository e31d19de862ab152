//! The address of a section: one text, in parts, or that of the first node of a cluster.

use super::RedisSection;
use crate::config::Section;
use crate::error::Result;

const TWICE: &str = "the address is given twice; say it in `url`, or in `host`, `port`, `user`, \
                     `password`, `db` and `tls`";
const HOSTLESS: &str = "this is a part of an address without a `host`; add that, or write all of it \
                        as `url`";
const MISSING: &str =
    "the address of the server is missing; expected `url`, `host`, or `cluster_nodes`";

/// The URL to begin at; it is taken from the nodes where nothing else says it.
pub(super) fn of(
    section: &Section,
    fields: &RedisSection,
    nodes: Option<&mut Vec<String>>,
) -> Result<String> {
    match (&fields.url, &fields.host, a_part(fields)) {
        (Some(url), _, None) => Ok(url.clone()),
        (Some(_), _, Some(part)) => Err(section.error(part, TWICE)),
        (None, Some(host), _) => Ok(joined(fields, host)),
        (None, None, Some(part)) => Err(section.error(part, HOSTLESS)),
        (None, None, None) => match nodes {
            Some(nodes) if !nodes.is_empty() => Ok(nodes.remove(0)),
            _ => Err(section.error("", MISSING)),
        },
    }
}

/// One of the fields that are parts of an address, if there are any.
fn a_part(fields: &RedisSection) -> Option<&'static str> {
    let parts = [
        ("host", fields.host.is_some()),
        ("port", fields.port.is_some()),
        ("user", fields.user.is_some()),
        ("password", fields.password.is_some()),
        ("db", fields.db.is_some()),
        ("tls", fields.tls.is_some()),
    ];
    let given = parts.iter().find(|(_, given)| *given);
    given.map(|(name, _)| *name)
}

fn joined(fields: &RedisSection, host: &str) -> String {
    let scheme = match fields.tls {
        Some(true) => "rediss",
        _ => "redis",
    };
    let mut url = format!("{scheme}://{}", credentials(fields));
    match host.contains(':') && !host.starts_with('[') {
        true => url.push_str(&format!("[{host}]")),
        false => url.push_str(host),
    }
    if let Some(port) = fields.port {
        url.push_str(&format!(":{port}"));
    }
    if let Some(db) = fields.db {
        url.push_str(&format!("/{db}"));
    }
    url
}

/// `user:password@`. An empty password is none, as `${REDIS_PASSWORD:}` makes one.
fn credentials(fields: &RedisSection) -> String {
    let given = |field: &Option<String>| field.as_deref().map(encoded).unwrap_or_default();
    match (given(&fields.user), given(&fields.password)) {
        (user, password) if user.is_empty() && password.is_empty() => String::new(),
        (user, password) if password.is_empty() => format!("{user}@"),
        (user, password) => format!("{user}:{password}@"),
    }
}

/// A text as it stands inside a URL.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(byte.into());
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
