//! The cache that functions use if they name none.

use std::sync::OnceLock;

use super::Cache;
use crate::error::{Error, ErrorKind, Result};

static GLOBAL: OnceLock<Cache> = OnceLock::new();

impl Cache {
    /// The process's default cache, which `#[cached]` functions use unless they name another: the
    /// one given to [`set_global`](Self::set_global), else a [`Cache::memory`] made on first use.
    pub fn global() -> Self {
        GLOBAL.get_or_init(Self::memory).clone()
    }

    /// Makes `cache` the process's default. Call it once, before anything uses the default.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if there is a default already: changing it would leave values
    /// behind that no invalidation reaches.
    pub fn set_global(cache: Self) -> Result<()> {
        GLOBAL.set(cache).map_err(|_| {
            let message = "the default cache is in use already; call Cache::set_global once, \
                           before the first use of Cache::global or of a #[cached] function";
            Error::new(ErrorKind::Configuration, message)
        })
    }
}
