//! Reading: values, whether they are there, and loading them once.

use std::future::Future;

use super::Cache;
use crate::engine::{Look, Outcome};
use crate::entry::Owner;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Miss;
use crate::provider::Found;
use crate::terms::{EntryOptions, Ttl};
use crate::value::Value;
use crate::why::{Read, Why};

impl Cache {
    /// The value at `key`; `None` if there is none that may be shown. Never loads.
    ///
    /// What was stored as another type is read through the codec; what cannot be read as a `T` is
    /// a miss, counted as damaged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey), or what the backend answered.
    pub async fn get<T: Value>(&self, key: &str) -> Result<Option<T>> {
        if let Some(value) = self.peek_value(key, Owner::HANDLE) {
            return Ok(Some(value));
        }
        match self.look(key).await? {
            Look::Bypass => Err(self.out_of_touch("get")),
            look => Ok(self.value_of(&look)),
        }
    }

    /// Like [`get`](Self::get), and says why: where the value was found and how old it is, or why
    /// there is none. Where the node is out of touch with its backend this is no error, but
    /// [`Why::Bypass`].
    ///
    /// ```
    /// use cache_core::{Cache, Miss, Source, Why};
    ///
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// let cache = Cache::memory();
    /// cache.set("greeting", "hello").await?;
    /// let read = cache.read::<String>("greeting").await?;
    /// assert_eq!(read.value.as_deref(), Some("hello"));
    /// assert!(matches!(read.why, Why::Hit { from: Source::Memory, .. }));
    ///
    /// cache.invalidate("greeting").await?;
    /// let read = cache.read::<String>("greeting").await?;
    /// assert_eq!((read.value, read.why), (None, Why::Miss(Miss::Absent)));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey), or what the backend answered.
    pub async fn read<T: Value>(&self, key: &str) -> Result<Read<T>> {
        if let Some((value, hit)) = self.peek_read(key, Owner::HANDLE) {
            return Ok(Read {
                value: Some(value),
                why: hit.why(),
            });
        }
        Ok(self.read_of(&self.look(key).await?))
    }

    /// Looks for what this handle has stored.
    async fn look(&self, key: &str) -> Result<Look> {
        let question = self.question(key, Owner::HANDLE, &EntryOptions::new())?;
        let engine = self.engine();
        let look = match self.0.reading.strict && engine.log.in_touch(engine.clock.now()) {
            // Catches up before it reads, so that what it reads may be kept.
            true => engine.look_many(&[&question]).await.map(only),
            false => engine.look(&question).await,
        };
        look.map_err(|error| self.during("get", error))
    }

    /// The values at `keys`, in their order, in one round trip.
    ///
    /// # Errors
    ///
    /// Like [`get`](Self::get); one bad key fails all.
    pub async fn get_many<T: Value>(&self, keys: &[&str]) -> Result<Vec<Option<T>>> {
        let options = EntryOptions::new();
        let question = |key: &&str| self.question(key, Owner::HANDLE, &options);
        let questions = keys.iter().map(question).collect::<Result<Vec<_>>>()?;
        self.check_touch("get")?;
        let asked: Vec<_> = questions.iter().collect();
        let looks = self.engine().look_many(&asked).await;
        let looks = looks.map_err(|error| self.during("get", error))?;
        Ok(looks.iter().map(|look| self.value_of(look)).collect())
    }

    fn value_of<T: Value>(&self, look: &Look) -> Option<T> {
        self.read_of(look).value
    }

    fn read_of<T: Value>(&self, look: &Look) -> Read<T> {
        let why = match look {
            Look::Hit(hit) => match hit.value() {
                Ok(value) => {
                    hit.count(self.counters());
                    return Read {
                        value: Some(value),
                        why: hit.why(),
                    };
                }
                Err(_) => Miss::Damaged,
            },
            Look::Stale(_) => Miss::Expired,
            Look::Miss { why, .. } => *why,
            Look::Bypass => Miss::Bypassed,
        };
        self.counters().miss(why);
        Read {
            value: None,
            why: Why::from(why),
        }
    }

    /// Whether there is a value at `key` that may be shown to whoever stored it. Reads no value.
    ///
    /// This looks at the key alone, as [`get_ttl`](Self::get_ttl), [`expire`](Self::expire) and
    /// [`delete`](Self::delete) do, so that the results of functions can be looked after, too.
    /// [`get`](Self::get) finds only what was stored through a handle.
    ///
    /// # Errors
    ///
    /// Like [`get`](Self::get).
    pub async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.found("exists", key).await?.is_some())
    }

    /// The time to live that is left to the value at `key`; `None` if there is no such value. Whose
    /// value it is does not matter.
    ///
    /// # Errors
    ///
    /// Like [`get`](Self::get).
    pub async fn get_ttl(&self, key: &str) -> Result<Option<Ttl>> {
        let found = self.found("get_ttl", key).await?;
        Ok(found.map(|found| found.ttl.into()))
    }

    async fn found(&self, operation: &'static str, key: &str) -> Result<Option<Found>> {
        let key = self.full_key(key)?;
        self.check_touch(operation)?;
        if self.0.reading.strict {
            let caught_up = self.engine().provider.catch_up().await;
            caught_up.map_err(|error| self.during(operation, error))?;
        }
        let keys = [key.as_str()];
        let found = self.engine().provider.inspect(&keys).await;
        let found = found.map_err(|error| self.during(operation, error))?;
        let found = found.into_iter().next().flatten();
        Ok(found.filter(|found| self.engine().log.is_visible(keys[0], &found.meta)))
    }

    /// A node that has lost touch with its backend does not know what has been invalidated.
    pub(super) fn check_touch(&self, operation: &'static str) -> Result<()> {
        let engine = self.engine();
        if engine.log.in_touch(engine.clock.now()) {
            return Ok(());
        }
        Err(self.out_of_touch(operation))
    }

    fn out_of_touch(&self, operation: &'static str) -> Error {
        let message = "out of touch with the backend, so that nothing it holds can be trusted";
        self.during(operation, Error::new(ErrorKind::Connection, message))
    }

    /// The value at `key`, or what `load` returns, which is then stored under the namespace's
    /// default time to live.
    ///
    /// However many callers ask for one key at one moment, one of them loads; the others wait for
    /// it, at most as long as [`flight_wait`](super::CacheBuilder::flight_wait). Only `Ok` is
    /// stored and shared; after an `Err` each waiting caller runs its own load. A caller inside a
    /// load of the same key runs its load unshared. One caller of all processes loads where the
    /// [distributed lock](super::CacheBuilder::distributed_lock) is on.
    ///
    /// A value whose key, tag, pattern or namespace was invalidated while it was loaded is
    /// returned to those who were waiting by then, and not stored.
    ///
    /// Of a [`Policy`](crate::Policy) this takes what needs no task:
    /// [`stale_if_error`](crate::Policy::stale_if_error) and the terms that the value is stored under. All of it is for
    /// [`get_or_load`](Self::get_or_load).
    ///
    /// Dropping the future drops the load; a waiting caller takes over.
    ///
    /// # Errors
    ///
    /// Those of `load`. What goes wrong in the cache is counted and logged, and the value loaded.
    pub async fn get_or_set<T, E, F, Fut>(&self, key: &str, load: F) -> Result<T, E>
    where
        T: Value,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.get_or_set_with(key, EntryOptions::new(), load).await
    }

    /// Like [`get_or_set`](Self::get_or_set), under terms of its own.
    ///
    /// # Errors
    ///
    /// Those of `load`.
    pub async fn get_or_set_with<T, E, F, Fut>(
        &self,
        key: &str,
        options: EntryOptions,
        load: F,
    ) -> Result<T, E>
    where
        T: Value,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.through(key, Owner::HANDLE, || options, KeepOk, load)
            .await
    }

    pub(super) fn full_keys(&self, keys: &[&str]) -> Result<Vec<Box<str>>> {
        let full = |key: &&str| Ok(self.full_key(key)?.as_str().into());
        keys.iter().map(full).collect()
    }
}

fn only(looks: Vec<Look>) -> Look {
    looks.into_iter().next().unwrap_or(Look::Bypass)
}

/// Keeps what is `Ok`.
pub(crate) struct KeepOk;

impl<T: Value, E> Outcome<Result<T, E>> for KeepOk {
    type Stored = T;

    fn stored(&self, result: &Result<T, E>) -> Option<T> {
        result.as_ref().ok().cloned()
    }

    fn is_error(&self, result: &Result<T, E>) -> bool {
        result.is_err()
    }

    fn restored(&self, stored: T) -> Result<T, E> {
        Ok(stored)
    }
}
