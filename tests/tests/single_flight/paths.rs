//! Functions and HTTP routes wait as the handle does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use axum::routing::get;
use cache_core::cached;
use cache_core::testkit::{Gate, Held};
use cache_tests::redis_server::RedisServer;
use cache_tower::{CacheLayer, Rule};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::{Node, SOON, node, somebody_looks_again};

#[cached(cache = node.cache, skip(node, held))]
async fn answer(node: Node, held: Held, question: u8) -> usize {
    node.loads.fetch_add(1, Ordering::SeqCst);
    held.pass().await;
    usize::from(question) * 2
}

#[tokio::test]
async fn a_function_runs_on_one_node() {
    let server = RedisServer::start();
    let [one, two] = [node(&server).await, node(&server).await];
    let (gate, held) = Gate::new();
    let first = tokio::spawn(answer(one.clone(), held.clone(), 21));
    gate.entered().await;
    let second = tokio::spawn(answer(two.clone(), held, 21));
    somebody_looks_again(&server).await;
    gate.open();
    for call in [first, second] {
        let value = timeout(SOON, call).await.expect("no long wait").unwrap();
        assert_eq!(value, 42);
    }
    assert_eq!([one.loads(), two.loads()], [1, 0]);
}

/// A route whose GET stands at the gate.
fn site(node: &Node, held: Held) -> Router {
    let rule = Rule::get("/page").ttl(Duration::from_secs(60));
    let layer = CacheLayer::builder(node.cache.clone()).rule(rule);
    let node = node.clone();
    let page = move |method: Method| async move {
        node.loads.fetch_add(1, Ordering::SeqCst);
        if method == Method::GET {
            held.pass().await;
        }
        "page"
    };
    let layer = layer.build().expect("the layer is built");
    Router::new().route("/page", get(page)).layer(layer)
}

async fn ask(site: Router, method: Method) -> String {
    let request = Request::builder().method(method).uri("/page");
    let request = request.body(Body::empty()).unwrap();
    let response = timeout(SOON, site.oneshot(request)).await;
    let body = response.expect("no long wait").unwrap().into_body();
    String::from_utf8(to_bytes(body, 1_024).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_route_is_asked_on_one_node_and_a_head_waits_for_nobody() {
    let server = RedisServer::start();
    let [one, two] = [node(&server).await, node(&server).await];
    let (gate, held) = Gate::new();
    let first = tokio::spawn(ask(site(&one, held.clone()), Method::GET));
    gate.entered().await;
    let elsewhere = site(&two, held);
    assert_eq!(ask(elsewhere.clone(), Method::HEAD).await, "");
    assert_eq!(two.loads(), 1, "the HEAD");
    let second = tokio::spawn(ask(elsewhere, Method::GET));
    somebody_looks_again(&server).await;
    gate.open();
    for call in [first, second] {
        assert_eq!(call.await.unwrap(), "page");
    }
    assert_eq!([one.loads(), two.loads()], [1, 1]);
}
