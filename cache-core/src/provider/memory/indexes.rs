//! Indexes in memory: who looks after their members, and when.

use super::members::{self, Place};
use super::{MemoryProvider, ready};
use crate::error::Result;
use crate::index::{carries, is_index_tag};
use crate::provider::{BoxFuture, Cursor, Index, Indexes, Member, Members};

/// How many members are looked after for each that is entered.
const DUE: usize = 2;

impl MemoryProvider {
    /// How many members the indexes have: one for each value that an entry is indexed by. What has
    /// expired or was evicted can still be counted: each write looks after two members for each
    /// that it enters, and after two at least.
    pub fn indexed(&self) -> usize {
        self.store.members().map_or(0, members::Members::count)
    }

    /// Looks after the members that are next, when an entry with these tags has been stored.
    pub(super) fn tidy(&self, tags: &[Box<str>]) {
        let entered = tags.iter().filter(|tag| is_index_tag(tag)).count();
        let count = DUE * entered.max(1);
        let due = self.store.members().map(|members| members.due(count));
        for place in due.into_iter().flatten() {
            self.look_after(&place);
        }
    }

    /// Takes a member away whose entry is gone, hidden for good, or of another index by now.
    fn look_after(&self, place: &Place) {
        let seen = self.store.get(place.key());
        let belongs = seen.as_deref().is_some_and(|entry| {
            let meta = entry.meta();
            carries(&meta.tags, place.tag()) && self.is_live(place.key(), meta)
        });
        if !belongs {
            self.store.unlink(place, seen.map(|entry| entry.meta().id));
        }
    }
}

impl Indexes for MemoryProvider {
    /// Answers everything in one page: the keys are in memory already. Writers come in between.
    fn members<'a>(
        &'a self,
        index: Index<'a>,
        _cursor: Cursor,
        _count: usize,
    ) -> BoxFuture<'a, Result<Members>> {
        let member = |key| Member {
            key,
            mark: 0,
            settled: true,
        };
        let keys = self.store.members().map(|members| members.of(index));
        let members = keys.into_iter().flatten().map(member).collect();
        let next = None;
        ready(Ok(Members { members, next }))
    }

    /// Looks at each entry once more, so that nothing needs to be known of when it was entered.
    fn unlink<'a>(&'a self, index: Index<'a>, stale: &'a [Member]) -> BoxFuture<'a, Result<()>> {
        for member in stale {
            self.look_after(&Place::new(index.tag, &index.full_key(&member.key)));
        }
        ready(Ok(()))
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::entry::{Entry, EntryId, Meta, Owner, Payload};
    use crate::index::index_tag;
    use crate::log::Record;
    use crate::provider::Provider;

    const MINUTE: Duration = Duration::from_secs(60);

    fn provider() -> (MemoryProvider, ManualClock) {
        let clock = ManualClock::new();
        let provider = MemoryProvider::builder().clock(clock.clock()).build();
        (provider, clock)
    }

    /// Stores an entry for a minute, under some values.
    async fn store(provider: &MemoryProvider, key: &str, values: &[&str]) {
        let now = provider.clock().now();
        let meta = Meta {
            id: EntryId::random(),
            owner: Owner::HANDLE,
            stamp: provider.log().stamp(),
            created: now,
            expires: Some(now.saturating_add(MINUTE)),
            kept_for: Duration::ZERO,
            load_time: Duration::ZERO,
            tags: values.iter().map(|value| index_tag("i", value)).collect(),
        };
        let entry = Arc::new(Entry::new(meta, Payload::typed(1_u8)));
        provider.set(vec![(key, entry)]).await.unwrap();
    }

    #[tokio::test]
    async fn after_everything_has_expired_writes_of_other_things_empty_the_table() {
        let (provider, clock) = provider();
        for number in 0..100 {
            store(&provider, &format!("cache:n:{number}"), &["all", "some"]).await;
        }
        assert_eq!(provider.indexed(), 200);
        clock.advance(MINUTE);
        for number in 0..100 {
            store(&provider, &format!("cache:n:other{number}"), &[]).await;
        }
        assert_eq!(provider.indexed(), 0);
    }

    #[tokio::test]
    async fn after_everything_has_expired_a_read_empties_its_index() {
        let (provider, clock) = provider();
        store(&provider, "cache:n:k", &["a"]).await;
        clock.advance(MINUTE);
        let tag = index_tag("i", "a");
        let index = Index {
            scope: "cache:n",
            tag: &tag,
        };
        let page = provider.members(index, Cursor::START, 10).await.unwrap();
        assert_eq!(page.members.len(), 1);
        provider.unlink(index, &page.members).await.unwrap();
        assert_eq!(provider.indexed(), 0);
    }

    #[tokio::test]
    async fn members_go_with_their_entries() {
        let (provider, _) = provider();
        store(&provider, "cache:n:k", &["a", "b"]).await;
        store(&provider, "cache:n:k", &["b", "c", "d"]).await;
        assert_eq!(provider.indexed(), 3);
        let gone = [Record::Key("cache:n:k".into())];
        provider.invalidate(&gone).await.unwrap();
        assert_eq!(provider.indexed(), 0);
    }

    #[tokio::test]
    async fn there_are_soon_no_more_than_twice_as_many_members_as_entries() {
        let (provider, clock) = provider();
        for number in 0..10_000 {
            store(&provider, &format!("cache:n:{number}"), &["a", "b", "c"]).await;
            clock.advance(MINUTE / 100);
        }
        assert!(provider.indexed() <= 750, "{}", provider.indexed());
    }

    #[tokio::test]
    async fn members_that_stand_for_something_are_left_alone() {
        let (provider, clock) = provider();
        store(&provider, "cache:n:k", &["a"]).await;
        for number in 0..50 {
            store(&provider, &format!("cache:n:{number}"), &[]).await;
            clock.advance(MINUTE / 100);
        }
        assert_eq!(provider.indexed(), 1);
    }
}
