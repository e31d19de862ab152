//! What the redis crate reports, in the cache's own terms.

use ::redis::{ErrorKind as Reported, ParsingError, RedisError};

use crate::error::{Error, ErrorKind};

/// What is said of a reply that does not fit its command.
const UNUSABLE: &str = "the server's answer cannot be used";

/// Errors by their kind. The source is the crate's error, which carries no password.
pub(super) fn from_redis(error: RedisError) -> Error {
    let (kind, message) = describe(&error);
    let had_no_effect = error.is_connection_refusal() || is_refusal(&error);
    let described = Error::new(kind, message).with_source(error);
    match had_no_effect {
        true => described.without_effect(),
        false => described,
    }
}

/// Whether the server has refused a command or a script before it did anything.
fn is_refusal(error: &RedisError) -> bool {
    let by_server = matches!(error.kind(), Reported::Server(_) | Reported::Extension);
    // A script that fails halfway is an `ERR`, or what its last command says.
    by_server && !matches!(error.code(), None | Some("ERR" | "WRONGTYPE"))
}

/// A reply of another shape than the command has. The parser's error quotes the reply, which can
/// hold values, so it goes no further.
pub(super) fn unexpected(_: ParsingError) -> Error {
    unusable()
}

/// A reply that cannot be the one to its call, or not all of it. What was asked for may have been
/// done by now, so this is no refusal.
pub(super) fn unusable() -> Error {
    Error::new(ErrorKind::Connection, UNUSABLE)
}

/// What the caller waited for did not come in time.
pub(super) fn timed_out(what: &str) -> Error {
    let message = format!("{what} in time; whether the server acted is unknown");
    Error::new(ErrorKind::Timeout, message)
}

/// The server reached a write after its deadline and left everything as it was.
pub(super) fn too_late() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "the server came to the write after its deadline and refused it",
    )
    .without_effect()
}

/// What the server has taken, its successor does not know of.
pub(super) fn overtaken() -> Error {
    Error::new(
        ErrorKind::Unready,
        "the server's state was lost as it answered; it is tried again",
    )
}

/// A setting is wrong.
pub(super) fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

fn describe(error: &RedisError) -> (ErrorKind, &'static str) {
    match error.kind() {
        _ if error.is_timeout() => (ErrorKind::Timeout, "the server did not answer in time"),
        #[cfg(feature = "tls")]
        _ if is_tls(error) => (
            ErrorKind::Connection,
            "client and server came to no terms on TLS: a certificate is not accepted, or one side does not speak it",
        ),
        Reported::Io => (ErrorKind::Connection, "no connection to the server"),
        Reported::AuthenticationFailed => (
            ErrorKind::Configuration,
            "the server refused the user name or the password of the URL",
        ),
        Reported::InvalidClientConfig => (
            ErrorKind::Configuration,
            "the connection's settings are wrong",
        ),
        Reported::Server(_) | Reported::Extension => refusal(error.code()),
        _ if error.is_connection_dropped() => {
            (ErrorKind::Connection, "the connection to the server broke")
        }
        _ => (ErrorKind::Connection, UNUSABLE),
    }
}

#[cfg(feature = "tls")]
fn is_tls(error: &RedisError) -> bool {
    // The crate keeps its cause behind an `Arc`, which is what `source` returns.
    type Cause = std::sync::Arc<dyn std::error::Error + Send + Sync>;
    let cause = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<Cause>())
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref);
    match cause {
        Some(cause) => cause.is::<rustls::Error>(),
        None => false,
    }
}

/// What the server's error codes mean to somebody who runs a cache.
fn refusal(code: Option<&str>) -> (ErrorKind, &'static str) {
    let unready = |message| (ErrorKind::Unready, message);
    match code {
        Some("OOM") => {
            unready("the server's memory is full (maxmemory), so it refuses to store more")
        }
        Some("READONLY") => unready("the server is a read-only replica; connect to the primary"),
        Some("LOADING") => unready("the server is still loading its data"),
        Some("MISCONF") => unready("the server cannot save its data, so it refuses to store more"),
        Some("BUSY") => unready("the server is busy with a script"),
        Some("NOREPLICAS") => unready("the server has lost the replicas that it must write to"),
        Some("MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "UNBLOCKED" | "MOVED" | "ASK") => {
            unready("the servers are changing roles")
        }
        Some("NOAUTH") => (
            ErrorKind::Backend,
            "the server asks for a password; put it into the URL",
        ),
        Some("NOPERM") => (
            ErrorKind::Backend,
            "the user may not run what the cache needs: EVALSHA, SCRIPT, INFO, reads, writes, streams",
        ),
        _ => (ErrorKind::Backend, "the server refused the command"),
    }
}
