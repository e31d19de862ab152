//! The kind `memcached`: the fields of its section, and the provider that they describe.

use serde::Deserialize;

use super::packing::{KeyFields, PackingFields};
use crate::config::{HumanBytes, HumanDuration, Section};
use crate::error::Result;
use crate::provider::memcached::{MemcachedProvider, MemcachedProviderBuilder};

const TWICE: &str = "the address is given twice; say it in `url`, or in `host` and `port`";
const HOSTLESS: &str =
    "this is a part of an address without a `host`; add that, or write all of it as `url`";
const MISSING: &str = "the address of the server is missing; expected `url` or `host`";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemcachedSection {
    url: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    connect_timeout: Option<HumanDuration>,
    command_timeout: Option<HumanDuration>,
    heartbeat: Option<HumanDuration>,
    touch_bound: Option<HumanDuration>,
    lease_ttl: Option<HumanDuration>,
    log_bytes: Option<HumanBytes>,
    prefix: Option<String>,
    lazy: Option<bool>,
    compression: Option<String>,
    compression_above: Option<HumanBytes>,
    encryption: Option<Vec<KeyFields>>,
}

/// Makes the provider of a section.
pub(super) async fn memcached(section: Section) -> Result<MemcachedProvider> {
    let fields: MemcachedSection = section.read()?;
    let mut builder = MemcachedProvider::builder(url(&section, &fields)?);
    if let Some(HumanBytes(bytes)) = fields.log_bytes {
        builder = builder.log_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    let prefix = fields.prefix.as_deref().or(section.key_prefix());
    if let Some(prefix) = prefix {
        builder = builder.key_prefix(prefix);
    }
    builder = spans(builder, &fields);
    if fields.lazy == Some(true) {
        builder = builder.lazy();
    }
    let packing = PackingFields {
        compression: fields.compression,
        compression_above: fields.compression_above,
        encryption: fields.encryption,
    };
    builder.packing(packing.packing(&section)?).build().await
}

fn url(section: &Section, fields: &MemcachedSection) -> Result<String> {
    let part = match (&fields.host, fields.port) {
        (Some(_), _) => Some("host"),
        (None, Some(_)) => Some("port"),
        (None, None) => None,
    };
    match (&fields.url, &fields.host, part) {
        (Some(url), _, None) => Ok(url.clone()),
        (Some(_), _, Some(part)) => Err(section.error(part, TWICE)),
        (None, Some(host), _) => Ok(joined(host, fields.port)),
        (None, None, Some(part)) => Err(section.error(part, HOSTLESS)),
        (None, None, None) => Err(section.error("", MISSING)),
    }
}

fn joined(host: &str, port: Option<u16>) -> String {
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    match host.contains(':') && !host.starts_with('[') {
        true => format!("memcache://[{host}]{port}"),
        false => format!("memcache://{host}{port}"),
    }
}

fn spans(
    mut builder: MemcachedProviderBuilder,
    fields: &MemcachedSection,
) -> MemcachedProviderBuilder {
    if let Some(HumanDuration(span)) = fields.connect_timeout {
        builder = builder.connect_timeout(span);
    }
    if let Some(HumanDuration(span)) = fields.command_timeout {
        builder = builder.command_timeout(span);
    }
    if let Some(HumanDuration(span)) = fields.heartbeat {
        builder = builder.heartbeat(span);
    }
    if let Some(HumanDuration(span)) = fields.touch_bound {
        builder = builder.touch_bound(span);
    }
    match fields.lease_ttl {
        Some(HumanDuration(span)) => builder.lease_ttl(span),
        None => builder,
    }
}
