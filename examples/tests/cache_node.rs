//! Several nodes as a user starts them: what one writes the others show, and a herd is one load.

use std::io::{BufRead, BufReader};
use std::pin::pin;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use cache_tests::redis_server::{RedisServer, free_port};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;

/// A server, a source, and the nodes over both.
struct Deployment {
    redis: RedisServer,
    folder: TempDir,
}

impl Deployment {
    fn new() -> Self {
        Self {
            redis: RedisServer::start(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn node(&self, options: &[&str]) -> Node {
        let mut process = command()
            .arg("--source")
            .arg(self.folder.path().join("values.sqlite"))
            .args(["--redis", &self.redis.url(), "--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut said).unwrap();
        let url = said.trim().strip_prefix("listening on ").unwrap().into();
        let http = Client::builder(TokioExecutor::new()).build_http();
        Node { process, url, http }
    }
}

/// A running node, which ends with this.
struct Node {
    process: Child,
    url: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Node {
    async fn send(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .body(Full::from(body.to_owned()))
            .unwrap();
        let (head, body) = self.http.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, serde_json::from_slice(&body).unwrap())
    }

    async fn version(&self, key: &str) -> Option<u64> {
        let (_, body) = self.send("GET", &format!("/values/{key}"), "").await;
        body["version"].as_u64()
    }

    async fn stat(&self, name: &str) -> u64 {
        let (_, stats) = self.send("GET", "/stats", "").await;
        stats[name].as_u64().unwrap()
    }

    fn signal(&self, signal: &str) {
        let process = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.unwrap().success());
    }

    async fn becomes(&self, key: &str, version: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.version(key).await != Some(version) {
            assert!(Instant::now() < deadline, "{key} is still old");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cache-node"))
}

#[track_caller]
fn assert_fails_with(output: &Output, message: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(message), "{said}");
}

#[tokio::test]
async fn what_one_node_writes_the_other_shows() {
    let deployment = Deployment::new();
    let (one, two) = (deployment.node(&[]), deployment.node(&[]));
    assert_eq!(
        one.send("GET", "/values/a", "").await.0,
        StatusCode::NOT_FOUND
    );
    let (_, written) = one.send("PUT", "/values/a", "first").await;
    assert_eq!(written["invalidated"], "applied");
    two.becomes("a", 1).await;
    one.send("PUT", "/values/a", "second").await;
    assert_eq!(one.version("a").await, Some(2), "at once on its own node");
    two.becomes("a", 2).await;
    let loads = two.stat("loads").await;
    assert_eq!(two.version("a").await, Some(2));
    assert_eq!(two.stat("loads").await, loads, "a hit");
}

#[tokio::test]
async fn keys_tags_and_patterns_make_values_go() {
    let deployment = Deployment::new();
    let node = deployment.node(&[]);
    node.send("PUT", "/values/user:1", "Ada").await;
    for target in ["key/user:1", "tag/user", "pattern/user:*"] {
        node.version("user:1").await;
        let loads = node.stat("loads").await;
        let (_, answer) = node
            .send("POST", &format!("/invalidate/{target}"), "")
            .await;
        assert_eq!(answer["invalidated"], "applied", "{target}");
        node.version("user:1").await;
        assert_eq!(node.stat("loads").await, loads + 1, "{target}");
    }
    let (status, answer) = node.send("POST", "/invalidate/pattern/%5B", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}

#[tokio::test]
async fn without_its_server_a_node_goes_on_and_says_so() {
    let mut deployment = Deployment::new();
    let node = deployment.node(&["--touch-bound", "300", "--command-timeout", "200"]);
    node.send("PUT", "/values/a", "first").await;
    deployment.redis.kill();
    let (_, written) = node.send("PUT", "/values/a", "second").await;
    assert_eq!(written["invalidated"], "pending");
    assert_eq!(node.version("a").await, Some(2));
    assert_eq!(node.stat("pending").await, 1);
    deployment.redis.restart();
    let deadline = Instant::now() + Duration::from_secs(10);
    while node.stat("pending").await > 0 {
        assert!(Instant::now() < deadline, "still pending");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(node.send("GET", "/stats", "").await.1["in_touch"], true);
}

#[test]
fn a_node_that_cannot_start_says_what_would_do() {
    let nowhere = format!("redis://127.0.0.1:{}", free_port());
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("values.sqlite");
    let (folder, source) = (folder.path().to_str().unwrap(), source.to_str().unwrap());
    for (arguments, message) in [
        (&["--source", source][..], "--redis URL is missing"),
        (
            &["--source", source, "--redis", &nowhere],
            "could not be reached",
        ),
        (
            &["--source", folder, "--redis", &nowhere],
            "cannot be opened",
        ),
    ] {
        assert_fails_with(&command().args(arguments).output().unwrap(), message);
    }
}

const CALLERS: usize = 1_000;

/// What each of three nodes loads when all callers on all of them want one cold value.
async fn loads_of_a_herd(options: &[&str]) -> Vec<u64> {
    rlimit::increase_nofile_limit(10_000).unwrap();
    let deployment = Deployment::new();
    let nodes: Vec<_> = (0..3)
        .map(|_| std::sync::Arc::new(deployment.node(options)))
        .collect();
    nodes[0].send("PUT", "/values/cold", "x").await;
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS * nodes.len())
        .map(|caller| {
            let node = std::sync::Arc::clone(&nodes[caller % nodes.len()]);
            tokio::spawn(async move { node.version("cold").await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Some(1));
    }
    let mut loads = Vec::new();
    for node in &nodes {
        loads.push(node.stat("loads").await);
    }
    println!(
        "{CALLERS} callers on each of 3 nodes {options:?}: loads {loads:?}, {:?}",
        start.elapsed()
    );
    loads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_on_three_nodes_is_one_load() {
    let loads = loads_of_a_herd(&["--load-delay", "1000"]).await;
    assert_eq!(loads.iter().sum::<u64>(), 1, "{loads:?}");
}

/// The lease of a cold key is joined, not waited for: each process loads once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_lock_a_herd_on_three_nodes_is_one_load_per_node() {
    let options = ["--load-delay", "2000", "--no-lock"];
    assert_eq!(loads_of_a_herd(&options).await, [1, 1, 1]);
}

/// Its lease stands for ten seconds; nobody waits for it that long.
#[tokio::test]
async fn a_node_that_dies_while_it_loads_costs_the_others_a_bounded_wait() {
    let deployment = Deployment::new();
    let slow = deployment.node(&["--load-delay", "60000"]);
    let other = deployment.node(&[]);
    other.send("PUT", "/values/a", "first").await;
    let mut asking = pin!(slow.version("a"));
    let is_leased = || {
        deployment
            .redis
            .cli::<u8>(&["EXISTS", "cache-node:values:a"])
            == 1
    };
    while !is_leased() {
        let answered = tokio::time::timeout(Duration::from_millis(10), &mut asking).await;
        assert!(answered.is_err(), "it loads for a minute");
    }
    slow.signal("-KILL");
    let start = Instant::now();
    assert_eq!(other.version("a").await, Some(1));
    let waited = start.elapsed();
    println!("waited for the dead node: {waited:?}");
    assert!(waited > Duration::from_secs(1) && waited < Duration::from_secs(8));
}

/// A process that stood still has not heard of anything, and does not know it: its first answer is
/// the one that counts.
#[tokio::test]
async fn a_node_that_stood_still_shows_nothing_that_was_invalidated_meanwhile() {
    const BOUND: Duration = Duration::from_millis(500);
    let deployment = Deployment::new();
    let one = deployment.node(&[]);
    let bound = BOUND.as_millis().to_string();
    let two = deployment.node(&["--touch-bound", &bound]);
    for round in 0..3 {
        one.send("PUT", "/values/a", "old").await;
        two.becomes("a", 2 * round + 1).await;
        two.signal("-STOP");
        one.send("PUT", "/values/a", "new").await;
        tokio::time::sleep(BOUND).await;
        let asking = two.version("a");
        let resuming = async { two.signal("-CONT") };
        let (first, ()) = tokio::join!(asking, resuming);
        assert_eq!(first, Some(2 * round + 2));
    }
}
