//! The source of truth: a SQLite file that several nodes share. Each write raises a value's version.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// How long a node waits for another one's write.
const PATIENCE: Duration = Duration::from_secs(5);

/// A value as it once was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Versioned {
    pub(crate) version: i64,
    pub(crate) text: String,
}

/// A handle on the source; clones share it.
#[derive(Clone)]
pub(crate) struct Source {
    connection: Arc<Mutex<Connection>>,
    reads: Arc<AtomicU64>,
    delay: Duration,
}

impl Source {
    /// Opens the file, and makes it if it is not there.
    pub(crate) fn open(file: &Path, delay: Duration) -> Result<Self, Failure> {
        let opened = connect(file);
        let connection = opened
            .map_err(|error| format!("the source {} cannot be opened: {error}", file.display()))?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            reads: Arc::default(),
            delay,
        })
    }

    /// The value as it is now; `None` if there is none.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Versioned>, Failure> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        let key = key.to_owned();
        self.run(move |connection| {
            let sql = "SELECT version, text FROM source WHERE key = ?1";
            let row = |row: &rusqlite::Row<'_>| {
                let (version, text) = (row.get(0)?, row.get(1)?);
                Ok(Versioned { version, text })
            };
            connection.query_row(sql, params![key], row).optional()
        })
        .await
    }

    /// Writes a value and returns its new version.
    pub(crate) async fn write(&self, key: &str, text: String) -> Result<i64, Failure> {
        let key = key.to_owned();
        self.run(move |connection| {
            let sql = "INSERT INTO source (key, version, text) VALUES (?1, 1, ?2)
                ON CONFLICT (key) DO UPDATE SET version = version + 1, text = ?2
                RETURNING version";
            connection.query_row(sql, params![key, text], |row| row.get(0))
        })
        .await
    }

    /// How often this node has read a value.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Runs one query, on a thread that may block.
    async fn run<T, F>(&self, query: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        let result = tokio::task::spawn_blocking(move || {
            query(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(result.await??)
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(PATIENCE)?;
    // Readers do not wait for a writer then.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS source (
            key TEXT PRIMARY KEY, version INTEGER NOT NULL, text TEXT NOT NULL)",
    )?;
    Ok(connection)
}
