//! A function's call through the cache: show, load, follow or go alone, until there is a result.

use std::future::Future;

use super::Cache;
use crate::engine::{Followed, Measured, Outcome, Question, Ticket, Turn};
use crate::entry::Owner;
use crate::metrics::Miss;
use crate::terms::EntryOptions;

/// How many values that cannot be read as the caller's type it looks at, before it goes alone.
pub(super) const MAX_UNFIT: usize = 8;

impl Cache {
    /// Answers from the cache, or runs `load`, once for all who ask at the same moment.
    ///
    /// Nothing that goes wrong in the cache is seen here: it is counted and logged, and the load
    /// answers. `options` is asked only if the value is not there. Dropping the future drops the
    /// load, and one of those who wait takes over.
    #[doc(hidden)]
    pub async fn through<R, O, F, Fut>(
        &self,
        key: &str,
        owner: Owner,
        options: impl FnOnce() -> EntryOptions,
        outcome: O,
        load: F,
    ) -> R
    where
        O: Outcome<R>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = R>,
    {
        if let Some(stored) = self.peek_value(key, owner) {
            return outcome.restored(stored);
        }
        let options = options();
        let mut question = match self.question(key, owner, &options) {
            Ok(question) => Question {
                tags_are_all: true,
                shows_stale_for: question.policy.stale_if_error,
                ..question
            },
            Err(error) => {
                self.bypass(&error);
                return load().await;
            }
        };
        let result = match self.ask(&mut question, &outcome).await {
            Asked::Answer(result) => return result,
            Asked::Load(ticket) => {
                let load = ticket.measure(load(), |result| outcome.is_error(result));
                let result = ticket.run(load).await;
                let failed = outcome.is_error(&result);
                self.engine().loaded(&question, !failed);
                settle(ticket, &result, &outcome, options).await;
                result
            }
            Asked::Alone => {
                self.measure(load(), |result| outcome.is_error(result))
                    .await
            }
        };
        self.unless_error(&question, &outcome, result).await
    }

    /// The result, or something stale in place of an error.
    async fn unless_error<R, O: Outcome<R>>(
        &self,
        question: &Question,
        outcome: &O,
        result: R,
    ) -> R {
        if !outcome.is_error(&result) {
            return result;
        }
        let instead = self.instead_of_error(question).await;
        instead.map_or(result, |stored| outcome.restored(stored))
    }

    /// Runs a load that is nobody else's, and counts it.
    pub(crate) fn measure<F: Future>(
        &self,
        load: F,
        is_error: impl FnOnce(&F::Output) -> bool,
    ) -> impl Future<Output = F::Output> {
        Measured::new(self.counters(), load, is_error)
    }

    async fn ask<R, O: Outcome<R>>(&self, question: &mut Question, outcome: &O) -> Asked<R> {
        let mut unfit = 0;
        while unfit < MAX_UNFIT {
            let hit = match self.engine().turn(question).await {
                Turn::Hit(hit) => hit,
                Turn::Lead(ticket) => return Asked::Load(ticket),
                Turn::Alone => return Asked::Alone,
                Turn::Follow(follower) => match follower.followed().await {
                    Followed::Value(hit) => hit,
                    Followed::Again => continue,
                    without => return self.after_failure(question, outcome, &without).await,
                },
            };
            match hit.value() {
                Ok(stored) => {
                    hit.count(self.counters());
                    return Asked::Answer(outcome.restored(stored));
                }
                Err(_) => {
                    question.unfit = Some(hit.id());
                    unfit += 1;
                }
            }
        }
        self.counters().miss(Miss::Damaged);
        Asked::Alone
    }

    /// What a caller does who has followed a load and has no value of it.
    async fn after_failure<R, O: Outcome<R>>(
        &self,
        question: &Question,
        outcome: &O,
        followed: &Followed,
    ) -> Asked<R> {
        if let Followed::Failed(shared) = followed
            && let Some(result) = outcome.unshared(shared)
        {
            return Asked::Answer(self.unless_error(question, outcome, result).await);
        }
        if !self.engine().rests(question) {
            return Asked::Alone;
        }
        let instead = self.instead_of_error(question).await;
        instead.map_or(Asked::Alone, |stored| {
            Asked::Answer(outcome.restored(stored))
        })
    }
}

async fn settle<R, O: Outcome<R>>(ticket: Ticket, result: &R, outcome: &O, options: EntryOptions) {
    if let Some(value) = outcome.stored(result) {
        ticket.publish(value, options).await;
        return;
    }
    if !outcome.is_error(result) {
        ticket.outdate().await;
    }
    if let Some(shared) = outcome.shared(result) {
        ticket.fail(shared);
    } else {
        ticket.unshared();
    }
}

enum Asked<R> {
    Answer(R),
    Load(Ticket),
    Alone,
}
