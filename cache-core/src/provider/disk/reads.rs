//! Looking at the file: on threads that may wait for a disk, a bounded number at a time.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::DiskSize;
use super::error::{Outcome, away, damaged};
use super::row::{ENTRIES, ORDER, Row, meta_in};
use super::state::{self, STATE};
use super::store::Store;
use crate::entry::Meta;
use crate::error::Result;
use crate::pattern::Pattern;
use crate::provider::{Cursor, Found, Page, Slot};

/// How many look at the file at the same time.
const READERS: usize = 32;

/// What reads the file of a store.
#[derive(Debug)]
pub(super) struct Reads {
    store: Arc<Store>,
    places: Arc<Semaphore>,
}

impl Reads {
    pub(super) fn of(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
            places: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// What stands at each key.
    pub(super) async fn slots(&self, keys: &[&str]) -> Result<Vec<Slot>> {
        let keys = owned(keys);
        self.look(move |transaction, store| {
            let entries = transaction.open_table(ENTRIES)?;
            let slot = |key: &str| {
                let row = entries.get(key)?.map(|row| Row::read(row.value()));
                store.recent.note(key);
                Ok(row.map_or(Slot::Empty, |row| row.slot(key, &store.packing)))
            };
            keys.iter().map(|key| slot(key)).collect()
        })
        .await
    }

    /// The terms of what stands at each key, and has not expired.
    pub(super) async fn found(&self, keys: &[&str]) -> Result<Vec<Option<Found>>> {
        let keys = owned(keys);
        self.look(move |transaction, store| {
            let entries = transaction.open_table(ENTRIES)?;
            let now = store.clock.now();
            let found = |key: &str| {
                let row = entries.get(key)?;
                let meta = row.and_then(|row| meta_in(key, row.value()));
                let meta = meta.filter(|meta| !meta.is_expired(now));
                let found = |meta: Meta| Found {
                    ttl: meta.remaining(now),
                    meta,
                };
                Ok(meta.map(found))
            };
            keys.iter().map(|key| found(key)).collect()
        })
        .await
    }

    /// The entries from a place in the order on. What is written meanwhile moves to its end.
    pub(super) async fn page(
        &self,
        pattern: &Pattern,
        cursor: Cursor,
        count: usize,
    ) -> Result<Page> {
        let pattern = pattern.clone();
        self.look(move |transaction, store| page(transaction, store, &pattern, cursor, count))
            .await
    }

    pub(super) async fn size(&self) -> Result<DiskSize> {
        self.look(|transaction, store| {
            let entries = transaction.open_table(ENTRIES)?;
            let file = std::fs::metadata(store.path()).map_err(redb::StorageError::from)?;
            Ok(DiskSize {
                entries: entries.len()?,
                bytes: state::bytes(transaction)?,
                file_bytes: file.len(),
            })
        })
        .await
    }

    /// Whether the file can be read at all.
    pub(super) async fn check(&self) -> Result<()> {
        let state = |transaction: &ReadTransaction, _: &Store| {
            transaction.open_table(STATE)?.first()?;
            Ok(())
        };
        self.look(state).await
    }

    async fn look<T, L>(&self, look: L) -> Result<T>
    where
        T: Send + 'static,
        L: FnOnce(&ReadTransaction, &Store) -> Outcome<T> + Send + 'static,
    {
        let path = || self.store.path().display();
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| away(path()))?;
        let store = Arc::clone(&self.store);
        let looked = spawn_blocking(move || {
            let _place = place;
            store.read(|transaction| look(transaction, &store))
        });
        match looked.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => {
                self.store.fail();
                Err(damaged(path()))
            }
            Err(_) => Err(away(path())),
        }
    }
}

fn page(
    transaction: &ReadTransaction,
    store: &Store,
    pattern: &Pattern,
    cursor: Cursor,
    count: usize,
) -> Outcome<Page> {
    let (entries, order) = (
        transaction.open_table(ENTRIES)?,
        transaction.open_table(ORDER)?,
    );
    let (now, count) = (store.clock.now(), count.max(1));
    let mut found = Vec::new();
    let mut next = None;
    for (index, row) in order.range(cursor.0..)?.take(count).enumerate() {
        let (place, key) = row?;
        let key = key.value();
        next = (index + 1 == count).then(|| Cursor(place.value() + 1));
        if !pattern.matches(key) {
            continue;
        }
        let row = entries.get(key)?;
        let meta = row.and_then(|row| meta_in(key, row.value()));
        found.extend(
            meta.filter(|meta| !meta.is_expired(now))
                .map(|meta| (key.into(), meta)),
        );
    }
    Ok(Page {
        entries: found,
        next,
    })
}

fn owned(keys: &[&str]) -> Vec<Box<str>> {
    keys.iter().map(|&key| key.into()).collect()
}
