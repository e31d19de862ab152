//! Invalidated is not stale: what no policy may show, whatever was done to the value, and when.

use cache_core::testkit::race::Act;
use cache_core::testkit::{Gate, eventually};
use tokio::runtime::Handle;

use crate::*;

const ACTS: [Act; 10] = [
    Act::Delete,
    Act::DeleteMany,
    Act::Invalidate,
    Act::InvalidateTag,
    Act::InvalidatePattern,
    Act::DeleteByPattern,
    Act::Clear,
    Act::ClearAround,
    Act::Set,
    Act::SetMany,
];

const SOFT: Duration = Duration::from_millis(5);

/// Every policy that shows something, or loads it before it is gone.
fn policies() -> [Policy; 4] {
    [
        revalidating(),
        forgiving(),
        forgiving().soft_timeout(SOFT),
        Policy::new().early_refresh(1e300),
    ]
}

/// A cache under a policy, where `old` is stored that the acts are about, and took a second to load.
async fn stored(policy: Policy) -> Bench {
    let bench = Bench::new(policy);
    bench.source.change(|answer| {
        answer.takes = SECOND;
        answer.value = Ok(Loaded::new("old".to_owned()).tag("team:7"));
    });
    assert_eq!(read(&bench).await.unwrap(), "old");
    bench
}

async fn read(bench: &Bench) -> Result<String, LoadError<String>> {
    let (users, source) = (bench.cache.namespace("users"), bench.source.clone());
    users.get_or_load("user:1", || source.load()).await
}

/// What an act leaves to be seen of the value.
fn left(act: Act) -> Option<&'static str> {
    matches!(act, Act::Set | Act::SetMany).then_some("new")
}

async fn get(bench: &Bench) -> Option<String> {
    bench.cache.namespace("users").get("user:1").await.unwrap()
}

#[tokio::test]
async fn what_was_invalidated_is_not_shown_in_place_of_an_error_or_a_wait() {
    for (act, policy) in ACTS
        .into_iter()
        .flat_map(|act| policies().map(|it| (act, it)))
    {
        let bench = stored(policy).await;
        bench.clock.advance(TTL);
        bench.source.fails();
        act.perform(&bench.cache).await.unwrap();
        let read = read(&bench).await;
        match left(act) {
            Some(new) => assert_eq!(read.unwrap(), new, "{act:?}"),
            None => assert_eq!(failed(read), "no", "{act:?}"),
        }
        assert_eq!(bench.cache.namespace("users").metrics().stale, 0);
    }
}

#[tokio::test]
async fn a_refresh_that_began_before_is_not_stored() {
    let early = Policy::new().early_refresh(1e300);
    for (policy, age) in [(revalidating(), TTL), (early, Duration::ZERO)] {
        for act in ACTS {
            let bench = stored(policy).await;
            bench.clock.advance(age);
            let (gate, held) = Gate::new();
            bench.source.is_held(held);
            assert_eq!(read(&bench).await.unwrap(), "old");
            gate.entered().await;
            act.perform(&bench.cache).await.unwrap();
            gate.open();
            let tasks = || Handle::current().metrics().num_alive_tasks();
            eventually("the refresh has ended", || tasks() == 0).await;
            assert_eq!(get(&bench).await.as_deref(), left(act), "{act:?}");
            bench.source.says("newer");
            let expected = left(act).unwrap_or("newer");
            assert_eq!(read(&bench).await.unwrap(), expected, "{act:?}");
        }
    }
}

#[tokio::test]
async fn who_holds_a_stale_value_in_his_hands_does_not_show_it_when_it_was_invalidated() {
    for act in ACTS {
        let bench = stored(forgiving()).await;
        bench.clock.advance(TTL);
        let (gate, held) = Gate::new();
        bench.source.fails();
        bench.source.is_held(held);
        let reading = tokio::spawn({
            let bench = bench.clone();
            async move { read(&bench).await }
        });
        gate.entered().await;
        act.perform(&bench.cache).await.unwrap();
        gate.open();
        let read = reading.await.unwrap();
        match left(act) {
            Some(new) => assert_eq!(read.unwrap(), new, "{act:?}"),
            None => assert_eq!(failed(read), "no", "{act:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_long_enough_is_not_shown_what_was_invalidated_meanwhile() {
    for act in ACTS {
        let bench = stored(forgiving().soft_timeout(SECOND)).await;
        bench.clock.advance(TTL);
        let (gate, held) = Gate::new();
        let loaded = Loaded::new("loaded".to_owned()).tag("team:7");
        bench.source.change(|answer| answer.value = Ok(loaded));
        bench.source.is_held(held);
        let reading = tokio::spawn({
            let bench = bench.clone();
            async move { read(&bench).await }
        });
        gate.entered().await;
        act.perform(&bench.cache).await.unwrap();
        tokio::time::sleep(SECOND * 2).await;
        assert_eq!(reading.is_finished(), left(act).is_some(), "{act:?}");
        gate.open();
        let expected = left(act).unwrap_or("loaded");
        assert_eq!(reading.await.unwrap().unwrap(), expected, "{act:?}");
        assert_eq!(get(&bench).await.as_deref(), left(act), "{act:?}");
    }
}

#[tokio::test]
async fn a_key_that_rests_shows_nothing_that_was_invalidated() {
    let bench = Bench::stale(forgiving().retry_after(TTL), TICK).await;
    bench.source.fails();
    for _ in 0..2 {
        assert_eq!(bench.read().await.unwrap(), "old");
    }
    bench.cache.invalidate(KEY).await.unwrap();
    assert_eq!(failed(bench.read().await), "no");
}
