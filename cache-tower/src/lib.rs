//! A tower layer that caches HTTP responses by route pattern.
