//! Following the events of one namespace.

use std::fmt;
use std::sync::{Arc, Weak};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::event::{Event, Told};
use super::hub::Hub;

/// What happens in a namespace and in those inside it, from [`Cache::events`](crate::Cache::events)
/// on, in the order in which it was told.
///
/// The cache never waits for a reader: [`MAX_EVENTS`](super::MAX_EVENTS) are kept, those of other
/// namespaces included, and who falls further behind is told how many were dropped. Dropping this
/// ends it, and frees what was kept for it. It does not keep the cache alive.
pub struct Events {
    receiver: Receiver<Told>,
    hub: Weak<Hub>,
    scope: Box<str>,
}

impl Events {
    pub(crate) fn new(hub: &Arc<Hub>, scope: &str) -> Self {
        Self {
            receiver: hub.follow(),
            hub: Arc::downgrade(hub),
            scope: scope.into(),
        }
    }

    /// The next event; `None` when the cache and all its handles are gone.
    ///
    /// Dropping the future misses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(told) if told.concerns(&self.scope) => return Some(told.event),
                Ok(_) => {}
                Err(RecvError::Lagged(dropped)) => return Some(Event::Lagged(dropped)),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Calls `handle` with each event, until the cache and all its handles are gone: what to
    /// `tokio::spawn` where a callback is wanted. It runs in this future alone, one event after the
    /// other, and holds up nobody else.
    ///
    /// ```
    /// # async fn example(cache: cache_core::Cache) {
    /// use cache_core::Event;
    ///
    /// let evicted = cache.events().for_each(|event| {
    ///     if let Event::Evicted(entry) = event {
    ///         println!("no room in {}", entry.namespace());
    ///     }
    /// });
    /// tokio::spawn(evicted);
    /// # }
    /// ```
    pub async fn for_each(mut self, mut handle: impl FnMut(Event)) {
        while let Some(event) = self.next().await {
            handle(event);
        }
    }

    /// The next event that has happened already; `None` if there is none now.
    pub fn try_next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.try_recv() {
                Ok(told) if told.concerns(&self.scope) => return Some(told.event),
                Ok(_) => {}
                Err(TryRecvError::Lagged(dropped)) => return Some(Event::Lagged(dropped)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.unfollow();
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
