//! Over real HTTP: under axum's `layer` and `route_layer`, and around a bare hyper service.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use bytes::Bytes;
use cache_core::Cache;
use cache_tower::{CacheLayer, Invalidation, Rule};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceExt};

use crate::support::{Broken, MINUTE, chunk, fed, is_hit, status};

type Count = Arc<AtomicUsize>;

fn city_layer() -> CacheLayer {
    CacheLayer::builder(Cache::memory())
        .rule(Rule::get("/cities/{id}").ttl(MINUTE).tag("city:{id}"))
        .invalidate(Invalidation::on(Method::PUT, "/cities/{id}").tag("city:{id}"))
        .build()
        .unwrap()
}

async fn city(State(count): State<Count>, Path(id): Path<u32>) -> String {
    format!(
        "city {id}, read {}",
        count.fetch_add(1, Ordering::SeqCst) + 1
    )
}

fn router() -> Router<Count> {
    Router::new().route("/cities/{id}", get(city).put(async || "written"))
}

async fn serve(router: Router<Count>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router.with_state(Count::default());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// One request on a connection of its own.
async fn ask(address: SocketAddr, method: Method, path: &str) -> Response<Bytes> {
    let (parts, body) = send(address, method, path).await.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

async fn send(address: SocketAddr, method: Method, path: &str) -> Response<Incoming> {
    let stream = TcpStream::connect(address).await.unwrap();
    let connected = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "cities.example")
        .body(Empty::<Bytes>::new())
        .unwrap();
    sender.send_request(request).await.unwrap()
}

async fn reads_are_cached_until_a_write(address: SocketAddr) {
    let path = "/cities/7";
    let first = ask(address, Method::GET, path).await;
    assert_eq!(status(&first), "cache-core; fwd=miss; stored");
    assert_eq!(first.headers()["content-length"], "14");
    let second = ask(address, Method::GET, path).await;
    assert!(is_hit(&second), "{}", status(&second));
    assert_eq!(second.headers()["content-length"], "14");
    assert_eq!(
        (first.body(), &second.body()[..]),
        (second.body(), &b"city 7, read 1"[..])
    );
    let head = ask(address, Method::HEAD, path).await;
    assert!(is_hit(&head) && head.body().is_empty());
    assert_eq!(head.headers()["content-length"], "14");
    let write = ask(address, Method::PUT, path).await;
    assert_eq!(status(&write), "cache-core; fwd=method");
    let third = ask(address, Method::GET, path).await;
    assert_eq!(third.body(), "city 7, read 2");
}

#[tokio::test]
async fn under_axums_layer() {
    let address = serve(router().layer(city_layer())).await;
    reads_are_cached_until_a_write(address).await;
}

#[tokio::test]
async fn under_axums_route_layer() {
    let address = serve(router().route_layer(city_layer())).await;
    reads_are_cached_until_a_write(address).await;
}

#[tokio::test]
async fn around_a_whole_axum_router() {
    let router: Router = router().with_state(Count::default());
    let service = city_layer().layer(router);
    let service = service.map_request(|request: Request<Incoming>| request.map(Body::new));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_hyper(listener, service));
    reads_are_cached_until_a_write(address).await;
}

#[tokio::test]
async fn around_a_bare_hyper_service() {
    let count = Count::default();
    let bare = tower::service_fn(move |request: Request<Incoming>| {
        let count = Arc::clone(&count);
        async move {
            let body = match *request.method() {
                Method::PUT => "written".to_owned(),
                _ => format!("city 7, read {}", count.fetch_add(1, Ordering::SeqCst) + 1),
            };
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_hyper(listener, city_layer().layer(bare)));
    reads_are_cached_until_a_write(address).await;
}

async fn serve_hyper<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

#[tokio::test]
async fn an_aborted_answer_is_an_error_on_the_wire_and_never_a_short_answer() {
    let (feeders, mut fed_by) = mpsc::unbounded_channel();
    let handler = async move || {
        let (feeder, body) = fed();
        feeders.send(feeder).unwrap();
        Body::new(body.map_err(|_| std::io::Error::other("on purpose")))
    };
    let router = Router::new().route("/cities/{id}", get(handler));
    let address = serve(router.layer(city_layer())).await;
    for _ in 0..2 {
        let mut answer = send(address, Method::GET, "/cities/7").await;
        assert_eq!(status(&answer), "cache-core; fwd=miss; stored");
        let feeder = fed_by.recv().await.unwrap();
        feeder.send(chunk("half")).unwrap();
        let half = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(half.into_data().unwrap(), "half");
        feeder.send(Err(Broken)).unwrap();
        assert!(answer.into_body().collect().await.is_err());
    }
}

#[tokio::test]
async fn events_pass_at_once_on_the_wire() {
    let (feeders, mut fed_by) = mpsc::unbounded_channel();
    let handler = async move || {
        let (feeder, body) = fed();
        feeders.send(feeder).unwrap();
        let body = body.map_err(|_| std::io::Error::other("on purpose"));
        ([("content-type", "text/event-stream")], Body::new(body))
    };
    let router = Router::new().route("/cities/{id}", get(handler));
    let address = serve(router.layer(city_layer())).await;
    let mut answer = send(address, Method::GET, "/cities/7").await;
    let feeder = fed_by.recv().await.unwrap();
    feeder.send(chunk("data: 1\n\n")).unwrap();
    let event = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(event.into_data().unwrap(), "data: 1\n\n");
}
