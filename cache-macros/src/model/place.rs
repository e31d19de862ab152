//! Which cache is meant, and where emitted code finds this toolkit.

use syn::{Expr, LitStr, Path};

use super::plain_text;
use crate::errors::Errors;
use crate::options::{Known, Options};

/// The options that both attributes have.
pub(crate) struct Place {
    pub(crate) cache: Option<Expr>,
    pub(crate) namespace: Option<LitStr>,
    /// A path to `cache_core`, if it is not a dependency of that name.
    pub(crate) krate: Option<Path>,
}

const NAMESPACE: Known = Known {
    name: "namespace",
    example: "namespace = \"tenants\"",
};
const CACHE: Known = Known {
    name: "cache",
    example: "cache = self.cache",
};
const CRATE: Known = Known {
    name: "crate",
    example: "crate = some::path::cache_core",
};

impl Place {
    pub(super) fn take(options: &mut Options, errors: &mut Errors) -> Self {
        let namespace = options.take(&NAMESPACE, errors);
        let cache = options.take(&CACHE, errors);
        let krate = options.take(&CRATE, errors);
        Self {
            namespace: namespace.and_then(|given| plain_text(&given, errors)),
            cache: cache.and_then(|given| errors.keep(given.expression().cloned())),
            krate: krate.and_then(|given| errors.keep(given.path())),
        }
    }
}
