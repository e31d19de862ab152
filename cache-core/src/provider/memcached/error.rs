//! What goes wrong between here and the server, in the cache's own terms.

use std::io;

use super::reply::Refusal;
use crate::error::{Error, ErrorKind};

/// A setting is wrong.
pub(super) fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

/// Nothing has been sent.
pub(super) fn unreachable(error: io::Error) -> Error {
    Error::new(ErrorKind::Connection, "no connection to the server")
        .with_source(error)
        .without_effect()
}

/// What was asked for may have been done, or may yet be.
pub(super) fn broken() -> Error {
    let message = "the connection to the server broke, or answered with what nobody had asked";
    Error::new(ErrorKind::Connection, message)
}

/// Like [`broken`]: the answer is none that the request can have.
pub(super) fn unusable() -> Error {
    Error::new(ErrorKind::Connection, "the server's answer cannot be used")
}

pub(super) fn timed_out() -> Error {
    let message = "the server did not answer in time; whether it acted is unknown";
    Error::new(ErrorKind::Timeout, message)
}

/// What speaks there is no memcached, or too old a one.
pub(super) fn unspoken() -> Error {
    let message = "the server does not know the meta commands; memcached 1.6.18 or later is needed";
    Error::new(ErrorKind::Backend, message)
}

/// The connection has been given up for a newer one, whose word counts.
pub(super) fn replaced() -> Error {
    let message = "the connection was replaced by another one meanwhile; it is tried again";
    Error::new(ErrorKind::Connection, message)
}

/// Others kept changing the item.
pub(super) fn contended() -> Error {
    let message = "others changed the item each time before this operation got through";
    Error::new(ErrorKind::Unready, message)
}

/// Without CAS numbers nothing here works.
pub(super) fn without_cas() -> Error {
    configuration(
        "the server gives no CAS numbers, without which nothing can be invalidated; \
         start memcached without -C",
    )
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let (kind, message) = match refusal {
            Refusal::TooLarge => (
                ErrorKind::Backend,
                "the value is too large for the server; its limit for an item is set by \
                 memcached's -I, and is 1 MiB by default",
            ),
            Refusal::Full => (
                ErrorKind::Unready,
                "the server's memory is full, so it refuses to store more",
            ),
            Refusal::Other => (ErrorKind::Backend, "the server refused the command"),
        };
        Self::new(kind, message).without_effect()
    }
}
