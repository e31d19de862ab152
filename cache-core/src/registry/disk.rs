//! The kind `disk`: the fields of its section, and the provider that they describe.

use serde::Deserialize;

use super::packing::{KeyFields, PackingFields};
use crate::config::{HumanBytes, HumanDuration, HumanTtl, Section};
use crate::error::Result;
use crate::provider::disk::{DiskProvider, DiskProviderBuilder, OnDamage};
use crate::terms::Ttl;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiskSection {
    path: Option<String>,
    max_bytes: Option<HumanBytes>,
    timeout: Option<HumanDuration>,
    sweep: Option<HumanTtl>,
    prefix: Option<String>,
    on_damage: Option<String>,
    compression: Option<String>,
    compression_above: Option<HumanBytes>,
    encryption: Option<Vec<KeyFields>>,
}

/// Makes the provider of a section.
pub(super) async fn disk(section: Section) -> Result<DiskProvider> {
    let mut fields: DiskSection = section.read()?;
    let path = fields.path.take().filter(|path| !path.is_empty());
    let missing = || section.error("path", "is missing; expected the file to keep entries in");
    let mut builder = DiskProvider::builder(path.ok_or_else(missing)?);
    if let Some(HumanBytes(bytes)) = fields.max_bytes {
        builder = builder.max_bytes(bytes);
    }
    let prefix = fields.prefix.take();
    if let Some(prefix) = prefix.or_else(|| section.key_prefix().map(str::to_owned)) {
        builder = builder.key_prefix(prefix);
    }
    builder = manner(&section, spans(builder, &fields), &fields)?;
    let packing = PackingFields {
        compression: fields.compression,
        compression_above: fields.compression_above,
        encryption: fields.encryption,
    };
    builder.packing(packing.packing(&section)?).build().await
}

fn spans(mut builder: DiskProviderBuilder, fields: &DiskSection) -> DiskProviderBuilder {
    if let Some(HumanDuration(span)) = fields.timeout {
        builder = builder.timeout(span);
    }
    match fields.sweep {
        Some(HumanTtl(Ttl::After(span))) => builder.sweep(span),
        Some(HumanTtl(Ttl::Never)) => builder.no_sweep(),
        None => builder,
    }
}

fn manner(
    section: &Section,
    builder: DiskProviderBuilder,
    fields: &DiskSection,
) -> Result<DiskProviderBuilder> {
    Ok(match fields.on_damage.as_deref() {
        None => builder,
        Some("refuse") => builder.on_damage(OnDamage::Refuse),
        Some("start_empty") => builder.on_damage(OnDamage::StartEmpty),
        Some(_) => {
            return Err(section.error("on_damage", "expected `refuse` or `start_empty`"));
        }
    })
}
