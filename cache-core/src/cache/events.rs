//! Following what happens to entries.

use super::Cache;
use crate::events::Events;

impl Cache {
    /// Follows what happens from now on to the entries of this namespace and of those inside it: what
    /// expires, is evicted, replaced or invalidated. On the root handle that is everything.
    ///
    /// What is told, and what a server does not tell, is said at [`Event`](crate::Event). The cache
    /// waits for nobody: who reads too slowly misses events and is told how many. With no one who
    /// follows, events cost next to nothing.
    ///
    /// ```
    /// use cache_core::{Cache, Event, InvalidatedBy};
    ///
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// # let cache = Cache::memory();
    /// let users = cache.namespace("users");
    /// let mut events = users.events();
    /// users.invalidate("42").await?;
    ///
    /// match events.next().await {
    ///     Some(Event::Invalidated(InvalidatedBy::Key(user))) => assert_eq!(user.key(), "42"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn events(&self) -> Events {
        Events::new(self.engine().log.events(), self.0.scope.as_str())
    }
}
