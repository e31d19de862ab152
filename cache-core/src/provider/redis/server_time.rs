//! What the server's clock says, as far as one can know it from here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};

/// How long a sample is preferred to one that was taken over a slower round trip. Bounds how long
/// the drift of the two clocks goes unnoticed; a step of either is noticed at once.
const SAMPLE_LIFETIME: Duration = Duration::from_secs(10);

/// Bounds on one server's clock, from the times that it has told.
pub(super) struct ServerTime {
    clock: Clock,
    /// What was sent before went to another server, whose clock has nothing to say here.
    epoch: Instant,
    best: Mutex<Option<Sample>>,
}

/// Microseconds by which the server's clock is ahead of `epoch`: at least and at most.
#[derive(Clone, Copy)]
struct Sample {
    least: i64,
    most: i64,
    sent: Instant,
    taken: Instant,
}

/// What a server's clock said at some moment between two of this machine's.
#[derive(Clone, Copy)]
pub(super) struct Told {
    sent: Instant,
    received: Instant,
    server: Timestamp,
}

impl ServerTime {
    /// The clock of a server that has not told the time yet. `clock` is the one that entries are
    /// judged by; bounds are kept by the machine's own.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            epoch: Instant::now(),
            best: Mutex::default(),
        }
    }

    /// The clock of a server that takes another's place now, and that told this when it was asked
    /// before.
    pub(super) fn told_before(clock: Clock, told: Told) -> Self {
        let time = Self::new(clock);
        *time.best() = Some(time.sample_of(told));
        time
    }

    /// Takes in what was told between `sent` and now, if it was sent to this server.
    pub(super) fn observe(&self, sent: Instant, server: Timestamp) {
        self.take_in(Told::since(sent, server));
    }

    fn take_in(&self, told: Told) {
        if told.sent < self.epoch {
            return;
        }
        let sample = self.sample_of(told);
        let mut best = self.best();
        if best.is_none_or(|best| sample.replaces(best)) {
            *best = Some(sample);
        }
    }

    fn sample_of(&self, told: Told) -> Sample {
        let server = i64::try_from(told.server.as_micros()).unwrap_or(i64::MAX);
        Sample {
            least: server.saturating_sub(self.since_epoch(told.received)),
            most: server.saturating_sub(self.since_epoch(told.sent)),
            sent: told.sent,
            taken: told.received,
        }
    }

    /// Whether the server has told the time yet.
    pub(super) fn is_known(&self) -> bool {
        self.best().is_some()
    }

    /// The millisecond of the server's clock that comes no later than `until`; `None` if the
    /// server has not told the time yet.
    pub(super) fn deadline(&self, until: Instant) -> Option<u64> {
        let sample = (*self.best())?;
        let deadline = self.since_epoch(until).saturating_add(sample.least);
        u64::try_from(deadline / 1_000).ok()
    }

    /// Says of moments of the server's, in whole milliseconds, when they are on the clock that
    /// entries are judged by. Where that is not known exactly, the earlier: an entry seems to
    /// expire sooner, never later.
    pub(super) fn local(&self) -> impl Fn(u64) -> Timestamp + use<> {
        let best = *self.best();
        let now = self.clock.now().as_micros();
        let elapsed = self.since_epoch(Instant::now());
        let server_now = best.map(|sample| elapsed.saturating_add(sample.most));
        move |server_millis| {
            let Some(server_now) = server_now else {
                return Timestamp::from_micros(0);
            };
            let moment = i64::try_from(server_millis.saturating_mul(1_000)).unwrap_or(i64::MAX);
            Timestamp::from_micros(now.saturating_add_signed(moment.saturating_sub(server_now)))
        }
    }

    fn best(&self) -> MutexGuard<'_, Option<Sample>> {
        self.best.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Negative for what was before.
    fn since_epoch(&self, moment: Instant) -> i64 {
        let after = micros(moment.saturating_duration_since(self.epoch));
        after - micros(self.epoch.saturating_duration_since(moment))
    }
}

impl Told {
    /// What was told between `sent` and now.
    pub(super) fn since(sent: Instant, server: Timestamp) -> Self {
        Self {
            sent,
            received: Instant::now(),
            server,
        }
    }
}

impl Sample {
    fn replaces(self, best: Self) -> bool {
        let outlived = self.taken.saturating_duration_since(best.taken) > SAMPLE_LIFETIME;
        outlived || self.width() <= best.width() || self.disproves(best)
    }

    /// Whether a clock was stepped between the two. An answer that was on its way meanwhile may be
    /// the older one.
    fn disproves(self, best: Self) -> bool {
        let agrees = self.least <= best.most && best.least <= self.most;
        self.sent >= best.taken && !agrees
    }

    fn width(self) -> i64 {
        self.most.saturating_sub(self.least)
    }
}

/// The moment that `TIME` answers: seconds, and microseconds.
pub(super) fn told((seconds, micros): (u64, u64)) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(200);
    const HOUR: Duration = Duration::from_secs(3_600);
    const SPAN: Duration = Duration::from_secs(1);

    fn time() -> ServerTime {
        ServerTime::new(Clock::system())
    }

    impl ServerTime {
        /// Takes in what was asked so long after the beginning, and answered in the middle of the
        /// round trip by a clock that is ahead by so much.
        fn hear(&self, asked: Duration, round_trip: Duration, ahead: Duration) {
            let sent = self.epoch + asked;
            self.take_in(Told {
                sent,
                received: sent + round_trip,
                server: Timestamp::from_micros(0).saturating_add(asked + round_trip / 2 + ahead),
            });
        }

        /// How far ahead the server's clock is, at least.
        fn ahead(&self) -> Duration {
            Duration::from_millis(self.deadline(self.epoch).unwrap())
        }
    }

    #[test]
    fn without_a_word_from_the_server_there_is_no_deadline() {
        assert!(!time().is_known());
        assert_eq!(time().deadline(Instant::now()), None);
    }

    #[test]
    fn without_a_word_from_the_server_everything_has_expired() {
        assert!(time().local()(u64::MAX) < Clock::system().now());
    }

    #[test]
    fn a_deadline_is_never_later_than_the_span_after_the_servers_now() {
        let time = time();
        time.observe(Instant::now(), Timestamp::from_millis(5_000_000));
        let deadline = time.deadline(Instant::now() + SPAN).unwrap();
        let elapsed = u64::try_from(time.epoch.elapsed().as_millis()).unwrap();
        assert!(deadline <= 5_000_000 + 1_000 + elapsed);
        assert!(deadline >= 5_000_000 + 999);
    }

    #[test]
    fn a_server_that_takes_anothers_place_has_its_own_clock_however_slow_it_told_the_time() {
        let sent = Instant::now().checked_sub(ROUND_TRIP).unwrap();
        let told = Told::since(sent, Timestamp::from_millis(5_000_000));
        let time = ServerTime::told_before(Clock::system(), told);
        let deadline = time.deadline(Instant::now() + SPAN).unwrap();
        assert!((5_000_999..5_002_000).contains(&deadline), "{deadline}");
    }

    #[test]
    fn an_answer_to_what_was_sent_to_its_predecessor_says_nothing_of_its_clock() {
        let before = Instant::now();
        let told = Told::since(before, Timestamp::from_millis(5_000_000));
        let time = ServerTime::told_before(Clock::system(), told);
        time.observe(before, Timestamp::from_millis(9_000_000));
        let deadline = time.deadline(Instant::now() + SPAN).unwrap();
        assert!(deadline < 6_000_000, "{deadline}");
    }

    #[test]
    fn an_entry_seems_to_expire_no_later_than_it_does() {
        let sent = Instant::now().checked_sub(ROUND_TRIP).unwrap();
        let told = Told::since(sent, Timestamp::from_millis(5_000_000));
        let time = ServerTime::told_before(Clock::system(), told);
        let before = Clock::system().now();
        let left = time.local()(5_001_000).since(before);
        // Three clock readings, each in whole microseconds.
        let rounding = Duration::from_micros(3);
        assert!(left <= SPAN - ROUND_TRIP + rounding, "{left:?}");
        assert!(
            left + rounding >= SPAN.saturating_sub(sent.elapsed()),
            "{left:?}"
        );
    }

    #[test]
    fn a_step_of_the_clock_counts_at_once_in_either_direction() {
        for stepped in [HOUR / 2, HOUR * 2] {
            let time = time();
            time.hear(Duration::ZERO, Duration::ZERO, HOUR);
            time.hear(SPAN, ROUND_TRIP, stepped);
            assert_eq!(time.ahead(), stepped - ROUND_TRIP / 2);
        }
    }

    #[test]
    fn an_answer_that_was_under_way_when_the_clock_was_stepped_does_not_undo_the_step() {
        let time = time();
        time.hear(SPAN, Duration::ZERO, HOUR * 2);
        time.hear(SPAN - ROUND_TRIP / 2, ROUND_TRIP, HOUR);
        assert_eq!(time.ahead(), HOUR * 2);
    }

    #[test]
    fn a_slower_answer_that_agrees_leaves_the_faster_one_for_ten_seconds() {
        let time = time();
        time.hear(Duration::ZERO, Duration::ZERO, HOUR);
        time.hear(SPAN, ROUND_TRIP, HOUR);
        assert_eq!(time.ahead(), HOUR);
        time.hear(SAMPLE_LIFETIME, ROUND_TRIP, HOUR);
        assert_eq!(time.ahead(), HOUR - ROUND_TRIP / 2);
    }

    #[test]
    fn a_clock_that_is_out_of_range_stays_there() {
        let end = super::told((u64::MAX, u64::MAX));
        assert_eq!(end.as_micros(), u64::MAX);
        let time = time();
        time.observe(Instant::now(), end);
        assert!(time.deadline(Instant::now()).is_some());
    }
}
