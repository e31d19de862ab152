//! The loads of a call: with its caller, in a task of their own, and in the background.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::Call;
use crate::cache::Cache;
use crate::engine::{Hit, Led, Panic, Question, Ticket, Turn, carry, caught};
use crate::error::{Error, ErrorKind};
use crate::load_error::LoadError;
use crate::loaded::Loaded;
use crate::value::Value;

/// How a load in a task of its own has ended.
enum Ended<R> {
    Done(R),
    Panicked(Panic),
    /// It was dropped.
    TimedOut,
}

impl<T: Value, E: Send + 'static> Call<T, E> {
    /// Loads anew what is being shown, in a task of its own, unless somebody does already. Without a
    /// runtime there is none.
    pub(in crate::cache) fn refresh(self, shown: &Hit) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let engine = self.cache.engine();
        let Some((led, room)) = engine.refresh(&self.question, shown) else {
            return;
        };
        let (cache, question) = (self.cache.clone(), self.question.clone());
        runtime.spawn(async move {
            let load = self.load_in_background(led);
            if let Ended::Panicked(_) = cache.detached(&question, load).await {
                cache.engine().panicked(&question);
            }
            drop(room);
        });
    }

    async fn load_in_background(self, led: Led) {
        let engine = self.cache.engine();
        match engine.lead(&self.question, led).await {
            Turn::Lead(ticket) if ticket.is_storable() => {
                self.cache.counters().refresh();
                drop(self.load(ticket).await);
            }
            // Reading what another process has loaded copies it into the memory tier.
            Turn::Hit(hit) => drop(hit.value::<T>()),
            Turn::Lead(_) | Turn::Follow(_) | Turn::Alone => {}
        }
    }

    async fn load(self, ticket: Ticket) -> Result<T, E> {
        let load = ticket.measure((self.load)(), Result::is_err);
        let loaded = ticket.run(load).await;
        self.cache.engine().loaded(&self.question, loaded.is_ok());
        match loaded {
            Ok(loaded) => {
                let (value, options) = loaded.over(self.options);
                ticket.publish(value.clone(), options).await;
                Ok(value)
            }
            Err(error) => {
                ticket.unshared();
                Err(error)
            }
        }
    }

    /// Loads for all who wait. The load outlives its caller where he may have to be answered before.
    pub(super) async fn lead(self, led: Led, keeps: bool) -> Result<T, LoadError<E>> {
        let policy = &self.question.policy;
        let can_end = policy.hard_timeout.is_some() || policy.soft_timeout.is_some() && keeps;
        let (cache, question) = (self.cache.clone(), self.question.clone());
        let Some(runtime) = Handle::try_current().ok().filter(|_| can_end) else {
            let loaded = self.load_led(led).await;
            return cache.settled(&question, loaded).await;
        };
        let soft = self.deadline(policy.soft_timeout.filter(|_| keeps));
        let (sender, receiver) = oneshot::channel();
        runtime.spawn(carry(self.load_for(led, sender)));
        cache.wait(&question, soft, receiver).await
    }

    /// Loads, and tells whoever still waits; a panic that nobody hears of is counted and logged.
    async fn load_for(self, led: Led, caller: oneshot::Sender<Ended<Result<T, E>>>) {
        let (cache, question) = (self.cache.clone(), self.question.clone());
        let ended = cache.detached(&question, self.load_led(led)).await;
        if let Err(Ended::Panicked(_)) = caller.send(ended) {
            cache.engine().panicked(&question);
        }
    }

    async fn load_led(self, led: Led) -> Result<T, E> {
        match self.cache.engine().lead(&self.question, led).await {
            Turn::Lead(ticket) => return self.load(ticket).await,
            Turn::Hit(hit) => {
                if let Ok(value) = hit.value() {
                    hit.count(self.cache.counters());
                    return Ok(value);
                }
            }
            Turn::Follow(_) | Turn::Alone => {}
        }
        let load = self.cache.measure((self.load)(), Result::is_err);
        load.await.map(Loaded::into_value)
    }
}

impl Cache {
    /// Drives a load in a task of its own, until it ends or has taken too long.
    async fn detached<F: Future>(&self, question: &Question, load: F) -> Ended<F::Output> {
        let mut load = pin!(caught(load));
        match timeout(question.policy.load_limit(), &mut load).await {
            Ok(Ok(output)) => Ended::Done(output),
            Ok(Err(panic)) => Ended::Panicked(panic),
            Err(_) => {
                // The load is dropped after this: whoever takes over finds the key at rest.
                self.engine().timed_out(question);
                Ended::TimedOut
            }
        }
    }

    /// Waits for a load in a task of its own; from `soft` on, what is stale is shown instead.
    async fn wait<T: Value, E>(
        &self,
        question: &Question,
        soft: Option<Instant>,
        mut load: oneshot::Receiver<Ended<Result<T, E>>>,
    ) -> Result<T, LoadError<E>> {
        let in_time = match soft {
            Some(end) => timeout_at(end, &mut load).await.ok(),
            None => Some((&mut load).await),
        };
        let ended = match in_time {
            Some(ended) => ended,
            None => match self.instead_of_wait(question).await {
                Some(value) => return Ok(value),
                None => load.await,
            },
        };
        match ended {
            Ok(Ended::Done(loaded)) => self.settled(question, loaded).await,
            Ok(Ended::Panicked(panic)) => resume_unwind(panic),
            Ok(Ended::TimedOut) => Err(LoadError::Unfinished(self.timed_out())),
            Err(_) => Err(LoadError::Unfinished(self.abandoned())),
        }
    }

    fn timed_out(&self) -> Error {
        let message = "the load took longer than the load timeout, and was dropped";
        self.during("get_or_load", Error::new(ErrorKind::Timeout, message))
    }

    fn abandoned(&self) -> Error {
        let message = "the runtime that the load ran in has ended";
        self.during("get_or_load", Error::new(ErrorKind::Unready, message))
    }
}
