//! What the chaos provider does to calls, and that the cache keeps its promises meanwhile.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cache_core::provider::Leased;
use cache_core::testkit::{Chaos, ChaosProvider, Fault, Gate, Nodes, Operation};
use cache_core::{
    Cache, Entry, EntryId, Error, ErrorKind, Invalidated, MemoryProvider, MemoryTier, Meta, Owner,
    Payload, Provider,
};
use tokio::time::Instant;

fn chaotic() -> (Cache, Chaos) {
    let (provider, chaos) = ChaosProvider::over(MemoryProvider::new());
    let cache = Cache::builder(provider).build().expect("a cache");
    (cache, chaos)
}

async fn calm() -> Nodes {
    Nodes::one(chaotic().0)
}

mod conformance {
    cache_core::conformance!(crate::calm());
}

mod race {
    cache_core::race_table!(crate::calm());
}

async fn number(cache: &Cache) -> Result<Option<i64>, Error> {
    cache.get("n").await
}

#[tokio::test]
async fn an_error_is_before_the_call_and_a_loss_after_it() {
    let (cache, chaos) = chaotic();
    chaos.next(Operation::Increment, Fault::Error(ErrorKind::Unready));
    chaos.next(Operation::Increment, Fault::Lost(ErrorKind::Timeout));
    let error = cache.increment("n", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unready);
    assert_eq!(number(&cache).await.unwrap(), None);
    let error = cache.increment("n", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(number(&cache).await.unwrap(), Some(1));
    assert_eq!(
        cache.increment("n", 1).await.unwrap(),
        2,
        "nothing more is scripted"
    );
    assert_eq!(chaos.calls(Operation::Increment), 3);
}

/// One call of each operation that a handle makes by itself.
async fn each_operation(cache: &Cache) -> Vec<(Operation, Result<(), Error>)> {
    vec![
        (Operation::Get, cache.get::<i64>("n").await.map(drop)),
        (Operation::Set, cache.set("n", &1).await),
        (Operation::Inspect, cache.exists("n").await.map(drop)),
        (
            Operation::Expire,
            cache.expire("n", Duration::from_secs(9)).await.map(drop),
        ),
        (
            Operation::Increment,
            cache.increment("n", 1).await.map(drop),
        ),
        (
            Operation::Invalidate,
            cache.invalidate_tag("t").await.map(drop),
        ),
        (
            Operation::Scan,
            cache.delete_by_pattern("other:*").await.map(drop),
        ),
        (Operation::Ping, cache.ping().await.map(drop)),
    ]
}

#[tokio::test]
async fn every_operation_meets_what_is_planned_for_it() {
    let (cache, chaos) = chaotic();
    cache.set("n", &1).await.unwrap();
    for (operation, _) in each_operation(&cache).await {
        chaos.every(operation, Fault::Error(ErrorKind::Backend));
        let answers = each_operation(&cache).await;
        let (_, answer) = answers
            .into_iter()
            .find(|(it, _)| *it == operation)
            .expect("one");
        assert_eq!(
            answer.map_err(|error| error.kind()),
            Err(ErrorKind::Backend),
            "{operation:?}"
        );
        chaos.every(operation, Fault::None);
    }
}

#[tokio::test]
async fn what_is_scripted_comes_before_the_loss_of_the_connection() {
    let (cache, chaos) = chaotic();
    chaos.away(true);
    for operation in [Operation::Get, Operation::Set, Operation::Ping] {
        chaos.next(operation, Fault::None);
    }
    let failing = each_operation(&cache).await;
    let failing = failing
        .into_iter()
        .filter(|(_, answer)| answer.is_err())
        .count();
    assert_eq!(failing, 5);
}

#[tokio::test]
async fn chance_can_be_repeated() {
    let outcomes = async |seed| {
        let (cache, chaos) = chaotic();
        chaos.seed(seed).error_rate(0.5);
        let mut outcomes = Vec::new();
        for _ in 0..1_000 {
            outcomes.push(cache.set("k", "v").await.is_ok());
        }
        outcomes
    };
    let first = outcomes(7).await;
    assert_eq!(first, outcomes(7).await);
    assert_ne!(first, outcomes(8).await);
    let failed = first.iter().filter(|succeeded| !**succeeded).count();
    assert!((400..600).contains(&failed), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_within_its_range() {
    let (cache, chaos) = chaotic();
    chaos.delay(Duration::from_millis(20)..=Duration::from_millis(50));
    for _ in 0..20 {
        let began = Instant::now();
        cache.set("k", "v").await.unwrap();
        let late = began.elapsed().as_millis();
        assert!((20..=51).contains(&late), "{late} ms");
    }
}

#[tokio::test]
async fn a_call_stands_at_its_gate_before_it_acts_or_before_it_answers() {
    for after in [false, true] {
        let (cache, chaos) = chaotic();
        let (gate, held) = Gate::new();
        let fault = if after {
            Fault::HoldAnswer(held)
        } else {
            Fault::Hold(held)
        };
        chaos.next(Operation::Set, fault);
        let writer = cache.clone();
        let writing = tokio::spawn(async move { writer.set("n", &1).await });
        gate.entered().await;
        assert_eq!(number(&cache).await.unwrap(), after.then_some(1));
        gate.open();
        writing.await.unwrap().unwrap();
        assert_eq!(number(&cache).await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn what_is_garbled_is_a_damaged_entry() {
    let (cache, chaos) = chaotic();
    chaos.garble(1);
    cache.set("k", "v").await.unwrap();
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    assert_eq!(cache.metrics().damaged, 1);
    cache.set("k", "v").await.unwrap();
    assert_eq!(
        cache.get::<String>("k").await.unwrap().as_deref(),
        Some("v")
    );
}

#[tokio::test]
async fn no_part_of_what_is_garbled_is_a_value() {
    let (cache, chaos) = chaotic();
    for value in [12, 1, -7] {
        chaos.garble(1);
        cache.set("n", &value).await.unwrap();
        assert_eq!(number(&cache).await.unwrap(), None, "{value}");
    }
}

#[tokio::test]
async fn what_is_given_back_to_a_backend_that_is_away_stays_taken() {
    let (provider, chaos) = ChaosProvider::over(MemoryProvider::new());
    let stamp = provider.log().stamp();
    let Ok(Leased::Lease(lease)) = provider.lease("cache::k", None, stamp).await else {
        panic!("a lease was expected");
    };
    let (locks, token) = (provider.locks().unwrap(), EntryId::random());
    let ttl = Duration::from_secs(600);
    assert!(locks.acquire("l", token, ttl).await.unwrap().is_some());
    chaos.away(true);
    provider.release("cache::k", lease);
    locks.give_back("l", token);
    chaos.away(false);
    assert!(locks.extend("l", token, ttl).await.unwrap());
    let entry = Arc::new(loaded(&provider));
    assert!(provider.fill("cache::k", entry, lease).await.unwrap());
}

fn loaded(provider: &ChaosProvider) -> Entry {
    let meta = Meta {
        id: EntryId::random(),
        owner: Owner::HANDLE,
        stamp: provider.log().stamp(),
        created: provider.clock().now(),
        expires: None,
        kept_for: Duration::ZERO,
        load_time: Duration::ZERO,
        tags: [].into(),
    };
    Entry::new(meta, Payload::typed(1_u8))
}

#[tokio::test]
async fn what_is_pending_is_told_to_be() {
    let (cache, chaos) = chaotic();
    assert_eq!(cache.invalidate("k").await.unwrap(), Invalidated::Applied);
    chaos.pending(true);
    assert_eq!(cache.invalidate("k").await.unwrap(), Invalidated::Pending);
}

/// A value is always loaded from `row`, which only grows. Whatever fails: a load is answered, and
/// once an invalidation has succeeded, nothing older than the row was then is ever shown.
#[tokio::test]
async fn whatever_fails_loads_are_answered_and_nothing_invalidated_is_shown() {
    let mut succeeded = 0;
    for seed in 0..200 {
        let (provider, chaos) = ChaosProvider::remote();
        let mut builder = Cache::builder(provider);
        if seed % 2 == 0 {
            builder = builder.memory_tier(MemoryTier::new());
        }
        let cache = builder.build().unwrap();
        chaos.seed(seed).error_rate(0.3);
        let mut floor = 0;
        for row in 1..=40_u64 {
            if row % 3 == 0 && cache.invalidate("k").await.is_ok() {
                floor = row;
                succeeded += 1;
            }
            let load = async || Ok::<_, Infallible>(row);
            let shown = cache.get_or_set("k", load).await.unwrap();
            assert!(
                floor <= shown && shown <= row,
                "seed {seed}: {floor} {shown} {row}"
            );
        }
    }
    assert!(succeeded > 1_000, "{succeeded}");
}
