//! Counting calls against limits: what a provider that can do it has to promise.

use std::time::Duration;

use super::{BoxFuture, Provider};
use crate::error::{Error, ErrorKind, Result};

/// The largest limit: counts up to here are exact in the numbers that scripts on Redis have.
const MAX_LIMIT: u64 = (1 << 53) - 1;
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// How many parts of a sliding window are told apart.
const PARTS: u64 = 60;

/// How many calls are allowed in how long a time.
///
/// | | [`fixed_window`](Self::fixed_window) | [`sliding_window`](Self::sliding_window) |
/// |---|---|---|
/// | begins | with the first call that is allowed after the last window has ended | does not: it is the time before each call |
/// | at most `limit` in | each window; the end of one and the beginning of the next can be close, so up to `2 * limit` in a time of a window's length | any time of a window's length |
/// | a call counts for | what is left of its window | a window, and at most a sixtieth of one more |
/// | is kept for each key | two numbers | two numbers for each sixtieth of the window in which there were calls |
///
/// The sliding window is exact as long as calls come a sixtieth of the window apart. Those that
/// come closer are counted together, up to the last of them: some count a little too long, none too
/// short. (It is the log of all calls, which is exact and of any length, with neighbours put
/// together; not the weighted count of two fixed windows, which is smaller, but guesses and can
/// allow more.)
///
/// ```
/// use cache_core::RateLimit;
/// use std::time::Duration;
///
/// let logins = RateLimit::sliding_window(5, Duration::from_secs(60));
/// assert_eq!((logins.limit(), logins.window()), (5, Duration::from_secs(60)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    kind: WindowKind,
    limit: u64,
    window: Duration,
}

/// How a window lies in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// It begins with a call and ends a window's length later, with all that it has counted.
    Fixed,
    /// It is always the time just before now; each call leaves it by itself.
    Sliding,
}

impl RateLimit {
    /// At most `limit` calls in a window that begins with the first of them.
    pub const fn fixed_window(limit: u64, window: Duration) -> Self {
        Self {
            kind: WindowKind::Fixed,
            limit,
            window,
        }
    }

    /// At most `limit` calls in any time as long as `window`.
    pub const fn sliding_window(limit: u64, window: Duration) -> Self {
        Self {
            kind: WindowKind::Sliding,
            limit,
            window,
        }
    }

    /// How the window lies in time.
    pub const fn kind(&self) -> WindowKind {
        self.kind
    }

    /// The most that is allowed; 0 allows nothing.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The window's length.
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// Whether it is one that every provider can keep exactly.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the window is shorter than 1 ms or longer than 366 days, or
    /// the limit is 2^53 or more.
    pub fn validate(&self) -> Result<()> {
        let wrong = |message| Err(Error::new(ErrorKind::Configuration, message));
        if !(SHORTEST..=LONGEST).contains(&self.window) {
            let window = self.window;
            return wrong(format!(
                "a rate limit's window has 1 ms to 366 days, not {window:?}"
            ));
        }
        if self.limit > MAX_LIMIT {
            return wrong(format!("a rate limit is at most {MAX_LIMIT} (2^53 - 1)"));
        }
        Ok(())
    }

    /// The window in whole microseconds.
    pub(crate) fn window_micros(&self) -> u64 {
        u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX)
    }

    /// How long a time is counted as one, in microseconds. Rounded up, so that there are no more parts
    /// than `limit.lua` takes.
    pub(crate) fn part_micros(&self) -> u64 {
        match self.kind {
            WindowKind::Fixed => self.window_micros(),
            WindowKind::Sliding => self.window_micros().div_ceil(PARTS),
        }
    }

    /// Where the count of `key` is kept. Windows of other lengths or kinds are kept apart; the
    /// limit may change from one call to the next. The braces keep it apart from entries, all of
    /// whose keys begin with the deployment's prefix.
    pub(crate) fn place(&self, key: &str) -> String {
        let kind = match self.kind {
            WindowKind::Fixed => 'f',
            WindowKind::Sliding => 's',
        };
        format!("{{{key}}}:{kind}{}", self.window_micros())
    }
}

/// Whether a call is allowed, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the call may go on. It has been counted then, and not otherwise.
    pub allowed: bool,
    /// The most that is allowed in one window.
    pub limit: u64,
    /// How much more would be allowed now.
    pub remaining: u64,
    /// How long until nothing is counted any more, so that all of `limit` is there again, if nobody
    /// calls meanwhile: for a fixed window its end, for a sliding one when the last call has left
    /// it. Zero if nothing is counted.
    pub resets_after: Duration,
    /// How long until a call like this one would be allowed, if nobody else calls meanwhile; `None`
    /// if it is allowed, or will never be because it costs more than `limit`.
    pub retry_after: Option<Duration>,
}

/// A provider that counts calls against limits.
///
/// What is counted is no entry: no read, scan or invalidation of entries sees or changes it, and it
/// goes by itself when nothing is counted any more.
pub trait Limits: Send + Sync {
    /// Counts a call of this cost at `key` if that does not go beyond the limit, in one atomic step
    /// and by one clock for all who share the backend. Counts nothing if it does. A cost of 0
    /// counts nothing either, and is judged as one of 1.
    ///
    /// `limit` has passed [`RateLimit::validate`]. A cost beyond the limit is denied, and never
    /// overflows. Time that goes back makes what is counted last longer.
    ///
    /// Dropping the future leaves the call counted or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unready`] if there is no room to count at a new key. What the backend answers;
    /// after an error the call may have been counted.
    fn check<'a>(
        &'a self,
        key: &'a str,
        limit: RateLimit,
        cost: u64,
    ) -> BoxFuture<'a, Result<Decision>>;

    /// Forgets what is counted at `key` in windows of this length and kind: whether there was any.
    fn reset<'a>(&'a self, key: &'a str, limit: RateLimit) -> BoxFuture<'a, Result<bool>>;
}

/// What counts calls for this provider.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] if it cannot.
pub(crate) fn limits_of(provider: &dyn Provider) -> Result<&dyn Limits> {
    let message = "this provider cannot count calls; put rate limits on memory or Redis";
    let missing = || Error::new(ErrorKind::Unsupported, message);
    provider.limits().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sliding_window_has_no_more_parts_than_it_is_told_to() {
        for micros in (1_000..10_000).chain([60_000_000, 86_400_000_001]) {
            let limit = RateLimit::sliding_window(1, Duration::from_micros(micros));
            let part = limit.part_micros();
            assert!(part * PARTS >= micros && (part - 1) * PARTS < micros);
        }
    }
}
