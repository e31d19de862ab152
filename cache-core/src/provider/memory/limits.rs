//! Rate limits in the memory of this process.

use std::time::Duration;

use super::expiring::{Ends, Expiring};
use super::{MemoryProvider, NAME, ready};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::provider::{BoxFuture, Decision, Limits, RateLimit, WindowKind};

/// At how many keys calls are counted at a time.
pub(super) const MOST: usize = 1 << 17;

/// What is counted at all keys.
pub(super) type Counts = Expiring<Window>;

impl Limits for MemoryProvider {
    fn check<'a>(
        &'a self,
        key: &'a str,
        limit: RateLimit,
        cost: u64,
    ) -> BoxFuture<'a, Result<Decision>> {
        let now = self.clock.now();
        let decide = |there: &mut Option<Window>| decide(there, now, &limit, cost);
        let decision = self.counts.with(&limit.place(key), now, decide);
        ready(decision.map_err(|error| error.during("rate_limit", NAME)))
    }

    fn reset<'a>(&'a self, key: &'a str, limit: RateLimit) -> BoxFuture<'a, Result<bool>> {
        let take = |there: &mut Option<Window>| there.take().is_some();
        ready(self.counts.with(&limit.place(key), self.clock.now(), take))
    }
}

/// The calls that count at one key. The script `limit.lua` does the same on Redis.
#[derive(Debug)]
pub(super) struct Window {
    /// When the newest part began. It takes the calls of a part's length, or, of a fixed window,
    /// of all of it.
    opened: Timestamp,
    /// From the oldest on. There is one at least.
    parts: Vec<Part>,
}

/// Calls that count until the same moment.
#[derive(Clone, Copy, Debug)]
struct Part {
    ends: Timestamp,
    cost: u64,
}

impl Ends for Window {
    fn ends(&self) -> Timestamp {
        self.parts.last().map_or(self.opened, |part| part.ends)
    }
}

impl Window {
    fn used(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(part.cost))
    }

    /// Counts a call. Time may have gone back; what counts later never ends earlier.
    fn add(there: &mut Option<Self>, now: Timestamp, limit: &RateLimit, cost: u64) {
        let ends = now.saturating_add(limit.window());
        let part = Duration::from_micros(limit.part_micros());
        let Some(window) = there else {
            let parts = vec![Part { ends, cost }];
            *there = Some(Self { opened: now, parts });
            return;
        };
        let latest = window.ends().max(ends);
        match window.parts.last_mut() {
            Some(newest) if now < window.opened.saturating_add(part) => {
                newest.cost = newest.cost.saturating_add(cost);
                if limit.kind() == WindowKind::Sliding {
                    newest.ends = latest;
                }
            }
            _ => {
                window.opened = now;
                window.parts.push(Part { ends: latest, cost });
            }
        }
    }
}

/// Counts a call if it fits, and says how things stand after it.
fn decide(there: &mut Option<Window>, now: Timestamp, limit: &RateLimit, cost: u64) -> Decision {
    if let Some(window) = there {
        window.parts.retain(|part| part.ends > now);
    }
    let used = there.as_ref().map_or(0, Window::used);
    let left = limit.limit().saturating_sub(used);
    let allowed = cost.max(1) <= left;
    let retry_after = match allowed {
        true => None,
        false => fits_at(there.as_ref(), limit, cost.max(1)).map(|at| at.since(now)),
    };
    let taken = if allowed { cost } else { 0 };
    if taken > 0 {
        Window::add(there, now, limit, taken);
    }
    Decision {
        allowed,
        limit: limit.limit(),
        remaining: left - taken,
        resets_after: there
            .as_ref()
            .map_or(Duration::ZERO, |window| window.ends().since(now)),
        retry_after,
    }
}

/// When enough will have ended for a call of this cost.
fn fits_at(there: Option<&Window>, limit: &RateLimit, cost: u64) -> Option<Timestamp> {
    let most = limit.limit().checked_sub(cost)?;
    let window = there?;
    let mut used = window.used();
    let enough = |part: &&Part| {
        used -= part.cost.min(used);
        used <= most
    };
    window.parts.iter().find(enough).map(|part| part.ends)
}
