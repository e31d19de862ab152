//! The node over HTTP.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cache_core::{ErrorKind, Invalidated, Result};
use serde_json::json;

use crate::Failure;
use crate::node::{Node, Target, Unread};

/// The routes of a node.
pub(crate) fn router(node: Node) -> Router {
    Router::new()
        .route("/values/{key}", get(read).put(write))
        .route("/invalidate/{kind}/{argument}", post(invalidate))
        .route("/stats", get(stats))
        .with_state(node)
}

async fn read(State(node): State<Node>, Path(key): Path<String>) -> Response {
    match node.read(&key).await {
        Ok(value) => Json(value).into_response(),
        Err(Unread::Absent) => refusal(StatusCode::NOT_FOUND, "the source has no such value"),
        Err(Unread::Failed(failure)) => failed(&failure),
    }
}

async fn write(State(node): State<Node>, Path(key): Path<String>, text: String) -> Response {
    match node.write(&key, text).await {
        Ok(written) => invalidated(written.copies, Some(written.version)),
        Err(failure) => failed(&failure),
    }
}

async fn invalidate(
    State(node): State<Node>,
    Path((kind, argument)): Path<(String, String)>,
) -> Response {
    let target = match kind.as_str() {
        "key" => Target::Key(&argument),
        "tag" => Target::Tag(&argument),
        "pattern" => Target::Pattern(&argument),
        _ => {
            return refusal(
                StatusCode::NOT_FOUND,
                "invalidate a key, a tag or a pattern",
            );
        }
    };
    invalidated(node.invalidate(target).await, None)
}

/// `applied`: no node shows the old value any more, but for those that are cut off, within the
/// touch bound. `pending`: this node does not; the others are told once Redis can be reached.
fn invalidated(outcome: Result<Invalidated>, version: Option<i64>) -> Response {
    match outcome {
        Ok(state) => {
            let state = match state {
                Invalidated::Applied => "applied",
                _ => "pending",
            };
            Json(json!({ "invalidated": state, "version": version })).into_response()
        }
        Err(error) => refusal(status_of(error.kind()), &error.to_string()),
    }
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidKey | ErrorKind::InvalidPattern | ErrorKind::InvalidTag => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::BAD_GATEWAY,
    }
}

async fn stats(State(node): State<Node>) -> Response {
    let metrics = node.metrics();
    Json(json!({
        "hits": metrics.hits,
        "misses": metrics.misses,
        "errors": metrics.errors,
        "loads": node.loads(),
        "pending": node.pending(),
        "in_touch": node.is_in_touch(),
    }))
    .into_response()
}

fn failed(failure: &Failure) -> Response {
    let why = format!("the source failed: {failure}");
    refusal(StatusCode::INTERNAL_SERVER_ERROR, &why)
}

fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
