//! A tower layer that caches HTTP responses by route pattern.
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, extract::Path, routing::get};
//! use cache_core::Cache;
//! use cache_tower::{CacheLayer, Invalidation, Query, Rule};
//! use http::Method;
//!
//! async fn city(Path(id): Path<u32>) -> String {
//!     format!("city {id}")
//! }
//!
//! async fn rename(Path(_id): Path<u32>) {}
//!
//! let layer = CacheLayer::builder(Cache::memory())
//!     .rule(
//!         Rule::get("/cities/{id}")
//!             .ttl(Duration::from_secs(60))
//!             .tag("city:{id}"),
//!     )
//!     .rule(
//!         Rule::get("/cities")
//!             .ttl(Duration::from_secs(10))
//!             .query(Query::only(["page", "country"]))
//!             .vary_header("accept-language"),
//!     )
//!     .invalidate(
//!         Invalidation::on(Method::PUT, "/cities/{id}")
//!             .path("/cities")
//!             .tag("city:{id}"),
//!     )
//!     .build()?;
//!
//! let app: Router = Router::new()
//!     .route("/cities/{id}", get(city).put(rename))
//!     .layer(layer);
//! # Ok::<(), cache_core::Error>(())
//! ```
//!
//! Many who ask the same at one moment are one request to the service. With the
//! [distributed lock](cache_core::CacheBuilder::distributed_lock) that is so for all processes
//! together; clients of the others then wait for the whole body, within the lock's bound.
//!
//! The answer to a `PUT` is handed on when what it changed has gone: responses, and function
//! results that carry the same tag.
//!
//! # What is stored
//!
//! What no [`Rule`] speaks of passes through untouched. What one speaks of is stored if all of
//! this holds; if not, the client gets the service's own answer, as fast as without the layer.
//!
//! 1. The request is a GET without a body. HEAD is answered from what GET stored. A body is known
//!    by its `Content-Length`, `Transfer-Encoding`, `Content-Type` or `Content-Encoding`. In
//!    HTTP/2 one can come without any of them: a service whose answer to GET depends on a body
//!    has no business behind this layer.
//! 2. It has no `Range` and no condition such as `If-None-Match`. These go to the service, which
//!    knows how to answer them.
//! 3. It has no `Authorization` (RFC 9111 §3.5) and no `Cookie`, unless the rule says what they
//!    change: [`vary_header`](Rule::vary_header), [`vary_cookie`](Rule::vary_cookie),
//!    [`ignore_cookies`](Rule::ignore_cookies), [`share_authorized`](Rule::share_authorized).
//!    Sites whose visitors carry cookies of no consequence to a page need `ignore_cookies` there.
//! 4. It does not say `Cache-Control: no-store` or `no-cache`, nor `max-age` less than the age of
//!    what is stored. Such a request is answered by the service, and what is stored stays. Other
//!    directives of requests are not looked at.
//! 5. The response has status 200, or another that the rule admits; never 206 or 304.
//! 6. It does not say `no-store`, `no-cache` or `private`, in a `Cache-Control` that can be read
//!    or in `CDN-Cache-Control` or `Surrogate-Control`, and has no `Set-Cookie`.
//! 7. All that its `Vary` names is part of the rule's key; `Vary: *` never is. A service that
//!    compresses says `Vary: Accept-Encoding`: put the compression in front of this layer, or
//!    name the field in the rule.
//! 8. It is no stream of events, and its body ends within the
//!    [limit](CacheLayerBuilder::body_limit), trailers and all, with the length that it
//!    announced. A longer one passes through, to all who read it; so does one that comes in very
//!    many small pieces, and one that stands still for longer than the cache's
//!    [`flight_wait`](cache_core::CacheBuilder::flight_wait), or a second if that is longer,
//!    which keeps nobody else from asking anew. Trailers that set a cookie keep it from being stored, and are not handed on.
//! 9. It is fresh: by `s-maxage`, `max-age` or `Expires` if it has one, else by the rule's
//!    [`ttl`](Rule::ttl) (RFC 9111 §4.2.1). Dates are compared with the system's clock; from then
//!    on the cache's clock counts.
//!
//! An answer that is not for others leaves a mark for ten seconds, so that callers of the route
//! do not wait for each other in vain.
//!
//! # What tells one response from another
//!
//! Path, query, host, and the scheme where the request names it, as it does in HTTP/2; and the
//! header fields and cookies that the rule names. What else the service looks at must be named,
//! too: `Origin`, `X-Forwarded-Host`, a field of a proxy in front. Parameters of the query are
//! sorted by name; see [`Query`].
//!
//! The extensions of a request are not looked at. Where a middleware in front puts a user, a
//! tenant or the peer's address there, and the service answers by it, the answer must say
//! `Cache-Control: private`, or the middleware must put it into a field that the rule names. The
//! extensions of a response are not stored.
//!
//! # What makes it go
//!
//! A request of any method that may change something makes go what is stored of its own path,
//! when the service answered it with 2xx or 3xx, and so it does with paths that `Location` or
//! `Content-Location` name, as an absolute path or as a URL of the same host (RFC 9111 §4.4). An
//! [`Invalidation`] names more: paths, tags, and keys of functions. A load that is under way
//! meanwhile is not stored, and whoever asks later does not wait for it.
//!
//! Where it is unknown whether the service has done its work, all of that goes as well: after
//! 502, 503 and 504, an error of the service, a panic, and when the request is dropped. After
//! any other error status, nothing does.
//!
//! All that one cache holds goes in one step, and what pages are made of goes before the pages.
//! A path goes in each form that a handler may read as the same: escaped, in upper and in lower
//! case, and with `007` for `7`.
//!
//! If an invalidation fails, the answer is handed on all the same, as the change has been made.
//! It is logged, [counted](CacheLayer::failed_invalidations), and said in `Cache-Status`; so is,
//! there alone, one that holds in this process and that the backend has yet to be told of.
//!
//! What changes past the layer is made to go by hand, by tag or by pattern:
//!
//! ```
//! # async fn example(layer: cache_tower::CacheLayer) -> cache_core::Result<()> {
//! layer.cache().invalidate_tag("city:7").await?;
//! layer.cache().invalidate_pattern("/cities/*").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What the client is told
//!
//! `Cache-Status` (RFC 9211) says what this layer did, and `Age` how old a stored answer is:
//!
//! | `Cache-Status` | |
//! |---|---|
//! | `cache-core; hit; ttl=42` | from the cache; fresh for another 42 s |
//! | `cache-core; fwd=miss; stored` | from the service, and into the cache if it ends whole within the limit |
//! | `cache-core; fwd=miss; detail=unavailable` | from the service; the cache could not be used |
//! | `cache-core; fwd=miss; collapsed` | from the service, by somebody else's request |
//! | `cache-core; fwd=miss; detail=set-cookie` | from the service; not for others, because … |
//! | `cache-core; fwd=bypass; detail=cookie` | passed on because of the request |
//! | `cache-core; fwd=request; detail=no-cache` | passed on because the client asked for it |
//! | `cache-core; fwd=method` | a request that may change something; what it changed has gone |
//! | `cache-core; fwd=method; detail=invalidation-pending` | … it has gone in this process |
//! | `cache-core; fwd=method; detail=invalidation-failed` | … it may still be there |
//!
//! # Tasks and readiness
//!
//! A request whose answer is to be shared, and one that may change something that is cached,
//! runs in a task of its own. It goes on when its client goes away, for those who wait and for
//! the invalidation; a timeout in front of the layer does not end it, one behind it does. What a
//! middleware in front keeps in a task-local is not seen there; the tracing span is. Without a
//! tokio runtime the caller drives the work. A runtime needs its timer enabled.
//!
//! What is to be shared goes on for another 30 to 60 seconds when nobody waits for it, so that it
//! can be stored, and then is given up; so it is at once where 1,000 others of the layer go on
//! like that. A change always goes on.
//!
//! The layer is ready when the service is, and calls the very service that was ready. A hit, and
//! a caller who waits for another's answer, give back what readiness has cost.
//!
//! # Around a hyper service
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use cache_core::Cache;
//! use cache_tower::{CacheLayer, Rule};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use hyper::body::Incoming;
//! use hyper_util::rt::TokioIo;
//! use hyper_util::service::TowerToHyperService;
//! use tower::ServiceBuilder;
//!
//! async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from("hello")))
//! }
//!
//! # async fn example(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! let layer = CacheLayer::builder(Cache::memory())
//!     .rule(Rule::get("/").ttl(Duration::from_secs(60)))
//!     .build()?;
//! let service = ServiceBuilder::new().layer(layer).service_fn(answer);
//! hyper::server::conn::http1::Builder::new()
//!     .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod body;
mod cache_status;
mod detached;
mod future;
mod growing;
mod key;
mod layer;
mod lead;
mod miss;
mod mutation;
mod percent;
mod plan;
mod pump;
mod rfc9111;
mod rules;
mod service;
mod share;
mod stored;
mod sweep;
mod upstream;

pub use body::{BodyError, ResponseBody};
pub use future::ResponseFuture;
pub use layer::{CacheLayer, CacheLayerBuilder};
pub use rules::{Invalidation, Query, Rule};
pub use service::CacheService;
