//! The open file, what this process knows beside it, and what becomes of both after a failure.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::error::{Failure, Outcome, away, damaged, told};
use super::leases::Leases;
use super::opening::Opening;
use super::recent::Recent;
use crate::clock::Clock;
use crate::codec::Packing;
use crate::entry::Meta;
use crate::error::Result;
use crate::log::{Incarnation, Log};

/// What readers and the writer share.
pub(super) struct Store {
    opening: Opening,
    pub(super) max_bytes: u64,
    pub(super) log: Log,
    pub(super) clock: Clock,
    pub(super) packing: Packing,
    pub(super) leases: Leases,
    pub(super) recent: Recent,
    /// Whoever works on the file holds this meanwhile; `None` while nobody may.
    database: RwLock<Option<Database>>,
    /// The engine answers nothing any more after a failure, before the file is opened anew.
    failed: AtomicBool,
    /// How many transactions have been committed.
    commits: AtomicU64,
}

impl Store {
    /// Opens the file. Takes its time.
    pub(super) fn open(
        opening: Opening,
        max_bytes: u64,
        clock: Clock,
        packing: Packing,
    ) -> Result<Self> {
        let log = Log::local(opening.caps);
        let (database, kept) = opening.open(log.stamp().incarnation())?;
        log.reset(kept.stamp, kept.barriers);
        Ok(Self {
            opening,
            max_bytes,
            log,
            clock,
            packing,
            leases: Leases::default(),
            recent: Recent::new(),
            database: RwLock::new(Some(database)),
            failed: AtomicBool::new(false),
            commits: AtomicU64::new(0),
        })
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.opening.path
    }

    /// Looks at the file as it was when this was called. Blocks.
    pub(super) fn read<T>(&self, look: impl FnOnce(&ReadTransaction) -> Outcome<T>) -> Result<T> {
        self.work(|database| look(&database.begin_read()?))
    }

    /// Works on the open file. Blocks. After a failure of the file it has to be [opened
    /// anew](Self::reopen).
    pub(super) fn work<T>(&self, work: impl FnOnce(&Database) -> Outcome<T>) -> Result<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &*database else {
            return Err(away(self.path().display()));
        };
        work(database).map_err(|failure| {
            if matches!(failure, Failure::File(_)) {
                self.fail();
            }
            told(failure, self.path())
        })
    }

    /// The engine asserts some of what it reads, so that a damaged page is a panic: that is a failure
    /// of the file like any other, and not the end of the thread.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            self.fail();
            Err(damaged(self.path().display()))
        })
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Opens the file anew. Whoever asks meanwhile is told so at once. What the last transaction
    /// had recorded, if it has reached the disk all the same, holds from here on.
    pub(super) fn reopen(&self) -> Result<()> {
        self.close();
        let known = self.log.stamp();
        // Should the file have gone, an empty one is no continuation of it.
        let (database, kept) = self.opening.open(Incarnation::random(0))?;
        let found = kept.stamp;
        let is_ours = found.incarnation() == known.incarnation();
        if is_ours && found.sequence() < known.sequence() {
            // What was there has been lost, and with it what was hidden.
            return Err(damaged(self.path().display()));
        }
        self.log.reset(found, kept.barriers);
        // Another process may have had it meanwhile: what began before must not store what it read.
        self.leases.clear();
        self.log.fence_all();
        self.put(Some(database));
        self.failed.store(false, Ordering::Release);
        Ok(())
    }

    /// Whether what stands at a key could be shown, by its terms; what has none cannot be read.
    pub(super) fn shows(&self, key: &str, meta: Option<&Meta>) -> bool {
        let now = self.clock.now();
        meta.is_some_and(|meta| !meta.is_expired(now) && self.log.is_visible(key, meta))
    }

    /// Whether what stands at a key could still be of use, be it stale.
    pub(super) fn keeps(&self, key: &str, meta: Option<&Meta>) -> bool {
        let now = self.clock.now();
        meta.is_some_and(|meta| !meta.is_gone(now) && self.log.is_visible(key, meta))
    }

    /// Closes the file, when all who work on it are done.
    pub(super) fn close(&self) {
        self.put(None);
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Nobody works on the file while this is held.
    #[cfg(test)]
    pub(super) fn hang(&self) -> impl Sized + '_ {
        self.database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back the room between the entries. Nobody else can work on the file meanwhile.
    pub(super) fn compact(&self) -> Result<bool> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &mut *database else {
            return Err(away(self.path().display()));
        };
        database.compact().map_err(|error| {
            self.fail();
            told(Failure::File(error.into()), self.path())
        })
    }

    fn put(&self, database: Option<Database>) {
        let mut place = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, database);
        drop(before);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path())
            .field("max_bytes", &self.max_bytes)
            .field("failed", &self.has_failed())
            .field("commits", &self.commits())
            .finish_non_exhaustive()
    }
}
