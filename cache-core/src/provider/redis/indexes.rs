//! Indexes on the server: one sorted set for each value, in a cluster slot of its own.
//!
//! 1. A key is entered before its entry is stored, by a call of its own: no script touches two slots.
//!    The write that follows has a deadline that was known when the key was entered.
//! 2. Each time that a key is entered it gets a mark beyond that deadline, on the clock of the
//!    index's server. Once the mark has passed, an entry that is not there does not come any more
//!    unless its key is entered again; and then the mark is another. So a key may be taken out by
//!    who has seen its mark passed, *then* looked at its entry, and finds the same mark.
//! 3. A key is also entered with the time by which its entry has expired, and the latest of these
//!    counts: what is behind it goes without a look, and the set itself after the last.
//!    Who makes an entry live longer enters its key again before.

use std::collections::BTreeMap;
use std::time::Instant;

use ::redis::Value;

use super::call::Call;
use super::entries::Entries;
use super::link::{after, read};
use super::script::{LINK, MEMBERS, UNLINK};
use super::{RedisProvider, during};
use crate::error::Result;
use crate::provider::{BoxFuture, Cursor, Index, Indexes, Member, Members, links};

/// Where the marks begin among the scores, as `index.lua` has it.
const BASE: u64 = 1 << 52;
/// The most members that one script works on, so that it does not hold the server up.
const BATCH: usize = 500;
/// What stands between the prefix of a deployment and the namespace in the key of an index. No
/// prefix has a `#` in its stored form.
pub(super) const INFIX: &str = "#index:";

/// An entry that is about to be stored: its key and tags, and its time to live in milliseconds, 0
/// for none.
pub(super) type Linking<'a> = (&'a str, &'a [Box<str>], u64);

impl Entries {
    /// Enters entries in their indexes, if they are in any: until when they may be stored then.
    pub(super) async fn link<'a>(
        &self,
        entries: impl IntoIterator<Item = Linking<'a>>,
    ) -> Result<Option<Instant>> {
        let links = &self.backplane.links;
        // The call itself, and the write that follows.
        let span = links.timeout().saturating_mul(2);
        let until = after(span);
        let calls = link_calls(entries, span.as_micros());
        if calls.is_empty() {
            return Ok(None);
        }
        for linked in links.calls(calls).await? {
            read::<bool>(linked?)?;
        }
        Ok(Some(until))
    }
}

/// One call for each index and some of its keys.
fn link_calls<'a>(entries: impl IntoIterator<Item = Linking<'a>>, span_micros: u128) -> Vec<Call> {
    let mut indexes: BTreeMap<_, Vec<(&str, u64)>> = BTreeMap::new();
    for (key, tags, ttl_millis) in entries {
        for (index, member) in links(key, tags) {
            let at = indexes.entry((index.scope, index.tag));
            at.or_default().push((member, ttl_millis));
        }
    }
    let add = |call: Call, (member, ttl): &(&str, u64)| call.arg(*member).arg(*ttl);
    let mut calls = Vec::new();
    for ((scope, tag), members) in indexes {
        let key = key_of_index(Index { scope, tag });
        for batch in members.chunks(BATCH) {
            let call = LINK.on(&[&key]).arg(span_micros.to_string());
            calls.push(batch.iter().fold(call, add));
        }
    }
    calls
}

pub(super) fn members_call(place: &str, cursor: Cursor, count: usize) -> Call {
    let from = cursor.0.max(BASE);
    MEMBERS.on(&[place]).arg(from).arg(count)
}

/// The members that a call for so many has answered.
pub(super) fn members_from(reply: Value, count: usize) -> Result<Members> {
    let found: Vec<(Vec<u8>, u64, bool)> = read(reply)?;
    let last = found.last().map(|(_, mark, _)| Cursor(*mark));
    let member = |(key, mark, settled)| {
        let key = String::from_utf8(key).ok()?.into();
        Some(Member { key, mark, settled })
    };
    Ok(Members {
        next: last.filter(|_| found.len() >= count),
        // Keys that are not text are not ours.
        members: found.into_iter().filter_map(member).collect(),
    })
}

pub(super) fn unlink_call(place: &str, stale: &[Member]) -> Call {
    let add = |call: Call, member: &Member| call.arg(&*member.key).arg(member.mark);
    stale.iter().fold(UNLINK.on(&[place]), add)
}

/// `{prefix}#index:{namespace}:{hash}`
fn key_of_index(index: Index<'_>) -> String {
    let scope = index.scope.replacen(':', INFIX, 1);
    // What is no tag of an index is that of one where nothing is.
    format!("{scope}:{}", index.tag.get(1..).unwrap_or_default())
}

/// The scope and the tag of the index that lies at a key, if one does.
pub(super) fn index_at(key: &str) -> Option<(String, String)> {
    let (scope, hash) = key.rsplit_once(':')?;
    let (prefix, namespace) = scope.split_once(INFIX)?;
    // An entry's key can have the same in it, behind its namespace.
    let is_prefix = !prefix.contains(':');
    is_prefix.then(|| (format!("{prefix}:{namespace}"), format!("\0{hash}")))
}

impl Indexes for RedisProvider {
    fn members<'a>(
        &'a self,
        index: Index<'a>,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Members>> {
        during("members", Some(&index.full_key("")), async move {
            let (place, count) = (key_of_index(index), count.max(1));
            let call = members_call(&place, cursor, count);
            members_from(self.entries.backplane.links.call(call).await?, count)
        })
    }

    fn unlink<'a>(&'a self, index: Index<'a>, stale: &'a [Member]) -> BoxFuture<'a, Result<()>> {
        during("unlink", Some(&index.full_key("")), async move {
            let place = key_of_index(index);
            let batches = stale.chunks(BATCH);
            let calls = batches.map(|batch| unlink_call(&place, batch)).collect();
            for unlinked in self.entries.backplane.links.calls(calls).await? {
                read::<bool>(unlinked?)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::index_tag;

    #[test]
    fn the_key_of_an_index_names_its_scope_and_no_value() {
        let tag = index_tag("email", "ada@example.org");
        for scope in ["app%2E:", "app:n", "app:a/%/b"] {
            let index = Index { scope, tag: &tag };
            let key = key_of_index(index);
            let found = index_at(&key).expect("an index");
            assert_eq!((&*found.0, &*found.1), (scope, &*tag));
            assert!(!key.contains('\0') && !key.contains('{'));
        }
        assert_eq!(index_at("app:n:k"), None);
        assert_eq!(index_at("app:n:k#index:n:0"), None);
    }

    #[test]
    fn what_is_no_tag_of_an_index_lies_nowhere_and_stops_nobody() {
        for tag in ["", "ä", "\0"] {
            let index = Index {
                scope: "app:n",
                tag,
            };
            assert!(key_of_index(index).starts_with("app#index:n:"), "{tag}");
        }
    }

    #[test]
    fn what_is_stored_together_is_entered_by_one_call_for_each_index() {
        let tags = ["t".into(), index_tag("a", "1"), index_tag("b", "1")];
        let entries = [("app:n:x", &tags[..2], 0), ("app:n:y", &tags[..], 7)];
        assert_eq!(link_calls(entries, 1).len(), 2);
        assert_eq!(link_calls([("app:n:x", &tags[..1], 0)], 1).len(), 0);
    }
}
