//! The connection to one server that calls share: each in bounded time, scripts by their hash.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::{
    ErrorKind as Reported, FromRedisValue, Pipeline, RedisError, ServerErrorKind, Value,
    from_redis_value,
};
use tokio::time::timeout_at;

use super::call::Call;
use super::error::{from_redis, timed_out, unexpected};
use super::primary::Primary;
use super::server_time::ServerTime;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::provider::breaker::Breaker;

/// How often a pipeline is sent again because a script was flushed under it.
const ATTEMPTS: usize = 4;

/// Some 30 years.
const FOREVER: Duration = Duration::from_secs(86_400 * 365 * 30);

const SILENCE: &str = "the server did not answer";

/// One multiplexed connection to a server, which comes back by itself.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) primary: Primary,
    timeout: Duration,
    breaker: Breaker,
}

impl Link {
    pub(super) fn new(primary: Primary, timeout: Duration) -> Self {
        Self {
            primary,
            timeout,
            breaker: Breaker::new(),
        }
    }

    /// The same connection for the heartbeat, which tries it while the breaker is open to others.
    pub(super) fn probing(&self) -> Self {
        Self {
            breaker: self.breaker.probing(),
            ..self.clone()
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When a call that is sent now is given up.
    pub(super) fn until(&self) -> Instant {
        after(self.timeout)
    }

    /// Sends the calls in one round trip and waits for the replies until then, unless the breaker
    /// is open. A refused call is an error in its place only.
    pub(super) async fn calls(&self, calls: &[Call], until: Instant) -> Result<Vec<Value>> {
        self.bounded(self.run(calls, until), until).await
    }

    /// Like [`calls`](Self::calls), for writes with a deadline. Where the connection breaks, they
    /// may still be on their way: this does not return before the deadline keeps them from being
    /// carried out, so that nothing that the caller does next is undone by them.
    pub(super) async fn writes(&self, calls: &[Call], until: Instant) -> Result<Vec<Value>> {
        let attempt = async {
            match self.run(calls, until).await {
                Err(error) if may_be_on_its_way(&error) => std::future::pending().await,
                outcome => outcome,
            }
        };
        self.bounded(attempt, until).await
    }

    /// Waits for an attempt until then, unless the breaker is open.
    pub(super) async fn bounded<T>(
        &self,
        attempt: impl Future<Output = Result<T, RedisError>>,
        until: Instant,
    ) -> Result<T> {
        self.breaker.check()?;
        let outcome = match timeout_at(until.into(), attempt).await {
            Ok(outcome) => outcome.map_err(from_redis),
            Err(_) => Err(timed_out(SILENCE)),
        };
        self.breaker.note(&outcome);
        outcome
    }

    /// Sends a command, for as long as it takes. A refusal is a value.
    pub(super) async fn send_one(&self, call: &Call) -> Result<Value, RedisError> {
        let mut manager = self.primary.current()?.manager.clone();
        call.answer(manager.send_packed_command(&call.with(0)).await?)
    }

    /// Where a script is missing, it and all behind it is sent again: what follows a call in a
    /// pipeline may rely on what the call has done.
    async fn run(&self, calls: &[Call], until: Instant) -> Result<Vec<Value>, RedisError> {
        let mut replies: Vec<Value> = Vec::with_capacity(calls.len());
        for _ in 0..ATTEMPTS {
            let done = replies.len();
            let sent = self.send(&calls[done..], until).await;
            replies.extend(sent.map_err(|error| behind(done, error))?);
            let missing = calls
                .iter()
                .zip(&replies)
                .position(|(call, reply)| call.misses_script(reply));
            let Some(first) = missing else {
                return Ok(replies);
            };
            replies.truncate(first);
            let loaded = self.load(&calls[first..], until).await;
            loaded.map_err(|error| behind(first, error))?;
        }
        Err((
            Reported::Server(ServerErrorKind::NoScript),
            "scripts vanish as they are loaded",
        )
            .into())
    }

    async fn load(&self, calls: &[Call], until: Instant) -> Result<(), RedisError> {
        let mut sources: Vec<_> = calls.iter().filter_map(Call::source).collect();
        sources.sort_unstable();
        sources.dedup();
        let load = |source| Call::command("SCRIPT").arg("LOAD").arg(source);
        let loads: Vec<_> = sources.into_iter().map(load).collect();
        for reply in self.send(&loads, until).await? {
            reply.extract_error()?;
        }
        Ok(())
    }

    /// Connection and clock are those of one server, whatever takes its place meanwhile.
    async fn send(&self, calls: &[Call], until: Instant) -> Result<Vec<Value>, RedisError> {
        let current = self.primary.current()?;
        let deadline = match calls.iter().any(Call::has_deadline) {
            true => current.deadline(earliest(calls, until)).await?,
            false => 0,
        };
        let mut manager = current.manager.clone();
        if let [call] = calls
            && !call.is_asking()
        {
            let reply = manager.send_packed_command(&call.with(deadline)).await?;
            return Ok(vec![call.answer(reply)?]);
        }
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for call in calls {
            call.add_to(&mut pipeline, deadline);
        }
        let count = pipeline.len();
        let replies = manager.send_packed_commands(&pipeline, 0, count).await?;
        Call::answers(calls, replies)
    }

    /// What the server's clock says; `None` if no server is known yet.
    pub(super) fn time(&self) -> Option<Arc<ServerTime>> {
        self.primary.get().map(|current| Arc::clone(&current.time))
    }

    /// Takes in what the server told between `sent` and now. `sent` has to be taken before the
    /// call is handed over: what another server answers, whose place this one took, is none of it.
    pub(super) fn observe(&self, sent: Instant, told: Timestamp) {
        if let Some(time) = self.time() {
            time.observe(sent, told);
        }
    }
}

/// The deadline of all calls that go together: until then, or until one of them must be done.
fn earliest(calls: &[Call], until: Instant) -> Instant {
    calls
        .iter()
        .filter_map(Call::latest)
        .fold(until, Instant::min)
}

/// Whether the server may yet come to what was sent: after all but an answer of its own, and a
/// connection that it refused.
fn may_be_on_its_way(error: &RedisError) -> bool {
    let is_answer = matches!(
        error.kind(),
        Reported::Server(_) | Reported::Extension | Reported::AuthenticationFailed
    );
    !is_answer && !error.is_connection_refusal()
}

/// The error of calls behind others that have been carried out: even a connection that was refused
/// does not say now that nothing was done.
fn behind(done: usize, error: RedisError) -> RedisError {
    match done {
        0 => error,
        _ => io::Error::new(io::ErrorKind::BrokenPipe, error).into(),
    }
}

/// The moment after this span, or one that nobody lives to see if clocks do not count so far.
pub(super) fn after(span: Duration) -> Instant {
    let now = Instant::now();
    let capped = span.min(FOREVER);
    now.checked_add(capped).unwrap_or(now)
}

/// The reply as a `T`, or the error that it is.
pub(super) fn read<T: FromRedisValue>(reply: Value) -> Result<T> {
    let reply = reply.extract_error().map_err(from_redis)?;
    from_redis_value(reply).map_err(unexpected)
}

/// Waits for `attempt` no longer than `bound`.
pub(super) async fn within<T>(
    bound: Duration,
    failure: &str,
    attempt: impl Future<Output = Result<T, RedisError>>,
) -> Result<T> {
    match tokio::time::timeout(bound, attempt).await {
        Ok(outcome) => outcome.map_err(from_redis),
        Err(_) => Err(timed_out(failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_go_together_are_done_when_the_first_of_them_must_be() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let call = |latest| Call::command("PING").with_deadline_by(latest);
        let calls = [call(None), call(Some(now)), call(Some(now + second))];
        assert_eq!(earliest(&calls, now + second), now);
        assert_eq!(earliest(&calls[..1], now), now);
        assert_eq!(earliest(&calls[2..], now), now);
    }

    #[test]
    fn what_was_not_answered_by_the_server_may_still_be_on_its_way() {
        let broke = RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(may_be_on_its_way(&broke));
        for kind in [
            Reported::Parse,
            Reported::UnexpectedReturnType,
            Reported::Io,
        ] {
            assert!(may_be_on_its_way(&(kind, "nonsense").into()), "{kind:?}");
        }
    }

    #[test]
    fn behind_what_was_done_nothing_counts_as_refused() {
        let refused = || RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(from_redis(behind(0, refused())).had_no_effect());
        assert!(!from_redis(behind(1, refused())).had_no_effect());
    }

    #[test]
    fn what_was_refused_is_not_on_its_way() {
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(!may_be_on_its_way(&refused));
        let loading = Reported::Server(ServerErrorKind::BusyLoading);
        for kind in [loading, Reported::Extension, Reported::AuthenticationFailed] {
            assert!(!may_be_on_its_way(&(kind, "no").into()), "{kind:?}");
        }
    }
}
