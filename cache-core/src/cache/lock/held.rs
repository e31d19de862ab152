//! What a guard holds, and gives back: a token, and until when it is sure of the lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::cache::Cache;
use crate::clock::Timestamp;
use crate::entry::EntryId;
use crate::error::Result;

/// Clocks are taken to differ by one part in so many, and by this besides, as Redlock does.
const DRIFT: u32 = 100;
const SLACK: Duration = Duration::from_millis(2);
/// How often a lock that is kept alive is extended in its time.
const KEEPS: u32 = 3;

/// A lock that was taken, and until when it is surely held.
pub(super) struct Held {
    pub(super) claim: Claim,
    until: AtomicU64,
    /// One extends after another, so that what was answered last was done last.
    turn: Mutex<()>,
}

impl Held {
    pub(super) fn new(claim: Claim, until: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            claim,
            until: AtomicU64::new(until.as_micros()),
            turn: Mutex::new(()),
        })
    }

    pub(super) fn is_held(&self) -> bool {
        self.claim.now().as_micros() < self.until.load(Ordering::Acquire)
    }

    pub(super) async fn extend(&self, ttl: Duration) -> Result<bool> {
        let _turn = self.turn.lock().await;
        let until = self.claim.held_until(ttl).as_micros();
        // Whatever becomes of it, it is not held for longer than both.
        self.until.fetch_min(until, Ordering::AcqRel);
        let Claim { key, token, .. } = &self.claim;
        let held = self.claim.cache.locks()?.extend(key, *token, ttl).await?;
        let until = if held { until } else { 0 };
        self.until.store(until, Ordering::Release);
        Ok(held)
    }
}

/// The task that keeps a lock alive; dropping this ends it.
pub(super) struct Keeper(JoinHandle<()>);

impl Keeper {
    /// `None` outside a runtime.
    pub(super) fn of(held: &Arc<Held>, ttl: Duration) -> Option<Self> {
        let runtime = runtime::Handle::try_current().ok()?;
        Some(Self(runtime.spawn(keep(Arc::downgrade(held), ttl))))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep(held: Weak<Held>, ttl: Duration) {
    loop {
        sleep(ttl / KEEPS).await;
        let Some(held) = held.upgrade() else {
            return;
        };
        match held.extend(ttl).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::debug!(%error, "a lock was not extended; it is tried again"),
        }
    }
}

/// A token that may hold a lock. Dropped, it gives the lock back.
pub(super) struct Claim {
    pub(super) cache: Cache,
    pub(super) key: Arc<str>,
    pub(super) token: EntryId,
    pub(super) may_hold: AtomicBool,
}

impl Claim {
    fn now(&self) -> Timestamp {
        self.cache.engine().clock.now()
    }

    pub(super) fn may_hold(&self, may: bool) {
        self.may_hold.store(may, Ordering::Relaxed);
    }

    /// Until when a lock is surely held that is asked for now.
    pub(super) fn held_until(&self, ttl: Duration) -> Timestamp {
        let margin = (ttl / DRIFT).saturating_add(SLACK);
        self.now().saturating_add(ttl.saturating_sub(margin))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if *self.may_hold.get_mut()
            && let Ok(locks) = self.cache.locks()
        {
            locks.give_back(&self.key, self.token);
        }
    }
}
