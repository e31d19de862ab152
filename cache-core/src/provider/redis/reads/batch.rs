//! One command for many keys, and who waits for each of its answers.

use std::mem;

use ::redis::Value;
use tokio::sync::oneshot;

use crate::provider::redis::call::Call;
use crate::provider::redis::link::Link;

/// The most keys that one command asks for.
pub(super) const MAX_KEYS: usize = 64;
/// The most bytes of keys, but for the last one.
const MAX_REQUEST_BYTES: usize = 1 << 14;
/// A reply that is larger makes the next commands smaller. Readers of small values are not to
/// wait for many large ones.
const MAX_REPLY_BYTES: usize = 1 << 18;

/// What goes out together.
pub(super) struct Batch {
    call: Call,
    bytes: usize,
    waiting: Vec<oneshot::Sender<Value>>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            call: Call::command("MGET"),
            bytes: 0,
            waiting: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, key: &str, answer: oneshot::Sender<Value>) {
        self.call.add(key);
        self.bytes += key.len();
        self.waiting.push(answer);
    }

    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.len() >= limit || self.bytes >= MAX_REQUEST_BYTES
    }

    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self::new())
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Asks, and hands the answers out; says how many keys the next command may ask for. Where that
    /// fails each goes alone, in the time that is left to it, and is told what is the matter.
    pub(super) async fn send(self, link: &Link) -> Option<usize> {
        if self.waiting.is_empty() {
            return None;
        }
        let asked = tokio::time::timeout(link.timeout(), link.send_one(&self.call));
        let Ok(Ok(Value::Array(values))) = asked.await else {
            return None;
        };
        if values.len() != self.len() {
            return None;
        }
        let limit = limit_after(values.len(), values.iter().map(size).sum());
        for (answer, value) in self.waiting.into_iter().zip(values) {
            // Who has gone needs no answer.
            let _ = answer.send(value);
        }
        Some(limit)
    }
}

/// How many keys the next command may ask for, after one for `keys` was answered with so many
/// bytes.
fn limit_after(keys: usize, reply_bytes: usize) -> usize {
    let each = (reply_bytes / keys.max(1)).max(1);
    (MAX_REPLY_BYTES / each).clamp(1, MAX_KEYS)
}

fn size(value: &Value) -> usize {
    match value {
        Value::BulkString(bytes) => bytes.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_ask_for_fewer_keys_while_values_are_large() {
        assert_eq!(limit_after(64, 64 * 100), MAX_KEYS);
        assert_eq!(limit_after(10, 10 * MAX_REPLY_BYTES / 4), 4);
        assert_eq!(limit_after(2, 20 * MAX_REPLY_BYTES), 1);
        assert_eq!(limit_after(1, 0), MAX_KEYS);
    }

    #[test]
    fn a_batch_is_full_by_keys_or_by_their_bytes() {
        let mut batch = Batch::new();
        let mut add = |key: &str| {
            batch.add(key, oneshot::channel().0);
            batch.is_full(3)
        };
        assert!(!add("a"));
        assert!(!add("b"));
        assert!(add("c"));
        let mut batch = Batch::new();
        batch.add(&"k".repeat(MAX_REQUEST_BYTES), oneshot::channel().0);
        assert!(batch.is_full(MAX_KEYS));
    }
}
