//! What a request that changes something makes invalid, and making it go.

use std::collections::BTreeSet;

use cache_core::{Batch, Cache, Invalidated, MAX_TAG_BYTES, Result as CacheResult};
use http::Request;
use http::header::HeaderMap;

use crate::cache_status::Status;
use crate::key;
use crate::layer::Shared;
use crate::percent;
use crate::rfc9111;
use crate::rules::{CompiledInvalidation, Matched, Template, forms};

/// How many forms of one key are made to go one by one.
const MAX_FORMS: usize = 64;

/// What goes when a request has succeeded.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// Tags that a rule names; functions and pages carry them.
    tags: Vec<String>,
    /// Keys of functions, or globs over them.
    keys: Vec<(Cache, String)>,
    /// Tags of URLs.
    urls: BTreeSet<String>,
    /// Keys of pages, or globs over them.
    pages: Vec<String>,
    /// The host that the request is for, which `Location` may name.
    authority: String,
}

impl Sweep {
    /// What this request makes invalid; `None` if nothing that is cached.
    pub(crate) fn of<R>(shared: &Shared, request: &Request<R>) -> Option<Self> {
        let path = request.uri().path();
        let mut sweep = Self::default();
        sweep.add_url(shared, path);
        // In whatever form the path is sent, the service may understand it.
        let normal = percent::normalize(path);
        let other = (normal != path).then_some(&*normal);
        for path in [Some(path), other].into_iter().flatten() {
            for matched in shared.rules.mutation(request.method(), path) {
                sweep.add(&matched);
            }
        }
        if sweep.is_empty() {
            return None;
        }
        let authority = key::authority(request.uri(), request.headers());
        sweep.authority = authority.unwrap_or_default().into_owned();
        Some(sweep)
    }

    fn is_empty(&self) -> bool {
        self.tags.is_empty()
            && self.keys.is_empty()
            && self.urls.is_empty()
            && self.pages.is_empty()
    }

    /// A URL, if a rule lets something be stored for it (RFC 9111 §4.4).
    fn add_url(&mut self, shared: &Shared, path: &str) {
        let rules = &shared.rules;
        if rules.get(path).is_some() || rules.get(&percent::normalize(path)).is_some() {
            self.urls.insert(key::equal_url_tag(path));
        }
    }

    fn add(&mut self, matched: &Matched<'_, '_, CompiledInvalidation>) {
        let rule = matched.rule;
        for tag in &rule.tags {
            self.tags.extend(matched.fill(tag, forms::in_tag));
        }
        for (cache, pattern) in &rule.key_patterns {
            let keys = key_patterns(pattern, matched).into_iter();
            self.keys.extend(keys.map(|keys| (cache.clone(), keys)));
        }
        for path in &rule.paths {
            let paths = matched.fill(path, forms::in_path).into_iter();
            self.urls
                .extend(paths.map(|path| key::equal_url_tag(&path)));
        }
        for pattern in &rule.path_patterns {
            let paths = matched.fill(pattern, forms::in_path_pattern).into_iter();
            self.pages
                .extend(paths.map(|path| key::path_pattern(&path)));
        }
    }

    /// Adds what the answer names as changed (RFC 9111 §4.4).
    pub(crate) fn add_named(&mut self, shared: &Shared, headers: &HeaderMap) {
        let authority = std::mem::take(&mut self.authority);
        for path in rfc9111::named_paths(headers, &authority) {
            self.add_url(shared, &path);
        }
    }

    /// Makes everything go: what is in one cache in one step. One failure does not keep the rest.
    pub(crate) async fn run(&self, shared: &Shared) -> Status {
        let mut batches = Batches::new(shared);
        // What pages are made of goes before them: a page that is made meanwhile is made of what
        // is new, or goes as well.
        for tag in &self.tags {
            batches.tag(tag);
        }
        for (cache, keys) in &self.keys {
            batches.keys(cache, keys);
        }
        for url in &self.urls {
            batches.tag(url);
        }
        for keys in &self.pages {
            batches.keys(&shared.cache, keys);
        }
        batches.run().await
    }
}

/// What is to go, by cache.
struct Batches<'s> {
    shared: &'s Shared,
    /// The last is that of the layer's own cache, which has the pages.
    batches: Vec<Batch>,
    status: Status,
}

impl<'s> Batches<'s> {
    fn new(shared: &'s Shared) -> Self {
        Self {
            shared,
            batches: vec![shared.cache.invalidation()],
            status: Status::Changed,
        }
    }

    fn tag(&mut self, tag: &str) {
        // Nothing can carry any other.
        if (1..=MAX_TAG_BYTES).contains(&tag.len()) {
            let cache = self.shared.cache.clone();
            self.add(&cache, |batch| batch.tag(tag).map(drop));
        }
    }

    fn keys(&mut self, cache: &Cache, keys: &str) {
        // A single key leaves less behind than a pattern.
        let is_one = !keys.contains(['*', '?', '[', '\\']);
        self.add(cache, |batch| match is_one {
            true => batch.key(keys).map(drop),
            false => batch.pattern(keys).map(drop),
        });
    }

    fn add(&mut self, cache: &Cache, add: impl FnOnce(&mut Batch) -> CacheResult<()>) {
        let known = self
            .batches
            .iter_mut()
            .position(|batch| batch.within(cache));
        let index = known.unwrap_or_else(|| {
            self.batches.insert(0, cache.invalidation());
            0
        });
        if let Err(error) = add(&mut self.batches[index]) {
            self.status = self.shared.invalidation_failed(&error, 1);
        }
    }

    async fn run(mut self) -> Status {
        for batch in &self.batches {
            match batch.run().await {
                Ok(Invalidated::Pending) if self.status == Status::Changed => {
                    self.status = Status::InvalidationPending;
                }
                Ok(_) => {}
                Err(error) => {
                    let count = batch.len() as u64;
                    self.status = self.shared.invalidation_failed(&error, count);
                }
            }
        }
        self.status
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Invalidation, Rules};
    use http::Method;

    #[test]
    fn too_many_forms_of_a_key_are_one_glob() {
        let globs = |route: &str, pattern: &str, path: &str| {
            let put = Invalidation::on(Method::PUT, route).key_pattern(pattern);
            let rules = Rules::compile(vec![], vec![put], &Cache::memory(), 1).unwrap();
            let matched = rules.mutation(&Method::PUT, path).next().unwrap();
            key_patterns(&matched.rule.key_patterns[0].1, &matched)
        };
        let few = globs("/{a}/{b}", "f:{a}:{b}", "/1/2");
        assert!((2..=MAX_FORMS).contains(&few.len()), "{few:?}");
        let many = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}";
        let one = globs(many, "f:{a}:{b}:{c}:{d}:{e}:{f}:{g}", "/1/2/3/4/5/6/7");
        assert_eq!(one, ["f:*:*:*:*:*:*:*"]);
    }
}
