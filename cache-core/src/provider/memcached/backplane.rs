//! The log on the server as this node sees it: asked for beside everything that is read, appended to
//! by compare-and-set, begun anew by whoever finds it gone.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::{contended, replaced, unusable, without_cas};
use super::ledger::Ledger;
use super::link::{Link, Session};
use super::name::name_of;
use super::reply::Reply;
use super::request::{Only, Request};
use crate::clock::Clock;
use crate::deferred::section;
use crate::error::Result;
use crate::log::{Caps, Incarnation, Log, Record};

/// How often something is tried again because somebody else was quicker.
pub(super) const ATTEMPTS: usize = 128;
/// The room that a log needs at least: for one record of each kind.
pub(super) const LEAST_ROOM: usize = 8 << 10;

/// The log of one deployment.
pub(super) struct Backplane {
    pub(super) link: Link,
    /// The same connection, for the heartbeat.
    probe: Link,
    pub(super) log: Log,
    pub(super) clock: Clock,
    /// The scope that all keys of the deployment are in.
    pub(super) root: String,
    /// The name of the item that holds the log.
    pub(super) name: String,
    touch_bound: Duration,
    /// About how many bytes of records are kept.
    pub(super) room: AtomicUsize,
    known: Mutex<Option<Known>>,
    /// Held while records are appended: those of one node need not compete.
    pub(super) appending: tokio::sync::Mutex<()>,
    pub(super) delivering: tokio::sync::Mutex<()>,
}

/// The item as it was last seen; this node has applied it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    connection: u64,
    pub(super) cas: u64,
    pub(super) ledger: Arc<Ledger>,
}

impl Backplane {
    /// Out of touch until the first [`beat`](Self::beat).
    pub(super) fn new(
        link: Link,
        root: String,
        clock: Clock,
        touch_bound: Duration,
        room: usize,
    ) -> Self {
        let log = Log::remote(Caps::DEFAULT);
        log.keep_touch_for(touch_bound);
        let prefix = root.trim_end_matches(':');
        Self {
            probe: link.probing(),
            link,
            log,
            clock,
            name: name_of(&format!("{{{prefix}}}:log")).into_owned(),
            root,
            touch_bound,
            room: AtomicUsize::new(room),
            known: Mutex::new(None),
            appending: tokio::sync::Mutex::new(()),
            delivering: tokio::sync::Mutex::new(()),
        }
    }

    /// Catches up, delivers what waits, and is in touch for a while from the moment of asking. A
    /// failure gives the connection up: it may take everything and answer nothing.
    pub(super) async fn beat(&self) -> Result<()> {
        let beaten = self.exchange().await;
        if beaten.is_err() {
            self.link.reconnect().await;
        }
        beaten
    }

    async fn exchange(&self) -> Result<()> {
        let asked = self.clock.now();
        let session = self.probe.session().await?;
        self.ask(&session, &[]).await?;
        // However long it takes to deliver what has waited.
        self.log.touched(asked.saturating_add(self.touch_bound));
        self.deliver_pending(&session).await
    }

    /// Asks the server whether it is there, past the breaker.
    pub(super) async fn ping(&self) -> Result<()> {
        let session = self.probe.session().await?;
        let asked = session.ask(&[Request::version(&self.name)]).await;
        asked.map(drop)
    }

    /// Applies all that had been recorded when this was called.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let session = self.link.session().await?;
        self.ask(&session, &[]).await.map(drop)
    }

    /// Sends the commands, and with them the question whether the log has moved, in one write. All
    /// that had been recorded when they were sent has been applied when this returns.
    pub(super) async fn ask(
        &self,
        session: &Session,
        requests: &[Request<'_>],
    ) -> Result<Vec<Reply>> {
        let mut all = Vec::with_capacity(requests.len() + 1);
        all.push(Request::version(&self.name));
        all.extend_from_slice(requests);
        let mut replies = session.ask(&all).await?;
        let head = replies.remove(0);
        if !self.is_known(session, &head) {
            self.learn(session).await?;
        }
        Ok(replies)
    }

    fn is_known(&self, session: &Session, head: &Reply) -> bool {
        let Reply::Done { cas } = head else {
            return false;
        };
        let known = self.known();
        known.is_some_and(|known| known.connection == session.number() && known.cas == *cas)
    }

    fn known(&self) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// What is known of the log, if that was learned over this connection.
    pub(super) async fn current(&self, session: &Session) -> Result<Known> {
        let known = self.known();
        match known.filter(|known| known.connection == session.number()) {
            Some(known) => Ok(known),
            None => self.learn(session).await,
        }
    }

    /// Reads the log and applies it. Where there is none, or something else stands in its place, a
    /// new incarnation begins, in which nothing is shown that was stored before.
    pub(super) async fn learn(&self, session: &Session) -> Result<Known> {
        for _ in 0..ATTEMPTS {
            let read = session.ask(&[Request::get(&self.name)]).await?.pop();
            let only = match read {
                Some(Reply::Found { cas: 0, .. }) => return Err(without_cas()),
                Some(Reply::Found { cas, bytes }) => match self.readable(&bytes) {
                    Some(ledger) => return self.absorb(session.number(), cas, ledger),
                    None => Only::IfStill(cas),
                },
                Some(Reply::Absent) => Only::IfAbsent,
                _ => return Err(unusable()),
            };
            if let Some(known) = self.begin(session, only).await? {
                return Ok(known);
            }
        }
        Err(contended())
    }

    /// The log in these bytes, unless it is none, or lacks what this node has applied of it.
    fn readable(&self, bytes: &[u8]) -> Option<Ledger> {
        let applied = self.log.stamp();
        Ledger::decode(bytes).filter(|ledger| {
            ledger.incarnation != applied.incarnation() || ledger.head >= applied.sequence()
        })
    }

    /// Begins a new incarnation; `None` if somebody else was quicker.
    async fn begin(&self, session: &Session, only: Only) -> Result<Option<Known>> {
        let number = self.log.stamp().incarnation().number() + 1;
        let ledger = Ledger::new(Incarnation::random(number));
        match self.put(session, &ledger, only).await? {
            Reply::Done { cas: 0 } => Err(without_cas()),
            Reply::Done { cas } => self.absorb(session.number(), cas, ledger).map(Some),
            Reply::Changed | Reply::Absent => Ok(None),
            Reply::Refused(refusal) => Err(refusal.into()),
            Reply::Found { .. } => Err(unusable()),
        }
    }

    async fn put(&self, session: &Session, ledger: &Ledger, only: Only) -> Result<Reply> {
        let put = Request::Put {
            name: &self.name,
            bytes: &ledger.encode(),
            only,
            seconds: 0,
        };
        session.ask(&[put]).await?.pop().ok_or_else(unusable)
    }

    /// Applies what was read of the log, unless something newer has been: on one connection the
    /// CAS number tells which is newer, and what came over an earlier connection than the last is
    /// in doubt. So a log that is gone never comes back.
    pub(super) fn absorb(&self, connection: u64, cas: u64, ledger: Ledger) -> Result<Known> {
        // Around the guard: whoever is told of the records may call the cache, which comes here.
        section(|| {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = &*known {
                if known.connection > connection {
                    return Err(replaced());
                }
                if known.connection == connection && known.cas >= cas {
                    return Ok(known.clone());
                }
            }
            self.apply(&ledger);
            let now = Known {
                connection,
                cas,
                ledger: Arc::new(ledger),
            };
            *known = Some(now.clone());
            Ok(now)
        })
    }

    /// Applies the records that are missing here, or all anew where that cannot be.
    fn apply(&self, ledger: &Ledger) {
        let missing = ledger.since(self.log.stamp().sequence());
        let is_applied =
            missing.is_some_and(|missing| self.log.apply(ledger.incarnation, &missing).is_ok());
        if !is_applied {
            self.log.reset(ledger.stamp(), ledger.barriers());
        }
    }
}

/// Deletes an item, whatever it is.
pub(super) fn delete(name: &str) -> Request<'_> {
    Request::Delete { name, cas: None }
}

/// The key that a record is about.
pub(super) fn key_of(record: &Record) -> Option<&str> {
    match record {
        Record::Key(key) => Some(key),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
