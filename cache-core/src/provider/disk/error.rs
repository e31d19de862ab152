//! What goes wrong with a file, in the words of the cache.

use std::fmt::Display;
use std::io;
use std::path::Path;

use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

use crate::error::{Error, ErrorKind};

/// Why something could not be done.
#[derive(Debug)]
pub(super) enum Failure {
    /// What stands there does not allow it. The file is well.
    Refused(Error),
    /// The file could not be read or written, and is not to be trusted before it is opened anew.
    File(redb::Error),
}

/// What is asked of the file.
pub(super) type Outcome<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

macro_rules! from_the_file {
    ($($error:ty),*) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::File(error.into())
            }
        }
    )* };
}

from_the_file!(
    CommitError,
    DatabaseError,
    StorageError,
    TableError,
    TransactionError
);

/// What a failure means for the one who asked.
pub(super) fn told(failure: Failure, path: &Path) -> Error {
    match failure {
        Failure::Refused(error) => error,
        Failure::File(error) => of_the_file(error, path),
    }
}

fn of_the_file(error: redb::Error, path: &Path) -> Error {
    let path = path.display();
    match &error {
        redb::Error::Io(cause) if is_full(cause) => full(path),
        redb::Error::Corrupted(_) => damaged(path),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => away(path),
        _ => {
            let message = format!("the file `{path}` could not be read or written");
            Error::new(ErrorKind::Backend, message)
        }
    }
    .with_source(error)
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn full(path: impl Display) -> Error {
    let message = format!(
        "the disk is full, or the file `{path}` may not grow; make room on the disk, or set a \
         smaller `max_bytes`"
    );
    Error::new(ErrorKind::Unready, message)
}

pub(super) fn damaged(path: impl Display) -> Error {
    let message = format!(
        "the file `{path}` is damaged, or none of this provider's; move it away, or build with \
         `on_damage(OnDamage::StartEmpty)`"
    );
    Error::new(ErrorKind::Backend, message)
}

/// The file is closed, or is being opened anew.
pub(super) fn away(path: impl Display) -> Error {
    let message =
        format!("the file `{path}` is closed; after a failure it is opened again by itself");
    Error::new(ErrorKind::Unready, message)
}

/// Writes are not tried just now.
pub(super) fn paused(path: impl Display) -> Error {
    let message =
        format!("the file `{path}` could not be written a moment ago; writing is tried again soon");
    Error::new(ErrorKind::Unready, message)
}

/// Nobody has answered.
pub(super) fn late(path: impl Display) -> Error {
    let message = format!("the disk with the file `{path}` did not answer in time");
    Error::new(ErrorKind::Timeout, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let kind = |error: io::ErrorKind| {
            let failure = Failure::File(redb::Error::Io(error.into()));
            let error = told(failure, Path::new("/cache.redb"));
            assert!(error.to_string().contains("/cache.redb"), "{error}");
            error.kind()
        };
        assert_eq!(kind(io::ErrorKind::StorageFull), ErrorKind::Unready);
        assert_eq!(kind(io::ErrorKind::FileTooLarge), ErrorKind::Unready);
        assert_eq!(kind(io::ErrorKind::Other), ErrorKind::Backend);
    }
}
