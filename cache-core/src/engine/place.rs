//! Where a caller stands who wants a key: before its load, behind another's, or alone.

use std::sync::Arc;

use super::flight::Entered;
use super::ticket::{Follower, Ticket, Turn};
use super::{Engine, Look, Question};
use crate::entry::{EntryId, Meta};
use crate::error::Result;
use crate::metrics::Miss;
use crate::provider::Slot;

/// What a caller has seen at a key that he is going to load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observed {
    Nothing,
    /// This, which makes way.
    Unfit(EntryId),
    /// This, which can be shown until the load's value takes its place.
    Useful(EntryId),
}

impl Observed {
    /// What stays until the load's value takes its place.
    pub(super) fn useful(self) -> Option<EntryId> {
        match self {
            Self::Useful(id) => Some(id),
            Self::Nothing | Self::Unfit(_) => None,
        }
    }
}

/// A caller's place among those who want a key.
pub(crate) enum Place {
    Lead(Led),
    Follow(Follower),
    Alone,
}

/// A load that its caller leads, and that has yet to reserve its key.
#[derive(Debug)]
pub(crate) struct Led {
    pub(super) ticket: Ticket,
    /// `None` if the store cannot be asked: the load then runs for those who wait, and is not stored.
    pub(super) observed: Option<Observed>,
    /// What kind of miss it is to be counted as, unless a second look finds something; `None` for a
    /// load that no reader waits for.
    pub(super) why: Option<Miss>,
}

impl Engine {
    /// Where a caller stands who has looked, and wants more than that. Waits for nothing.
    pub(crate) fn place(self: &Arc<Self>, question: &Question, looked: &Look) -> Place {
        let counters = &question.counters;
        let (why, observed) = match looked {
            Look::Hit(hit) | Look::Stale(hit) => (Miss::Expired, Some(Observed::Useful(hit.id()))),
            Look::Miss { why, observed } => (*why, Some(*observed)),
            // What is being loaded may have been invalidated where this node does not hear of it.
            Look::Bypass if question.reading.strict => {
                counters.miss(Miss::Bypassed);
                return Place::Alone;
            }
            Look::Bypass => (Miss::Bypassed, None),
        };
        match self.flights.enter(question, &self.log, self.clock.now()) {
            Entered::Lead(flight) => Place::Lead(Led {
                ticket: Ticket::new(self, flight, question),
                observed,
                why: Some(why),
            }),
            Entered::Follow(flight) => Place::Follow(Follower::new(self, flight, question, why)),
            Entered::Occupied => {
                counters.miss(Miss::WrongOwner);
                Place::Alone
            }
        }
    }

    /// Takes away the entry with this id, if it has expired.
    pub(super) async fn outdate(&self, key: &str, id: EntryId) -> Result<()> {
        let slots = self.provider.get(&[key]).await?;
        let now = self.clock.now();
        let is_old = |meta: &Meta| meta.id == id && meta.is_expired(now);
        match slots.first() {
            Some(Slot::Entry(entry)) if is_old(entry.meta()) => {
                self.provider.remove(&[(key.into(), id)]).await
            }
            _ => Ok(()),
        }
    }

    /// Reserves the key for a load: hit, if somebody has stored a value meanwhile; else lead.
    pub(crate) async fn lead(self: &Arc<Self>, question: &Question, led: Led) -> Turn {
        let Led {
            mut ticket,
            observed,
            why,
        } = led;
        let counters = &question.counters;
        if let Some(observed) = observed {
            match self.reserve(question, &mut ticket, observed).await {
                Ok(Some(hit)) => {
                    let hit = hit.promoting(ticket.take_promotion());
                    ticket.land_found(&hit);
                    return Turn::Hit(hit);
                }
                Ok(None) => {}
                Err(error) => self.failed(&error, counters),
            }
        }
        if let Some(why) = why {
            counters.miss(why);
        }
        Turn::Lead(ticket)
    }
}
