//! Read policies: what may be shown stale, when it is loaded anew, and how long anybody waits.

use std::time::Duration;

use crate::random;
use crate::terms::Ttl;

/// What a cache does beyond loading what is not there: shows stale values for a while, loads early,
/// waits no longer than it was told.
///
/// Without a policy an entry is gone when its time to live has passed, and callers wait for a load
/// as long as it takes. [`CacheBuilder::policy`](crate::CacheBuilder::policy) is for all handles on
/// a cache, [`Cache::with_policy`](crate::Cache::with_policy) for one.
///
/// ```
/// use cache_core::{Cache, MemoryProvider, Policy};
/// use std::time::Duration;
///
/// # fn example() -> Result<(), cache_core::Error> {
/// let policy = Policy::new()
///     .stale_while_revalidate(Duration::from_secs(30))
///     .stale_if_error(Duration::from_secs(3_600))
///     .soft_timeout(Duration::from_millis(200))
///     .jitter(0.1);
/// let cache = Cache::builder(MemoryProvider::new()).policy(policy).build()?;
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
///
/// # The options
///
/// *Owned* loads are those of [`get_or_load`](crate::Cache::get_or_load), which can go on in a task
/// of their own. *Borrowed* ones are those of [`get_or_set`](crate::Cache::get_or_set) and of
/// `#[cached]` functions, which end with their caller.
///
/// | option | default | unit | applies to | together with others |
/// |---|---|---|---|---|
/// | [`stale_while_revalidate`](Self::stale_while_revalidate) | 0: off | time after the time to live | owned | comes before all that waits: who is shown a stale value at once needs no timeout |
/// | [`stale_if_error`](Self::stale_if_error) | 0: off | time after the time to live | owned, borrowed | after `stale_while_revalidate`, or beside it if that is shorter |
/// | [`retry_after`](Self::retry_after) | 1 s | time after a failed load | wherever something stale, or refreshed early, can be shown | also spaces out refreshes that fail |
/// | [`early_refresh`](Self::early_refresh) | 0: off | factor; 1 is customary | owned | a refresh like that of `stale_while_revalidate`, of a fresh value; needs no stale one |
/// | [`soft_timeout`](Self::soft_timeout) | none | time after the call | owned, where a stale value is kept | shows what one of the two `stale_…` allows; without either it has nothing to show |
/// | [`hard_timeout`](Self::hard_timeout) | none | time after the call | owned | an error, even where something stale is kept: that is what a shorter `soft_timeout` is for |
/// | [`load_timeout`](Self::load_timeout) | 30 s | time after its task began | owned loads in a task of their own | never shorter than `hard_timeout` |
/// | [`jitter`](Self::jitter) | 0: off | fraction of the time to live, 0 to 1 | what is loaded or set, but no counters, nor a time to live that `expire` or an update gives | shortens the fresh time only; the time that a value is kept stale begins earlier, and is as long |
/// | [`negative_ttl`](Self::negative_ttl) | as other values | time to live | owned, borrowed, `get_many_or_load` | a time to live of the result itself comes first; where this is set, a `None` is never shown stale; zero stores none, and takes a stale value away |
///
/// *Invalidation.* What was invalidated is not stale: no policy shows it, whatever was kept. A load
/// that began before the invalidation is not stored, be it in a task of its own.
///
/// *The distributed lock* ([`CacheBuilder::distributed_lock`](crate::CacheBuilder::distributed_lock)).
/// A load in a task of its own waits for another process's load as any other does, and its caller
/// does not wait longer than the timeouts say. What is stale stays readable for all processes while one
/// of them loads.
///
/// *Losing touch.* A node that has lost touch with its backend does not know what was invalidated, and
/// shows nothing stale.
///
/// *Tasks.* A refresh in the background is at most one per key and process, counts as
/// [`Metrics::refreshes`](crate::Metrics::refreshes), and ends with the runtime. A cache runs at most 1,000 at a
/// time: what else is stale or early is shown without one. Where there is no Tokio runtime it is a load in the foreground, and the timeouts do not apply. A panic in it is counted
/// as an error, logged, and leaves the key to the next caller. A load that does not end is dropped after
/// [`load_timeout`](Self::load_timeout), so tasks need a runtime whose timer is enabled.
///
/// *What is stored* is kept as long as the policy of the handle that stores it says: the longer of the two
/// `stale_…`. What was stored without a policy is gone when its time to live has passed. A load that succeeds and whose
/// result is not stored takes the stale value away: what is newer is known. The HTTP layer takes no
/// policy: it goes by RFC 9111.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct Policy {
    stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) retry_after: Duration,
    early_refresh: f64,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Option<Duration>,
    load_timeout: Duration,
    jitter: f64,
    pub(crate) negative_ttl: Option<Duration>,
}

impl Policy {
    /// A policy that changes nothing.
    pub fn new() -> Self {
        Self {
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            retry_after: Duration::from_secs(1),
            early_refresh: 0.0,
            soft_timeout: None,
            hard_timeout: None,
            load_timeout: Duration::from_secs(30),
            jitter: 0.0,
            negative_ttl: None,
        }
    }

    /// For this long after its time to live has passed, a value is shown at once, and loaded anew once
    /// in the background (RFC 5861, section 3). Default: zero; callers wait for the load.
    pub fn stale_while_revalidate(mut self, span: Duration) -> Self {
        self.stale_while_revalidate = span;
        self
    }

    /// For this long after its time to live has passed, a value is shown if the load fails with an
    /// `Err` (RFC 5861, section 4). It is not stored anew, and so it does not become fresh by that.
    /// Default: zero; callers get the error.
    pub fn stale_if_error(mut self, span: Duration) -> Self {
        self.stale_if_error = span;
        self
    }

    /// How long the stale value is shown without another attempt after a load has failed. Each process
    /// counts for itself, at most 4,096 keys at a time; beyond that it tries again earlier. Default: 1 s.
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = span;
        self
    }

    /// Loads a value in the background shortly before it expires: with a probability that rises the nearer the
    /// end, the longer its last load took, and the larger `beta` is, so that callers of a busy key never
    /// wait and do not all load at once. A read refreshes if `load time × beta × −ln(random)` is as long as
    /// what is left (XFetch; Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede
    /// Prevention, VLDB 2015). 1 is their recommendation; what is below 0, or no number, counts as 0.
    /// Default: 0; off.
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.early_refresh = beta.max(0.0);
        self
    }

    /// How long a caller for whom a stale value is kept waits for the load before he is shown that. The
    /// load goes on and is stored. Default: none; he waits.
    pub fn soft_timeout(mut self, span: Duration) -> Self {
        self.soft_timeout = Some(span);
        self
    }

    /// How long a call takes at most, whatever it waits for; then it is
    /// [`LoadError::Unfinished`](crate::LoadError::Unfinished). The load that he leads or follows goes on, for
    /// as long as [`load_timeout`](Self::load_timeout) says, and is stored. A key that cannot be stored is
    /// loaded without a limit. Default: none.
    pub fn hard_timeout(mut self, span: Duration) -> Self {
        self.hard_timeout = Some(span);
        self
    }

    /// How long a load goes on in a task of its own, be it one in the background, or one that a timeout
    /// may have outlived its caller; never shorter than the hard timeout. Then it is dropped and counted
    /// as an error, its key rests for [`retry_after`](Self::retry_after) like that of a failed one, and
    /// one of those who wait for it takes over. Who waits as its first caller gets
    /// [`LoadError::Unfinished`](crate::LoadError::Unfinished). Default: 30 s.
    pub fn load_timeout(mut self, span: Duration) -> Self {
        self.load_timeout = span;
        self
    }

    /// The largest part of a time to live that is taken off at random, so that what was stored at one
    /// moment does not expire at one moment. What is below 0, or no number, counts as 0, and what is above 1
    /// as 1. Default: 0.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = match fraction > 0.0 {
            true => fraction.min(1.0),
            false => 0.0,
        };
        self
    }

    /// The time to live of a loaded value that serde writes as `None`. Zero: it is not stored. Default: that
    /// of other values.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = Some(ttl);
        self
    }

    /// How long after it has expired an entry is of use.
    pub(crate) fn kept_for(&self) -> Duration {
        self.stale_while_revalidate.max(self.stale_if_error)
    }

    /// Whether a value that has been stale for so long is shown without waiting for its load.
    pub(crate) fn revalidates(&self, stale_for: Duration) -> bool {
        stale_for < self.stale_while_revalidate
    }

    /// How long a load goes on in a task of its own: no caller is to wait for one that was given up.
    pub(crate) fn load_limit(&self) -> Duration {
        self.load_timeout.max(self.hard_timeout.unwrap_or_default())
    }

    /// Whether a failed load has to be remembered.
    pub(crate) fn rests(&self) -> bool {
        self.early_refresh > 0.0 || !self.kept_for().is_zero()
    }

    /// Whether a fresh value is to be loaded already, with so much time left.
    pub(crate) fn is_early(&self, left: Option<Duration>, load_time: Duration) -> bool {
        let beta = self.early_refresh;
        if beta <= 0.0 || load_time.is_zero() {
            return false;
        }
        left.is_some_and(|left| {
            can_be_early(left, load_time, beta)
                && is_early(left, load_time, beta, random::fraction())
        })
    }

    /// A time to live with a random part taken off.
    pub(crate) fn jittered(&self, ttl: Ttl) -> Ttl {
        match ttl {
            Ttl::After(span) if self.jitter > 0.0 => {
                Ttl::After(shortened(span, self.jitter * random::fraction()))
            }
            ttl => ttl,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether any draw is early: not worth one where a value has just been stored, for all callers draw from
/// one number.
fn can_be_early(left: Duration, load_time: Duration, beta: f64) -> bool {
    left.as_secs_f64() < load_time.as_secs_f64() * beta * LARGEST_DRAW
}

/// More than `-ln` of the smallest fraction that is drawn, 2^-53.
const LARGEST_DRAW: f64 = 37.0;

/// XFetch. `random` is above 0 and at most 1.
fn is_early(left: Duration, load_time: Duration, beta: f64, random: f64) -> bool {
    load_time.as_secs_f64() * beta * -random.ln() >= left.as_secs_f64()
}

/// A span without this part of it; never nothing, which would not be stored.
fn shortened(span: Duration, part: f64) -> Duration {
    let rest = Duration::try_from_secs_f64(span.as_secs_f64() * (1.0 - part));
    rest.map_or(span, |rest| rest.clamp(span.min(SHORTEST), span))
}

/// No backend counts in less.
const SHORTEST: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_nearer_the_end_and_the_longer_the_load_the_earlier_it_is_refreshed() {
        // -ln(0.5) is 0.69.
        assert!(is_early(SECOND * 6, SECOND * 10, 1.0, 0.5));
        assert!(!is_early(SECOND * 7, SECOND * 10, 1.0, 0.5));
        assert!(is_early(SECOND * 7, SECOND * 11, 1.0, 0.5));
        assert!(is_early(SECOND * 7, SECOND * 10, 1.1, 0.5));
        assert!(!is_early(SECOND, SECOND * 10, 1.0, 1.0), "never at once");
    }

    #[test]
    fn nothing_is_drawn_where_no_draw_is_early() {
        let smallest = 2_f64.powi(-53);
        for (left, can) in [(36, true), (37, false), (38, false)] {
            assert_eq!(can_be_early(SECOND * left, SECOND, 1.0), can, "{left}");
            assert!(can || !is_early(SECOND * left, SECOND, 1.0, smallest));
        }
        assert!(is_early(SECOND * 36, SECOND, 1.0, smallest));
    }

    #[test]
    fn the_probability_of_an_early_refresh_is_that_of_the_paper() {
        let policy = Policy::new().early_refresh(2.0);
        let draws = 20_000;
        let early = (0..draws)
            .filter(|_| policy.is_early(Some(SECOND * 3), SECOND))
            .count();
        // exp(-left / (load time × beta)) is 0.2231; five standard deviations are 0.0148.
        let share = early as f64 / f64::from(draws);
        assert!((0.208..0.238).contains(&share), "{share}");
    }

    #[test]
    fn what_was_not_loaded_or_does_not_expire_is_not_refreshed_early() {
        let policy = Policy::new().early_refresh(1e300);
        assert!(policy.is_early(Some(SECOND), SECOND));
        assert!(!policy.is_early(Some(SECOND), Duration::ZERO));
        assert!(!policy.is_early(None, SECOND));
        for beta in [0.0, -1.0, f64::NAN] {
            let policy = Policy::new().early_refresh(beta);
            assert!(!policy.is_early(Some(Duration::ZERO), SECOND), "{beta}");
        }
    }

    #[test]
    fn jitter_takes_off_at_most_its_part_and_not_always_the_same() {
        let policy = Policy::new().jitter(0.2);
        let spans: Vec<_> = (0..1_000)
            .filter_map(|_| policy.jittered(Ttl::After(SECOND * 100)).span())
            .collect();
        let (least, most) = (spans.iter().min().unwrap(), spans.iter().max().unwrap());
        assert!(*least >= SECOND * 80 && *most <= SECOND * 100);
        assert!(*least < SECOND * 82 && *most > SECOND * 98);
    }

    #[test]
    fn jitter_leaves_what_has_no_span_and_never_takes_all() {
        let policy = Policy::new().jitter(7.0);
        assert_eq!(policy.jittered(Ttl::Never), Ttl::Never);
        assert!(policy.jittered(Ttl::After(Duration::ZERO)).is_zero());
        assert_eq!(shortened(SECOND, 1.0), SHORTEST);
        assert_eq!(shortened(Duration::MAX, 0.0), Duration::MAX);
        let nothing = Policy::new().jitter(f64::NAN);
        assert_eq!(nothing.jittered(SECOND.into()), SECOND.into());
    }
}
