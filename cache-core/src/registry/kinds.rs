//! The kinds that need no server, and the tier in front of another provider.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::factory::ProviderFactory;
use crate::config::{HumanBytes, HumanDuration, HumanTtl, Section};
use crate::engine::MemoryTier;
use crate::error::Result;
use crate::provider::memory::MemoryProvider;
use crate::provider::null::NullProvider;
use crate::terms::Ttl;

/// The kind that is no provider of its own, but a memory tier in front of one.
pub(super) const TIERED: &str = "tiered";

/// The factories that the toolkit has.
pub(super) fn ours() -> BTreeMap<String, Box<dyn ProviderFactory>> {
    let mut kinds: BTreeMap<String, Box<dyn ProviderFactory>> = BTreeMap::new();
    kinds.insert("memory".into(), Box::new(memory));
    kinds.insert("null".into(), Box::new(null));
    #[cfg(feature = "disk")]
    kinds.insert("disk".into(), Box::new(super::disk::disk));
    #[cfg(feature = "memcached")]
    kinds.insert("memcached".into(), Box::new(super::memcached::memcached));
    #[cfg(feature = "redis")]
    kinds.insert("redis".into(), Box::new(super::redis::redis));
    kinds
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemorySection {
    max_bytes: Option<HumanBytes>,
}

async fn memory(section: Section) -> Result<MemoryProvider> {
    let fields: MemorySection = section.read()?;
    let mut builder = MemoryProvider::builder();
    if let Some(HumanBytes(bytes)) = fields.max_bytes {
        builder = builder.max_bytes(bytes);
    }
    Ok(builder.build())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NullSection {}

async fn null(section: Section) -> Result<NullProvider> {
    let NullSection {} = section.read()?;
    Ok(NullProvider::new())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TieredSection {
    remote: Option<String>,
    max_bytes: Option<HumanBytes>,
    max_ttl: Option<HumanTtl>,
    serve_while_away: Option<HumanDuration>,
}

/// The name of the provider behind a tier, and the tier.
pub(super) fn tiered(section: &Section) -> Result<(String, MemoryTier)> {
    let fields: TieredSection = section.read()?;
    let mut tier = MemoryTier::new();
    if let Some(HumanBytes(bytes)) = fields.max_bytes {
        tier = tier.max_bytes(bytes);
    }
    if let Some(HumanTtl(Ttl::After(ttl))) = fields.max_ttl {
        tier = tier.max_ttl(ttl);
    }
    if let Some(HumanDuration(span)) = fields.serve_while_away {
        tier = tier.serve_while_away(span);
    }
    let missing = || {
        section.error(
            "remote",
            "is missing; expected the name of the provider behind the tier",
        )
    };
    Ok((fields.remote.ok_or_else(missing)?, tier))
}
