//! The caches that every registry has.

use std::time::Duration;

/// Names and times to live.
const READY: [(&str, u64); 5] = [
    ("confirmation", 300),
    ("signup", 1_800),
    ("session", 86_400),
    ("rate_limit", 3_600),
    ("temp", 60),
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    READY.into_iter().map(|(name, _)| name)
}

/// The time to live of a ready-made cache.
pub(super) fn ttl(name: &str) -> Option<Duration> {
    let ready = READY.into_iter().find(|(ready, _)| *ready == name);
    ready.map(|(_, seconds)| Duration::from_secs(seconds))
}
