//! What the cache did, in numbers: per namespace, and summed up when they are asked for.

mod counters;
#[cfg(feature = "metrics")]
pub(crate) mod facade;
mod figures;
mod miss;
mod striped;
mod times;

pub(crate) use counters::Counters;
pub use figures::Metrics;
pub use miss::Miss;
pub use times::Times;
