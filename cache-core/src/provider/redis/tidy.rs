//! Takes keys out of indexes whose entries are gone, although nobody reads there: for the sweep.

use super::entries::Entries;
use super::indexes::{index_at, members_call, members_from, unlink_call};
use super::link::read;
use crate::error::Result;
use crate::index::carries;
use crate::provider::{Cursor, Found, Index, Member, Members};

/// About how many keys one step looks at, in all indexes together.
const STEP: usize = 200;
/// The fewest that it looks at in each: most indexes have few.
const FEWEST: usize = 8;

/// An index that is to be looked through, and from where on.
pub(super) struct Untidy {
    place: String,
    scope: String,
    tag: String,
    cursor: Cursor,
}

impl Untidy {
    /// The index that lies at a key, if one does.
    pub(super) fn at(place: &str) -> Option<Self> {
        let (scope, tag) = index_at(place)?;
        Some(Self {
            place: place.to_owned(),
            scope,
            tag,
            cursor: Cursor::START,
        })
    }

    fn index(&self) -> Index<'_> {
        Index {
            scope: &self.scope,
            tag: &self.tag,
        }
    }
}

/// Where to go on, if there can be anything to take out. Marks ascend: behind a key that is not
/// settled none is, and who went on would never be done where keys are entered all the time.
fn settled_next(page: &Members) -> Option<Cursor> {
    let last = page.members.last();
    page.next.filter(|_| last.is_none_or(|it| it.settled))
}

/// A key in one of the indexes: which one that is, its whole key, and what it is there.
type Looked = (usize, String, Member);

impl Entries {
    /// Looks at some keys of each index, and takes those out whose entries are gone, of another
    /// index by now, or hidden for good. What is left is looked through from where this has ended.
    pub(super) async fn tidy(&self, mut indexes: Vec<Untidy>) -> Result<Vec<Untidy>> {
        let (looked, next) = self.settled(&indexes).await?;
        let stale = self.stale(&indexes, looked).await?;
        let call = |(at, members): (usize, &Vec<Member>)| {
            (!members.is_empty()).then(|| unlink_call(&indexes[at].place, members))
        };
        let calls = stale.iter().enumerate().filter_map(call).collect();
        for unlinked in self.backplane.links.calls(calls).await? {
            read::<bool>(unlinked?)?;
        }
        for (index, next) in indexes.iter_mut().zip(&next) {
            index.cursor = next.unwrap_or(index.cursor);
        }
        let left = indexes.into_iter().zip(next);
        Ok(left.filter_map(|(it, next)| next.map(|_| it)).collect())
    }

    /// Keys for which no write can come any more, and where to go on in each index.
    async fn settled(&self, indexes: &[Untidy]) -> Result<(Vec<Looked>, Vec<Option<Cursor>>)> {
        let count = (STEP / indexes.len().max(1)).max(FEWEST);
        let call = |index: &Untidy| members_call(&index.place, index.cursor, count);
        let pages = self
            .backplane
            .links
            .calls(indexes.iter().map(call).collect());
        let (mut looked, mut next) = (Vec::new(), Vec::new());
        for (at, (index, page)) in indexes.iter().zip(pages.await?).enumerate() {
            // What lies there can be something else: that is left alone.
            let page = page.and_then(|page| members_from(page, count)).ok();
            next.push(page.as_ref().and_then(settled_next));
            let members = page.into_iter().flat_map(|page| page.members);
            let look = |it: Member| (at, index.index().full_key(&it.key), it);
            looked.extend(members.filter(|it| it.settled).map(look));
        }
        Ok((looked, next))
    }

    /// Those whose entries will never be found in their index.
    async fn stale(&self, indexes: &[Untidy], looked: Vec<Looked>) -> Result<Vec<Vec<Member>>> {
        let keys: Vec<_> = looked.iter().map(|(_, key, _)| key.as_str()).collect();
        let found = self.inspect(&keys).await?;
        // After looking: an entry of an incarnation that this node had not heard of is no old one.
        self.backplane.catch_up().await?;
        let log = &self.backplane.log;
        // What waits for the server can be lost with this process.
        let is_hidden =
            |key: &str, it: &Found| !log.is_visible(key, &it.meta) && !log.has_pending();
        let mut stale: Vec<Vec<Member>> = indexes.iter().map(|_| Vec::new()).collect();
        for ((at, key, member), found) in looked.into_iter().zip(found) {
            let belongs = |it: &Found| carries(&it.meta.tags, &indexes[at].tag);
            if !found.is_some_and(|it| belongs(&it) && !is_hidden(&key, &it)) {
                stale[at].push(member);
            }
        }
        Ok(stale)
    }
}
