//! What a provider does that can find entries by the values they are indexed by.

use super::{BoxFuture, Cursor};
use crate::error::Result;
use crate::index::is_index_tag;
use crate::namespace;

/// Members of indexes: for each value of an index, the keys whose entries may carry its tag.
///
/// A member promises nothing: whoever reads the index looks at the entry, which carries the tag or
/// does not. So a stale member costs a look, and is never shown. What a provider must see to is the
/// other direction: **an entry that can be shown is never without its members**.
///
/// - What a [`set`](super::Provider::set), a [`fill`](super::Provider::fill) or an
///   [`increment`](super::Provider::increment) stores is entered in the indexes that [`links`] names
///   *before* it is stored, or in the same step.
/// - A member stays at least as long as an entry that was stored with it, also when
///   [`expire`](super::Provider::expire) or [`replace`](super::Provider::replace) have made the
///   entry live longer.
/// - [`unlink`](Self::unlink) takes away what nobody has entered again since it was seen.
///
/// Members of entries that are gone must not gather without a bound, also where nobody reads the
/// index.
pub trait Indexes: Send + Sync {
    /// About `count` of the members, from `cursor` on; a first call passes [`Cursor::START`]. One
    /// that is there throughout is returned at least once.
    fn members<'a>(
        &'a self,
        index: Index<'a>,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Members>>;

    /// Takes members away whose entries are gone, or carry the tag no more. Their entries were
    /// looked at after the members had been returned as [`settled`](Member::settled).
    fn unlink<'a>(&'a self, index: Index<'a>, stale: &'a [Member]) -> BoxFuture<'a, Result<()>>;
}

/// One value of an index, in one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Index<'a> {
    /// `{prefix}:{namespace}`, as keys in the namespace begin.
    pub scope: &'a str,
    /// What its entries carry among their tags.
    pub tag: &'a str,
}

impl Index<'_> {
    /// The whole key of a member.
    pub fn full_key(self, member: &str) -> String {
        format!("{}:{member}", self.scope)
    }
}

/// A key in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key within its namespace.
    pub key: Box<str>,
    /// Another number each time that the key is entered.
    pub mark: u64,
    /// Whether no write can still come for which the key was entered by now.
    pub settled: bool,
}

/// One step through the members of an index.
#[derive(Clone, Debug)]
pub struct Members {
    /// In no order.
    pub members: Vec<Member>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// The indexes that an entry at `key` with these tags belongs to, and the member that it is there.
pub fn links<'a>(
    key: &'a str,
    tags: &'a [Box<str>],
) -> impl Iterator<Item = (Index<'a>, &'a str)> + use<'a> {
    let scope = namespace::scopes(key).next();
    let member = scope.and_then(|scope| key.get(scope.len() + 1..));
    let tags = tags.iter().map(|tag| &**tag);
    let link = move |tag| Some((Index { scope: scope?, tag }, member?));
    tags.filter(|tag| is_index_tag(tag)).filter_map(link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::index_tag;

    #[test]
    fn an_entry_is_a_member_in_its_own_namespace_under_each_of_its_values() {
        let tags = ["team:7".into(), index_tag("a", "1"), index_tag("b", "2")];
        for (key, scope, member) in [
            ("app::user:1", "app:", "user:1"),
            ("app:a/b:user:1", "app:a/b", "user:1"),
        ] {
            let found: Vec<_> = links(key, &tags).collect();
            let index = |at: usize| Index {
                scope,
                tag: &tags[at],
            };
            assert_eq!(found, [(index(1), member), (index(2), member)]);
            assert_eq!(index(1).full_key(member), key);
        }
        assert_eq!(links("bare", &tags).count(), 0);
    }
}
