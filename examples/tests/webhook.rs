//! The webhook as a user starts it: what is invalidated anywhere arrives at a listener.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use cache_core::Cache;
use cache_tests::redis_node::patient;
use cache_tests::redis_server::RedisServer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Takes what is posted; refuses the first so often.
#[derive(Clone)]
struct Receiver {
    posted: UnboundedSender<Value>,
    refusals: Arc<AtomicUsize>,
}

async fn take(State(receiver): State<Receiver>, Json(message): Json<Value>) -> StatusCode {
    let refuse = |left: usize| left.checked_sub(1);
    if receiver
        .refusals
        .fetch_update(SeqCst, SeqCst, refuse)
        .is_ok()
    {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    receiver.posted.send(message).unwrap();
    StatusCode::NO_CONTENT
}

/// Listens, and returns the URL to post to and what is posted there.
async fn listen(refusals: usize) -> (String, UnboundedReceiver<Value>) {
    let (posted, messages) = unbounded_channel();
    let refusals = Arc::new(refusals.into());
    let receiver = Receiver { posted, refusals };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/hook", post(take))
        .with_state(receiver);
    tokio::spawn(async { axum::serve(listener, router).await });
    (url, messages)
}

/// A running webhook, which ends with this.
struct Hook(Child);

impl Hook {
    fn start(redis: &RedisServer, to: &str) -> Self {
        let mut process = command()
            .args(["--redis", &redis.url(), "--to", to, "--prefix", "shop"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut said).unwrap();
        assert!(said.starts_with("posting to"), "{said}");
        Self(process)
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_webhook"))
}

async fn shop(redis: &RedisServer) -> Cache {
    let provider = patient(redis).key_prefix("shop").build().await.unwrap();
    let cache = Cache::builder(provider).build().unwrap();
    // A script that the server does not know yet is sent twice, and its record with it.
    cache.invalidate("before").await.unwrap();
    cache
}

async fn next(messages: &mut UnboundedReceiver<Value>) -> Value {
    let next = timeout(PATIENCE, messages.recv()).await;
    next.expect("something is posted").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_on_another_node_is_posted_in_order() {
    let redis = RedisServer::start();
    let users = shop(&redis).await.namespace("users");
    let (url, mut messages) = listen(0).await;
    let _hook = Hook::start(&redis, &url);
    users.set("42", "Ada").await.unwrap();
    users.invalidate("42").await.unwrap();
    users.invalidate_tag("team:7").await.unwrap();
    users.invalidate_pattern("list:*").await.unwrap();
    users.clear().await.unwrap();
    let expected = [
        json!({ "event": "invalidated", "by": "key", "namespace": "users", "key": "42" }),
        json!({ "event": "invalidated", "by": "tag", "tag": "team:7" }),
        json!({ "event": "invalidated", "by": "pattern", "namespace": "users", "pattern": "list:*" }),
        json!({ "event": "invalidated", "by": "namespace", "namespace": "users" }),
    ];
    for message in expected {
        assert_eq!(next(&mut messages).await, message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_posted_again_and_in_the_end_given_up() {
    let redis = RedisServer::start();
    let cache = shop(&redis).await;
    // Three refusals end the first, two only delay the second.
    let (url, mut messages) = listen(3 + 2).await;
    let _hook = Hook::start(&redis, &url);
    for key in ["given up", "posted again", "posted"] {
        cache.invalidate(key).await.unwrap();
    }
    assert_eq!(next(&mut messages).await["key"], "posted again");
    assert_eq!(next(&mut messages).await["key"], "posted");
}

#[track_caller]
fn assert_fails_with(output: &Output, message: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(message), "{said}");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let redis = ["--redis", "redis://127.0.0.1:1"];
    for (more, message) in [
        (&[][..], "--to URL is missing"),
        (&["--to"], "--to needs a value"),
        (&["--to", "https://example.org/"], "is no http:// URL"),
        (&["--too", "x"], "`--too` is not known here"),
        (&["--to", "http://127.0.0.1:1/"], "could not be reached"),
    ] {
        let output = command().args(redis).args(more).output().unwrap();
        assert_fails_with(&output, message);
    }
}
