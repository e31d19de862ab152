//! Opening the file: the lock, the damage, and what it knows of the log.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

use redb::{Database, DatabaseError, ReadableDatabase};

use super::error::{Failure, Outcome, damaged, told};
use super::on_damage::OnDamage;
use super::state::{self, Kept};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Caps, Incarnation};

/// How long a file is waited for that another process has: one that is just about to end.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How a file is opened.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) path: PathBuf,
    pub(super) page_cache_bytes: usize,
    pub(super) caps: Caps,
    pub(super) on_damage: OnDamage,
}

impl Opening {
    /// Opens the file, or makes one whose log begins with this incarnation. Takes its time.
    pub(super) fn open(&self, new: Incarnation) -> Result<(Database, Kept)> {
        let failure = match self.attempt(new) {
            Ok(opened) => return Ok(opened),
            Err(failure) => failure,
        };
        if !is_damage(&failure) {
            return Err(self.refused(failure));
        }
        if self.on_damage == OnDamage::Refuse {
            return Err(damaged(self.path.display()).with_source(cause(failure)));
        }
        tracing::warn!(path = %self.path.display(), "the file is damaged; an empty one is begun");
        let aside = aside(&self.path);
        let moved = fs::rename(&self.path, &aside);
        moved.map_err(|error| self.immovable(&aside, error))?;
        self.attempt(new).map_err(|failure| self.refused(failure))
    }

    /// The engine checks what it reads in many places, and asserts it in some.
    fn attempt(&self, new: Incarnation) -> Outcome<(Database, Kept)> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = self.locked()?;
            let kept = self.prepare(&database, new)?;
            Ok((database, kept))
        }));
        opened.unwrap_or_else(|_| {
            let what = "reading it came to an end that nobody expected".into();
            Err(Failure::File(redb::Error::Corrupted(what)))
        })
    }

    fn locked(&self) -> Outcome<Database> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut builder = Database::builder();
            builder.set_cache_size(self.page_cache_bytes);
            match builder.create_file(self.file()?) {
                Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < deadline => {
                    thread::sleep(LOOK_AGAIN);
                }
                opened => return Ok(opened?),
            }
        }
    }

    /// Values can be personal data: nobody else needs to read the file.
    fn file(&self) -> Outcome<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.open(&self.path);
        opened.map_err(|error| Failure::File(error.into()))
    }

    fn prepare(&self, database: &Database, new: Incarnation) -> Outcome<Kept> {
        let transaction = database.begin_write()?;
        state::begin(&transaction, new)?;
        transaction.commit()?;
        state::load(&database.begin_read()?, self.caps)
    }

    fn refused(&self, failure: Failure) -> Error {
        let path = self.path.display();
        let Failure::File(error) = failure else {
            return told(failure, &self.path);
        };
        let (kind, message) = match &error {
            redb::Error::DatabaseAlreadyOpen => (
                ErrorKind::Unready,
                format!(
                    "the file `{path}` is open already, in another process or in this one; each \
                     process needs a file of its own"
                ),
            ),
            redb::Error::Io(cause) if is_about_the_path(cause) => (
                ErrorKind::Configuration,
                format!(
                    "the file `{path}` cannot be opened; it needs a folder that is there, and in \
                     which this program may make, read and write it"
                ),
            ),
            _ => return told(Failure::File(error), &self.path),
        };
        Error::new(kind, message).with_source(error)
    }

    fn immovable(&self, aside: &Path, error: io::Error) -> Error {
        let (path, aside) = (self.path.display(), aside.display());
        let message = format!("the file `{path}` is damaged, and cannot be renamed to `{aside}`");
        Error::new(ErrorKind::Backend, message).with_source(error)
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".damaged");
    name.into()
}

fn is_about_the_path(error: &io::Error) -> bool {
    use io::ErrorKind::{
        IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem,
    };
    let kind = error.kind();
    matches!(
        kind,
        IsADirectory | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem
    )
}

fn is_damage(failure: &Failure) -> bool {
    use redb::Error::{
        Corrupted, Io, TableDoesNotExist, TableIsMultimap, TableIsNotMultimap, TableTypeMismatch,
        UpgradeRequired,
    };
    match failure {
        Failure::File(Io(error)) => matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
        ),
        Failure::File(error) => matches!(
            error,
            Corrupted(_)
                | TableDoesNotExist(_)
                | TableIsMultimap(_)
                | TableIsNotMultimap(_)
                | TableTypeMismatch { .. }
                | UpgradeRequired(_)
        ),
        Failure::Refused(_) => false,
    }
}

fn cause(failure: Failure) -> Box<dyn std::error::Error + Send + Sync> {
    match failure {
        Failure::Refused(error) => error.into(),
        Failure::File(error) => error.into(),
    }
}
