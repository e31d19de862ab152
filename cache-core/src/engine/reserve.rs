//! Reserving a key for a load: takes its lease, or waits for the load that holds it elsewhere.
//!
//! The lease is the distributed lock. Waiting for it spares work and guards nothing: whose value is
//! stored is decided by the fill, so whoever gives up waiting may load at any time. Each look at
//! another's lease is the step that takes it if it is gone.
//!
//! 1. Without the lock the other load is joined: both run, and the first to end stores.
//! 2. A load that began before something which hides its value is neither joined nor waited for.
//! 3. When a load has ended without a value, all who waited for it load at once, as the followers
//!    of a flight do: loads that store nothing must not queue up behind each other.
//! 4. The wait ends when the bound is reached, counted from the call, or the node is out of touch.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;
use tokio::time::{Instant, sleep_until};

use super::ticket::{Hit, Ticket};
use super::{Engine, Look, Observed, Question};
use crate::entry::{Entry, EntryId};
use crate::error::Result;
use crate::provider::{Lease, Leased};

/// How often a lease is asked for again when what stands there keeps being worthless.
const ATTEMPTS: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What is next after the lease was asked for.
enum Next {
    /// Somebody has stored a value meanwhile.
    Found(Hit),
    /// Load: the ticket holds the lease.
    Load,
    /// Load beside the one that has this token.
    Join(EntryId),
    /// Another process loads under this: look again later.
    Wait(Lease),
    /// Ask for the lease in place of this, which is worthless.
    Replace(Observed),
}

impl Engine {
    /// Looks once more, as one step with leaving the lease; and again, while another process loads
    /// the key and the question waits for it. `None`: load, stored if the ticket holds a lease.
    pub(super) async fn reserve(
        &self,
        question: &Question,
        ticket: &mut Ticket,
        mut observed: Observed,
    ) -> Result<Option<Hit>> {
        let mut wait = LockWait::of(question, self.lock_deadline(question.arrived));
        let mut replaced = 0;
        while replaced < ATTEMPTS && self.log.in_touch(self.clock.now()) {
            let next = self.ask_for_lease(question, ticket, observed, &mut wait);
            match next.await? {
                Next::Found(hit) => return Ok(Some(hit)),
                Next::Load => break,
                Next::Join(token) => {
                    ticket.join(token, self.log.stamp());
                    break;
                }
                Next::Wait(lease) => wait.pause_for(lease).await,
                Next::Replace(worthless) => {
                    observed = worthless;
                    replaced += 1;
                }
            }
        }
        Ok(None)
    }

    /// Asks once. What is found was asked for after the fence and the counter were taken, and what
    /// is loaded then is as new as the log was: so all three are taken anew each time.
    async fn ask_for_lease(
        &self,
        question: &Question,
        ticket: &mut Ticket,
        observed: Observed,
        wait: &mut LockWait,
    ) -> Result<Next> {
        let near = self.near_for(question);
        ticket.promote(near.and_then(|near| near.fence(&question.key)));
        let (publication, stamp) = (self.log.publication(), self.log.stamp());
        let (key, provider) = (&question.key, &self.provider);
        let leased = match observed {
            Observed::Nothing => provider.lease(key, None, stamp),
            Observed::Unfit(id) => provider.lease(key, Some(id), stamp),
            Observed::Useful(id) => provider.lease_beside(key, id, stamp),
        };
        let (lease, is_own) = match leased.await? {
            Leased::Found(entry) => return Ok(self.found(question, entry, publication)),
            Leased::Standing(lease) => (lease, false),
            Leased::Lease(lease) => {
                // Already here, so that it is given back if the caller goes away.
                ticket.hold(lease, observed.useful());
                (lease, true)
            }
        };
        if wait.ended_by(lease).is_some() {
            self.learn_why(question).await;
        }
        Ok(self.weigh(question, lease, is_own, wait))
    }

    fn found(&self, question: &Question, entry: Arc<Entry>, publication: u64) -> Next {
        let id = entry.meta().id;
        match self.judge_entry(question, entry, publication) {
            Look::Hit(hit) => Next::Found(hit),
            Look::Stale(_) => Next::Replace(Observed::Useful(id)),
            Look::Miss { observed, .. } => Next::Replace(observed),
            Look::Bypass => Next::Replace(Observed::Unfit(id)),
        }
    }

    fn weigh(&self, question: &Question, lease: Lease, is_own: bool, wait: &LockWait) -> Next {
        let Question { key, tags, .. } = question;
        let is_worthless = |lease: Lease| !self.log.shows(key, tags, lease.stamp);
        let ended = wait.ended_by(lease);
        match is_own {
            true if ended.is_none() => Next::Load,
            _ if is_worthless(lease) => Next::Replace(Observed::Unfit(lease.token)),
            true => Next::Load,
            false if wait.goes_on() && ended.is_none_or(is_worthless) => Next::Wait(lease),
            false => Next::Join(lease.token),
        }
    }

    /// An invalidation takes the lease away before its record is delivered. Without that record a
    /// load would be worthless when it has hardly begun, or the other one be taken for failed.
    async fn learn_why(&self, question: &Question) {
        if let Err(error) = self.provider.catch_up().await {
            self.failed(&error, &question.counters);
        }
    }
}

/// A question's wait for loads in other processes.
struct LockWait {
    /// `None` if it does not wait.
    until: Option<Instant>,
    /// The load that is waited for.
    lease: Option<Lease>,
    pause: Duration,
}

impl LockWait {
    fn of(question: &Question, until: Instant) -> Self {
        // Without a runtime there is no timer to bound the wait.
        let waits = question.reading.lock && runtime::Handle::try_current().is_ok();
        Self {
            until: waits.then_some(until),
            lease: None,
            pause: FIRST_PAUSE,
        }
    }

    fn goes_on(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// The load that was waited for, if it has another's lease in its place.
    fn ended_by(&self, lease: Lease) -> Option<Lease> {
        self.lease.filter(|earlier| earlier.token != lease.token)
    }

    async fn pause_for(&mut self, lease: Lease) {
        let end = Instant::now() + self.pause;
        self.lease = Some(lease);
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        sleep_until(self.until.map_or(end, |until| until.min(end))).await;
    }
}
