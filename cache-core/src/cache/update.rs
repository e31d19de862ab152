//! Changing some fields of what is stored.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::runtime;

use super::Cache;
use crate::codec::CodecId;
use crate::entry::{Entry, Owner, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::merge_patch::merge_patch;
use crate::provider::{BoxFuture, Slot};
use crate::random;
use crate::terms::Ttl;
use crate::value::Value;

/// How often a change is made anew because somebody else was quicker.
const ATTEMPTS: u64 = 32;
/// After so many it makes way for the others for a moment.
const HASTY: u64 = 3;

const OPERATION: &str = "update";

impl Cache {
    /// Merges the fields of `patch` into the value at `key`, as a JSON merge patch does
    /// ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)), and returns the new value; `None`, and
    /// nothing stored, if there is no value that may be shown.
    ///
    /// What the patch names is replaced; what it names `null` is removed; objects in it are merged
    /// into the objects that they meet; arrays are replaced as a whole. What it does not name stays
    /// as it is. Both the value and the patch must be JSON objects, such as structs and maps are:
    /// to replace a whole value, [`set`](Self::set) it.
    ///
    /// Updates are atomic: of those that run at the same moment, on any node, none is lost. A
    /// value keeps its tags, its place among the invalidations (it is hidden by whatever would
    /// have hidden it) and its time to live, unless [`Update::ttl`] gives it a new one.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// use serde::{Deserialize, Serialize};
    /// use serde_json::json;
    ///
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct User {
    ///     name: String,
    ///     city: Option<String>,
    /// }
    ///
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// # let cache = Cache::memory();
    /// let ada = User { name: "Ada".into(), city: Some("London".into()) };
    /// cache.set("42", &ada).await?;
    /// let user: Option<User> = cache.update("42", &json!({ "city": null })).await?;
    /// assert!(user.is_some_and(|user| user.name == "Ada" && user.city.is_none()));
    ///
    /// let absent = cache.update::<User>("43", &json!({ "name": "Grace" })).await?;
    /// assert!(absent.is_none());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if patch or value are no JSON objects, if the result would not be a
    /// `T` (or, in memory, not of the type that was stored), or if the value is a function's or a
    /// response's; [`ErrorKind::Encode`] if the patch cannot be written as JSON;
    /// [`ErrorKind::Unready`] if others changed the value each time before this got through;
    /// [`ErrorKind::Unsupported`] if the provider cannot do it. All of them leave the value alone.
    /// Otherwise like [`set`](Self::set).
    pub fn update<T: Value>(&self, key: &str, patch: &(impl Serialize + ?Sized)) -> Update<'_, T> {
        Update {
            cache: self,
            key: key.into(),
            patch: to_raw_value(patch).map_err(unwritable),
            ttl: None,
            value: PhantomData,
        }
    }

    async fn change<T: Value>(
        &self,
        key: &str,
        patch: &RawValue,
        ttl: Option<Ttl>,
    ) -> Result<Option<T>> {
        let _turn = self.engine().turn_to_update(key).await;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            let Some(seen) = self.standing(key).await? else {
                return Ok(None);
            };
            let (value, entry) = patched(&seen, patch)?;
            let provider = &self.engine().provider;
            let replaced = provider.replace(key, seen.meta().id, Arc::new(entry), ttl);
            if replaced.await? {
                return Ok(Some(value));
            }
        }
        Err(contended())
    }

    /// What stands at a key and may be shown. Not a copy in the memory tier, which may be behind.
    async fn standing(&self, key: &str) -> Result<Option<Arc<Entry>>> {
        let engine = self.engine();
        self.check_touch(OPERATION)?;
        if self.0.reading.strict {
            engine.provider.catch_up().await?;
        }
        let slots = engine.provider.get(&[key]).await?;
        let Some(Slot::Entry(entry)) = slots.into_iter().next() else {
            return Ok(None);
        };
        let meta = entry.meta();
        if meta.is_expired(engine.clock.now()) || !engine.log.is_visible(key, meta) {
            return Ok(None);
        }
        match meta.owner {
            Owner::HANDLE => Ok(Some(entry)),
            _ => Err(not_yours()),
        }
    }
}

/// A change that is about to happen; await it. By [`Cache::update`].
#[derive(Debug)]
#[must_use = "nothing is changed until the `Update` is awaited"]
pub struct Update<'a, T> {
    cache: &'a Cache,
    key: Box<str>,
    patch: Result<Box<RawValue>>,
    ttl: Option<Ttl>,
    value: PhantomData<fn() -> T>,
}

impl<T: Value> Update<'_, T> {
    /// A new time to live, from now on. Default: what is left of the old one. With a time to live
    /// of zero the value is removed when it has been returned.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    async fn run(self) -> Result<Option<T>> {
        let cache = self.cache;
        let key = cache.full_key(&self.key)?;
        let failed = |error| cache.during(OPERATION, error);
        let patch = self.patch.map_err(failed)?;
        let (ends, ttl) = match self.ttl {
            Some(ttl) if ttl.is_zero() => (true, None),
            ttl => (false, ttl),
        };
        let changed = cache.change(key.as_str(), &patch, ttl).await;
        let changed = changed.map_err(failed)?;
        cache.counters().set(changed.iter().len());
        if ends && changed.is_some() {
            cache.delete(&self.key).await?;
        }
        Ok(changed)
    }
}

impl<'a, T: Value> IntoFuture for Update<'a, T> {
    type Output = Result<Option<T>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    /// Dropped halfway, the future leaves the value changed or not, never half.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The value as the patch makes it, and the entry that holds it in the form of the one before.
fn patched<T: Value>(seen: &Entry, patch: &RawValue) -> Result<(T, Entry)> {
    let (bytes, codec) = seen.payload().to_bytes().map_err(no_json)?;
    if codec != CodecId::JSON {
        return Err(Error::new(ErrorKind::WrongType, NO_JSON));
    }
    let bytes = merge_patch(&bytes, patch)?;
    let payload = match seen.payload() {
        Payload::Typed { shape, .. } => Payload::Typed {
            value: (shape.decode)(&bytes, codec).map_err(breaks)?,
            shape,
            codec,
        },
        _ => Payload::Bytes { bytes, codec },
    };
    let value = payload.value().map_err(breaks)?;
    Ok((value, seen.with_payload(payload)))
}

/// Lets others through who change the same value from other processes.
async fn make_way(attempt: u64) {
    if attempt > HASTY && runtime::Handle::try_current().is_ok() {
        tokio::time::sleep(Duration::from_millis(random::u64() % attempt)).await;
    }
}

const NO_JSON: &str = "the stored value has no JSON form with fields to change, and was left alone";

fn no_json(error: Error) -> Error {
    Error::new(ErrorKind::WrongType, NO_JSON).with_source(error)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Encode, "the patch cannot be written as JSON").with_source(error)
}

fn breaks(error: Error) -> Error {
    let message = "with this patch the value would not be of its type any more; it was left alone";
    Error::new(ErrorKind::WrongType, message).with_source(error)
}

fn not_yours() -> Error {
    let message = "what is stored is a function's result, or a response, and was left alone";
    Error::new(ErrorKind::WrongType, message)
}

fn contended() -> Error {
    let message = "others changed the value each time before this update got through";
    Error::new(ErrorKind::Unready, message)
}
