//! The connection that commands share: every call in bounded time, scripts by their hash.

use std::future::Future;
use std::time::Duration;

use ::redis::{
    Cmd, ErrorKind as Reported, FromRedisValue, Pipeline, RedisError, ServerErrorKind, ToRedisArgs,
    Value, cmd, from_redis_value,
};

use super::breaker::Breaker;
use super::error::{from_redis, timed_out, unexpected};
use super::primary::Primary;
use super::script::Script;
use crate::error::Result;

/// How often a pipeline is sent again because a script was flushed under it.
const ATTEMPTS: usize = 4;

const SILENCE: &str = "the server did not answer";

/// One command, or one call of a script.
#[derive(Clone)]
pub(super) struct Call {
    command: Cmd,
    script: Option<&'static Script>,
}

impl Call {
    pub(super) fn command(name: &str) -> Self {
        Self {
            command: cmd(name),
            script: None,
        }
    }

    pub(super) fn script(script: &'static Script, keys: &[&str]) -> Self {
        let mut command = cmd("EVALSHA");
        command.arg(script.hash()).arg(keys.len()).arg(keys);
        Self {
            command,
            script: Some(script),
        }
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    fn misses_script(&self, reply: &Value) -> Option<&'static Script> {
        let Value::ServerError(error) = reply else {
            return None;
        };
        let missing = error.kind() == Some(ServerErrorKind::NoScript);
        self.script.filter(|_| missing)
    }
}

/// One multiplexed connection to the primary, which comes back by itself.
#[derive(Clone)]
pub(super) struct Link {
    primary: Primary,
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

    /// Gives the connection up; the next call makes a new one. Calls that are on their way stay
    /// with the old one.
    pub(super) fn reconnect(&self) {
        self.primary.reconnect();
    }

    /// The same connection for the heartbeat, which tries it while the breaker is open to others.
    pub(super) fn probing(&self) -> Self {
        Self {
            breaker: self.breaker.probing(),
            ..self.clone()
        }
    }

    /// The longest that a call takes.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends one call and reads its reply.
    pub(super) async fn call<T: FromRedisValue>(&self, call: Call) -> Result<T> {
        only(self.calls(vec![call]).await?)
    }

    /// Sends the calls in one round trip. A refused one is an error in its place only.
    pub(super) async fn calls(&self, calls: Vec<Call>) -> Result<Vec<Result<Value>>> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        self.bounded(self.run(&calls)).await
    }

    /// Like [`call`](Self::call), for a write with a deadline.
    pub(super) async fn write<T: FromRedisValue>(&self, call: Call) -> Result<T> {
        only(self.writes(vec![call]).await?)
    }

    /// Like [`calls`](Self::calls), for writes with a deadline. Where the connection breaks, they
    /// may still be on their way: this does not return before the deadline keeps them from being
    /// carried out, so that nothing that the caller does next is undone by them.
    pub(super) async fn writes(&self, calls: Vec<Call>) -> Result<Vec<Result<Value>>> {
        let attempt = async {
            match self.run(&calls).await {
                Err(error) if may_be_on_its_way(&error) => std::future::pending().await,
                outcome => outcome,
            }
        };
        self.bounded(attempt).await
    }

    /// Waits for the replies as long as a call may take, unless the breaker is open.
    async fn bounded(
        &self,
        attempt: impl Future<Output = Result<Vec<Value>, RedisError>>,
    ) -> Result<Vec<Result<Value>>> {
        self.breaker.check()?;
        let replies = within(self.timeout, SILENCE, attempt).await;
        self.breaker.note(&replies);
        Ok(replies?.into_iter().map(read).collect())
    }

    /// Where a script is missing, it and all behind it is sent again: what follows a call in a
    /// pipeline may rely on what the call has done.
    async fn run(&self, calls: &[Call]) -> Result<Vec<Value>, RedisError> {
        let mut replies: Vec<Value> = Vec::with_capacity(calls.len());
        for _ in 0..ATTEMPTS {
            replies.extend(self.send(&calls[replies.len()..]).await?);
            let missing = calls
                .iter()
                .zip(&replies)
                .position(|(call, reply)| call.misses_script(reply).is_some());
            let Some(first) = missing else {
                return Ok(replies);
            };
            replies.truncate(first);
            self.load(&calls[first..]).await?;
        }
        Err((
            Reported::Server(ServerErrorKind::NoScript),
            "scripts vanish as they are loaded",
        )
            .into())
    }

    async fn load(&self, calls: &[Call]) -> Result<(), RedisError> {
        let mut sources: Vec<_> = calls
            .iter()
            .filter_map(|call| call.script.map(Script::source))
            .collect();
        sources.sort_unstable();
        sources.dedup();
        let load = |source| Call::command("SCRIPT").arg("LOAD").arg(source);
        let loads: Vec<_> = sources.into_iter().map(load).collect();
        for reply in self.send(&loads).await? {
            reply.extract_error()?;
        }
        Ok(())
    }

    async fn send(&self, calls: &[Call]) -> Result<Vec<Value>, RedisError> {
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for call in calls {
            pipeline.add_command(call.command.clone());
        }
        let mut manager = self.primary.manager()?;
        manager
            .send_packed_commands(&pipeline, 0, calls.len())
            .await
    }
}

fn may_be_on_its_way(error: &RedisError) -> bool {
    error.is_io_error() && !error.is_connection_refusal()
}

fn only<T: FromRedisValue>(mut replies: Vec<Result<Value>>) -> Result<T> {
    read(replies.pop().unwrap_or(Ok(Value::Nil))?)
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
