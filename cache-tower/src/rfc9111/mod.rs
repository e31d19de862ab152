//! What a shared cache may do, as pure functions of headers and times.
//!
//! One file per question; each function cites the section that it follows. Nothing here knows
//! rules, keys or the engine.

mod cache_control;
mod fields;
mod freshness;
mod mutation;
mod request;
mod storing;

pub(crate) use fields::{announced_length, to_store};
pub(crate) use freshness::{explicit_lifetime, initial_age};
pub(crate) use mutation::{invalidates, is_unsafe, named_paths};
pub(crate) use request::{Bypass, Credentials, Lookup, lookup};
pub(crate) use storing::{Terms, Unstorable, check as check_storable};
