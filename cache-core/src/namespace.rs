//! Where keys live: `{prefix}:{namespace}:{key}`.
//!
//! Neither prefix nor namespace contains a `:` in its stored form, so two namespaces never meet
//! in one key: the levels of a nested namespace are joined by `/`, and every other unusual byte
//! is percent-encoded. A level without a name is a lone `%`: it is inside what it is in, not that.

use std::fmt::Write;

/// The longest key prefix, in bytes.
pub(crate) const MAX_PREFIX_BYTES: usize = 128;

/// The longest key, in bytes, with its prefix and namespace.
pub const MAX_KEY_BYTES: usize = 1_024;

/// The stored form of `{prefix}:{namespace}`: what a key in the namespace is behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope(Box<str>);

impl Scope {
    /// The root of a deployment, whose keys are `{prefix}::{key}`.
    pub(crate) fn root(prefix: &str) -> Self {
        let mut scope = String::new();
        encode(prefix, &mut scope);
        scope.push(':');
        Self(scope.into())
    }

    /// The namespace `name` inside this one; `:` in the name separates levels.
    pub(crate) fn nested(&self, name: &str) -> Self {
        let mut scope = String::from(&*self.0);
        if !scope.ends_with(':') {
            scope.push('/');
        }
        encode(name, &mut scope);
        Self(scope.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The deployment's prefix.
    #[cfg(feature = "metrics")]
    pub(crate) fn prefix(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(prefix, _)| prefix)
    }

    /// The namespace without the deployment's prefix; empty for the root.
    pub(crate) fn namespace(&self) -> &str {
        self.0
            .split_once(':')
            .map_or("", |(_, namespace)| namespace)
    }
}

fn encode(name: &str, scope: &mut String) {
    for (depth, level) in name.split(':').enumerate() {
        if depth > 0 {
            scope.push('/');
        }
        encode_level(level, scope);
    }
}

fn encode_level(level: &str, scope: &mut String) {
    if level.is_empty() {
        scope.push('%');
    }
    for byte in level.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'@' => {
                scope.push(byte.into());
            }
            _ => write!(scope, "%{byte:02X}").expect("a String takes all that is written"),
        }
    }
}

/// The namespace and the key of a stored key.
pub(crate) fn split(stored: &str) -> (&str, &str) {
    let behind_prefix = stored.split_once(':').map_or(stored, |(_, rest)| rest);
    behind_prefix.split_once(':').unwrap_or(("", behind_prefix))
}

/// The scope that a stored key is in, and those that this one is nested in, up to the root.
pub(crate) fn scopes(key: &str) -> impl Iterator<Item = &str> {
    let root = key.find(':').map(|colon| &key[..=colon]);
    let innermost = root.and_then(|root| {
        let end = root.len() + key[root.len()..].find(':')?;
        (end > root.len()).then(|| &key[..end])
    });
    let nested = std::iter::successors(innermost, |scope| {
        scope.rfind('/').map(|slash| &scope[..slash])
    });
    nested.chain(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_nest_and_never_meet() {
        let root = Scope::root("app");
        assert_eq!(root.as_str(), "app:");
        let tenant = root.nested("tenant:123");
        assert_eq!(tenant.as_str(), "app:tenant/123");
        assert_eq!((root.namespace(), tenant.namespace()), ("", "tenant/123"));
        assert_eq!(root.nested("tenant").nested("123"), tenant);
        assert_ne!(root.nested("tenant/123"), tenant);
        assert_ne!(root.nested("a%2F"), root.nested("a/"));
    }

    #[test]
    fn a_level_without_a_name_is_a_level() {
        let root = Scope::root("app");
        let names = ["", ":", "a", "a:", ":a", "a::a", "a:a", "%", "a/"];
        let scopes = names.map(|name| root.nested(name));
        for (index, scope) in scopes.iter().enumerate() {
            assert_ne!(*scope, root);
            assert!(!scopes[..index].contains(scope), "{scope:?}");
        }
        assert_eq!(root.nested("a").nested(""), root.nested("a:"));
        let key = format!("{}:k", root.nested(":a").as_str());
        let around: Vec<_> = super::scopes(&key).collect();
        assert_eq!(around, ["app:%/a", "app:%", "app:"]);
    }

    #[test]
    fn a_key_is_in_its_scope_and_in_all_around_it() {
        let of = |key| scopes(key).collect::<Vec<_>>();
        assert_eq!(of("app:a/b:k:x"), ["app:a/b", "app:a", "app:"]);
        assert_eq!(of("app::k"), ["app:"]);
        assert_eq!(of("bare"), [""; 0]);
    }
}
