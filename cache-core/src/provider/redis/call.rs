//! What is sent to a server: a command, or a call of a script.

use std::borrow::Cow;
use std::time::Instant;

use ::redis::{Arg, Cmd, Pipeline, RedisError, ServerErrorKind, ToRedisArgs, Value, cmd};

use super::echo::Echo;
use super::script::Script;

/// One command, or one call of a script.
#[derive(Clone)]
pub(super) struct Call {
    command: Cmd,
    script: Option<(&'static Script, Echo)>,
    /// Which of its words is the key that decides where it is sent; 0 if it has none.
    key: usize,
    has_deadline: bool,
    /// The deadline at the latest, however long the call may take otherwise.
    latest: Option<Instant>,
    /// Whether the server is asked to do it although the key's slot is still another's.
    is_asking: bool,
}

impl Call {
    /// A command that is about no key.
    pub(super) fn command(name: &str) -> Self {
        Self {
            command: cmd(name),
            script: None,
            key: 0,
            has_deadline: false,
            latest: None,
            is_asking: false,
        }
    }

    /// A command whose first argument is this key.
    pub(super) fn on(name: &str, key: &str) -> Self {
        Self {
            key: 1,
            ..Self::command(name).arg(key)
        }
    }

    pub(super) fn script(script: &'static Script, keys: &[&str]) -> Self {
        let (mut command, echo) = (cmd("EVALSHA"), Echo::new());
        command.arg(script.hash()).arg(keys.len()).arg(keys);
        command.arg(echo.as_bytes());
        Self {
            command,
            script: Some((script, echo)),
            key: 3,
            ..Self::command("")
        }
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.add(argument);
        self
    }

    pub(super) fn add(&mut self, argument: impl ToRedisArgs) {
        self.command.arg(argument);
    }

    /// Gives the script, for its last argument, the server's millisecond after which the call must
    /// not be carried out any more: by then its sender has given up, and may have invalidated what
    /// it writes.
    pub(super) fn with_deadline(mut self) -> Self {
        self.has_deadline = true;
        self
    }

    /// Like [`with_deadline`](Self::with_deadline), and the deadline is no later than this.
    pub(super) fn with_deadline_by(self, latest: Option<Instant>) -> Self {
        Self {
            latest,
            ..self.with_deadline()
        }
    }

    pub(super) fn latest(&self) -> Option<Instant> {
        self.latest
    }

    /// Sends it as `ASKING` says: to the node that takes the key's slot over.
    pub(super) fn asking(mut self, is_asking: bool) -> Self {
        self.is_asking = is_asking;
        self
    }

    pub(super) fn is_asking(&self) -> bool {
        self.is_asking
    }

    pub(super) fn has_deadline(&self) -> bool {
        self.has_deadline
    }

    /// The key that decides where it is sent.
    pub(super) fn key(&self) -> Option<&[u8]> {
        let word = self.command.args_iter().nth(self.key)?;
        match word {
            Arg::Simple(key) if self.key > 0 => Some(key),
            _ => None,
        }
    }

    /// The command as it is sent.
    pub(super) fn with(&self, deadline: u64) -> Cow<'_, Cmd> {
        let mut command = Cow::Borrowed(&self.command);
        if self.has_deadline {
            command.to_mut().arg(deadline);
        }
        command
    }

    pub(super) fn add_to(&self, pipeline: &mut Pipeline, deadline: u64) {
        if self.is_asking {
            pipeline.add_command(cmd("ASKING"));
        }
        pipeline.add_command(self.with(deadline).into_owned());
    }

    /// What the replies of a pipeline of these calls say to them.
    pub(super) fn answers(calls: &[Self], replies: Vec<Value>) -> Result<Vec<Value>, RedisError> {
        let mut replies = replies.into_iter();
        let mut reply = |call: &Self| replies.nth(usize::from(call.is_asking));
        let answer = |call: &Self| Some(call.answer(reply(call)?));
        calls.iter().filter_map(answer).collect()
    }

    pub(super) fn answer(&self, reply: Value) -> Result<Value, RedisError> {
        match self.script {
            Some((_, echo)) => echo.answer(reply),
            None => Ok(reply),
        }
    }

    pub(super) fn source(&self) -> Option<&'static str> {
        self.script.map(|(script, _)| script.source())
    }

    /// Whether the server answers that it does not know the script.
    pub(super) fn misses_script(&self, reply: &Value) -> bool {
        let Value::ServerError(error) = reply else {
            return false;
        };
        self.script.is_some() && error.kind() == Some(ServerErrorKind::NoScript)
    }
}
