//! Several things that go in one step.

use std::sync::Arc;

use super::Cache;
use crate::entry::check_tag;
use crate::error::Result;
use crate::log::{Invalidated, Record};

/// Keys, patterns and tags that go together, in one round trip and in the order in which they
/// were added: add what others are made of before those. Begun by [`Cache::invalidation`].
///
/// ```
/// # async fn example(cache: cache_core::Cache) -> cache_core::Result<()> {
/// let mut batch = cache.namespace("users").invalidation();
/// batch.key("7")?.pattern("list:*")?.tag("team:3")?;
/// batch.run().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing goes before `run`"]
pub struct Batch {
    cache: Cache,
    records: Vec<Record>,
}

impl Cache {
    /// Begins an invalidation of several things at once, in this namespace.
    pub fn invalidation(&self) -> Batch {
        Batch {
            cache: self.clone(),
            records: Vec::new(),
        }
    }
}

impl Batch {
    /// What is added from here on is of this handle's namespace. `false`, and no change, if the
    /// handle is on another cache: that needs a batch of its own.
    pub fn within(&mut self, cache: &Cache) -> bool {
        let is_same = Arc::ptr_eq(self.cache.engine(), cache.engine());
        if is_same {
            self.cache = cache.clone();
        }
        is_same
    }

    /// Adds the value at `key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey); nothing was added then.
    pub fn key(&mut self, key: &str) -> Result<&mut Self> {
        let key = self.cache.full_key(key)?;
        Ok(self.add(Record::Key(key.as_str().into())))
    }

    /// Adds every value whose key matches the glob.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPattern`](crate::ErrorKind::InvalidPattern); nothing was added then.
    pub fn pattern(&mut self, pattern: &str) -> Result<&mut Self> {
        let pattern = self.cache.full_pattern(pattern)?;
        Ok(self.add(Record::Pattern(pattern.as_str().into())))
    }

    /// Adds every value that carries the tag, in all namespaces.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTag`](crate::ErrorKind::InvalidTag); nothing was added then.
    pub fn tag(&mut self, tag: &str) -> Result<&mut Self> {
        check_tag(tag)?;
        Ok(self.add(Record::Tag(tag.into())))
    }

    fn add(&mut self, record: Record) -> &mut Self {
        self.records.push(record);
        self
    }

    /// How many things are to go.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing is to go.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Makes all of it go; an empty batch asks nobody.
    ///
    /// # Errors
    ///
    /// What the backend answered; each of the invalidations may then hold or not. Dropping the
    /// future leaves that open, too.
    pub async fn run(&self) -> Result<Invalidated> {
        if self.records.is_empty() {
            return Ok(Invalidated::Applied);
        }
        self.cache.invalidate_all("invalidate", &self.records).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn a_batch_reaches_keys_patterns_and_tags_of_several_namespaces() {
        let cache = Cache::memory();
        let users = cache.namespace("users");
        users.set("7", "Ada").await.unwrap();
        cache.set("7", "seven").await.unwrap();
        cache.set("list:a", "a").await.unwrap();
        users.set("tagged", "t").tag("team:3").await.unwrap();
        let mut batch = users.invalidation();
        batch.key("7").unwrap().tag("team:3").unwrap();
        assert!(batch.within(&cache));
        batch.pattern("list:*").unwrap();
        assert_eq!((batch.len(), batch.is_empty()), (3, false));
        batch.run().await.unwrap();
        assert!(!users.exists("7").await.unwrap() && !users.exists("tagged").await.unwrap());
        assert!(!cache.exists("list:a").await.unwrap() && cache.exists("7").await.unwrap());
    }

    #[tokio::test]
    async fn what_cannot_be_stored_is_refused_and_the_rest_goes() {
        let cache = Cache::memory();
        cache.set("a", "a").await.unwrap();
        let mut batch = cache.invalidation();
        assert_eq!(batch.key("").unwrap_err().kind(), ErrorKind::InvalidKey);
        assert_eq!(batch.tag("").unwrap_err().kind(), ErrorKind::InvalidTag);
        let broken = batch.pattern("[").unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::InvalidPattern);
        assert!(!batch.within(&Cache::memory()));
        batch.key("a").unwrap();
        batch.run().await.unwrap();
        assert!(!cache.exists("a").await.unwrap());
    }
}
