//! Loading many keys: one call for what is missing, shared key by key, failures told key by key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::testkit::{ChaosProvider, Gate, Held, eventually, followers};
use cache_core::{Cache, EntryOptions, Ttl};
use tokio::task::JoinHandle;

type Answer = Result<Option<String>, &'static str>;
type Loaded = HashMap<String, Result<String, &'static str>>;

/// A loader that writes down what it was asked for, and can be held open.
#[derive(Clone, Default)]
struct Source {
    calls: Arc<Mutex<Vec<Vec<String>>>>,
    held: Option<Held>,
}

impl Source {
    fn held(held: Held) -> Self {
        Self {
            held: Some(held),
            ..Self::default()
        }
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }

    /// Each key's value is named after it; `bad…` fails, `none…` has no value.
    async fn load(&self, keys: Vec<String>) -> Result<Loaded, &'static str> {
        self.calls.lock().unwrap().push(keys.clone());
        if let Some(held) = &self.held {
            held.pass().await;
        }
        let known = keys.into_iter().filter(|key| !key.starts_with("none"));
        let result = |key: &str| match key.starts_with("bad") {
            true => Err("bad"),
            false => Ok(format!("value of {key}")),
        };
        Ok(known.map(|key| (key.clone(), result(&key))).collect())
    }

    fn spawn(&self, cache: &Cache, keys: &'static [&'static str]) -> JoinHandle<Vec<Answer>> {
        let (source, cache) = (self.clone(), cache.clone());
        tokio::spawn(async move { source.get(&cache, keys).await })
    }

    async fn get(&self, cache: &Cache, keys: &[&str]) -> Vec<Answer> {
        cache.get_many_or_load(keys, |keys| self.load(keys)).await
    }
}

fn value(key: &str) -> Answer {
    Ok(Some(format!("value of {key}")))
}

#[tokio::test]
async fn one_call_loads_what_is_missing_and_the_rest_is_not_asked_for() {
    let (cache, source) = (Cache::memory(), Source::default());
    cache.set("b", "stored").await.unwrap();
    let answers = source.get(&cache, &["c", "b", "a", "c", "none"]).await;
    let stored = Ok(Some("stored".to_owned()));
    assert_eq!(
        answers,
        [value("c"), stored.clone(), value("a"), value("c"), Ok(None)]
    );
    assert_eq!(source.calls(), [["c", "a", "none"]]);
    let answers = source.get(&cache, &["a", "b", "c"]).await;
    assert_eq!(answers, [value("a"), stored, value("c")]);
    assert_eq!(source.calls().len(), 1, "all of them are stored");
    assert_eq!(source.get(&cache, &[]).await, []);
    let metrics = cache.metrics();
    assert_eq!((metrics.hits, metrics.misses), (4, 3));
}

#[tokio::test]
async fn failures_are_told_key_by_key_and_not_stored() {
    let (cache, source) = (Cache::memory(), Source::default());
    let answers = source.get(&cache, &["a", "bad", "none"]).await;
    assert_eq!(answers, [value("a"), Err("bad"), Ok(None)]);
    assert!(cache.exists("a").await.unwrap());
    assert!(!cache.exists("bad").await.unwrap() && !cache.exists("none").await.unwrap());
    let answers = source.get(&cache, &["a", "bad", "none"]).await;
    assert_eq!(answers, [value("a"), Err("bad"), Ok(None)]);
    assert_eq!(source.calls()[1], ["bad", "none"]);
}

#[tokio::test]
async fn a_failure_of_the_whole_call_is_told_for_every_key_that_was_asked_for() {
    let cache = Cache::memory();
    cache.set("a", "stored").await.unwrap();
    let answers: Vec<Answer> = cache
        .get_many_or_load(&["a", "b", "c"], async |_| Err::<Loaded, _>("down"))
        .await;
    assert_eq!(
        answers,
        [Ok(Some("stored".to_owned())), Err("down"), Err("down")]
    );
    assert!(!cache.exists("b").await.unwrap());
}

#[tokio::test]
async fn the_options_are_those_of_every_value() {
    let (cache, source) = (Cache::memory(), Source::default());
    let options = EntryOptions::new().ttl(Ttl::Never).tag("t");
    let load = |keys| source.load(keys);
    let loaded: Vec<Answer> = cache
        .get_many_or_load_with(&["a", "b"], options, load)
        .await;
    assert_eq!(loaded, [value("a"), value("b")]);
    assert_eq!(cache.get_ttl("b").await.unwrap(), Some(Ttl::Never));
    cache.invalidate_tag("t").await.unwrap();
    assert!(!cache.exists("a").await.unwrap() && !cache.exists("b").await.unwrap());
}

#[tokio::test]
async fn a_key_that_somebody_loads_alone_is_waited_for_and_not_asked_for() {
    let (cache, source) = (Cache::memory(), Source::default());
    let (gate, held) = Gate::new();
    let single = tokio::spawn({
        let cache = cache.clone();
        let load = move || async move {
            held.pass().await;
            Ok::<_, &str>("by one".to_owned())
        };
        async move { cache.get_or_set("a", load).await }
    });
    gate.entered().await;
    let many = source.spawn(&cache, &["a", "b"]);
    eventually("the other waits", || followers(&cache, "a") == 1).await;
    // What it leads is there before it waits.
    assert_eq!(
        cache.get::<String>("b").await.unwrap().as_deref(),
        Some("value of b")
    );
    gate.open();
    assert_eq!(
        many.await.unwrap(),
        [Ok(Some("by one".to_owned())), value("b")]
    );
    assert_eq!(source.calls(), [["b"]]);
    single.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_wants_one_of_many_keys_waits_for_the_load_of_all() {
    let cache = Cache::memory();
    let (gate, held) = Gate::new();
    let source = Source::held(held);
    let many = source.spawn(&cache, &["a", "b"]);
    gate.entered().await;
    let loads = Arc::new(AtomicUsize::new(0));
    let single = tokio::spawn({
        let (cache, loads) = (cache.clone(), Arc::clone(&loads));
        let load = move || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            Ok::<_, &str>("by one".to_owned())
        };
        async move { cache.get_or_set("b", load).await }
    });
    eventually("the single caller waits", || followers(&cache, "b") == 1).await;
    gate.open();
    assert_eq!(single.await.unwrap(), Ok("value of b".to_owned()));
    assert_eq!(many.await.unwrap(), [value("a"), value("b")]);
    assert_eq!(loads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn of_two_who_want_some_of_the_same_keys_each_is_loaded_once() {
    let cache = Cache::memory();
    let (gate, held) = Gate::new();
    let one = Source::held(held.clone());
    let first = one.spawn(&cache, &["a", "b", "none"]);
    gate.entered().await;
    let two = Source::held(held);
    let second = two.spawn(&cache, &["none", "c", "b"]);
    gate.entered().await;
    assert_eq!(
        (one.calls(), two.calls()),
        (
            vec![vec!["a".into(), "b".into(), "none".into()]],
            vec![vec!["c".to_owned()]]
        )
    );
    gate.open();
    assert_eq!(first.await.unwrap(), [value("a"), value("b"), Ok(None)]);
    assert_eq!(second.await.unwrap(), [Ok(None), value("c"), value("b")]);
    assert_eq!(
        (one.calls().len(), two.calls().len()),
        (1, 1),
        "nobody has loaded again"
    );
}

#[tokio::test]
async fn who_waited_for_a_load_that_failed_or_went_away_loads_that_key_himself() {
    for goes_away in [false, true] {
        let cache = Cache::memory();
        let (gate, held) = Gate::new();
        let single = tokio::spawn({
            let cache = cache.clone();
            let load = move || async move {
                held.pass().await;
                Err::<String, _>("down")
            };
            async move { cache.get_or_set("a", load).await }
        });
        gate.entered().await;
        let source = Source::default();
        let many = source.spawn(&cache, &["a", "b"]);
        eventually("the other waits", || followers(&cache, "a") == 1).await;
        match goes_away {
            true => single.abort(),
            false => gate.open(),
        }
        assert_eq!(many.await.unwrap(), [value("a"), value("b")]);
        assert_eq!(source.calls(), [["b"], ["a"]]);
    }
}

#[tokio::test]
async fn a_key_that_was_invalidated_while_it_was_loaded_is_told_and_not_kept() {
    let cache = Cache::memory();
    let (gate, held) = Gate::new();
    let source = Source::held(held);
    let many = source.spawn(&cache, &["a", "b"]);
    gate.entered().await;
    cache.invalidate("a").await.unwrap();
    gate.open();
    assert_eq!(many.await.unwrap(), [value("a"), value("b")]);
    assert!(!cache.exists("a").await.unwrap());
    assert!(cache.exists("b").await.unwrap());
}

#[tokio::test]
async fn whoever_is_dropped_leaves_all_his_keys_to_those_who_wait() {
    let cache = Cache::memory();
    let (gate, held) = Gate::new();
    let dropped = Source::held(held).spawn(&cache, &["a", "b"]);
    gate.entered().await;
    let source = Source::default();
    let waiting = source.spawn(&cache, &["b", "a"]);
    let both = || followers(&cache, "a") == 1 && followers(&cache, "b") == 1;
    eventually("the other waits", both).await;
    dropped.abort();
    assert_eq!(waiting.await.unwrap(), [value("b"), value("a")]);
    assert_eq!(source.calls(), [["b", "a"]], "again in one call");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_asks_for_its_own_keys_does_not_wait_for_itself() {
    let cache = Cache::memory();
    let source = Source::default();
    let began = tokio::time::Instant::now();
    let answers: Vec<Answer> = cache
        .get_many_or_load(&["a", "b"], async |_| {
            let inner = source.get(&cache, &["b", "c"]).await;
            assert_eq!(inner, [value("b"), value("c")]);
            source.load(vec!["a".into(), "b".into()]).await
        })
        .await;
    assert_eq!(answers, [value("a"), value("b")]);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_backend_that_is_away_and_a_key_that_cannot_be_stored_cost_nobody_his_value() {
    let (provider, chaos) = ChaosProvider::remote();
    let cache = Cache::builder(provider).build().unwrap();
    chaos.away(true);
    let source = Source::default();
    let long = "x".repeat(2_000);
    let answers = source.get(&cache, &["a", &long]).await;
    assert_eq!(answers, [value("a"), value(&long)]);
    assert_eq!(source.calls().len(), 1);
    chaos.away(false);
    assert_eq!(source.get(&cache, &["a"]).await, [value("a")]);
    assert!(cache.exists("a").await.unwrap());
}

#[tokio::test]
async fn a_value_of_another_type_is_loaded_anew() {
    let (cache, source) = (Cache::memory(), Source::default());
    cache.set("a", &7).await.unwrap();
    assert_eq!(
        source.get(&cache, &["a", "b"]).await,
        [value("a"), value("b")]
    );
    assert_eq!(
        cache.get::<String>("a").await.unwrap().as_deref(),
        Some("value of a")
    );
}

#[test]
fn outside_a_runtime_many_are_loaded_into_memory() {
    let (cache, source) = (Cache::memory(), Source::default());
    let keys = ["a", "b"];
    let mut many = Box::pin(source.get(&cache, &keys));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let answers = many.as_mut().poll(&mut context);
    assert_eq!(
        answers,
        std::task::Poll::Ready(vec![value("a"), value("b")])
    );
}

#[tokio::test]
async fn ten_thousand_keys_are_loaded_in_one_call() {
    let (cache, source) = (Cache::memory(), Source::default());
    let names: Vec<String> = (0..10_000).map(|name| name.to_string()).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let within = Duration::from_secs(60);
    let answers = tokio::time::timeout(within, source.get(&cache, &keys));
    assert!(answers.await.unwrap().iter().all(Result::is_ok));
    assert_eq!(source.calls().len(), 1);
}
