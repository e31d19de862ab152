//! The counters of each namespace, shared by all handles on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::Counters;
use crate::namespace::Scope;

/// How many namespaces are counted one by one.
pub(super) const MAX_COUNTED: usize = 4_096;

/// The counters by namespace. Beyond [`MAX_COUNTED`], further ones share one set.
pub(super) struct Namespaces {
    counted: Mutex<HashMap<Scope, Arc<Counters>>>,
    rest: Arc<Counters>,
}

impl Namespaces {
    pub(super) fn new() -> Self {
        Self {
            counted: Mutex::default(),
            rest: Arc::new(Counters::of("(one of many)")),
        }
    }

    pub(super) fn counters(&self, scope: &Scope) -> Arc<Counters> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = counted.get(scope) {
            return Arc::clone(counters);
        }
        if counted.len() >= MAX_COUNTED {
            return Arc::clone(&self.rest);
        }
        let counters = Arc::new(Counters::of(scope.namespace()));
        counted.insert(scope.clone(), Arc::clone(&counters));
        counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_namespaces_share_their_counters() {
        let namespaces = Namespaces::new();
        let root = Scope::root("app");
        for index in 0..MAX_COUNTED {
            namespaces.counters(&root.nested(&index.to_string()));
        }
        let more = namespaces.counters(&root.nested("more"));
        assert!(Arc::ptr_eq(
            &more,
            &namespaces.counters(&root.nested("yet more"))
        ));
        let first = namespaces.counters(&root.nested("0"));
        assert!(!Arc::ptr_eq(&more, &first));
    }
}
