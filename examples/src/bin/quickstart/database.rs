//! The SQLite database: 10,596 real cities in a file that goes when the program ends.
//!
//! The cities come out of the crate `cities` 0.2 (MIT by its manifest; its licence file gives it
//! to the public domain): number, country, name, coordinates and altitude.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// What the data set says where it does not know.
const UNKNOWN_ALTITUDE: f64 = -9_999.0;

/// A handle on the database; clones share it.
#[derive(Clone)]
pub(crate) struct Database(Arc<Inner>);

struct Inner {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    queries: AtomicU64,
    /// Deletes the file when it is dropped.
    _folder: TempDir,
}

/// A query that failed.
#[derive(Debug)]
pub(crate) struct DatabaseError(Box<dyn std::error::Error + Send + Sync>);

impl Database {
    /// A new database that holds the cities.
    pub(crate) fn of_cities() -> Result<Self, DatabaseError> {
        let folder = TempDir::with_prefix("quickstart-")?;
        let file = folder.path().join("cities.sqlite");
        let mut connection = open(&file)?;
        fill(&mut connection)?;
        Ok(Self(Arc::new(Inner {
            file,
            idle: Mutex::new(vec![connection]),
            queries: AtomicU64::new(0),
            _folder: folder,
        })))
    }

    /// Runs one query, on a thread that may block.
    pub(crate) async fn query<T, F>(&self, query: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let result = tokio::task::spawn_blocking(move || inner.query(query));
        Ok(result.await??)
    }

    /// How many queries have run.
    pub(crate) fn queries(&self) -> u64 {
        self.0.queries.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let idle = self.lock().pop();
        let connection = idle.map_or_else(|| open(&self.file), Ok)?;
        let result = query(&connection);
        self.lock().push(connection);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    let flags = FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_UTF8;
    connection.create_scalar_function("distance_km", 4, flags, distance_km)?;
    Ok(connection)
}

fn fill(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE city (
             id        INTEGER PRIMARY KEY,
             country   TEXT NOT NULL,
             name      TEXT NOT NULL,
             latitude  REAL NOT NULL,
             longitude REAL NOT NULL,
             altitude  REAL
         );
         CREATE INDEX city_by_country ON city (country);",
    )?;
    let transaction = connection.transaction()?;
    let sql = "INSERT INTO city VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, ?7))";
    let mut insert = transaction.prepare(sql)?;
    for city in cities::all() {
        insert.execute(params![
            city.id as i64,
            city.country,
            city.city,
            city.latitude,
            city.longitude,
            city.altitude,
            UNKNOWN_ALTITUDE
        ])?;
    }
    drop(insert);
    transaction.commit()
}

/// `distance_km(latitude, longitude, latitude, longitude)`: along the great circle, by the
/// haversine formula, on a sphere of the Earth's mean radius.
fn distance_km(context: &Context<'_>) -> rusqlite::Result<f64> {
    const RADIUS_KM: f64 = 6_371.0;
    let radians = |index| context.get::<f64>(index).map(f64::to_radians);
    let (latitude, longitude) = (radians(0)?, radians(1)?);
    let (other_latitude, other_longitude) = (radians(2)?, radians(3)?);
    let half_chord = ((other_latitude - latitude) / 2.0).sin().powi(2)
        + latitude.cos()
            * other_latitude.cos()
            * ((other_longitude - longitude) / 2.0).sin().powi(2);
    Ok(2.0 * RADIUS_KM * half_chord.sqrt().asin())
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the database failed: {}", self.0)
    }
}

impl std::error::Error for DatabaseError {}

macro_rules! from {
    ($($error:ty),*) => {
        $(impl From<$error> for DatabaseError {
            fn from(error: $error) -> Self {
                Self(error.into())
            }
        })*
    };
}

from!(rusqlite::Error, std::io::Error, tokio::task::JoinError);
