//! A request that may change something, and what it makes invalid when it has succeeded.

use std::sync::Arc;

use cache_core::{Cache, MAX_TAG_BYTES, Result as CacheResult};
use http::header::HeaderMap;
use http::{Request, Response};
use tokio::runtime::Handle;
use tower_service::Service;
use tracing::Instrument;

use crate::answer;
use crate::body::ResponseBody;
use crate::cache_status::Status;
use crate::key;
use crate::layer::Shared;
use crate::miss::fall_with;
use crate::rfc9111;
use crate::rules::{CompiledInvalidation, Matched, Template, forms};
use crate::upstream::Upstream;

/// How many forms of one key are made to go one by one.
const MAX_FORMS: usize = 64;

/// What goes when a request has succeeded.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    targets: Vec<Target>,
    /// The host that the request is for, which `Location` may name.
    authority: String,
}

#[derive(Debug)]
enum Target {
    Tag(String),
    /// A key, or a glob over keys.
    Keys(Cache, String),
}

impl Sweep {
    /// What this request makes invalid; `None` if nothing that is cached.
    pub(crate) fn of<R>(shared: &Shared, request: &Request<R>) -> Option<Self> {
        let path = request.uri().path();
        let mut sweep = Self::default();
        sweep.add_url(shared, path);
        for matched in shared.rules.mutation(request.method(), path) {
            sweep.add(shared, &matched);
        }
        if sweep.targets.is_empty() {
            return None;
        }
        let authority = key::authority(request.uri(), request.headers());
        sweep.authority = authority.unwrap_or_default().into_owned();
        Some(sweep)
    }

    /// A URL, if a rule lets something be stored for it (RFC 9111 §4.4).
    fn add_url(&mut self, shared: &Shared, path: &str) {
        if shared.rules.get(path).is_some() {
            self.targets.push(Target::Tag(key::url_tag(path)));
        }
    }

    fn add(&mut self, shared: &Shared, matched: &Matched<'_, '_, CompiledInvalidation>) {
        let rule = matched.rule;
        let paths = rule.paths.iter();
        let paths = paths.flat_map(|path| matched.fill(path, forms::in_path));
        let urls = paths.map(|path| Target::Tag(key::url_tag(&path)));
        self.targets.extend(urls);
        let tags = rule.tags.iter();
        let tags = tags.flat_map(|tag| matched.fill(tag, forms::in_tag));
        self.targets.extend(tags.map(Target::Tag));
        for pattern in &rule.path_patterns {
            let filled = matched.fill(pattern, forms::in_path_pattern).into_iter();
            let globs = filled.map(|path| key::path_pattern(&path));
            let cache = &shared.cache;
            self.targets
                .extend(globs.map(|glob| Target::Keys(cache.clone(), glob)));
        }
        for (cache, pattern) in &rule.key_patterns {
            let keys = key_patterns(pattern, matched).into_iter();
            self.targets
                .extend(keys.map(|keys| Target::Keys(cache.clone(), keys)));
        }
    }

    /// Adds what the answer names as changed (RFC 9111 §4.4).
    fn add_named(&mut self, shared: &Shared, headers: &HeaderMap) {
        let authority = std::mem::take(&mut self.authority);
        for path in rfc9111::named_paths(headers, &authority) {
            self.add_url(shared, &path);
        }
    }

    /// Makes everything go. One failure does not keep the rest.
    async fn run(&self, shared: &Shared) -> Status {
        let mut status = Status::Changed;
        for target in &self.targets {
            if let Err(error) = target.invalidate(&shared.cache).await {
                shared.count_failed_invalidation();
                tracing::error!(
                    %error,
                    source = std::error::Error::source(&error),
                    "what a request has changed may still be served from the cache"
                );
                status = Status::InvalidationFailed;
            }
        }
        status
    }
}

impl Target {
    async fn invalidate(&self, cache: &Cache) -> CacheResult<()> {
        match self {
            // Nothing can carry such a tag.
            Self::Tag(tag) if !(1..=MAX_TAG_BYTES).contains(&tag.len()) => {}
            Self::Tag(tag) => {
                cache.invalidate_tag(tag).await?;
            }
            // A single key leaves less behind than a pattern.
            Self::Keys(cache, key) if !key.contains(['*', '?', '[', '\\']) => {
                cache.invalidate(key).await?;
            }
            Self::Keys(cache, glob) => {
                cache.invalidate_pattern(glob).await?;
            }
        }
        Ok(())
    }
}

/// The globs for a template over keys of functions. Where there would be too many, because many
/// parameters can be read as several types, one takes them all.
fn key_patterns(
    pattern: &Template,
    matched: &Matched<'_, '_, CompiledInvalidation>,
) -> Vec<String> {
    let globs = matched.fill(pattern, forms::in_key_pattern);
    if globs.len() > MAX_FORMS {
        return matched.fill(pattern, |_| vec!["*".to_owned()]);
    }
    globs
}

/// Sends the request, and makes what it changes go before its answer is handed on.
///
/// That runs in a task of its own: a client that goes away while the service writes must not
/// keep the invalidation.
pub(crate) async fn change<S, R, B>(
    shared: Arc<Shared>,
    sweep: Sweep,
    upstream: Upstream<S, R>,
) -> Result<Response<ResponseBody<B>>, S::Error>
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    R: Send + 'static,
    B: Send + 'static,
{
    let work = send(shared, sweep, upstream).in_current_span();
    let Ok(runtime) = Handle::try_current() else {
        return work.await;
    };
    runtime
        .spawn(work)
        .await
        .unwrap_or_else(|error| fall_with(error))
}

async fn send<S, R, B>(
    shared: Arc<Shared>,
    mut sweep: Sweep,
    upstream: Upstream<S, R>,
) -> Result<Response<ResponseBody<B>>, S::Error>
where
    S: Service<Request<R>, Response = Response<B>> + Clone,
{
    let response = upstream.send().await?;
    if !rfc9111::invalidates(response.status()) {
        return Ok(answer::passed(response, Some(Status::Changed)));
    }
    sweep.add_named(&shared, response.headers());
    let status = sweep.run(&shared).await;
    Ok(answer::passed(response, Some(status)))
}
