//! Looking: into memory, into the memory tier, and then at the remote tier.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::near::{Near, Promotion};
use super::ticket::Hit;
use super::{Engine, Observed, Question};
use crate::entry::Entry;
use crate::error::Result;
use crate::metrics::Miss;
use crate::provider::{Peek, Slot};
use crate::why::Source;

/// What a look into the store found.
pub(crate) enum Look {
    Hit(Hit),
    /// It is not fresh any more, and may be shown where a policy says so.
    Stale(Hit),
    Miss {
        why: Miss,
        /// What stood there instead.
        observed: Observed,
    },
    /// The store cannot be asked now.
    Bypass,
}

impl Engine {
    /// Looks at one key: into memory, or else in one round trip.
    pub(crate) async fn look(&self, question: &Question) -> Result<Look> {
        if !self.log.in_touch(self.clock.now()) {
            return Ok(Look::Bypass);
        }
        let publication = self.log.publication();
        let slot = match self.provider.peek(&question.key) {
            Peek::Found(entry) => Slot::Entry(entry),
            Peek::Absent => Slot::Empty,
            Peek::Ask => return self.look_far(question).await,
        };
        Ok(self.judge_slot(question, slot, publication, None))
    }

    /// Looks into the memory tier, then asks the remote one.
    async fn look_far(&self, question: &Question) -> Result<Look> {
        let near = self.near_for(question);
        let copy = near.and_then(|near| near.get(&question.key));
        match (copy, question.reading.strict) {
            (None, false) => self.ask(question, near).await,
            (None, true) => self.ask_current(question, near).await,
            (Some(_), strict) => self.look_near(question, near, strict).await,
        }
    }

    pub(super) fn near_for(&self, question: &Question) -> Option<&Arc<Near>> {
        self.near.as_ref().filter(|_| question.reading.near)
    }

    /// Looks at many keys, in one round trip for all that are not in memory.
    pub(crate) async fn look_many(&self, questions: &[&Question]) -> Result<Vec<Look>> {
        if questions.iter().any(|question| question.reading.strict) {
            self.provider.catch_up().await?;
        }
        let publication = self.log.publication();
        let mut looks: Vec<_> = questions
            .iter()
            .map(|&question| self.copy_of(question, publication).map(Look::Hit))
            .collect();
        let asked: Vec<&Question> = questions
            .iter()
            .zip(&looks)
            .filter(|(_, look)| look.is_none())
            .map(|(&question, _)| question)
            .collect();
        let promotion = |question: &&Question| self.near_for(question)?.fence(&question.key);
        let promotions: Vec<_> = asked.iter().map(promotion).collect();
        let keys: Vec<&str> = asked.iter().map(|question| &*question.key).collect();
        let slots = match keys.is_empty() {
            true => Vec::new(),
            false => self.provider.get(&keys).await?,
        };
        let mut answers = slots.into_iter().zip(promotions);
        for (&question, look) in questions.iter().zip(&mut looks) {
            if look.is_none()
                && let Some((slot, promotion)) = answers.next()
            {
                *look = Some(self.judge_slot(question, slot, publication, promotion));
            }
        }
        Ok(looks
            .into_iter()
            .map(|look| look.unwrap_or(Look::Bypass))
            .collect())
    }

    fn copy_of(&self, question: &Question, publication: u64) -> Option<Hit> {
        let copy = self.near_for(question)?.get(&question.key)?;
        match self.judge_entry(question, copy, publication) {
            Look::Hit(hit) => Some(hit.found_in(Source::MemoryTier)),
            _ => None,
        }
    }

    /// Shows the copy in memory, if it still may be shown; else asks the remote tier.
    async fn look_near(
        &self,
        question: &Question,
        near: Option<&Arc<Near>>,
        strict: bool,
    ) -> Result<Look> {
        if strict {
            self.provider.catch_up().await?;
        }
        let publication = self.log.publication();
        match self.copy_of(question, publication) {
            Some(hit) => Ok(Look::Hit(hit)),
            None => self.ask(question, near).await,
        }
    }

    /// Asks the remote tier, and the log for what is new beside it: both after the call began.
    async fn ask_current(&self, question: &Question, near: Option<&Arc<Near>>) -> Result<Look> {
        let promotion = near.and_then(|near| near.fence(&question.key));
        let keys = [&*question.key];
        let (slots, caught_up) = join(self.provider.get(&keys), self.provider.catch_up()).await;
        caught_up?;
        Ok(self.judge_slot(question, first(slots?), self.log.publication(), promotion))
    }

    /// Asks the remote tier; what it has may be copied as long as the fence stands that was left
    /// before.
    async fn ask(&self, question: &Question, near: Option<&Arc<Near>>) -> Result<Look> {
        let promotion = near.and_then(|near| near.fence(&question.key));
        let publication = self.log.publication();
        let slots = self.provider.get(&[&question.key]).await?;
        Ok(self.judge_slot(question, first(slots), publication, promotion))
    }

    fn judge_slot(
        &self,
        question: &Question,
        slot: Slot,
        publication: u64,
        promotion: Option<Promotion>,
    ) -> Look {
        let why = match slot {
            Slot::Entry(entry) => {
                return match self.judge_entry(question, entry, publication) {
                    Look::Hit(hit) => Look::Hit(hit.promoting(promotion)),
                    look => look,
                };
            }
            Slot::Empty => Miss::Absent,
            // Not observed: a lease that stands is nobody's to replace.
            Slot::Lease(_) => Miss::Absent,
            Slot::Damaged => Miss::Damaged,
        };
        let observed = Observed::Nothing;
        Look::Miss { why, observed }
    }

    pub(super) fn judge_entry(
        &self,
        question: &Question,
        entry: Arc<Entry>,
        publication: u64,
    ) -> Look {
        let id = entry.meta().id;
        let now = self.clock.now();
        let miss = |why, observed| Look::Miss { why, observed };
        if question.unfit == Some(id) {
            return miss(Miss::Damaged, Observed::Unfit(id));
        }
        let source = self.source;
        match self.judge(&question.key, &entry, question.owner, now, publication) {
            Ok(()) => Look::Hit(Hit::new(entry, now, source)),
            Err(Miss::Expired) if self.is_outdated_only(question, &entry) => {
                match entry.meta().stale_for(now) {
                    Some(age) if age < question.shows_stale_for => {
                        Look::Stale(Hit::new(entry, now, source))
                    }
                    // Kept or not: another process's load may run beside it, whose lease goes with it.
                    _ => miss(Miss::Expired, Observed::Useful(id)),
                }
            }
            Err(why) => miss(why, Observed::Unfit(id)),
        }
    }

    /// Whether nothing but its age keeps an expired entry from being shown. What was invalidated is not
    /// stale.
    fn is_outdated_only(&self, question: &Question, entry: &Entry) -> bool {
        let meta = entry.meta();
        meta.owner == question.owner && self.log.is_visible(&question.key, meta)
    }
}

fn first(slots: Vec<Slot>) -> Slot {
    slots.into_iter().next().unwrap_or(Slot::Empty)
}

/// Drives two futures at once, until both are done.
async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(move |context| {
        if first.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(context)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(context)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            rest => {
                (first, second) = rest;
                Poll::Pending
            }
        }
    })
    .await
}
