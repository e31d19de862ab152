//! Writing: values, counters and times to live.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use crate::entry::{Entry, EntryId, Meta, Owner, Payload};
use crate::error::Result;
use crate::log::Record;
use crate::provider::BoxFuture;
use crate::provider::memory::overflow;
use crate::terms::{EntryOptions, Terms, Ttl};
use crate::value::Value;

impl Cache {
    /// Stores a value, from a reference to it: `&user`, `"text"` (a `String`), `&bytes[..]`.
    ///
    /// It takes effect at an instant between the call and the return, and wins over loads in
    /// flight. A time to live of zero removes what is there.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use std::time::Duration;
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// # let cache = Cache::memory();
    /// cache.set("greeting", "hello").ttl(Duration::from_secs(60)).tag("texts").await?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey),
    /// [`ErrorKind::InvalidTag`](crate::ErrorKind::InvalidTag),
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode) if the backend takes bytes and the value
    /// has none, [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if it is to be indexed
    /// and the provider has no indexes, or what the backend answered; after an error of kind
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) it will not take effect any more.
    pub fn set<V>(&self, key: &str, value: &V) -> Set<'_>
    where
        V: ToOwned + ?Sized,
        V::Owned: Value,
    {
        Set {
            cache: self,
            key: key.into(),
            payload: Payload::typed_in(value.to_owned(), self.0.codec),
            options: EntryOptions::new(),
        }
    }

    /// Stores several values under the same terms, in one round trip.
    ///
    /// # Errors
    ///
    /// Like [`set`](Self::set); one bad key fails all before anything is stored.
    pub async fn set_many<T: Value>(
        &self,
        values: &[(&str, T)],
        options: EntryOptions,
    ) -> Result<()> {
        let terms = self.complete(options)?;
        let payload = |(key, value): &(&str, T)| {
            let key: Box<str> = self.full_key(key)?.as_str().into();
            Ok((key, Payload::typed_in(value.clone(), self.0.codec)))
        };
        let payloads = values.iter().map(payload).collect::<Result<Vec<_>>>()?;
        self.store("set_many", payloads, &terms).await
    }

    async fn store(
        &self,
        operation: &'static str,
        payloads: Vec<(Box<str>, Payload)>,
        terms: &Terms,
    ) -> Result<()> {
        if terms.ttl.is_zero() {
            let gone: Vec<Record> = payloads
                .into_iter()
                .map(|(key, _)| Record::Key(key))
                .collect();
            self.apply(operation, &gone).await?;
            return Ok(());
        }
        let count = payloads.len();
        let entry = |payload| {
            // Each under terms of its own: they are not to expire at one moment.
            let terms = terms.clone().under(&self.0.policy);
            Arc::new(self.entry(payload, &terms))
        };
        let entries: Vec<(Box<str>, Arc<Entry>)> = payloads
            .into_iter()
            .map(|(key, payload)| (key, entry(payload)))
            .collect();
        let entries = entries
            .iter()
            .map(|(key, entry)| (&**key, Arc::clone(entry)))
            .collect();
        let stored = self.engine().provider.set(entries).await;
        stored.map_err(|error| self.during(operation, error))?;
        self.counters().set(count);
        Ok(())
    }

    fn complete(&self, options: EntryOptions) -> Result<Terms> {
        options.complete(self.0.default_ttl, self.engine().can_index())
    }

    fn entry(&self, payload: Payload, terms: &Terms) -> Entry {
        let now = self.engine().clock.now();
        let meta = Meta {
            id: EntryId::random(),
            owner: Owner::HANDLE,
            stamp: self.engine().log.stamp(),
            created: now,
            expires: terms.expires(now),
            kept_for: terms.kept_for,
            load_time: Duration::ZERO,
            tags: Arc::clone(&terms.tags),
        };
        Entry::new(meta, payload)
    }

    /// Adds `amount`, which may be negative, to the counter at `key`, and returns the sum.
    ///
    /// A counter that is not there begins at zero, with the namespace's default time to live,
    /// which later increments do not push out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`](crate::ErrorKind::WrongType) if the value is not an integer, or is a
    /// function's or a response's, [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) if the sum is no `i64`; both leave the
    /// value alone. Otherwise like [`set`](Self::set).
    pub async fn increment(&self, key: &str, amount: i64) -> Result<i64> {
        self.increment_with(key, amount, EntryOptions::new()).await
    }

    /// Like [`increment`](Self::increment); a counter that is created gets these terms.
    ///
    /// # Errors
    ///
    /// Like [`increment`](Self::increment).
    pub async fn increment_with(
        &self,
        key: &str,
        amount: i64,
        options: EntryOptions,
    ) -> Result<i64> {
        let key = self.full_key(key)?;
        let terms = self.complete(options)?;
        let fresh = Arc::new(self.entry(Payload::Counter(amount), &terms));
        let provider = &self.engine().provider;
        let sum = provider.increment(key.as_str(), amount, fresh).await;
        let sum = sum.map_err(|error| self.during("increment", error))?;
        self.counters().set(1);
        Ok(sum)
    }

    /// Takes `amount`, which may be negative, off the counter at `key`, and returns what is left.
    ///
    /// It is an [`increment`](Self::increment) by `-amount`, and so goes below zero.
    ///
    /// # Errors
    ///
    /// Like [`increment`](Self::increment); an amount of `i64::MIN` is always
    /// [`ErrorKind::Overflow`](crate::ErrorKind::Overflow).
    pub async fn decrement(&self, key: &str, amount: i64) -> Result<i64> {
        self.decrement_with(key, amount, EntryOptions::new()).await
    }

    /// Like [`decrement`](Self::decrement); a counter that is created gets these terms.
    ///
    /// # Errors
    ///
    /// Like [`decrement`](Self::decrement).
    pub async fn decrement_with(
        &self,
        key: &str,
        amount: i64,
        options: EntryOptions,
    ) -> Result<i64> {
        let negative = amount
            .checked_neg()
            .ok_or_else(|| self.during("decrement", overflow()))?;
        self.increment_with(key, negative, options).await
    }

    /// Gives the value at `key` a new time to live from now on; false if there is no such value.
    /// A time to live of zero removes it. Whose value it is does not matter.
    ///
    /// # Errors
    ///
    /// Like [`set`](Self::set).
    #[doc(alias = "set_ttl")]
    pub async fn expire(&self, key: &str, ttl: impl Into<Ttl>) -> Result<bool> {
        let ttl = ttl.into();
        if ttl.is_zero() {
            return self.delete(key).await;
        }
        let key = self.full_key(key)?;
        let provider = &self.engine().provider;
        let changed = provider.expire(key.as_str(), ttl.span()).await;
        changed.map_err(|error| self.during("expire", error))
    }
}

/// A write that is about to happen; await it.
#[derive(Debug)]
#[must_use = "nothing is stored until the `Set` is awaited"]
pub struct Set<'a> {
    cache: &'a Cache,
    key: Box<str>,
    payload: Payload,
    options: EntryOptions,
}

impl Set<'_> {
    /// How long the value may be shown. Default: the namespace's.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.options = self.options.ttl(ttl);
        self
    }

    /// No limit in time.
    pub fn no_ttl(self) -> Self {
        self.ttl(Ttl::Never)
    }

    /// Adds a tag.
    pub fn tag(mut self, tag: impl Into<Box<str>>) -> Self {
        self.options = self.options.tag(tag);
        self
    }

    /// Adds several tags.
    pub fn tags<I>(mut self, tags: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.options = self.options.tags(tags);
        self
    }

    /// Has the value found by [`Cache::get_by_index`] under `value` in the index `name`; see
    /// [`EntryOptions::index`].
    pub fn index(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options = self.options.index(name, value);
        self
    }

    async fn store(self) -> Result<()> {
        let key = self.cache.full_key(&self.key)?.as_str().into();
        let terms = self.cache.complete(self.options)?;
        self.cache
            .store("set", vec![(key, self.payload)], &terms)
            .await
    }
}

impl<'a> IntoFuture for Set<'a> {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'a, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.store())
    }
}
