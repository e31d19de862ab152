//! HTTP as the demo needs it: what came, whether from the cache, and after how long.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

pub(super) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A client of one server; clones share its connections.
#[derive(Clone)]
pub(super) struct Client {
    http: HyperClient<HttpConnector, Full<Bytes>>,
    server: SocketAddr,
}

/// What the server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) is_hit: bool,
    pub(super) body: Value,
    pub(super) took: Duration,
}

impl Client {
    pub(super) fn new(server: SocketAddr) -> Self {
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        Self { http, server }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer> {
        let request = Request::get(self.url(path)).body(Full::default())?;
        self.send(request).await
    }

    pub(super) async fn put(&self, path: &str, change: &Value) -> Result<Answer> {
        let request = Request::put(self.url(path))
            .header("content-type", "application/json")
            .body(Full::from(change.to_string()))?;
        self.send(request).await
    }

    /// How many queries the server has sent to its database so far.
    pub(super) async fn sql_queries(&self) -> Result<u64> {
        let stats = self.get("/stats").await?.body;
        let queries = stats["sql_queries"].as_u64();
        queries.ok_or_else(|| "/stats does not count sql_queries".into())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let sent = Instant::now();
        let (head, body) = self.http.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            took: sent.elapsed(),
            status: head.status,
            is_hit: head.headers.get("cache-status").is_some_and(says_hit),
            body: serde_json::from_slice(&body)?,
        })
    }
}

/// Whether a `Cache-Status` (RFC 9211) says that the response came out of the cache.
fn says_hit(status: &HeaderValue) -> bool {
    let mut parameters = status.as_bytes().split(|byte| *byte == b';');
    parameters.any(|parameter| parameter.trim_ascii() == b"hit")
}
