//! A provider of one's own, chosen by its name in a configuration.

use cache_core::config::Section;
use cache_core::{CacheConfig, Registry, Result};
use cache_examples::shelf::ShelfProvider;
use serde::Deserialize;

const CONFIGURATION: &str = "
default_provider: hall
providers:
  hall: { kind: shelf, max_entries: 1000 }
namespaces:
  cities: { ttl: 10m }
";

/// The fields of a section of kind `shelf`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shelf {
    max_entries: usize,
}

async fn shelf(section: Section) -> Result<ShelfProvider> {
    let Shelf { max_entries } = section.read()?;
    if max_entries == 0 {
        return Err(section.error(
            "max_entries",
            "expected at least 1: a shelf holds something",
        ));
    }
    Ok(ShelfProvider::new(max_entries))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let config = CacheConfig::builder()
        .yaml("cache.yaml", CONFIGURATION)
        .build()?;
    let registry = Registry::builder()
        .kind("shelf", shelf)
        .build(config)
        .await?;
    let cities = registry.cache("cities")?;
    let load = || async { Ok::<_, cache_core::Error>("Bergen".to_owned()) };
    let name = cities.get_or_set("city:5", load).await?;
    let again: Option<String> = cities.get("city:5").await?;
    println!("{} keeps {name}: {again:?}", cities.provider_name());
    Ok(())
}
