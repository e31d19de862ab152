//! Services to put behind the layer, and ways to ask them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Cache, ManualClock, MemoryProvider};
use cache_tower::{BodyError, CacheLayer, CacheLayerBuilder, CacheService, ResponseBody, Rule};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

/// What goes wrong in a test's body.
#[derive(Debug, PartialEq)]
pub(crate) struct Broken;

/// A body of a test: full, or fed by the test.
pub(crate) enum TestBody {
    Full(Option<Bytes>),
    Fed(
        mpsc::UnboundedReceiver<Result<Frame<Bytes>, Broken>>,
        SizeHint,
    ),
    /// As many kilobytes, each of which is there at once, and no end. The counter says how many
    /// have been read.
    Ready(Arc<AtomicUsize>, usize),
}

/// The test's end of a body.
pub(crate) type Feeder = mpsc::UnboundedSender<Result<Frame<Bytes>, Broken>>;

pub(crate) fn fed() -> (Feeder, TestBody) {
    let (feeder, frames) = mpsc::unbounded_channel();
    (feeder, TestBody::Fed(frames, SizeHint::default()))
}

pub(crate) fn chunk(text: &'static str) -> Result<Frame<Bytes>, Broken> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

impl<T: Into<Bytes>> From<T> for TestBody {
    fn from(data: T) -> Self {
        Self::Full(Some(data.into()))
    }
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Full(data) => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            Self::Fed(frames, _) => frames.poll_recv(context),
            Self::Ready(read, count) => {
                if read.fetch_add(1, Ordering::SeqCst) >= *count {
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1_024])))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(data) => {
                SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64))
            }
            Self::Fed(_, hint) => *hint,
            Self::Ready(..) => SizeHint::default(),
        }
    }
}

pub(crate) type Origin = BoxCloneSyncService<Request<()>, Response<TestBody>, Broken>;
pub(crate) type Site = CacheService<Origin>;
pub(crate) type Answer = Response<ResponseBody<TestBody>>;

/// How often a service was asked.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A service that answers by `handler`, and the count of its calls.
pub(crate) fn origin<F, Fut>(handler: F) -> (Origin, Calls)
where
    F: Fn(Request<()>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<TestBody>, Broken>> + Send + 'static,
{
    let calls = Calls::default();
    let counted = calls.clone();
    let service = tower::service_fn(move |request| {
        counted.0.fetch_add(1, Ordering::SeqCst);
        handler(request)
    });
    (BoxCloneSyncService::new(service), calls)
}

/// A service whose answer says which call it is, with these header fields.
pub(crate) fn numbered(fields: &'static [(&'static str, &'static str)]) -> (Origin, Calls) {
    let next = Arc::new(AtomicUsize::new(1));
    origin(move |_| {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let answer = with_fields(format!("answer {number}"), fields);
        async { Ok(answer) }
    })
}

pub(crate) fn with_fields(
    body: impl Into<TestBody>,
    fields: &[(&'static str, &'static str)],
) -> Response<TestBody> {
    let mut response = Response::builder();
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A rule for `/a` and everything below it.
pub(crate) fn rule() -> Rule {
    Rule::get("/{*path}").ttl(MINUTE)
}

pub(crate) fn layer(rule: Rule) -> CacheLayer {
    builder().rule(rule).build().unwrap()
}

pub(crate) fn builder() -> CacheLayerBuilder {
    CacheLayer::builder(Cache::memory())
}

/// A cache whose time the test moves.
pub(crate) fn timed() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    (Cache::builder(provider).build().unwrap(), clock)
}

/// A cache whose callers wait for each other however long it takes.
pub(crate) fn patient() -> Cache {
    let cache = Cache::builder(MemoryProvider::new());
    cache.flight_wait(60 * MINUTE).build().unwrap()
}

/// The service behind a layer with this rule.
pub(crate) fn site(rule: Rule, origin: Origin) -> Site {
    layer(rule).layer(origin)
}

pub(crate) fn request(method: Method, uri: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// Asks by GET.
pub(crate) async fn get(site: &Site, uri: &str) -> Answer {
    get_with(site, uri, &[]).await
}

pub(crate) async fn get_with(site: &Site, uri: &str, fields: &[(&str, &str)]) -> Answer {
    ask(site, request(Method::GET, uri, fields)).await
}

pub(crate) async fn ask(site: &Site, request: Request<()>) -> Answer {
    site.clone().oneshot(request).await.unwrap()
}

/// Asks by GET and reads the whole answer.
pub(crate) async fn get_text(site: &Site, uri: &str) -> String {
    text(get(site, uri).await).await
}

pub(crate) async fn text(answer: Answer) -> String {
    read(answer).await.unwrap()
}

/// All of the body, or why there is not all of it.
pub(crate) async fn read(answer: Answer) -> Result<String, BodyError<Broken>> {
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// The next chunk of the body.
pub(crate) async fn next(answer: &mut Answer) -> Option<Result<String, BodyError<Broken>>> {
    let frame = answer.body_mut().frame().await?;
    let text = |frame: Frame<Bytes>| {
        let data = frame.into_data().unwrap_or_default();
        String::from_utf8(data.to_vec()).unwrap()
    };
    Some(frame.map(text))
}

/// What the layer says it did.
pub(crate) fn status<B>(answer: &Response<B>) -> &str {
    answer.headers()["cache-status"].to_str().unwrap()
}

pub(crate) fn is_hit<B>(answer: &Response<B>) -> bool {
    status(answer).starts_with("cache-core; hit")
}

/// An answer of this status.
pub(crate) fn of_status(status: StatusCode) -> Response<TestBody> {
    let mut response = with_fields("status", &[]);
    *response.status_mut() = status;
    response
}

/// The key of a request for this path that names no host.
pub(crate) fn key(path: &str) -> String {
    format!("{path} ")
}

/// Tells the first call from the others.
#[derive(Clone, Default)]
pub(crate) struct Once(Arc<AtomicUsize>);

impl Once {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn is_first(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) == 0
    }
}

/// The output of a future that is ready without much ado, so that a hang is a failure.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let within = tokio::time::timeout(Duration::from_secs(10), future).await;
    within.expect("it does not hang")
}
