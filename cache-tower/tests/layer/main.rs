//! The layer as services and clients see it.

mod bodies;
mod coalescing;
mod failures;
mod freshness;
mod keys;
mod methods;
mod mutations;
mod races;
mod readiness;
mod remote;
mod rules;
mod sharing;
mod spans;
mod stores;
mod support;
mod wire;
