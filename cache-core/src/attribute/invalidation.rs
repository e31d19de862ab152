//! What one call of a `#[cache_invalidate]` function makes go.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::cache::Cache;
use crate::entry::check_tag;
use crate::error::{Error, Result};
use crate::key::KeyWriter;
use crate::log::Record;

/// Keys, patterns and tags that are to go once the function has succeeded.
///
/// Dropped before it was run or called off, as when the caller gives up or the function panics,
/// it invalidates all the same: whether the function had done its work by then is unknown, and
/// what is hidden needlessly is only computed again.
#[derive(Debug)]
pub struct Invalidation(Option<Pending>);

#[derive(Debug)]
struct Pending {
    cache: Cache,
    records: Vec<Record>,
}

impl Invalidation {
    pub fn new(cache: &Cache) -> Self {
        let cache = cache.clone();
        let records = Vec::new();
        Self(Some(Pending { cache, records }))
    }

    #[must_use]
    pub fn key(self, write: impl FnOnce(&mut KeyWriter) -> Result<()>) -> Self {
        self.add(KeyWriter::new(), write, |cache, key| {
            Ok(Record::Key(cache.full_key(key)?.as_str().into()))
        })
    }

    #[must_use]
    pub fn pattern(self, write: impl FnOnce(&mut KeyWriter) -> Result<()>) -> Self {
        self.add(KeyWriter::new(), write, |cache, pattern| {
            let pattern = cache.full_pattern(pattern)?;
            Ok(Record::Pattern(pattern.as_str().into()))
        })
    }

    #[must_use]
    pub fn tag(self, write: impl FnOnce(&mut KeyWriter) -> Result<()>) -> Self {
        self.add(KeyWriter::for_tag(), write, |_, tag| {
            check_tag(tag)?;
            Ok(Record::Tag(tag.into()))
        })
    }

    /// What has no form in a key, or is too long for one, is not stored: nothing is left out
    /// that could have been found.
    fn add(
        mut self,
        mut text: KeyWriter,
        write: impl FnOnce(&mut KeyWriter) -> Result<()>,
        record: fn(&Cache, &str) -> Result<Record>,
    ) -> Self {
        if let Some(pending) = &mut self.0 {
            let written = write(&mut text);
            match written.and_then(|()| record(&pending.cache, text.as_str())) {
                Ok(record) => pending.records.push(record),
                Err(error) => pending.failed(&error),
            }
        }
        self
    }

    /// Makes all of it go. What fails is counted and logged.
    ///
    /// Dropping the future leaves it to a task of its own.
    pub async fn run(mut self) {
        if let Some(pending) = self.0.take() {
            Detached::new(pending).await;
        }
    }

    /// Calls it off, because the function failed.
    pub fn call_off(mut self) {
        self.0 = None;
    }
}

impl Drop for Invalidation {
    fn drop(&mut self) {
        // To be dropped is to be handed over: see there.
        drop(self.0.take().map(Detached::new));
    }
}

impl Pending {
    /// One round trip for all of it.
    async fn run(self) {
        if self.records.is_empty() {
            return;
        }
        let operation = "cache_invalidate";
        let invalidated = self.cache.invalidate_all(operation, &self.records).await;
        if let Err(error) = invalidated {
            self.failed(&error);
        }
    }

    fn failed(&self, error: &Error) {
        self.cache.counters().error();
        tracing::warn!(
            provider = self.cache.provider_name(),
            namespace = self.cache.counters().namespace(),
            %error,
            source = std::error::Error::source(error),
            "what a function changed could not be invalidated"
        );
    }
}

/// An invalidation that goes on in a task of its own if nobody waits for it any more.
struct Detached {
    cache: Cache,
    run: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Detached {
    fn new(pending: Pending) -> Self {
        Self {
            cache: pending.cache.clone(),
            run: Some(Box::pin(pending.run())),
        }
    }

    /// Nobody is left to see it through.
    fn lost(&self) {
        self.cache.counters().error();
        tracing::warn!(
            provider = self.cache.provider_name(),
            namespace = self.cache.counters().namespace(),
            "what a function changed may not have been invalidated: its future was dropped \
             outside a Tokio runtime, before the backend had answered"
        );
    }
}

impl Future for Detached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(run) = &mut self.run else {
            return Poll::Ready(());
        };
        let polled = run.as_mut().poll(context);
        if polled.is_ready() {
            self.run = None;
        }
        polled
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        // In memory the first poll does it all, and needs no runtime.
        let first = catch_unwind(AssertUnwindSafe(|| {
            run.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        }));
        match (first, tokio::runtime::Handle::try_current()) {
            (Ok(Poll::Ready(())), _) => {}
            (Ok(Poll::Pending), Ok(runtime)) => drop(runtime.spawn(run)),
            _ => self.lost(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    /// An invalidation that waits for its backend's answer, and says when it has it.
    fn waiting() -> (Detached, oneshot::Sender<()>, oneshot::Receiver<()>) {
        let (answer, answered) = oneshot::channel();
        let (done, finished) = oneshot::channel();
        let run = Box::pin(async move {
            answered.await.expect("the answer comes");
            let _ = done.send(());
        });
        let cache = Cache::memory();
        let run: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = Some(run);
        (Detached { cache, run }, answer, finished)
    }

    #[tokio::test]
    async fn an_invalidation_that_is_dropped_while_it_waits_goes_on_in_a_task() {
        let (invalidation, answer, finished) = waiting();
        drop(invalidation);
        answer.send(()).expect("somebody waits for it");
        finished.await.expect("it came to its end");
    }

    #[test]
    fn without_a_runtime_it_ends_where_it_was() {
        let (invalidation, answer, mut finished) = waiting();
        let cache = invalidation.cache.clone();
        drop(invalidation);
        assert_eq!(cache.metrics().errors, 1, "somebody can notice");
        assert!(answer.send(()).is_err());
        assert!(finished.try_recv().is_err());
    }

    #[test]
    fn an_invalidation_that_was_called_off_does_nothing_when_dropped() {
        let cache = Cache::memory();
        let log = &cache.engine().log;
        let before = log.publication();
        let key = |text: &'static str| {
            move |key: &mut KeyWriter| {
                key.literal(text);
                Ok(())
            }
        };
        Invalidation::new(&cache).key(key("a")).call_off();
        assert_eq!(log.publication(), before);
        drop(Invalidation::new(&cache).tag(key("a")));
        assert_ne!(log.publication(), before);
    }
}
