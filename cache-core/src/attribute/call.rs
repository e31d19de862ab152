//! One call of a `#[cached]` function.

use std::future::Future;

use super::identity::Identity;
use crate::cache::Cache;
use crate::engine::Outcome;
use crate::entry::Owner;
use crate::error::{Error, Result};
use crate::key::KeyWriter;
use crate::terms::{EntryOptions, Ttl};

/// How a call begins.
pub enum Start<R, O> {
    /// The value is in memory.
    Hit(R),
    /// It takes more than a look.
    Load(Call<O>),
}

/// A call that found nothing at its first look.
#[derive(Debug)]
pub struct Call<O> {
    cache: Cache,
    /// `None` if the call has no key, and goes past the cache.
    key: Option<Box<str>>,
    owner: Owner,
    options: EntryOptions,
    outcome: O,
}

/// Looks into memory, with a key that is on the stack and gone when this returns.
///
/// `write` adds to the key what the call says; if it cannot, the call goes past the cache.
pub fn start<R, O: Outcome<R>>(
    cache: &Cache,
    identity: &Identity,
    outcome: O,
    write: impl FnOnce(&mut KeyWriter) -> Result<()>,
) -> Start<R, O> {
    let mut key = KeyWriter::new();
    key.literal(&identity.head);
    let written = write(&mut key);
    if written.is_ok()
        && let Some(stored) = cache.peek_value(key.as_str(), identity.owner)
    {
        return Start::Hit(outcome.restored(stored));
    }
    let mut call = Call {
        cache: cache.clone(),
        key: Some(key.as_str().into()),
        owner: identity.owner,
        options: EntryOptions::new(),
        outcome,
    };
    if let Err(error) = written {
        call.bypass(&error);
    }
    Start::Load(call)
}

impl<O> Call<O> {
    #[must_use]
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.options = self.options.ttl(ttl);
        self
    }

    /// Adds a tag. Without all its tags a value could not be made to go, so that a call whose
    /// tag cannot be written goes past the cache.
    #[must_use]
    pub fn tag(mut self, write: impl FnOnce(&mut KeyWriter) -> Result<()>) -> Self {
        match tag(write) {
            Ok(tag) => self.options = self.options.tag(tag),
            Err(error) => self.bypass(&error),
        }
        self
    }

    /// Answers from the cache or by the function's body.
    pub async fn run<R, F>(self, body: F) -> R
    where
        O: Outcome<R>,
        F: Future<Output = R>,
    {
        let Some(key) = &self.key else {
            let is_error = |result: &R| self.outcome.is_error(result);
            return self.cache.measure(body, is_error).await;
        };
        let (options, load) = (|| self.options, move || body);
        self.cache
            .through(key, self.owner, options, self.outcome, load)
            .await
    }

    fn bypass(&mut self, error: &Error) {
        if self.key.take().is_some() {
            self.cache.bypass(error);
        }
    }
}

/// A tag whose placeholders `write` fills in.
fn tag(write: impl FnOnce(&mut KeyWriter) -> Result<()>) -> Result<Box<str>> {
    let mut tag = KeyWriter::for_tag();
    write(&mut tag)?;
    Ok(tag.as_str().into())
}
