//! What the server's clock says, as far as one can know it from here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};

/// How long a sample is preferred to one that was taken over a slower round trip. Bounds how long
/// a step of the server's clock goes unnoticed.
const SAMPLE_LIFETIME: Duration = Duration::from_secs(10);

/// Bounds on the server's clock, from the times that it has told.
pub(super) struct ServerTime {
    clock: Clock,
    epoch: Instant,
    known: Mutex<Known>,
}

struct Known {
    best: Option<Sample>,
    /// What was sent before went to another server, whose clock has nothing to say any more.
    since: Option<Instant>,
}

/// Microseconds by which the server's clock is ahead of `epoch`: at least and at most.
#[derive(Clone, Copy)]
struct Sample {
    least: i64,
    most: i64,
    taken: Instant,
}

impl ServerTime {
    /// `clock` is the one that entries are judged by; bounds are kept by the machine's own.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            epoch: Instant::now(),
            known: Mutex::new(Known {
                best: None,
                since: None,
            }),
        }
    }

    /// Another server takes the place of the last one: this is what it told between `sent` and
    /// now.
    pub(super) fn start_over(&self, sent: Instant, server: Timestamp) {
        let sample = self.sampled(sent, server);
        *self.known() = Known {
            best: Some(sample),
            since: Some(Instant::now()),
        };
    }

    /// Takes in what the server told between `sent` and now.
    pub(super) fn observe(&self, sent: Instant, server: Timestamp) {
        let sample = self.sampled(sent, server);
        let mut known = self.known();
        let concerns = known.since.is_none_or(|since| sent >= since);
        if concerns && known.best.is_none_or(|best| sample.replaces(best)) {
            known.best = Some(sample);
        }
    }

    fn sampled(&self, sent: Instant, server: Timestamp) -> Sample {
        let received = Instant::now();
        let server = i64::try_from(server.as_micros()).unwrap_or(i64::MAX);
        Sample {
            least: server.saturating_sub(self.since_epoch(received)),
            most: server.saturating_sub(self.since_epoch(sent)),
            taken: received,
        }
    }

    /// Whether the server has told the time yet.
    pub(super) fn is_known(&self) -> bool {
        self.sample().is_some()
    }

    /// The millisecond of the server's clock that comes no later than `until`; `None` if the
    /// server has not told the time yet.
    pub(super) fn deadline(&self, until: Instant) -> Option<u64> {
        let sample = self.sample()?;
        let deadline = self.since_epoch(until).saturating_add(sample.least);
        u64::try_from(deadline / 1_000).ok()
    }

    /// A moment of the server's, in whole milliseconds, on the clock that entries are judged by.
    /// Where it is not known exactly, the earlier: an entry seems to expire sooner, never later.
    pub(super) fn local(&self, server_millis: u64) -> Timestamp {
        let most = self.sample().map_or(0, |sample| sample.most);
        let server_now = self.since_epoch(Instant::now()).saturating_add(most);
        let moment = i64::try_from(server_millis.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let ahead = moment.saturating_sub(server_now);
        let now = self.clock.now().as_micros();
        Timestamp::from_micros(now.saturating_add_signed(ahead))
    }

    fn sample(&self) -> Option<Sample> {
        self.known().best
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since_epoch(&self, moment: Instant) -> i64 {
        micros(moment.saturating_duration_since(self.epoch))
    }
}

impl Sample {
    fn replaces(self, best: Self) -> bool {
        let outlived = self.taken.saturating_duration_since(best.taken) > SAMPLE_LIFETIME;
        outlived || self.most - self.least <= best.most - best.least
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_from_the_server_there_is_no_deadline() {
        let time = ServerTime::new(Clock::system());
        assert!(!time.is_known());
        assert_eq!(time.deadline(Instant::now()), None);
    }

    #[test]
    fn a_deadline_is_never_later_than_the_span_after_the_servers_now() {
        let time = ServerTime::new(Clock::system());
        let sent = Instant::now();
        time.observe(sent, Timestamp::from_millis(5_000_000));
        let until = Instant::now() + Duration::from_secs(1);
        let deadline = time.deadline(until).unwrap();
        let elapsed = u64::try_from(sent.elapsed().as_millis()).unwrap();
        assert!(deadline <= 5_000_000 + 1_000 + elapsed);
        assert!(deadline >= 5_000_000 + 999);
    }

    #[test]
    fn another_servers_clock_counts_from_the_change_on_however_slow_it_told_the_time() {
        let time = ServerTime::new(Clock::system());
        let before = Instant::now();
        time.observe(before, Timestamp::from_millis(9_000_000));
        let slow = before.checked_sub(Duration::from_millis(200)).unwrap();
        time.start_over(slow, Timestamp::from_millis(5_000_000));
        // An answer of the old server that was on its way.
        time.observe(before, Timestamp::from_millis(9_000_000));
        let until = Instant::now() + Duration::from_secs(1);
        let deadline = time.deadline(until).unwrap();
        assert!(deadline < 6_000_000, "{deadline}");
    }

    #[test]
    fn an_entry_seems_to_expire_no_later_than_it_does() {
        let time = ServerTime::new(Clock::system());
        let sent = Instant::now() - Duration::from_millis(200);
        time.observe(sent, Timestamp::from_millis(5_000_000));
        let before = Clock::system().now();
        let left = time.local(5_001_000).since(before);
        assert!(left <= Duration::from_secs(1), "{left:?}");
    }
}
