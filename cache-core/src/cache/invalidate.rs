//! Making values go: by key, by pattern, by tag, all of them.

use std::collections::HashSet;

use super::Cache;
use crate::entry::check_tag;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Invalidated, Record, Undo};
use crate::pattern::{MAX_PATTERN_BYTES, Pattern};
use crate::provider::{Cursor, Invalidation};

/// How many keys one step of a deletion looks at.
const STEP: usize = 1_000;

impl Cache {
    /// Makes the value at `key` go. One round trip; wins over loads in flight.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`], or what the backend answered; the invalidation may then hold or
    /// not. Dropping the future leaves that open, too.
    pub async fn invalidate(&self, key: &str) -> Result<Invalidated> {
        let record = Record::Key(self.full_key(key)?.as_str().into());
        self.record("invalidate", record).await
    }

    /// Makes the value at `key` go, whosever it is, and says whether there was one that could be
    /// shown.
    ///
    /// # Errors
    ///
    /// Like [`invalidate`](Self::invalidate).
    pub async fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.delete_many(&[key]).await? > 0)
    }

    /// Makes the values at `keys` go in one round trip, and says how many there were.
    ///
    /// # Errors
    ///
    /// Like [`invalidate`](Self::invalidate); one bad key fails all before anything is deleted.
    pub async fn delete_many(&self, keys: &[&str]) -> Result<u64> {
        let keys = self.full_keys(keys)?;
        let records: Vec<Record> = keys.into_iter().map(Record::Key).collect();
        let existed = self.apply("delete", &records).await?;
        let count = existed.into_iter().filter(|existed| *existed).count() as u64;
        self.counters().deleted(count);
        Ok(count)
    }

    /// Makes every value of this namespace go whose key matches the glob, in constant time: one
    /// record hides them, however many there are. See [`Pattern`] for the syntax.
    ///
    /// Namespaces inside this one are not touched.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPattern`], or like [`invalidate`](Self::invalidate).
    pub async fn invalidate_pattern(&self, pattern: &str) -> Result<Invalidated> {
        let record = Record::Pattern(self.full_pattern(pattern)?.as_str().into());
        self.record("invalidate_pattern", record).await
    }

    /// Makes every value that carries the tag go, in constant time, in all namespaces of the
    /// deployment: what one function and one HTTP route know by the same tag goes together.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTag`], or like [`invalidate`](Self::invalidate).
    pub async fn invalidate_tag(&self, tag: &str) -> Result<Invalidated> {
        check_tag(tag)?;
        self.record("invalidate_tag", Record::Tag(tag.into())).await
    }

    /// Makes every value of this namespace, and of those inside it, go in constant time. On the
    /// root handle that is all that the deployment has stored.
    ///
    /// # Errors
    ///
    /// Like [`invalidate`](Self::invalidate).
    pub async fn clear(&self) -> Result<Invalidated> {
        let record = Record::All(self.0.scope.as_str().into());
        self.record("clear", record).await
    }

    /// Like [`invalidate_pattern`](Self::invalidate_pattern), and then frees what it hid, and
    /// says how many values that were.
    ///
    /// The values are gone at once; counting and freeing them takes time in proportion to all
    /// keys of the backend. Dropping the future leaves the rest of them hidden.
    ///
    /// # Errors
    ///
    /// Like [`invalidate_pattern`](Self::invalidate_pattern). What was hidden by then stays so.
    /// [`ErrorKind::Unsupported`], and nothing is hidden, where the backend cannot list its keys.
    pub async fn delete_by_pattern(&self, pattern: &str) -> Result<u64> {
        let pattern = self.full_pattern(pattern)?;
        self.check_scan(&pattern).await?;
        let undo = self.engine().log.undo(pattern.as_str());
        let record = Record::Pattern(pattern.as_str().into());
        self.apply("delete_by_pattern", &[record]).await?;
        let mut count = 0;
        let mut cursor = Some(Cursor::START);
        while let Some(from) = cursor {
            let freed = self.free_hidden(&pattern, from, &undo).await;
            let (freed, next) = freed.map_err(|error| self.during("delete_by_pattern", error))?;
            self.counters().deleted(freed);
            count += freed;
            cursor = next;
        }
        Ok(count)
    }

    /// Asks a provider that says it cannot scan before anything is hidden: it may have nothing to
    /// list, which is no error.
    async fn check_scan(&self, pattern: &Pattern) -> Result<()> {
        let provider = &self.engine().provider;
        if provider.capability().scan {
            return Ok(());
        }
        let page = provider.scan(pattern, Cursor::START, 1).await;
        page.map_err(|error| self.during("delete_by_pattern", error))
            .map(drop)
    }

    /// Frees what is hidden on one page of a scan, and counts what was visible before `undo`.
    async fn free_hidden(
        &self,
        pattern: &Pattern,
        from: Cursor,
        undo: &Undo,
    ) -> Result<(u64, Option<Cursor>)> {
        let (provider, log) = (&self.engine().provider, &self.engine().log);
        self.check_touch("delete_by_pattern")?;
        let page = provider.scan(pattern, from, STEP).await?;
        let mut counted = HashSet::new();
        let mut hidden = Vec::with_capacity(page.entries.len());
        for (key, meta) in page.entries {
            if log.is_visible(&key, &meta) {
                continue;
            }
            if log.was_visible(&key, &meta, undo) {
                // A page can name a key twice.
                counted.insert(meta.id);
            }
            hidden.push((key, meta.id));
        }
        for step in hidden.chunks(STEP) {
            provider.remove(step).await?;
            // Memory gives one page of everything, and never waits by itself.
            tokio::task::yield_now().await;
        }
        Ok((counted.len() as u64, page.next))
    }

    async fn record(&self, operation: &'static str, record: Record) -> Result<Invalidated> {
        self.invalidate_all(operation, &[record]).await
    }

    /// Makes what these records name go, as somebody has asked for.
    pub(crate) async fn invalidate_all(
        &self,
        operation: &'static str,
        records: &[Record],
    ) -> Result<Invalidated> {
        let invalidation = self.append(operation, records).await?;
        self.counters().invalidated(records.len());
        Ok(invalidation.state)
    }

    /// Like `append`, for callers who need to be told what there was.
    pub(super) async fn apply(
        &self,
        operation: &'static str,
        records: &[Record],
    ) -> Result<Vec<bool>> {
        let invalidation = self.append(operation, records).await?;
        if invalidation.state == Invalidated::Applied {
            return Ok(invalidation.existed);
        }
        let message = "the backend did not answer, so what was there is unknown; \
                       it is gone on this node, and the backend will be told";
        Err(self.during(operation, Error::new(ErrorKind::Connection, message)))
    }

    async fn append(&self, operation: &'static str, records: &[Record]) -> Result<Invalidation> {
        let appended = self.engine().provider.invalidate(records).await;
        appended.map_err(|error| self.during(operation, error))
    }

    /// The pattern behind this namespace's part of the key, which is taken literally.
    pub(crate) fn full_pattern(&self, pattern: &str) -> Result<Pattern> {
        // Checked alone first, so that the message is about what the caller wrote.
        Pattern::new(pattern)?;
        let scope = Pattern::escape(self.0.scope.as_str());
        Pattern::new(format!("{scope}:{pattern}")).map_err(|_| {
            let message = format!(
                "the pattern is too long with its prefix and namespace; at most {MAX_PATTERN_BYTES} bytes are possible"
            );
            Error::new(ErrorKind::InvalidPattern, message)
        })
    }
}
