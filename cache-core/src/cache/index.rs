//! Finding values by what they are indexed by.
//!
//! 1. An entry is entered in its indexes before it is stored, so every entry has its members.
//! 2. A member is a hint. What is shown is judged by the entry, which carries the tag of the index
//!    beside its value: as one read, so that a value is never shown under what it belonged to before.
//! 3. A member whose entry is gone is taken away by whoever comes across it. Only what nobody can
//!    still store for, and nobody has entered again since it was seen, goes: rule 1 stays true.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Cache;
use crate::engine::{Look, Question};
use crate::entry::{Meta, Owner};
use crate::error::{Error, Result};
use crate::index::{carries, index_tag};
use crate::metrics::Miss;
use crate::provider::{Cursor, Found, Index, Indexes, Member, Members};
use crate::terms::{EntryOptions, no_indexes};
use crate::value::Value;

/// About how many members one step looks at.
const PAGE: usize = 500;
/// Longer than a write may take.
const LONG: Duration = Duration::from_secs(60);

impl Cache {
    /// The keys and values of this namespace that are indexed by `value` in the index `name`, in
    /// no order. Namespaces inside this one have indexes of their own.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// # let cache = Cache::memory();
    /// cache.set("user:7", "Ada").index("email", "ada@example.org").index("team", "3").await?;
    /// cache.set("user:8", "Grace").index("team", "3").await?;
    ///
    /// let found = cache.get_by_index::<String>("email", "ada@example.org").await?;
    /// assert_eq!(found, [("user:7".to_owned(), "Ada".to_owned())]);
    ///
    /// // The index follows the entry: here it is overwritten by one that is in no index.
    /// cache.set("user:7", "Ada").await?;
    /// assert_eq!(cache.get_keys_by_index("team", "3").await?, ["user:8"]);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # What holds
    ///
    /// Each value is what [`get`](Self::get) would answer at its key, and belongs to the index by
    /// itself: what was overwritten, deleted, invalidated, evicted or has expired is not found.
    /// What is there throughout the call is found, with the exceptions that the provider's
    /// documentation names, and except what is overwritten while a call goes on for more than a
    /// minute. A value that cannot be read as a `T` is left out and counted as damaged,
    /// and so is what a function or a response has stored.
    ///
    /// With a memory tier the members come from the remote one and values from either. What
    /// another node has just changed is seen as late as by `get`.
    ///
    /// # Costs
    ///
    /// | | round trips |
    /// |---|---|
    /// | this, for each 500 keys that are found or were found before | 2, and 2 more if some are to be taken out of the index |
    /// | [`get_keys_by_index`](Self::get_keys_by_index) | the same without values: 2, and 1 more |
    /// | storing what is indexed, giving it another time to live | 1 more than otherwise |
    ///
    /// All that is found is in memory at once, and is read even if it is much: for what goes
    /// together in thousands, and is only to be made to go, there are tags.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the provider has no indexes, or
    /// like [`get`](Self::get). Dropping the future changes nothing that is stored.
    pub async fn get_by_index<T: Value>(
        &self,
        name: &str,
        value: &str,
    ) -> Result<Vec<(String, T)>> {
        let mut walk = Walk::begin(self, "get_by_index", name, value)?;
        let mut found = Vec::new();
        while let Some(members) = walk.next_page().await? {
            let looks = walk.look(&members).await?;
            let mut passed = Vec::new();
            for (member, look) in members.into_iter().zip(looks) {
                match walk.value_of(&look) {
                    Some(value) => found.push((walk.found(member), value)),
                    None => passed.push(member),
                }
            }
            walk.look_after(passed).await;
        }
        Ok(found)
    }

    /// Like [`get_by_index`](Self::get_by_index), without the values. As with
    /// [`exists`](Self::exists), it does not matter whose they are.
    ///
    /// # Errors
    ///
    /// Like [`get_by_index`](Self::get_by_index).
    pub async fn get_keys_by_index(&self, name: &str, value: &str) -> Result<Vec<String>> {
        let mut walk = Walk::begin(self, "get_keys_by_index", name, value)?;
        let mut keys = Vec::new();
        while let Some(members) = walk.next_page().await? {
            if self.0.reading.strict {
                let caught_up = self.engine().provider.catch_up().await;
                caught_up.map_err(|error| walk.failed(error))?;
            }
            let (mut passed, terms) = (Vec::new(), walk.inspect(&members).await);
            let terms = terms.map_err(|error| walk.failed(error))?;
            walk.cache.check_touch(walk.operation)?;
            for (member, terms) in members.into_iter().zip(terms) {
                match walk.shows(&member, terms.as_ref()) {
                    true => keys.push(walk.found(member)),
                    false => passed.push((member, terms)),
                }
            }
            walk.unlink(passed).await;
        }
        Ok(keys)
    }
}

/// A walk through the members of an index.
struct Walk<'c> {
    cache: &'c Cache,
    operation: &'static str,
    indexes: &'c dyn Indexes,
    tag: Box<str>,
    next: Option<Cursor>,
    began: Instant,
    /// A member that is entered anew meanwhile comes once more.
    found: HashSet<Box<str>>,
}

impl<'c> Walk<'c> {
    fn begin(cache: &'c Cache, operation: &'static str, name: &str, value: &str) -> Result<Self> {
        let indexes = cache.engine().provider.indexes();
        Ok(Self {
            cache,
            operation,
            indexes: indexes.ok_or_else(|| cache.during(operation, no_indexes()))?,
            tag: index_tag(name, value),
            next: Some(Cursor::START),
            began: Instant::now(),
            found: HashSet::new(),
        })
    }

    fn index(&self) -> Index<'_> {
        Index {
            scope: self.cache.0.scope.as_str(),
            tag: &self.tag,
        }
    }

    fn failed(&self, error: Error) -> Error {
        self.cache.during(self.operation, error)
    }

    /// The next members that were not found yet; `None` at the end.
    async fn next_page(&mut self) -> Result<Option<Vec<Member>>> {
        let Some(cursor) = self.next else {
            return Ok(None);
        };
        self.cache.check_touch(self.operation)?;
        let page = self.indexes.members(self.index(), cursor, PAGE).await;
        let page = page.map_err(|error| self.failed(error))?;
        self.next = next_of(&page, self.began.elapsed());
        let new = |member: &Member| !self.found.contains(&member.key);
        Ok(Some(page.members.into_iter().filter(new).collect()))
    }

    fn found(&mut self, member: Member) -> String {
        let key = String::from(&*member.key);
        self.found.insert(member.key);
        key
    }

    /// Copies in memory are shown without asking, and what has gone before took its time.
    async fn look(&self, members: &[Member]) -> Result<Vec<Look>> {
        self.cache.check_touch(self.operation)?;
        let options = EntryOptions::new();
        let question = |member: &Member| {
            self.cache
                .question(&member.key, Owner::HANDLE, &options)
                .map_err(|error| self.failed(error))
        };
        let questions: Vec<Question> = members.iter().map(question).collect::<Result<_>>()?;
        let asked: Vec<_> = questions.iter().collect();
        let looks = self.cache.engine().look_many(&asked).await;
        looks.map_err(|error| self.failed(error))
    }

    fn value_of<T: Value>(&self, look: &Look) -> Option<T> {
        let Look::Hit(hit) = look else {
            return None;
        };
        if !self.is_indexed(hit.entry().meta()) {
            return None;
        }
        let (value, counters) = (hit.value().ok(), self.cache.counters());
        match value {
            Some(_) => counters.hit(),
            None => counters.miss(Miss::Damaged),
        }
        value
    }

    fn is_indexed(&self, meta: &Meta) -> bool {
        carries(&meta.tags, &self.tag)
    }

    fn shows(&self, member: &Member, found: Option<&Found>) -> bool {
        let log = &self.cache.engine().log;
        found.is_some_and(|found| {
            let key = self.index().full_key(&member.key);
            self.is_indexed(&found.meta) && log.is_visible(&key, &found.meta)
        })
    }

    async fn inspect(&self, members: &[Member]) -> Result<Vec<Option<Found>>> {
        let key = |member: &Member| self.index().full_key(&member.key);
        let keys: Vec<_> = members.iter().map(key).collect();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        match keys.is_empty() {
            true => Ok(Vec::new()),
            false => self.cache.engine().provider.inspect(&keys).await,
        }
    }

    /// Looks where entries are stored, not at copies, and takes the stale members away.
    async fn look_after(&self, mut passed: Vec<Member>) {
        passed.retain(|member| member.settled);
        match self.inspect(&passed).await {
            Ok(terms) => self.unlink(passed.into_iter().zip(terms)).await,
            Err(error) => left(&error),
        }
    }

    /// Takes away what is stale of members that were looked up. A failure is nothing to the
    /// caller: another read, or the provider itself, comes across them again.
    async fn unlink(&self, passed: impl IntoIterator<Item = (Member, Option<Found>)>) {
        let stale = |(member, found): &(Member, Option<Found>)| {
            member.settled && self.is_stale(member, found.as_ref())
        };
        let stale = passed.into_iter().filter(stale).map(|(member, _)| member);
        let stale: Vec<_> = stale.collect();
        if !stale.is_empty()
            && let Err(error) = self.indexes.unlink(self.index(), &stale).await
        {
            left(&error);
        }
    }

    /// Whether what stands at a member's key will never be found here. What is hidden stays so for
    /// everybody, unless the record waits for the backend, or the entry is of another incarnation
    /// than this node knows.
    fn is_stale(&self, member: &Member, found: Option<&Found>) -> bool {
        let Some(Found { meta, .. }) = found else {
            return true;
        };
        let log = &self.cache.engine().log;
        let is_current = meta.stamp.incarnation() == log.stamp().incarnation();
        let is_told = is_current && !log.has_pending();
        !self.is_indexed(meta) || (is_told && !self.shows(member, found))
    }
}

/// Where to go on, if that has an end. Members that are entered while the walk goes on can come
/// behind all others, so that writers who are quicker would keep it for ever. Who has gone on for
/// longer than a write may take has found all of the others once one that is not settled is last.
fn next_of(page: &Members, age: Duration) -> Option<Cursor> {
    let ends = page.members.last().is_some_and(|last| !last.settled);
    page.next.filter(|_| !ends || age < LONG)
}

fn left(error: &Error) {
    tracing::debug!(%error, "stale members were left in an index");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_that_takes_long_ends_where_others_still_write() {
        let page = |settled| Members {
            members: vec![Member {
                key: "k".into(),
                mark: 7,
                settled,
            }],
            next: Some(Cursor(7)),
        };
        assert!(next_of(&page(false), LONG / 2).is_some());
        assert!(next_of(&page(true), LONG).is_some());
        assert_eq!(next_of(&page(false), LONG), None);
    }
}
