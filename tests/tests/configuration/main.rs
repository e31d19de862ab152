//! Caches from YAML, TOML and the environment.

mod built;
mod wrong;
