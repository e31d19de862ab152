//! The loads of a call: with its caller, in a task of their own, and in the background.

use std::panic::resume_unwind;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::Call;
use crate::cache::Cache;
use crate::engine::{Hit, Led, Panic, Ticket, Turn, carry, caught};
use crate::error::{Error, ErrorKind};
use crate::load_error::LoadError;
use crate::loaded::Loaded;
use crate::value::Value;

impl<T: Value, E: Send + 'static> Call<T, E> {
    /// Loads anew what is being shown, in a task of its own, unless somebody does already. Without a
    /// runtime there is none.
    pub(in crate::cache) fn refresh(self, shown: &Hit) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let engine = self.cache.engine();
        let Some(led) = engine.refresh(&self.question, shown) else {
            return;
        };
        let (cache, question) = (self.cache.clone(), self.question.clone());
        runtime.spawn(async move {
            if caught(self.load_in_background(led)).await.is_err() {
                cache.engine().panicked(&question);
            }
        });
    }

    async fn load_in_background(self, led: Led) {
        let engine = self.cache.engine();
        let Turn::Lead(ticket) = engine.lead(&self.question, led).await else {
            return;
        };
        if ticket.is_storable() {
            self.cache.counters().refresh();
            drop(self.load(ticket).await);
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
        let (sender, mut receiver) = oneshot::channel();
        runtime.spawn(carry(self.load_for(led, sender)));
        let in_time = match soft {
            Some(end) => timeout_at(end, &mut receiver).await.ok(),
            None => Some((&mut receiver).await),
        };
        let received = match in_time {
            Some(received) => received,
            None => match cache.instead_of_wait(&question).await {
                Some(value) => return Ok(value),
                None => receiver.await,
            },
        };
        match received {
            Ok(Ok(loaded)) => cache.settled(&question, loaded).await,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(LoadError::Unfinished(cache.abandoned())),
        }
    }

    /// Loads, and tells whoever still waits; a panic that nobody hears of is counted and logged.
    async fn load_for(self, led: Led, caller: oneshot::Sender<Result<Result<T, E>, Panic>>) {
        let (cache, question) = (self.cache.clone(), self.question.clone());
        let loaded = caught(self.load_led(led)).await;
        if let Err(Err(_)) = caller.send(loaded) {
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
    fn abandoned(&self) -> Error {
        let message = "the runtime that the load ran in has ended";
        self.during("get_or_load", Error::new(ErrorKind::Unready, message))
    }
}
