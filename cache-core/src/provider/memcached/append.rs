//! Appending to the log: what is invalidated now, and what had to wait for the server.

use std::sync::atomic::Ordering;

use tokio::time::timeout_at;

use super::backplane::{ATTEMPTS, Backplane, LEAST_ROOM, delete, key_of};
use super::error::{contended, timed_out, unusable};
use super::link::Session;
use super::name::name_of;
use super::reply::{Refusal, Reply};
use super::request::{Only, Request};
use super::turns::turn;
use crate::error::Result;
use crate::log::Record;

/// The most records that are appended in one step.
const BATCH: usize = 500;

impl Backplane {
    /// Runs `before`, then appends the records, in one round trip if nobody else appends; returns
    /// what `before` was answered. The records have been applied here when this returns.
    pub(super) async fn append(
        &self,
        session: &Session,
        before: &[Request<'_>],
        records: &[Record],
    ) -> Result<Vec<Reply>> {
        let _turn = turn(&self.appending, session.until).await;
        let mut answers = None;
        for batch in records.chunks(BATCH) {
            let before = if answers.is_none() { before } else { &[] };
            let answered = self.append_batch(session, before, batch).await?;
            answers.get_or_insert(answered);
        }
        Ok(answers.unwrap_or_default())
    }

    async fn append_batch(
        &self,
        session: &Session,
        before: &[Request<'_>],
        records: &[Record],
    ) -> Result<Vec<Reply>> {
        // Again behind each attempt: a load that has begun since the first deletion has learned of
        // the log as it was, and of a record about one key, which hides it, little is remembered.
        let keys: Vec<_> = records.iter().filter_map(key_of).map(name_of).collect();
        let mut answers = None;
        for _ in 0..ATTEMPTS {
            let known = self.current(session).await?;
            let ledger = known
                .ledger
                .with(records, self.room.load(Ordering::Relaxed));
            let bytes = ledger.encode();
            let before = if answers.is_none() { before } else { &[] };
            let mut all = before.to_vec();
            all.push(Request::Put {
                name: &self.name,
                bytes: &bytes,
                only: Only::IfStill(known.cas),
                seconds: 0,
            });
            all.extend(keys.iter().map(|name| delete(name)));
            let mut replies = session.ask(&all).await?;
            replies.truncate(before.len() + 1);
            let appended = replies.pop().ok_or_else(unusable)?;
            let answers = answers.get_or_insert(replies);
            match appended {
                Reply::Done { cas } => {
                    self.absorb(session.number(), cas, ledger)?;
                    return Ok(std::mem::take(answers));
                }
                Reply::Refused(refusal) => self.make_room(session, refusal).await?,
                Reply::Changed | Reply::Absent => {}
                Reply::Found { .. } => return Err(unusable()),
            }
            self.learn(session).await?;
        }
        Err(contended())
    }

    /// The server does not take so large a log. It is given up: what begins in its place hides
    /// everything, the record that could not be appended included, and is kept smaller from now on.
    async fn make_room(&self, session: &Session, refusal: Refusal) -> Result<()> {
        if refusal == Refusal::Other {
            return Err(refusal.into());
        }
        let halve = |room: usize| Some((room / 2).max(LEAST_ROOM));
        let order = Ordering::Relaxed;
        let _ = self.room.fetch_update(order, order, halve);
        let delete = Request::Delete {
            name: &self.name,
            cas: None,
        };
        session.ask(&[delete]).await.map(drop)
    }

    /// Lets records hold on this node until a heartbeat has delivered them.
    pub(super) fn pend(&self, records: &[Record]) {
        self.log.pend(records, &self.root);
    }

    /// Sends what has waited for the server, in order: before anything newer is written, which it
    /// would delete.
    pub(super) async fn deliver_pending(&self, session: &Session) -> Result<()> {
        if !self.log.has_pending() {
            return Ok(());
        }
        // What one has delivered, another must not deliver again after a newer write.
        let turn = timeout_at(session.until, self.delivering.lock());
        let _turn = turn.await.map_err(|_| timed_out())?;
        let (records, came) = self.log.pending();
        for batch in records.chunks(BATCH) {
            let names: Vec<_> = batch.iter().filter_map(key_of).map(name_of).collect();
            let deletions: Vec<_> = names.iter().map(|name| delete(name)).collect();
            self.append(session, &deletions, batch).await?;
        }
        self.log.delivered(came);
        Ok(())
    }
}
