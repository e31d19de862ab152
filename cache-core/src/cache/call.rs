//! One call of `get_or_load`: its way to an answer, and the load that may outlive it.
//!
//! 1. What is fresh is shown; so is what is stale, if a policy revalidates it, or its last load has failed
//!    just now. A load may then begin in the background, which nobody waits for.
//! 2. Else the caller leads the load or follows another's. Where a timeout can end his wait, the load he leads
//!    runs in a task of its own.
//! 3. Who must not wait any longer, or whose load has failed, looks once more for something stale: what was
//!    invalidated meanwhile is not there.

mod loads;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::Cache;
use super::through::MAX_UNFIT;
use crate::engine::{Followed, Follower, Hit, Look, Place, Question};
use crate::error::{Error, ErrorKind};
use crate::load_error::LoadError;
use crate::loaded::Loaded;
use crate::metrics::Miss;
use crate::provider::BoxFuture;
use crate::terms::EntryOptions;
use crate::value::Value;

/// A loader that owns what it needs.
pub(super) type Load<T, E> = Box<dyn FnOnce() -> BoxFuture<'static, Result<Loaded<T>, E>> + Send>;

/// Loads for one caller, past the cache.
pub(super) async fn alone<T, E>(load: Load<T, E>) -> Result<T, LoadError<E>> {
    let loaded = load().await;
    loaded.map(Loaded::into_value).map_err(LoadError::Failed)
}

/// A call that has found nothing it could show at its first look into memory.
pub(super) struct Call<T, E> {
    cache: Cache,
    question: Question,
    options: EntryOptions,
    load: Load<T, E>,
    unfit: usize,
    /// The soft timeout has passed, and there was nothing to show: whatever comes next is waited for.
    waits_on: bool,
}

/// What a look came to.
enum Looked<T> {
    Shown(T, Hit),
    /// What is there cannot be read as the caller's type: look again, past it.
    Unfit,
    /// The caller's place, and whether something stale can be shown to him.
    Place(Place, bool),
}

/// What came of another's load.
enum After<T> {
    Value(T),
    Again,
    Alone,
}

impl<T: Value, E: Send + 'static> Call<T, E> {
    pub(super) fn new(
        cache: &Cache,
        question: Question,
        options: EntryOptions,
        load: Load<T, E>,
    ) -> Self {
        let shows_stale_for = question.policy.kept_for();
        Self {
            cache: cache.clone(),
            question: Question {
                shows_stale_for,
                ..question
            },
            options,
            load,
            unfit: 0,
            waits_on: false,
        }
    }

    /// Answers within the hard timeout.
    pub(super) async fn answer(self) -> Result<T, LoadError<E>> {
        let Some(end) = self.deadline(self.question.policy.hard_timeout) else {
            return self.ask().await;
        };
        let cache = self.cache.clone();
        let in_time = timeout_at(end, self.ask()).await;
        in_time.unwrap_or_else(|_| Err(LoadError::Unfinished(cache.unfinished())))
    }

    async fn ask(mut self) -> Result<T, LoadError<E>> {
        while self.unfit < MAX_UNFIT {
            let (place, keeps) = match self.look().await {
                Looked::Shown(value, hit) => return Ok(self.show(value, &hit)),
                Looked::Unfit => continue,
                Looked::Place(place, keeps) => (place, keeps),
            };
            let after = match place {
                Place::Lead(led) => return self.lead(led, keeps).await,
                Place::Follow(follower) => self.follow(follower, keeps).await,
                Place::Alone => return self.alone().await,
            };
            match after {
                After::Value(value) => return Ok(value),
                After::Again => {}
                After::Alone => return self.alone().await,
            }
        }
        self.cache.counters().miss(Miss::Damaged);
        self.alone().await
    }

    async fn look(&mut self) -> Looked<T> {
        let engine = self.cache.engine();
        let Some(looked) = engine.looked(&self.question).await else {
            return Looked::Place(Place::Alone, false);
        };
        if let Some(hit) = self.at_once(&looked) {
            return match hit.value() {
                Ok(value) => Looked::Shown(value, hit.clone()),
                Err(_) => {
                    self.pass_over(hit);
                    Looked::Unfit
                }
            };
        }
        let keeps = matches!(looked, Look::Stale(_)) && !self.waits_on;
        Looked::Place(engine.place(&self.question, &looked), keeps)
    }

    /// What is shown without waiting for a load.
    fn at_once<'l>(&self, looked: &'l Look) -> Option<&'l Hit> {
        match looked {
            Look::Hit(hit) => Some(hit),
            Look::Stale(hit) => {
                let revalidates = self.question.policy.revalidates(hit.stale_for()?);
                let goes_on = revalidates && Handle::try_current().is_ok();
                (goes_on || self.cache.engine().rests(&self.question)).then_some(hit)
            }
            Look::Miss { .. } | Look::Bypass => None,
        }
    }

    fn pass_over(&mut self, hit: &Hit) {
        self.question.unfit = Some(hit.id());
        self.unfit += 1;
    }

    fn show(self, value: T, hit: &Hit) -> T {
        let counters = self.cache.counters();
        hit.count(counters);
        let is_stale = hit.stale_for().is_some();
        if is_stale {
            counters.stale();
        }
        if is_stale || self.cache.is_early(hit) {
            self.refresh(hit);
        }
        value
    }

    async fn follow(&mut self, follower: Follower, keeps: bool) -> After<T> {
        let soft = self.deadline(self.question.policy.soft_timeout.filter(|_| keeps));
        let followed = match soft {
            Some(end) => timeout_at(end, follower.followed()).await.ok(),
            None => Some(follower.followed().await),
        };
        match followed {
            Some(Followed::Value(hit)) => self.take(&hit),
            Some(Followed::Again) => After::Again,
            Some(_) if !self.cache.engine().rests(&self.question) => After::Alone,
            Some(_) => {
                let shown = self.cache.instead_of_wait(&self.question).await;
                shown.map_or(After::Alone, After::Value)
            }
            None => {
                self.cache.counters().miss(Miss::Expired);
                let shown = self.cache.instead_of_wait(&self.question).await;
                self.waits_on = true;
                shown.map_or(After::Again, After::Value)
            }
        }
    }

    fn take(&mut self, hit: &Hit) -> After<T> {
        let Ok(value) = hit.value() else {
            self.pass_over(hit);
            return After::Again;
        };
        hit.count(self.cache.counters());
        After::Value(value)
    }

    /// Loads past the others, if there is time left for that: all who have waited for one load would
    /// begin one each, only to drop it.
    async fn alone(self) -> Result<T, LoadError<E>> {
        let end = self.deadline(self.question.policy.hard_timeout);
        if end.is_some_and(|end| Instant::now() >= end) {
            return Err(LoadError::Unfinished(self.cache.unfinished()));
        }
        let load = self.cache.measure((self.load)(), Result::is_err);
        let loaded = load.await.map(Loaded::into_value);
        self.cache.settled(&self.question, loaded).await
    }

    /// When a wait of this length ends; never where there is no timer.
    fn deadline(&self, wait: Option<Duration>) -> Option<Instant> {
        let wait = wait.filter(|_| Handle::try_current().is_ok())?;
        self.question.arrived.checked_add(wait)
    }
}

impl Cache {
    fn unfinished(&self) -> Error {
        let message = "the load took longer than the hard timeout; it goes on";
        self.during("get_or_load", Error::new(ErrorKind::Timeout, message))
    }
}
