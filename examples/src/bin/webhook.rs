//! A webhook: posts what is invalidated in a deployment on Redis, as JSON, to a URL.
//!
//! `follow` is the loop; `described` says what of an event is posted. The cache waits for nobody: while the receiver is
//! slow or away events are kept, up to a bound, and beyond it the receiver is told how many it has missed.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Uri};
use cache_core::{Cache, Event, Events, InvalidatedBy, RedisProvider};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

const HELP: &str = "\
Posts what is invalidated in a deployment on Redis, as JSON, to a URL.

usage: webhook --redis URL --to URL [--prefix NAME]

  --redis URL    the server, such as redis://127.0.0.1:6379
  --to URL       where to post, such as http://127.0.0.1:8080/invalidated
  --prefix NAME  what the deployment's keys begin with; default cache
  --help         print this
";

/// How often an event is posted that is not accepted, and how long after each other.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// How long the receiver has for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            let causes = std::iter::successors(failure.source(), |cause| (*cause).source());
            causes.for_each(|cause| eprintln!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let Some(options) = Options::parse(env::args().skip(1))? else {
        print!("{HELP}");
        return Ok(());
    };
    let provider = RedisProvider::builder(options.redis).key_prefix(options.prefix);
    let cache = Cache::builder(provider.build().await?).build()?;
    let events = cache.events();
    let hook = Hook::to(options.to);
    // What follows the host can be a secret.
    println!("posting to {}", hook.to.host().unwrap_or_default());
    tokio::select! {
        () = follow(events, &hook) => {}
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(())
}

/// Posts one event after the other, as long as the cache is there.
async fn follow(mut events: Events, hook: &Hook) {
    while let Some(event) = events.next().await {
        let Some(message) = described(&event) else {
            continue;
        };
        if let Err(failure) = hook.deliver(&message).await {
            // Not the message: it names keys.
            eprintln!("an event was given up after {ATTEMPTS} attempts: {failure}");
        }
    }
}

/// What is posted of an event; `None` for those that are about single entries coming and going.
fn described(event: &Event) -> Option<Value> {
    match event {
        Event::Invalidated(by) => Some(invalidated(by)),
        Event::Resynced => Some(json!({ "event": "resynced" })),
        Event::Lagged(missed) => Some(json!({ "event": "lagged", "missed": missed })),
        _ => None,
    }
}

fn invalidated(by: &InvalidatedBy) -> Value {
    let mut message = match by {
        InvalidatedBy::Key(key) => {
            json!({ "by": "key", "namespace": key.namespace(), "key": key.key() })
        }
        InvalidatedBy::Tag(tag) => json!({ "by": "tag", "tag": &**tag }),
        InvalidatedBy::Pattern(glob) => {
            json!({ "by": "pattern", "namespace": glob.namespace(), "pattern": glob.key() })
        }
        InvalidatedBy::Namespace(name) => json!({ "by": "namespace", "namespace": &**name }),
        _ => json!({ "by": "something newer than this program" }),
    };
    message["event"] = "invalidated".into();
    message
}

/// Where events are posted.
struct Hook {
    http: Client<HttpConnector, Full<Bytes>>,
    to: Uri,
}

impl Hook {
    fn to(to: Uri) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { http, to }
    }

    /// Posts until it is accepted, a few times.
    async fn deliver(&self, message: &Value) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            match self.post(message).await {
                Err(_) if attempt < ATTEMPTS => sleep(PAUSE).await,
                done => return done,
            }
            attempt += 1;
        }
    }

    async fn post(&self, message: &Value) -> Result<(), Failure> {
        let request = Request::post(self.to.clone())
            .header("content-type", "application/json")
            .body(Full::from(message.to_string()))?;
        let answer = timeout(PATIENCE, self.http.request(request)).await??;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the receiver answered {status}").into()),
        }
    }
}

/// The command line.
struct Options {
    redis: String,
    to: Uri,
    prefix: String,
}

impl Options {
    /// `None` if help is asked for.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, Failure> {
        let (mut redis, mut to, mut prefix) = (None, None, "cache".to_owned());
        while let Some(name) = arguments.next() {
            if matches!(&*name, "--help" | "-h") {
                return Ok(None);
            }
            let value = arguments.next();
            let value = value.ok_or(format!("{name} needs a value behind it"))?;
            match &*name {
                "--redis" => redis = Some(value),
                "--to" => to = Some(destination(&value)?),
                "--prefix" => prefix = value,
                unknown => return Err(format!("`{unknown}` is not known here; see --help").into()),
            }
        }
        Ok(Some(Self {
            redis: redis.ok_or("--redis URL is missing: which deployment?")?,
            to: to.ok_or("--to URL is missing: where to post?")?,
            prefix,
        }))
    }
}

fn destination(url: &str) -> Result<Uri, Failure> {
    let uri: Uri = url.parse()?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(_)) => Ok(uri),
        _ => Err(format!("--to `{url}` is no http:// URL").into()),
    }
}
