//! Walking over the keys of a namespace.

use super::Cache;
use crate::error::Result;
use crate::pattern::Pattern;
use crate::provider::Cursor;

impl Cache {
    /// Walks over the keys of this namespace that match the glob, in pages of about `count` where
    /// they come over a network; the memory provider gives all of them in one page.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// # let cache = Cache::memory();
    /// cache.set("user:1", "Ada").await?;
    /// let mut keys = cache.scan_keys("user:*", 100)?;
    /// while let Some(page) = keys.next_page().await? {
    ///     println!("{page:?}");
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPattern`](crate::ErrorKind::InvalidPattern).
    pub fn scan_keys(&self, pattern: &str, count: usize) -> Result<KeyScan> {
        Ok(KeyScan {
            cache: self.clone(),
            pattern: self.full_pattern(pattern)?,
            count: count.max(1),
            next: Some(Cursor::START),
        })
    }
}

/// A walk over keys, by [`Cache::scan_keys`].
///
/// A key that is there throughout is returned at least once; on Redis it can be returned more
/// than once, as with the `SCAN` command. Keys that come or go meanwhile may be returned or not.
#[derive(Debug)]
pub struct KeyScan {
    cache: Cache,
    pattern: Pattern,
    count: usize,
    next: Option<Cursor>,
}

impl KeyScan {
    /// The next keys, without prefix and namespace; `None` at the end. A page can be empty
    /// before the end.
    ///
    /// # Errors
    ///
    /// What the backend answered, or an error of kind
    /// [`ErrorKind::Connection`](crate::ErrorKind::Connection) while the node is out of touch with
    /// it; the same page can be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<String>>> {
        let Some(cursor) = self.next else {
            return Ok(None);
        };
        self.cache.check_touch("scan_keys")?;
        let engine = self.cache.engine();
        let page = engine
            .provider
            .scan(&self.pattern, cursor, self.count)
            .await;
        let page = page.map_err(|error| self.cache.during("scan_keys", error))?;
        let scope = self.cache.0.scope.as_str().len() + 1;
        let keys = page
            .entries
            .iter()
            .filter(|(key, meta)| engine.log.is_visible(key, meta))
            .filter_map(|(key, _)| key.get(scope..).map(ToOwned::to_owned));
        let keys = keys.collect();
        self.next = page.next;
        Ok(Some(keys))
    }
}
