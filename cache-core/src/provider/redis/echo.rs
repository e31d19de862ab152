//! Proof that a reply is the one to its call.
//!
//! A connection gives replies in the order of the calls. Where one is lost or comes twice, all
//! behind it are told what others asked, and it often fits: the head of the log as of another
//! position, another counter's sum, "no barriers". So each call of a script carries a number, and
//! the script returns it with its answer. What is not a script answers for itself: an entry holds
//! its key.

use ::redis::{ErrorKind as Reported, RedisError, Value};

use crate::random;

/// The number of one call.
#[derive(Clone, Copy)]
pub(super) struct Echo([u8; 8]);

impl Echo {
    pub(super) fn new() -> Self {
        Self(random::u64().to_be_bytes())
    }

    /// The script's first argument.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the script answered. A refusal has no number, and is safe in anybody's hands: who is
    /// refused has not been promised anything.
    pub(super) fn answer(self, reply: Value) -> Result<Value, RedisError> {
        match reply {
            Value::ServerError(_) => Ok(reply),
            Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
                Ok([Value::BulkString(number), answer]) if number == self.0 => Ok(answer),
                _ => Err(out_of_step()),
            },
            _ => Err(out_of_step()),
        }
    }
}

fn out_of_step() -> RedisError {
    let message = "the connection answers with what somebody else asked";
    (Reported::Parse, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(echo: Echo, answer: Value) -> Value {
        Value::Array(vec![Value::BulkString(echo.0.into()), answer])
    }

    #[test]
    fn only_a_reply_to_this_very_call_has_an_answer() {
        let (mine, others) = (Echo::new(), Echo::new());
        let answer = mine.answer(reply(mine, Value::Int(1)));
        assert_eq!(answer.unwrap(), Value::Int(1));
        for foreign in [
            reply(others, Value::Int(1)),
            Value::Array(vec![Value::BulkString(mine.0.into())]),
            Value::Array(Vec::new()),
            Value::Int(1),
            Value::Nil,
            Value::Okay,
        ] {
            assert!(mine.answer(foreign.clone()).is_err(), "{foreign:?}");
        }
    }
}
