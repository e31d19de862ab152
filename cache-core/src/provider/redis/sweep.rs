//! Frees what invalidations have hidden, and takes what is gone out of the indexes: a little at a
//! time, on one node at a time.
//!
//! Only memory is at stake. What is hidden stays hidden whether it is freed or not, so barriers
//! are kept as if there was no sweep, and a sweep that fails is left to the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::backplane::Backplane;
use super::entries::{Entries, millis};
use super::indexes::INFIX;
use super::script::SWEEP;
use super::tidy::Untidy;
use crate::codec::Packing;
use crate::error::Result;
use crate::log::Stamp;
use crate::pattern::Pattern;
use crate::provider::Cursor;
use crate::random;

/// About how many keys one step looks at.
const STEP: usize = 200;
/// How long the server is left alone between two steps, at least.
const PAUSE: Duration = Duration::from_millis(20);
/// How many times as long as a step took it is left alone: a loaded server is asked less.
const RESTRAINT: u32 = 4;
/// For how long a node that has died keeps the others from sweeping, beyond its pause.
const TURN: Duration = Duration::from_secs(10);

/// Sweeps once per interval, unless another node does. Holds no provider.
pub(super) struct Sweeper {
    pub(super) backplane: Weak<Backplane>,
    pub(super) interval: Duration,
    pub(super) freed: Arc<AtomicU64>,
    token: u64,
    /// What entries and indexes lie at.
    all: Pattern,
    indexes: Pattern,
    /// Where the log stood when the last whole sweep of this node began.
    swept: Option<Stamp>,
}

impl Sweeper {
    pub(super) fn new(
        backplane: &Arc<Backplane>,
        interval: Duration,
        freed: Arc<AtomicU64>,
    ) -> Result<Self> {
        let prefix = Pattern::escape(backplane.keys.root.trim_end_matches(':'));
        Ok(Self {
            backplane: Arc::downgrade(backplane),
            interval,
            freed,
            token: random::u64(),
            all: Pattern::new(format!("{prefix}[:#]*"))?,
            indexes: Pattern::new(format!("{prefix}{INFIX}*"))?,
            swept: None,
        })
    }

    /// Runs until the provider is gone.
    pub(super) async fn run(mut self) {
        let mut wait = self.interval;
        loop {
            tokio::time::sleep(wait).await;
            if self.backplane.strong_count() == 0 {
                return;
            }
            wait = match self.round().await {
                Ok(Some(left)) => left.min(self.interval),
                Ok(None) => self.interval,
                Err(error) => {
                    tracing::debug!(%error, "a sweep was broken off; the next one starts anew");
                    self.interval
                }
            };
        }
    }

    /// One sweep, if it is this node's turn; else for how long it is another's. Where the log has
    /// not moved nothing has been hidden. But keys in indexes go stale without it: their entries
    /// are evicted, or were yet to come when they were looked at.
    async fn round(&mut self) -> Result<Option<Duration>> {
        let Some(began) = self.backplane.upgrade().map(|strong| strong.log.stamp()) else {
            return Ok(None);
        };
        if let Some(left) = self.turn(TURN).await? {
            return Ok(Some(left));
        }
        let pattern = match self.swept == Some(began) {
            true => &self.indexes,
            false => &self.all,
        };
        let mut cursor = Some(Cursor::START);
        while let Some(at) = cursor {
            cursor = match self.step(pattern, at).await? {
                Step::Next(next) => next,
                Step::Over(left) => return Ok(left),
            };
        }
        self.swept = Some(began);
        // Nobody else needs to do the same again before the interval is over.
        self.turn(self.interval).await
    }

    /// Looks at some keys and frees what is hidden, then looks through the indexes among them.
    async fn step(&self, pattern: &Pattern, at: Cursor) -> Result<Step> {
        let began = Instant::now();
        let Some(entries) = self.entries() else {
            return Ok(Step::Over(None));
        };
        let (keys, next) = entries.keys(pattern, at, STEP, &[]).await?;
        let mut indexes: Vec<_> = keys.iter().filter_map(|key| Untidy::at(key)).collect();
        if indexes.len() < keys.len() {
            self.free_hidden(&entries, keys).await?;
        }
        drop(entries);
        let mut over = self.rest(began).await?;
        while over.is_none() && !indexes.is_empty() {
            let began = Instant::now();
            let Some(entries) = self.entries() else {
                return Ok(Step::Over(None));
            };
            indexes = entries.tidy(indexes).await?;
            drop(entries);
            over = self.rest(began).await?;
        }
        Ok(over.map_or(Step::Next(next), |left| Step::Over(Some(left))))
    }

    fn entries(&self) -> Option<Entries> {
        Some(Entries {
            // It reads headers only.
            packing: Packing::PLAIN,
            backplane: self.backplane.upgrade()?,
            reads: None,
            lease_ttl: TURN,
        })
    }

    /// Leaves the server alone for a while; `Some` if it is another node's turn by then.
    async fn rest(&self, began: Instant) -> Result<Option<Duration>> {
        let pause = PAUSE.max(began.elapsed() * RESTRAINT);
        if let Some(left) = self.turn(TURN.saturating_add(pause)).await? {
            return Ok(Some(left));
        }
        tokio::time::sleep(pause).await;
        Ok(None)
    }

    async fn free_hidden(&self, entries: &Entries, keys: Vec<String>) -> Result<()> {
        // What has expired and is kept can be hidden, too.
        let seen = entries.listed(keys, |_| true).await?;
        // After looking: an entry of an incarnation that this node had not heard of is no old one.
        entries.backplane.catch_up().await?;
        let log = &entries.backplane.log;
        let hidden = seen
            .into_iter()
            .filter(|(key, meta)| !log.is_visible(key, meta))
            .map(|(key, meta)| (key, meta.id));
        let freed = entries.free(&hidden.collect::<Vec<_>>()).await?;
        self.freed.fetch_add(freed, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the turn, or keeps it, for a while from now; `Some` if it is another's.
    async fn turn(&self, span: Duration) -> Result<Option<Duration>> {
        let Some(backplane) = self.backplane.upgrade() else {
            return Ok(None);
        };
        let call = SWEEP
            .on(&[&backplane.keys.sweep])
            .arg(self.token)
            .arg(millis(span));
        let left: u64 = backplane.links.call(call).await?;
        Ok((left > 0).then(|| Duration::from_millis(left)))
    }
}

/// What follows a step.
enum Step {
    /// The next, or the end.
    Next(Option<Cursor>),
    /// The sweep ends here: the provider is gone, or for so long it is another node's turn.
    Over(Option<Duration>),
}
