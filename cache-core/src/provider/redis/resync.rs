//! Catching up with the log: record by record where that suffices, else from its whole state.
//!
//! Where the server's state has gone back, this is where it is noticed: a new incarnation has
//! begun, which hides all that was stored or descends from the last one. In the second case the
//! log keeps to what it had applied and the state lacks, and the next heartbeat delivers it.

use tokio::time::timeout;

use super::backplane::Backplane;
use super::error::overtaken;
use super::on_failover::OnFailover;
use super::reply::{Reply, lineage_from, record_from};
use super::script::PAGE;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Barriers, Incarnation, Kind, Lineage, Positioned, Stamp};

/// Barriers per page when the state is read.
const PAGE_LENGTH: usize = 10_000;
/// How often reading the state starts over because the log moved on too far meanwhile.
const ATTEMPTS: usize = 8;
/// See `log.lua`: each kind has this many scores.
const WIDTH: u64 = 1 << 48;

impl Backplane {
    /// Catches up with the server.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let reply = self.head(self.log.stamp()).await?;
        self.absorb(reply).await
    }

    /// Applies records that the stream delivered.
    pub(super) async fn deliver(
        &self,
        incarnation: Incarnation,
        records: &[Positioned],
    ) -> Result<()> {
        match self.log.apply(incarnation, records) {
            Ok(()) => Ok(()),
            Err(_) => self.catch_up().await,
        }
    }

    /// Applies what a reply brings; reads the whole state if that is not enough. Whoever is
    /// waiting for an operation waits for that as for a round trip, and leaves the rest to the
    /// heartbeat.
    pub(super) async fn absorb(&self, reply: Reply) -> Result<()> {
        let absorbed = timeout(self.links.timeout(), self.take_in(reply));
        absorbed.await.unwrap_or_else(|_| {
            let message = "the log is being read anew; operations go on when that is done";
            Err(Error::new(ErrorKind::Unready, message))
        })
    }

    /// Like [`absorb`](Self::absorb), however long it takes.
    pub(super) async fn take_in(&self, reply: Reply) -> Result<()> {
        if let Some(records) = &reply.records
            && self.log.apply(reply.head.incarnation(), records).is_ok()
        {
            return Ok(());
        }
        let mut run = self.resyncing.lock().await;
        if self.has_applied(reply.head) {
            return Ok(());
        }
        self.resync(&mut run).await?;
        if self.has_applied(reply.head) {
            return Ok(());
        }
        Err(overtaken())
    }

    fn has_applied(&self, head: Stamp) -> bool {
        let stamp = self.log.stamp();
        stamp.incarnation() == head.incarnation() && stamp.sequence() >= head.sequence()
    }

    /// Takes over the state: all barriers as of some position, then what was recorded since.
    /// `run` is that of the server from which it was taken last.
    async fn resync(&self, run: &mut Box<str>) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let first = self.head(self.log.stamp()).await?;
            let start = first.head;
            let mut barriers = self.read_barriers().await?;
            let lineage = self.read_lineage().await?;
            let now = self.head(start).await?;
            let Some(records) = now.records else {
                continue;
            };
            for kind in Kind::EVERY {
                barriers.raise_floor(kind, now.floors[kind.index()]);
            }
            let known = self.log.stamp().incarnation().number();
            if *run == first.run && start.incarnation().number() <= known + 1 {
                // It was emptied, and no other has been in its place since.
                self.log.forget_issued();
            }
            self.log.inherit(start, barriers, lineage, &self.keys.root);
            *run = first.run;
            if self.log.apply(start.incarnation(), &records).is_ok() {
                return Ok(());
            }
        }
        let message = "the log moves on faster than it can be read; it is tried again";
        Err(Error::new(ErrorKind::Unready, message))
    }

    /// What the incarnation descends from. It does not change within one.
    async fn read_lineage(&self) -> Result<Lineage> {
        let members = self.read_page("-2", "-2").await?;
        let lineage = members.first().map(|(text, _)| lineage_from(text));
        let lineage = lineage.unwrap_or_default();
        Ok(match self.on_failover {
            OnFailover::Reappend => lineage,
            OnFailover::Hide => lineage.concealed(),
        })
    }

    /// Pages by score, not by rank: a barrier that is renewed moves, and ranks move with it. What
    /// moves to where it is not seen has a sequence after the reading began.
    async fn read_barriers(&self) -> Result<Barriers> {
        let mut barriers = Barriers::new(self.caps);
        let mut after = String::from("(-1");
        loop {
            let page = self.read_page(&after, "+inf").await?;
            for (text, score) in &page {
                let record = record_from(text, &self.keys.root);
                barriers.insert(&record, sequence_of(*score));
            }
            match page.last() {
                Some((_, score)) if page.len() == PAGE_LENGTH => after = format!("({score}"),
                _ => return Ok(barriers),
            }
        }
    }

    /// The first members of the state that have these scores, in their order.
    async fn read_page(&self, from: &str, to: &str) -> Result<Vec<(Vec<u8>, f64)>> {
        let call = PAGE.on(&[&self.keys.inv]).arg(from).arg(to);
        self.links.call(call.arg(PAGE_LENGTH)).await
    }
}

/// The sequence in a barrier's score.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "scores are whole, positive and below 2^53; a stranger's saturate"
)]
fn sequence_of(score: f64) -> u64 {
    score as u64 % WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_carries_its_sequence_exactly() {
        let last = WIDTH - 1;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let score = (4 * WIDTH + last) as f64;
        assert_eq!(sequence_of(score), last);
    }
}
