//! The kind `redis`: the fields of its section, and the provider that they describe.

mod url;

#[cfg(feature = "tls")]
use std::path::Path;

use serde::Deserialize;

use super::packing::{KeyFields, PackingFields};
use crate::config::{HumanBytes, HumanDuration, HumanTtl, Section};
use crate::error::Result;
use crate::provider::redis::{OnFailover, RedisProvider, RedisProviderBuilder};
use crate::terms::Ttl;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedisSection {
    url: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    db: Option<u32>,
    tls: Option<bool>,
    cluster_nodes: Option<Vec<String>>,
    sentinels: Option<Vec<String>>,
    tls_ca: Option<String>,
    tls_certificate: Option<String>,
    tls_key: Option<String>,
    connect_timeout: Option<HumanDuration>,
    command_timeout: Option<HumanDuration>,
    heartbeat: Option<HumanDuration>,
    touch_bound: Option<HumanDuration>,
    lease_ttl: Option<HumanDuration>,
    sweep: Option<HumanTtl>,
    prefix: Option<String>,
    client_name: Option<String>,
    on_failover: Option<String>,
    lazy: Option<bool>,
    compression: Option<String>,
    compression_above: Option<HumanBytes>,
    encryption: Option<Vec<KeyFields>>,
}

/// Makes the provider of a section.
pub(super) async fn redis(section: Section) -> Result<RedisProvider> {
    let mut fields: RedisSection = section.read()?;
    let mut nodes = fields.cluster_nodes.take();
    let url = url::of(&section, &fields, nodes.as_mut())?;
    let mut builder = RedisProvider::builder(url);
    if let Some(sentinels) = fields.sentinels.take() {
        builder = builder.sentinels(sentinels);
    }
    builder = cluster(&section, builder, nodes.as_ref())?;
    builder = certificates(&section, builder, &fields)?;
    builder = spans(builder, &fields);
    builder = manner(&section, builder, &mut fields)?;
    let packing = PackingFields {
        compression: fields.compression,
        compression_above: fields.compression_above,
        encryption: fields.encryption,
    };
    builder.packing(packing.packing(&section)?).build().await
}

#[cfg(feature = "redis-cluster")]
fn cluster(
    _: &Section,
    builder: RedisProviderBuilder,
    nodes: Option<&Vec<String>>,
) -> Result<RedisProviderBuilder> {
    Ok(match nodes {
        Some(nodes) => builder.cluster_nodes(nodes),
        None => builder,
    })
}

#[cfg(not(feature = "redis-cluster"))]
fn cluster(
    section: &Section,
    builder: RedisProviderBuilder,
    nodes: Option<&Vec<String>>,
) -> Result<RedisProviderBuilder> {
    match nodes {
        Some(_) => {
            let what = crate::config::not_built("redis-cluster");
            Err(section.error("cluster_nodes", what))
        }
        None => Ok(builder),
    }
}

#[cfg(feature = "tls")]
fn certificates(
    section: &Section,
    mut builder: RedisProviderBuilder,
    fields: &RedisSection,
) -> Result<RedisProviderBuilder> {
    let file = |field: &str, path: &str| {
        std::fs::read(Path::new(path)).map_err(|error| {
            section.error(
                field,
                format!("the file `{path}` cannot be read: {error}; expected one in PEM"),
            )
        })
    };
    if let Some(path) = &fields.tls_ca {
        builder = builder.tls_ca(file("tls_ca", path)?);
    }
    match (&fields.tls_certificate, &fields.tls_key) {
        (Some(certificate), Some(key)) => {
            let certificate = file("tls_certificate", certificate)?;
            Ok(builder.tls_client(certificate, file("tls_key", key)?))
        }
        (Some(_), None) => Err(section.error(
            "tls_certificate",
            "this needs `tls_key`, the file with its private key",
        )),
        (None, Some(_)) => Err(section.error(
            "tls_key",
            "this needs `tls_certificate`, the file with its certificate",
        )),
        (None, None) => Ok(builder),
    }
}

#[cfg(not(feature = "tls"))]
fn certificates(
    section: &Section,
    builder: RedisProviderBuilder,
    fields: &RedisSection,
) -> Result<RedisProviderBuilder> {
    let given = [
        ("tls_ca", &fields.tls_ca),
        ("tls_certificate", &fields.tls_certificate),
        ("tls_key", &fields.tls_key),
    ];
    match given.iter().find(|(_, path)| path.is_some()) {
        Some((field, _)) => {
            let what = crate::config::not_built("tls");
            Err(section.error(field, what))
        }
        None => Ok(builder),
    }
}

fn spans(mut builder: RedisProviderBuilder, fields: &RedisSection) -> RedisProviderBuilder {
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
    if let Some(HumanDuration(span)) = fields.lease_ttl {
        builder = builder.lease_ttl(span);
    }
    match fields.sweep {
        Some(HumanTtl(Ttl::After(span))) => builder.sweep(span),
        Some(HumanTtl(Ttl::Never)) => builder.no_sweep(),
        None => builder,
    }
}

fn manner(
    section: &Section,
    mut builder: RedisProviderBuilder,
    fields: &mut RedisSection,
) -> Result<RedisProviderBuilder> {
    let prefix = fields.prefix.take();
    if let Some(prefix) = prefix.or_else(|| section.key_prefix().map(str::to_owned)) {
        builder = builder.key_prefix(prefix);
    }
    if let Some(name) = fields.client_name.take() {
        builder = builder.client_name(name);
    }
    builder = match fields.on_failover.as_deref() {
        None => builder,
        Some("hide") => builder.on_failover(OnFailover::Hide),
        Some("reappend") => builder.on_failover(OnFailover::Reappend),
        Some(_) => return Err(section.error("on_failover", "expected `hide` or `reappend`")),
    };
    match fields.lazy {
        Some(true) => Ok(builder.lazy()),
        _ => Ok(builder),
    }
}
