//! The counters of each namespace, shared by all handles on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metrics::Counters;
use crate::namespace::Scope;

/// How many namespaces of one cache are counted one by one. All that are opened after these are
/// counted together.
pub const MAX_COUNTED: usize = 4_096;

/// How many namespaces of one cache are exported one by one. All that are opened after these are
/// exported together.
pub const MAX_EXPORTED: usize = 64;

const OTHERS: &str = "(others)";

/// The counters by namespace. Beyond [`MAX_COUNTED`], further ones share one set.
pub(super) struct Namespaces {
    counted: Mutex<HashMap<Scope, Arc<Counters>>>,
    rest: Arc<Counters>,
    provider: &'static str,
}

impl Namespaces {
    pub(super) fn new(provider: &'static str) -> Self {
        Self {
            counted: Mutex::default(),
            rest: Arc::new(Counters::of(OTHERS, provider, OTHERS.into())),
            provider,
        }
    }

    /// Those of a namespace that has been opened, and is counted by itself.
    pub(super) fn find(&self, scope: &Scope) -> Option<Arc<Counters>> {
        self.counted().get(scope).cloned()
    }

    /// Those of each namespace that has been opened, by its name; one more for all that are not
    /// counted by themselves, if there are any.
    pub(super) fn all(&self) -> Vec<Arc<Counters>> {
        let counted = self.counted();
        let rest = (counted.len() >= MAX_COUNTED).then_some(&self.rest);
        let mut all: Vec<_> = counted.values().chain(rest).cloned().collect();
        all.sort_by(|one, other| one.namespace().cmp(other.namespace()));
        all
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<Scope, Arc<Counters>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counters(&self, scope: &Scope) -> Arc<Counters> {
        let mut counted = self.counted();
        if let Some(counters) = counted.get(scope) {
            return Arc::clone(counters);
        }
        if counted.len() >= MAX_COUNTED {
            return Arc::clone(&self.rest);
        }
        let label = match scope.namespace() {
            _ if counted.len() >= MAX_EXPORTED => OTHERS,
            "" => "(root)",
            name => name,
        };
        let counters = Counters::of(scope.namespace(), self.provider, label.into());
        let counters = Arc::new(counters);
        counted.insert(scope.clone(), Arc::clone(&counters));
        counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_namespaces_share_their_counters() {
        let namespaces = Namespaces::new("memory");
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
