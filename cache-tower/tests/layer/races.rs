//! The race table: a request is held open in the service, meanwhile somebody makes its answer go,
//! then it finishes. Whoever asks later must not see what it brought.

use cache_core::Cache;
use cache_core::testkit::{Gate, eventually, followers};
use cache_tower::{CacheLayer, Invalidation, Rule};
use http::Method;
use tokio::sync::mpsc;
use tower::Layer;

use crate::support::*;

const URI: &str = "/cities/7";

/// What somebody does while the service works.
#[derive(Clone, Copy)]
enum Act {
    Delete,
    Invalidate,
    InvalidateTag,
    InvalidateUrl,
    InvalidatePattern,
    DeleteByPattern,
    Clear,
    ClearAround,
    Set,
    Put,
    PutThatNamesIt,
}

/// A site, the cache around it, and what the service is told to answer with.
struct Stage {
    site: Site,
    layer: CacheLayer,
    cache: Cache,
    answers: mpsc::UnboundedReceiver<Feeder>,
}

impl Stage {
    /// The head of an answer comes when `gate` opens, its body when the test feeds it.
    fn new(gate: Option<cache_core::testkit::Held>) -> Self {
        let (feeders, answers) = mpsc::unbounded_channel();
        let (first, cache) = (Once::new(), Cache::memory());
        let (origin, _) = origin(move |request| {
            let is_get = request.method() == Method::GET;
            let gate = gate.clone().filter(|_| is_get && first.is_first());
            let feeders = feeders.clone();
            async move {
                if let Some(gate) = gate {
                    gate.pass().await;
                }
                if !is_get {
                    return Ok(with_fields("", &[]));
                }
                let (feeder, body) = fed();
                feeders.send(feeder).map_err(|_| Broken)?;
                Ok(http::Response::new(body))
            }
        });
        let layer = CacheLayer::builder(cache.clone())
            .rule(Rule::get("/cities/{id}").ttl(MINUTE).tag("city:{id}"))
            .invalidate(Invalidation::on(Method::PUT, "/mayors/{id}").path("/cities/{id}"))
            .build()
            .unwrap();
        Self {
            site: layer.layer(origin),
            layer,
            cache,
            answers,
        }
    }

    async fn perform(&self, act: Act) {
        let (http, key) = (self.layer.cache(), key(URI));
        let put = async |uri| drop(ask(&self.site, request(Method::PUT, uri, &[])).await);
        match act {
            Act::Delete => assert!(http.delete(&key).await.is_ok()),
            Act::Invalidate => assert!(http.invalidate(&key).await.is_ok()),
            Act::InvalidateTag => assert!(http.invalidate_tag("city:7").await.is_ok()),
            Act::InvalidateUrl => assert!(http.invalidate_tag("http:/cities/7").await.is_ok()),
            Act::InvalidatePattern => assert!(http.invalidate_pattern("/cities/*").await.is_ok()),
            Act::DeleteByPattern => assert!(http.delete_by_pattern("/cities/*").await.is_ok()),
            Act::Clear => assert!(http.clear().await.is_ok()),
            Act::ClearAround => assert!(self.cache.clear().await.is_ok()),
            Act::Set => http.set(&key, "something else").await.unwrap(),
            Act::Put => put(URI).await,
            Act::PutThatNamesIt => put("/mayors/7").await,
        }
    }

    /// Asks anew, and expects that the service is asked again.
    async fn expect_new(&mut self) {
        let asked = async { tokio::join!(get(&self.site, URI), self.answers.recv()) };
        let (answer, feeder) = soon(asked).await;
        let feeder = feeder.expect("the service is asked");
        feeder.send(chunk("new")).unwrap();
        drop(feeder);
        assert_eq!(text(answer).await, "new");
        assert_eq!(get_text(&self.site, URI).await, "new");
    }
}

fn finish(feeder: Feeder) {
    feeder.send(chunk("old")).unwrap();
    drop(feeder);
}

async fn an_answer_whose_head_came_later_is_never_seen_again(act: Act) {
    let (gate, held) = Gate::new();
    let mut stage = Stage::new(Some(held));
    let site = stage.site.clone();
    let old = tokio::spawn(async move { get_text(&site, URI).await });
    gate.entered().await;
    stage.perform(act).await;
    gate.open();
    finish(stage.answers.recv().await.unwrap());
    assert_eq!(old.await.unwrap(), "old");
    stage.expect_new().await;
}

async fn an_answer_whose_body_came_later_is_never_seen_again(act: Act) {
    let mut stage = Stage::new(None);
    let old = get(&stage.site, URI).await;
    let feeder = stage.answers.recv().await.unwrap();
    stage.perform(act).await;
    finish(feeder);
    assert_eq!(text(old).await, "old");
    stage.expect_new().await;
}

async fn who_asks_after_the_act_does_not_follow_the_old_request(act: Act) {
    let mut stage = Stage::new(None);
    let old = get(&stage.site, URI).await;
    let feeder = stage.answers.recv().await.unwrap();
    stage.perform(act).await;
    stage.expect_new().await;
    finish(feeder);
    assert_eq!(text(old).await, "old");
    assert_eq!(get_text(&stage.site, URI).await, "new");
}

async fn who_waited_already_shares_the_old_answer(act: Act) {
    let (gate, held) = Gate::new();
    let mut stage = Stage::new(Some(held));
    let callers: Vec<_> = (0..5)
        .map(|_| {
            let site = stage.site.clone();
            tokio::spawn(async move { get_text(&site, URI).await })
        })
        .collect();
    gate.entered().await;
    let all_wait = || followers(stage.layer.cache(), &key(URI)) == 4;
    eventually("four wait for the first", all_wait).await;
    stage.perform(act).await;
    gate.open();
    finish(stage.answers.recv().await.unwrap());
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "old");
    }
    stage.expect_new().await;
}

async fn what_is_stored_goes(act: Act) {
    let mut stage = Stage::new(None);
    stage.expect_new().await;
    stage.perform(act).await;
    stage.expect_new().await;
}

macro_rules! table {
    ($($check:ident,)*) => { $(
        mod $check {
            use super::Act;
            table! { @acts $check;
                when_its_key_is_deleted: Delete,
                when_its_key_is_invalidated: Invalidate,
                when_its_tag_is_invalidated: InvalidateTag,
                when_its_url_is_invalidated: InvalidateUrl,
                when_its_pattern_is_invalidated: InvalidatePattern,
                when_its_pattern_is_deleted: DeleteByPattern,
                when_its_namespace_is_cleared: Clear,
                when_the_namespace_around_is_cleared: ClearAround,
                when_its_key_is_set: Set,
                when_its_url_is_put: Put,
                when_another_put_names_its_url: PutThatNamesIt,
            }
        }
    )* };
    (@acts $check:ident; $($name:ident: $act:ident,)*) => { $(
        #[tokio::test]
        async fn $name() {
            crate::support::soon(super::$check(Act::$act)).await;
        }
    )* };
}

table! {
    an_answer_whose_head_came_later_is_never_seen_again,
    an_answer_whose_body_came_later_is_never_seen_again,
    who_asks_after_the_act_does_not_follow_the_old_request,
    who_waited_already_shares_the_old_answer,
    what_is_stored_goes,
}
