//! A tower layer that caches HTTP responses by route pattern.

mod answer;
mod body;
mod cache_status;
mod future;
mod growing;
mod key;
mod layer;
mod lead;
mod miss;
mod mutation;
mod percent;
mod plan;
mod rfc9111;
mod rules;
mod service;
mod stored;
mod upstream;

pub use body::{BodyError, ResponseBody};
pub use future::ResponseFuture;
pub use layer::{CacheLayer, CacheLayerBuilder};
pub use rules::{Invalidation, Query, Rule};
pub use service::CacheService;
