//! Loads that own what they need: under a policy they go on when their caller has an answer, or
//! none.

use std::future::Future;

use super::Cache;
use super::call::{Call, Load, alone};
use crate::engine::Hit;
use crate::entry::Owner;
use crate::load_error::LoadError;
use crate::loaded::Loaded;
use crate::terms::EntryOptions;
use crate::value::Value;

impl Cache {
    /// The value at `key`, or what `load` returns, under the handle's [`Policy`](crate::Policy): a stale
    /// value while it is loaded anew, no longer a wait than a timeout says.
    ///
    /// `load` returns the value alone, or [`Loaded`] with a time to live and tags of this very result.
    /// Like [`get_or_set`](Self::get_or_set) otherwise: one load for all who ask at one moment, and what is
    /// invalidated meanwhile is not stored. Its loader owns what it needs, because the load may go on in a
    /// task of its own: in the background, or where a timeout is set.
    ///
    /// Dropping the future drops a load that is in no task of its own; a waiting caller takes over.
    ///
    /// ```
    /// # use cache_core::{Cache, Policy};
    /// # use std::time::Duration;
    /// # async fn query() -> Result<String, std::io::Error> { Ok("Ada".into()) }
    /// # async fn example() -> Result<(), cache_core::LoadError<std::io::Error>> {
    /// # let cache = Cache::memory();
    /// let policy = Policy::new().stale_while_revalidate(Duration::from_secs(30));
    /// let users = cache.namespace("users").with_policy(policy);
    /// let name: String = users.get_or_load("42", || query()).await?;
    /// # assert_eq!(name, "Ada");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`LoadError::Failed`] with that of `load`, where nothing stale may be shown in its place;
    /// [`LoadError::Unfinished`] after the [hard timeout](crate::Policy::hard_timeout). What goes wrong in the
    /// cache is counted and logged, and the value loaded.
    ///
    /// # Panics
    ///
    /// If `load` does, and its caller waits for it.
    pub async fn get_or_load<T, E, L, F, Fut>(&self, key: &str, load: F) -> Result<T, LoadError<E>>
    where
        T: Value,
        E: Send + 'static,
        L: Into<Loaded<T>>,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<L, E>> + Send + 'static,
    {
        self.get_or_load_with(key, EntryOptions::new(), load).await
    }

    /// Like [`get_or_load`](Self::get_or_load), under terms of its own.
    ///
    /// # Errors
    ///
    /// Like [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_with<T, E, L, F, Fut>(
        &self,
        key: &str,
        options: EntryOptions,
        load: F,
    ) -> Result<T, LoadError<E>>
    where
        T: Value,
        E: Send + 'static,
        L: Into<Loaded<T>>,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<L, E>> + Send + 'static,
    {
        let early = match self.peek_hit(key) {
            Some((value, hit)) if self.is_early(&hit) => Some((value, hit)),
            Some((value, _)) => return Ok(value),
            None => None,
        };
        let load: Load<T, E> = Box::new(|| Box::pin(async { load().await.map(Into::into) }));
        let call = match self.question(key, Owner::HANDLE, &options) {
            Ok(question) => Call::new(self, question, options, load),
            Err(error) => {
                self.bypass(&error);
                return alone(load).await;
            }
        };
        match early {
            Some((value, hit)) => {
                call.refresh(&hit);
                Ok(value)
            }
            None => call.answer().await,
        }
    }

    fn peek_hit<T: Value>(&self, key: &str) -> Option<(T, Hit)> {
        let hit = self.peek_uncounted(key, Owner::HANDLE)?;
        let value = hit.value().ok()?;
        self.0.counters.hit();
        Some((value, hit))
    }

    /// Whether what is fresh is to be loaded anew already.
    pub(super) fn is_early(&self, hit: &Hit) -> bool {
        let load_time = hit.entry().meta().load_time;
        self.0.policy.is_early(hit.ttl(), load_time)
    }
}
