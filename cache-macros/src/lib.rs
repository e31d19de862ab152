//! The `#[cached]` and `#[cache_invalidate]` attributes; use them through `cache-core`.
