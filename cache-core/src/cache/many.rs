//! Loading many keys: one call for all that are missing, shared key by key.
//!
//! 1. All keys are looked at in one round trip; each that is missing is led, followed, or goes alone.
//! 2. What is led is loaded and published before anybody else is waited for. So two callers who
//!    lead what the other follows do not wait in a circle.
//! 3. Those who lead the rest are waited for, all at once. What comes of it is a value, or
//!    another round: to be asked again, or to be loaded alone.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use super::Cache;
use crate::engine::{Followed, Follower, Hit, Question, Ticket, Turn, join_all};
use crate::entry::Owner;
use crate::metrics::Miss;
use crate::terms::EntryOptions;
use crate::value::Value;

/// How often keys are asked for again, because leaders gave up or what they stored does not fit,
/// before they go alone.
const ROUNDS: usize = 8;

/// What there is at each of the keys, in their order.
type Answers<T, E> = Vec<Result<Option<T>, E>>;

impl Cache {
    /// The values at `keys`, in their order; those that are not there are loaded by one call of
    /// `load`, and stored under the namespace's default time to live.
    ///
    /// `load` is given the missing keys, each once, and answers with a result for each of them, in
    /// any order. `Ok` is stored; an `Err` is told for its key, and not stored; a key that is not
    /// in the answer has no value: `Ok(None)`, and nothing stored. An `Err` in place of the answer
    /// is told for every key that was asked for.
    ///
    /// Loads are shared key by key with whoever wants one of these keys at the same moment, by
    /// [`get_or_set`](Self::get_or_set) or by this. A key that another caller is loading is not
    /// asked for; only if that load fails, or takes longer than
    /// [`flight_wait`](super::CacheBuilder::flight_wait), `load` is called again for such keys.
    /// What [`get_or_set`](Self::get_or_set) says of invalidations during a load holds for each
    /// key. Loads in other processes are not waited for: two that lead what the other
    /// needs would wait in a circle.
    ///
    /// Dropping the future drops the load; those who wait take over.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use std::collections::HashMap;
    /// # async fn query(ids: &[String]) -> Result<HashMap<String, String>, String> {
    /// #     Ok(ids.iter().map(|id| (id.clone(), format!("user {id}"))).collect())
    /// # }
    /// # async fn example() -> Result<(), String> {
    /// # let cache = Cache::memory();
    /// let users = cache.get_many_or_load(&["1", "2"], async |ids| {
    ///     let rows = query(&ids).await?;
    ///     Ok::<_, String>(rows.into_iter().map(|(id, user)| (id, Ok(user))))
    /// });
    /// for user in users.await {
    ///     println!("{:?}", user?);
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `load`, for each key. What goes wrong in the cache is counted and logged, and the
    /// values loaded.
    pub async fn get_many_or_load<T, E, I, F, Fut>(&self, keys: &[&str], load: F) -> Answers<T, E>
    where
        T: Value,
        E: Clone,
        I: IntoIterator<Item = (String, Result<T, E>)>,
        F: FnMut(Vec<String>) -> Fut,
        Fut: Future<Output = Result<I, E>>,
    {
        let options = EntryOptions::new();
        self.get_many_or_load_with(keys, options, load).await
    }

    /// Like [`get_many_or_load`](Self::get_many_or_load), under terms of its own, which are those
    /// of every value that is loaded.
    ///
    /// # Errors
    ///
    /// Those of `load`, for each key.
    pub async fn get_many_or_load_with<T, E, I, F, Fut>(
        &self,
        keys: &[&str],
        options: EntryOptions,
        mut load: F,
    ) -> Answers<T, E>
    where
        T: Value,
        E: Clone,
        I: IntoIterator<Item = (String, Result<T, E>)>,
        F: FnMut(Vec<String>) -> Fut,
        Fut: Future<Output = Result<I, E>>,
    {
        let mut many = Many::new(self, keys, &options);
        for round in 0.. {
            if round == ROUNDS {
                many.give_up();
            }
            let (led, followed) = many.turn().await;
            let asked = many.asked(&led);
            if !asked.is_empty() {
                let (names, tickets): (Vec<_>, Vec<_>) = led.into_iter().unzip();
                let load = self.measure(load(asked), Result::is_err);
                let loaded = Ticket::run_all(&tickets, load).await;
                let led = names.into_iter().zip(tickets);
                many.settle(led, loaded, &options).await;
            }
            many.follow(followed).await;
            if many.is_done() {
                break;
            }
        }
        many.answers(keys)
    }
}

/// A load's key that has no value.
struct Absent;

/// A key that has no answer yet.
struct Wanted<'k> {
    key: &'k str,
    question: Question,
}

type Led<'k> = Vec<(&'k str, Ticket)>;
type Following<'k> = Vec<(Wanted<'k>, Follower)>;

/// One caller's keys, each once.
struct Many<'k, T, E> {
    cache: &'k Cache,
    wanted: Vec<Wanted<'k>>,
    /// To be loaded unshared.
    alone: Vec<&'k str>,
    answers: HashMap<&'k str, Result<Option<T>, E>>,
}

impl<'k, T: Value, E: Clone> Many<'k, T, E> {
    fn new(cache: &'k Cache, keys: &[&'k str], options: &EntryOptions) -> Self {
        let mut many = Self {
            cache,
            wanted: Vec::with_capacity(keys.len()),
            alone: Vec::new(),
            answers: HashMap::with_capacity(keys.len()),
        };
        let mut seen = HashSet::with_capacity(keys.len());
        for &key in keys.iter().filter(|&&key| seen.insert(key)) {
            match cache.question(key, Owner::HANDLE, options) {
                Ok(question) => many.want(key, question),
                Err(error) => {
                    cache.bypass(&error);
                    many.alone.push(key);
                }
            }
        }
        many
    }

    fn want(&mut self, key: &'k str, mut question: Question) {
        question.tags_are_all = true;
        question.reading.lock = false;
        self.wanted.push(Wanted { key, question });
    }

    /// Asks for all that is wanted.
    async fn turn(&mut self) -> (Led<'k>, Following<'k>) {
        let wanted = std::mem::take(&mut self.wanted);
        let questions: Vec<_> = wanted.iter().map(|wanted| &wanted.question).collect();
        let turns = self.cache.engine().turn_many(&questions).await;
        let (mut led, mut followed) = (Led::new(), Following::new());
        for (wanted, turn) in wanted.into_iter().zip(turns) {
            match turn {
                Turn::Hit(hit) => self.take(wanted, &hit),
                Turn::Lead(ticket) => led.push((wanted.key, ticket)),
                Turn::Follow(follower) => followed.push((wanted, follower)),
                Turn::Alone => self.alone.push(wanted.key),
            }
        }
        (led, followed)
    }

    /// Takes a value that is there, or passes it over the next time if it does not fit.
    fn take(&mut self, mut wanted: Wanted<'k>, hit: &Hit) {
        match hit.value() {
            Ok(value) => {
                hit.count(self.cache.counters());
                self.answers.insert(wanted.key, Ok(Some(value)));
            }
            Err(_) => {
                wanted.question.unfit = Some(hit.id());
                self.wanted.push(wanted);
            }
        }
    }

    fn asked(&self, led: &Led<'k>) -> Vec<String> {
        let led = led.iter().map(|(key, _)| key);
        led.chain(&self.alone).map(|&key| key.to_owned()).collect()
    }

    /// Publishes what was loaded, and keeps it for the caller.
    async fn settle<I>(
        &mut self,
        led: impl Iterator<Item = (&'k str, Ticket)>,
        loaded: Result<I, E>,
        options: &EntryOptions,
    ) where
        I: IntoIterator<Item = (String, Result<T, E>)>,
    {
        let loaded = loaded.map(|loaded| loaded.into_iter().collect::<HashMap<_, _>>());
        if loaded.iter().flat_map(HashMap::values).any(Result::is_err) {
            self.cache.counters().load_error();
        }
        let result = |key: &str| match &loaded {
            Ok(loaded) => loaded.get(key).cloned().transpose(),
            Err(error) => Err(error.clone()),
        };
        for key in self.alone.drain(..) {
            self.answers.insert(key, result(key));
        }
        let mut published = Vec::new();
        for (key, ticket) in led {
            let answer = result(key);
            match &answer {
                Ok(Some(value)) => published.push(ticket.publish(value.clone(), options.clone())),
                Ok(None) => ticket.fail(Arc::new(Absent)),
                Err(_) => ticket.unshared(),
            }
            self.answers.insert(key, answer);
        }
        join_all(published).await;
    }

    /// Waits for those who load what is wanted here, too.
    async fn follow(&mut self, followed: Following<'k>) {
        let wait = async |(wanted, follower): (Wanted<'k>, Follower)| {
            let followed = follower.followed().await;
            (wanted, followed)
        };
        for (wanted, followed) in join_all(followed.into_iter().map(wait)).await {
            match followed {
                Followed::Value(hit) => self.take(wanted, &hit),
                Followed::Failed(shared) if shared.is::<Absent>() => {
                    self.answers.insert(wanted.key, Ok(None));
                }
                Followed::Failed(_) | Followed::Alone | Followed::Progress(_) => {
                    self.alone.push(wanted.key);
                }
                Followed::Again => self.wanted.push(wanted),
            }
        }
    }

    fn give_up(&mut self) {
        for wanted in self.wanted.drain(..) {
            self.cache.counters().miss(Miss::Damaged);
            self.alone.push(wanted.key);
        }
    }

    fn is_done(&self) -> bool {
        self.wanted.is_empty() && self.alone.is_empty()
    }

    fn answers(&self, keys: &[&str]) -> Answers<T, E> {
        let answer = |key: &&str| self.answers.get(key).cloned().unwrap_or(Ok(None));
        keys.iter().map(answer).collect()
    }
}
