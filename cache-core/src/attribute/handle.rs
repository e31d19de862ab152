//! Which cache a function uses.

use std::sync::{Arc, OnceLock};

use crate::cache::Cache;

/// What `cache = …` may give: a [`Cache`], or a reference or `Arc` of one.
#[diagnostic::on_unimplemented(
    message = "`cache = …` takes a `Cache` or a reference to one, not a `{Self}`"
)]
pub trait AsCache {
    fn as_cache(&self) -> &Cache;
}

impl AsCache for Cache {
    fn as_cache(&self) -> &Cache {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsCache + ?Sized> AsCache for &T {
    fn as_cache(&self) -> &Cache {
        (**self).as_cache()
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsCache + ?Sized> AsCache for Arc<T> {
    fn as_cache(&self) -> &Cache {
        (**self).as_cache()
    }
}

/// The cache that an expression gives, by reference: a hit clones no handle.
pub fn handle<T: AsCache + ?Sized>(cache: &T) -> &Cache {
    cache.as_cache()
}

/// A function's own handle on the default cache, opened at its first call.
#[derive(Debug)]
pub struct Shared(OnceLock<Cache>);

impl Shared {
    #[expect(clippy::new_without_default, reason = "only statics hold one")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub fn get(&self, namespace: Option<&str>) -> &Cache {
        self.0.get_or_init(|| {
            let cache = Cache::global();
            namespace.map_or(cache.clone(), |namespace| cache.namespace(namespace))
        })
    }
}
