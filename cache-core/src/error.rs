//! The one error type: what was attempted, on what, and what would work.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, coarsely enough to decide what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key is empty or longer than [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES).
    InvalidKey,
    /// The pattern is empty, too long, or not a complete glob.
    InvalidPattern,
    /// A tag is empty, too long, or begins with a NUL, or there are too many of them.
    InvalidTag,
    /// The value could not be turned into bytes.
    Encode,
    /// Stored bytes could not be turned back into the value.
    Decode,
    /// The operation does not fit what is stored, such as incrementing text.
    WrongType,
    /// A counter would leave the range of `i64`.
    Overflow,
    /// The backend could not be reached, the connection broke, or what came over it made no sense.
    Connection,
    /// The backend did not answer in time; whether it acted is unknown.
    Timeout,
    /// The backend answered with an error that does not pass by itself.
    Backend,
    /// The backend answered that it cannot do it now: it is loading its data, full, or no longer
    /// the primary.
    Unready,
    /// This provider cannot do that.
    Unsupported,
    /// A setting is wrong.
    Configuration,
}

impl ErrorKind {
    /// The kind's name in metrics and traces, such as `timeout` or `wrong_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid_key",
            Self::InvalidPattern => "invalid_pattern",
            Self::InvalidTag => "invalid_tag",
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::WrongType => "wrong_type",
            Self::Overflow => "overflow",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Backend => "backend",
            Self::Unready => "unready",
            Self::Unsupported => "unsupported",
            Self::Configuration => "configuration",
        }
    }
}

/// An operation on the cache that did not succeed.
///
/// `Display` prints this level only; [`source`](StdError::source) has the rest. Messages name
/// the provider and the operation, never keys or values, which may hold personal data; the
/// [`namespace`](Self::namespace) has to be asked for.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    provider: &'static str,
    namespace: Box<str>,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    #[cfg(any(feature = "memcached", feature = "redis"))]
    had_no_effect: bool,
}

/// `Result` with the cache's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` says what was wrong and what would work.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: "",
            provider: "",
            namespace: Box::default(),
            message: message.into(),
            source: None,
            #[cfg(any(feature = "memcached", feature = "redis"))]
            had_no_effect: false,
        }))
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the operation and the provider, unless an inner level has named them already.
    #[must_use]
    pub fn during(mut self, operation: &'static str, provider: &'static str) -> Self {
        if self.0.operation.is_empty() {
            self.0.operation = operation;
            self.0.provider = provider;
        }
        self
    }

    /// Adds the namespace, unless an inner level has named it already.
    #[must_use]
    pub(crate) fn within(mut self, namespace: &str) -> Self {
        if self.0.namespace.is_empty() {
            self.0.namespace = namespace.into();
        }
        self
    }

    /// Says that the backend has not done what it was told, and will not.
    #[cfg(any(feature = "memcached", feature = "redis"))]
    #[must_use]
    pub(crate) fn without_effect(mut self) -> Self {
        self.0.had_no_effect = true;
        self
    }

    /// Says that the backend may have done a part of what it was told.
    #[cfg(feature = "redis")]
    #[must_use]
    pub(crate) fn with_some_effect(mut self) -> Self {
        self.0.had_no_effect = false;
        self
    }

    /// Whether the backend certainly has not done what it was told.
    #[cfg(any(feature = "memcached", feature = "redis"))]
    pub(crate) fn had_no_effect(&self) -> bool {
        self.0.had_no_effect
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, such as `"get"`; empty when none was under way.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The provider's name, such as `"redis"`; empty when none was involved.
    pub fn provider(&self) -> &'static str {
        self.0.provider
    }

    /// The namespace that it was for, as it is stored: `tenant/123`; empty for the root and when
    /// none was involved.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Whether the same call may succeed later without any change to it.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Unready
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.operation.is_empty() {
            write!(f, "{} on {}: ", self.0.operation, self.0.provider)?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("provider", &self.0.provider)
            .field("namespace", &self.0.namespace)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_prints_this_level_and_source_the_rest() {
        let cause = std::io::Error::other("connection refused");
        let error = Error::new(ErrorKind::Connection, "no connection")
            .with_source(cause)
            .during("get", "redis")
            .during("outer", "other");
        assert_eq!(error.to_string(), "get on redis: no connection");
        assert_eq!(error.source().unwrap().to_string(), "connection refused");
        assert!(error.is_retryable());
    }
}
