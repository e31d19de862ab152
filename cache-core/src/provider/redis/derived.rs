//! Writes that rest on what stands at a key: they act on visible entries only.

use std::time::{Duration, Instant};

use super::call::Call;
use super::entries::{ATTEMPTS, Entries, contended, id_argument, millis, ttl_argument};
use super::error::too_late;
use super::script::{EXPIRE, INCREMENT, REPLACE};
use super::set::stamped;
use super::untold::Untold;
use crate::entry::{Entry, EntryId, not_a_number, not_yours};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Record, Stamp};
use crate::provider::stored::{self, incarnation_bytes};
use crate::terms::Ttl;

/// What a script answers: what it did, and a number or a header.
type Answer = (String, Option<Vec<u8>>);

/// What the caller found out about an entry that the script cannot judge by itself, because tags
/// decide. The id stands for stamp and tags: who changes one of them, changes it. `expire` changes
/// the time to live and keeps it: what has expired is not there, and needs no verdict.
#[derive(Clone, Copy, Default)]
struct Verdict {
    id: Option<EntryId>,
    visible: bool,
}

impl Entries {
    pub(super) async fn increment(&self, key: &str, amount: i64, fresh: &Entry) -> Result<i64> {
        self.be_current().await?;
        let mut bytes = stored::encode(key, fresh, &self.packing)?;
        let mut may_begin = false;
        let (mut verdict, mut latest) = (Verdict::default(), None);
        for _ in 0..ATTEMPTS {
            let call = INCREMENT
                .on(&[key])
                .arg(amount)
                .arg(bytes.as_slice())
                .arg(ttl_argument(fresh.meta()))
                .arg(u8::from(may_begin));
            let call = self.judged(call, key, verdict).with_deadline_by(latest);
            let (what, answer) = self.change(call, key).await?;
            match what.as_str() {
                "done" | "begun" => return number(&answer.unwrap_or_default()),
                "judge" => verdict = self.judge(key, &answer.unwrap_or_default()).await?,
                "absent" => {
                    (bytes, latest) = self.ready_to_begin(key, fresh).await?;
                    (may_begin, verdict) = (true, Verdict::default());
                }
                "overflow" => return Err(overflow()),
                "late" => return Err(too_late()),
                "owner" => return Err(not_yours()),
                _ => return Err(not_a_number()),
            }
        }
        Err(contended())
    }

    /// A fresh counter as of the head of the log, entered in its indexes: until when it may be stored.
    async fn ready_to_begin(&self, key: &str, fresh: &Entry) -> Result<(Vec<u8>, Option<Instant>)> {
        let head = self.head().await?;
        let bytes = stored::encode(key, &stamped(fresh, head), &self.packing)?;
        let ttl = ttl_argument(fresh.meta());
        let latest = self.link([(key, &*fresh.meta().tags, ttl)]).await?;
        Ok((bytes, latest))
    }

    pub(super) async fn expire(&self, key: &str, ttl: Option<Duration>) -> Result<bool> {
        self.be_current().await?;
        let ttl = ttl.map_or(0, millis);
        let (mut verdict, mut latest) = (Verdict::default(), None);
        for _ in 0..ATTEMPTS {
            let call = self.judged(EXPIRE.on(&[key]).arg(ttl), key, verdict);
            let call = call.with_deadline_by(latest);
            let (what, answer) = self.change(call, key).await?;
            match what.as_str() {
                "changed" => return Ok(true),
                "judge" => {
                    let header = answer.unwrap_or_default();
                    verdict = self.judge(key, &header).await?;
                    latest = self.enter_for(key, &header, ttl, verdict).await?;
                }
                "late" => return Err(too_late()),
                _ => return Ok(false),
            }
        }
        Err(contended())
    }

    /// What is to live longer is to be found for longer, too. An entry that is in an index has tags,
    /// so it does not get its new time to live before it has been judged.
    async fn enter_for(
        &self,
        key: &str,
        header: &[u8],
        ttl: u64,
        verdict: Verdict,
    ) -> Result<Option<Instant>> {
        match self.header(key, header) {
            Some(meta) if verdict.visible => self.link([(key, &*meta.tags, ttl)]).await,
            _ => Ok(None),
        }
    }

    /// Compare-and-set on the id. Whether the entry may be shown was for the caller to judge: in
    /// its place the new one has its stamp and tags, and is hidden by whatever hides it.
    pub(super) async fn replace(
        &self,
        key: &str,
        seen: EntryId,
        entry: &Entry,
        ttl: Option<Ttl>,
    ) -> Result<bool> {
        self.be_current().await?;
        let ttl = ttl.map(|ttl| ttl.span().map_or(0, millis));
        let latest = match ttl {
            Some(ttl) => self.link([(key, &*entry.meta().tags, ttl)]).await?,
            None => None,
        };
        let call = REPLACE
            .on(&[key])
            .arg(id_argument(Some(seen)))
            .arg(stored::encode(key, entry, &self.packing)?)
            .arg(ttl.map(|ttl| ttl.to_string()).unwrap_or_default())
            .with_deadline_by(latest);
        let (what, _) = self.change(call, key).await?;
        match what.as_str() {
            "changed" => Ok(true),
            "late" => Err(too_late()),
            _ => Ok(false),
        }
    }

    /// What was invalidated goes before what rests on it: elsewhere, as far as a node may know of
    /// it that is in touch, and here.
    async fn be_current(&self) -> Result<()> {
        let backplane = &self.backplane;
        if !backplane.log.in_touch(backplane.clock.now()) {
            backplane.catch_up().await?;
        }
        backplane.deliver_pending().await
    }

    /// Sends a write, and tells all nodes if it has made copies old: also if the server's answer
    /// is lost, or the caller is gone before it comes.
    async fn change(&self, call: Call, key: &str) -> Result<Answer> {
        let mut untold = Untold::of(&self.backplane, vec![Record::Changed(key.into())]);
        let answered = self.backplane.links.write::<Answer>(call).await;
        // Nodes may hold copies of what was no counter; counters are never copied.
        match &answered {
            Ok((what, _)) if matches!(what.as_str(), "begun" | "changed") => untold.tell().await,
            Ok(_) => untold.dismiss(),
            Err(error) if error.had_no_effect() => untold.dismiss(),
            Err(_) => {}
        }
        answered
    }

    /// Adds what the script judges by, see `visible` in `entry.lua`.
    fn judged(&self, call: Call, key: &str, verdict: Verdict) -> Call {
        let from = self.backplane.log.visible_from(key);
        call.arg(from.sequence())
            .arg(&incarnation_bytes(from.incarnation())[..])
            .arg(id_argument(verdict.id))
            .arg(u8::from(verdict.visible))
    }

    /// What is stored in an incarnation that this node has not heard of, it hears of first.
    async fn judge(&self, key: &str, header: &[u8]) -> Result<Verdict> {
        let log = &self.backplane.log;
        let meta = self.header(key, header);
        let number = |stamp: Stamp| stamp.incarnation().number();
        if meta
            .as_ref()
            .is_some_and(|meta| number(meta.stamp) > number(log.stamp()))
        {
            self.backplane.catch_up().await?;
        }
        let visible = |meta| log.is_visible(key, meta);
        Ok(Verdict {
            id: stored::id_in(header),
            visible: meta.as_ref().is_some_and(visible),
        })
    }
}

fn number(digits: &[u8]) -> Result<i64> {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(not_a_number)
}

fn overflow() -> Error {
    Error::new(
        ErrorKind::Overflow,
        "the sum is outside the range of i64; the counter was left alone",
    )
}
