//! Reads of single keys that come at one moment, gathered into one command.
//!
//! 1. A read is sent at once while no other is under way.
//! 2. Others wait for one turn of the runtime's queue: for the tasks that stand in it already,
//!    which are those that an earlier answer woke. What they ask for goes out with it. Nobody
//!    waits for a timer, or for the answer to somebody else's command.
//! 3. A command asks for what was asked for before it was sent, and for nothing later: whoever
//!    notes where the log stands before he reads is not given something older.
//! 4. Each read is a call by itself, with its own time limit, and counts for the breaker. One that
//!    is dropped takes nothing from the others. Where a command fails, or nobody is left to send
//!    it, each goes alone.

mod batch;

use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use ::redis::{RedisError, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::call::Call;
use super::link::{Link, read};
use super::links::Links;
use crate::error::Result;
use batch::{Batch, MAX_KEYS};

/// What reads of single keys go through, where one server has all.
pub(super) struct Reads {
    gathering: Arc<Gathering>,
    runtime: Handle,
    under_way: AtomicUsize,
}

struct Gathering {
    link: Link,
    batch: Mutex<Batch>,
    /// How many keys the next command may ask for.
    limit: AtomicUsize,
}

impl Reads {
    /// Reads by commands that tasks in `runtime` send; `None` where keys lie on several servers.
    pub(super) fn over(links: &Links, runtime: Handle) -> Option<Self> {
        match links {
            Links::One(link) => Some(Self::new(link.clone(), runtime)),
            #[cfg(feature = "redis-cluster")]
            Links::Cluster(_) => None,
        }
    }

    fn new(link: Link, runtime: Handle) -> Self {
        let gathering = Gathering {
            link,
            batch: Mutex::new(Batch::new()),
            limit: AtomicUsize::new(MAX_KEYS),
        };
        Self {
            gathering: Arc::new(gathering),
            runtime,
            under_way: AtomicUsize::new(0),
        }
    }

    /// What stands at `key`.
    pub(super) async fn read(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let link = &self.gathering.link;
        read(link.bounded(self.attempt(key), link.until()).await?)
    }

    async fn attempt(&self, key: &str) -> Result<Value, RedisError> {
        let turn = Turn::new(&self.under_way);
        if !turn.is_alone
            && let Ok(value) = self.gather(key).await
        {
            return Ok(value);
        }
        // Boxed, for it is large, and most futures do not get here.
        Box::pin(self.gathering.alone(key)).await
    }

    fn gather(&self, key: &str) -> oneshot::Receiver<Value> {
        let (answer, receiver) = oneshot::channel();
        let mut batch = self.gathering.batch();
        batch.add(key, answer);
        let limit = self.gathering.limit.load(Ordering::Relaxed);
        let full = batch.is_full(limit).then(|| batch.take());
        let is_first = batch.len() == 1;
        drop(batch);
        let gathering = Arc::clone(&self.gathering);
        if let Some(full) = full {
            self.runtime.spawn(gathering.send(full));
        } else if is_first {
            self.runtime.spawn(Gatherer(Some(gathering)).run());
        }
        receiver
    }
}

/// One read under way.
struct Turn<'r> {
    under_way: &'r AtomicUsize,
    is_alone: bool,
}

impl<'r> Turn<'r> {
    fn new(under_way: &'r AtomicUsize) -> Self {
        let before = under_way.fetch_add(1, Ordering::Relaxed);
        Self {
            under_way,
            is_alone: before == 0,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gathering {
    async fn alone(&self, key: &str) -> Result<Value, RedisError> {
        let reply = self.link.send_one(&Call::command("MGET").arg(key)).await?;
        Ok(match reply {
            Value::Array(mut values) if values.len() == 1 => values.remove(0),
            other => other,
        })
    }

    async fn send(self: Arc<Self>, batch: Batch) {
        if let Some(limit) = batch.send(&self.link).await {
            self.limit.store(limit, Ordering::Relaxed);
        }
    }

    fn take(&self) -> Batch {
        self.batch().take()
    }

    fn batch(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what is gathered within one turn of the queue. It is a task of its own: a reader that
/// nobody polls any more must not keep others waiting.
struct Gatherer(Option<Arc<Gathering>>);

impl Gatherer {
    async fn run(mut self) {
        stand_in_line().await;
        if let Some(gathering) = self.0.take() {
            let batch = gathering.take();
            gathering.send(batch).await;
        }
    }
}

impl Drop for Gatherer {
    /// The runtime has ended: those who wait go alone.
    fn drop(&mut self) {
        let forsaken = self.0.take().map(|gathering| gathering.take());
        drop(forsaken);
    }
}

/// Ends when those who stand in the runtime's queue now have had their turn. Tokio's `yield_now`
/// waits until the queue is empty, which costs a busy process two thirds of its reads.
async fn stand_in_line() {
    let mut has_stood = false;
    let stand = poll_fn(|context| {
        if mem::replace(&mut has_stood, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    });
    stand.await;
}
