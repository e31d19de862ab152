//! The log on the server: what is appended to it, and what is stored along with a record.

use std::time::{Duration, Instant};

use ::redis::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::call::Call;
use super::entries::millis;
use super::error::{overtaken, timed_out, too_late};
use super::keys::LogKeys;
use super::link::read;
use super::links::{Links, Replies};
use super::on_failover::OnFailover;
use super::reply::{Reply, nonce_text, text_of};
use super::script::{APPEND, SET, Script, TAKE};
use crate::clock::Clock;
use crate::error::Result;
use crate::log::{Caps, Kind, Log, Record, Stamp};
use crate::random;

/// The most missing records that are handed over one by one; with more, the state is read anew.
const MAX_MISSING: u64 = 5_000;
/// About how many records the stream holds for delivery.
const STREAM_LENGTH: u64 = 10_000;
/// The most records or entries that one script works on, so that it does not hold the server up.
const BATCH: usize = 500;

/// The log of one deployment as this node sees it.
pub(super) struct Backplane {
    pub(super) links: Links,
    /// The same connections, for the heartbeat.
    pub(super) probe: Links,
    pub(super) log: Log,
    pub(super) keys: LogKeys,
    pub(super) clock: Clock,
    pub(super) caps: Caps,
    pub(super) touch_bound: Duration,
    pub(super) on_failover: OnFailover,
    /// Held while the state is read, so that this is done once for all who found it necessary; and
    /// which run of which server it was read from.
    pub(super) resyncing: Mutex<Box<str>>,
    delivering: Mutex<()>,
}

/// What is stored at a key: the bytes, and the time to live in milliseconds, 0 for none.
pub(super) type Stored<'k> = (&'k str, Vec<u8>, u64);

impl Backplane {
    /// Out of touch until the first [`beat`](Self::beat).
    pub(super) fn new(
        links: Links,
        keys: LogKeys,
        clock: Clock,
        caps: Caps,
        touch_bound: Duration,
        on_failover: OnFailover,
    ) -> Self {
        let log = Log::remote(caps);
        log.keep_touch_for(touch_bound);
        Self {
            probe: links.probing(),
            links,
            log,
            keys,
            clock,
            caps,
            touch_bound,
            on_failover,
            resyncing: Mutex::default(),
            delivering: Mutex::new(()),
        }
    }

    /// Proves that the server still takes writes, catches up with it, and is in touch for a while
    /// from the moment of asking. Sends `along` with it.
    pub(super) async fn beat(&self, along: Vec<Call>) -> Result<()> {
        let asked = self.clock.now();
        let (cursor, sent) = (self.log.stamp(), Instant::now());
        let mut calls = along;
        calls.push(self.append_call(cursor, self.touch_bound, &[]));
        let answer = self.probe.calls(calls).await?.pop();
        let reply = self.parse(answer.unwrap_or(Ok(Value::Nil))?, cursor, sent)?;
        self.take_in(reply).await?;
        self.deliver_pending().await?;
        self.log.touched(asked.saturating_add(self.touch_bound));
        Ok(())
    }

    /// Lets records hold on this node until a heartbeat has delivered them.
    pub(super) fn pend(&self, records: &[Record]) {
        self.log.pend(records, &self.keys.root);
    }

    /// Sends what has waited for the server, in order: before anything of the server's is shown
    /// again, and before anything newer is written, which it would delete.
    pub(super) async fn deliver_pending(&self) -> Result<()> {
        if !self.log.has_pending() {
            return Ok(());
        }
        // What one has delivered, another must not deliver again after a newer write.
        let turn = timeout(self.links.timeout(), self.delivering.lock());
        let _turn = turn
            .await
            .map_err(|_| timed_out("what waits was not delivered"))?;
        let (records, came) = self.log.pending();
        for batch in records.chunks(BATCH) {
            let takes = batch
                .iter()
                .filter_map(Record::key)
                .map(|key| TAKE.on(&[key]));
            self.links.delete(takes.collect()).await?;
            self.append(Vec::new(), batch).await?;
        }
        self.log.delivered(came);
        Ok(())
    }

    /// Runs `before`, then appends the records, in one round trip if one server has all; returns
    /// what `before` answered. The records have been applied here when this returns.
    pub(super) async fn append(&self, before: Vec<Call>, records: &[Record]) -> Result<Replies> {
        let (cursor, sent) = (self.log.stamp(), Instant::now());
        let first = before.len();
        let batches = records.chunks(BATCH);
        let appends = batches.map(|records| self.append_call(cursor, Duration::ZERO, records));
        let mut answers = self.links.in_order(before, appends.collect()).await?;
        let mut last = None;
        for appended in answers.split_off(first) {
            last = Some(self.parse(appended?, cursor, sent)?);
        }
        self.note(last, records).await?;
        Ok(answers)
    }

    /// Stores entries and records the changes, in one round trip; up to 500 at one instant.
    /// `latest`: when they must have been stored, if there is such a moment.
    pub(super) async fn set(&self, entries: &[Stored<'_>], latest: Option<Instant>) -> Result<()> {
        let (cursor, sent) = (self.log.stamp(), Instant::now());
        let batches = entries.chunks(BATCH);
        let call = |entries| self.set_call(cursor, entries).with_deadline_by(latest);
        let calls = batches.map(call);
        let (mut in_time, mut last) = (true, None);
        for answer in self.links.writes(calls.collect()).await? {
            let (stored, appended): (bool, Value) = read(answer?)?;
            last = Some(self.parse(appended, cursor, sent)?);
            in_time &= stored;
        }
        let changed = |(key, ..): &Stored<'_>| Record::Changed((*key).into());
        let changes: Vec<_> = entries.iter().map(changed).collect();
        self.note(last, &changes).await?;
        if in_time { Ok(()) } else { Err(too_late()) }
    }

    /// Applies what the last reply brings, which has all that those before it have appended, and
    /// remembers what would have to be recorded again on another server.
    async fn note(&self, last: Option<Reply>, records: &[Record]) -> Result<()> {
        let Some(reply) = last else {
            return Ok(());
        };
        let incarnation = reply.head.incarnation();
        self.absorb(reply).await?;
        match self.log.issued(incarnation, records, self.clock.now()) {
            true => Ok(()),
            false => Err(overtaken()),
        }
    }

    /// Where the log stands, and what a reader at `cursor` misses.
    pub(super) async fn head(&self, cursor: Stamp) -> Result<Reply> {
        let sent = Instant::now();
        let call = self.append_call(cursor, Duration::ZERO, &[]);
        let answer = self.links.call(call).await?;
        self.parse(answer, cursor, sent)
    }

    fn parse(&self, answer: Value, cursor: Stamp, sent: Instant) -> Result<Reply> {
        let reply = Reply::parse(answer, cursor, &self.keys.root)?;
        self.links.observe(sent, reply.server_time);
        Ok(reply)
    }

    fn append_call(&self, cursor: Stamp, beat: Duration, records: &[Record]) -> Call {
        let beat = if beat.is_zero() { 0 } else { millis(beat) };
        let call = self.request(&APPEND, vec![&self.keys.beat], cursor);
        records
            .iter()
            .fold(call.arg(beat), |call, record| call.arg(text_of(record)))
    }

    fn set_call(&self, cursor: Stamp, entries: &[Stored<'_>]) -> Call {
        let keys = entries.iter().map(|(key, ..)| *key).collect();
        let call = self.request(&SET, keys, cursor);
        entries.iter().fold(call, |call, (_, bytes, ttl)| {
            call.arg(bytes.as_slice()).arg(*ttl)
        })
    }

    /// A call of a script on the log, with the arguments that all of them take first.
    fn request(&self, script: &'static Script, others: Vec<&str>, cursor: Stamp) -> Call {
        let mut keys = vec![self.keys.inv.as_str(), self.keys.stream.as_str()];
        keys.extend(others);
        let caps = Kind::EVERY.map(|kind| self.caps.of(kind).to_string());
        script
            .on(&keys)
            .arg(cursor.incarnation().number())
            .arg(nonce_text(cursor.incarnation().nonce()))
            .arg(cursor.sequence())
            .arg(self.on_failover.begins(random::u64()))
            .arg(MAX_MISSING)
            .arg(STREAM_LENGTH)
            .arg(caps.join(" "))
    }
}
