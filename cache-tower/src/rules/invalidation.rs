//! What a request that changes something makes invalid.

use cache_core::{Cache, Pattern, Result};
use http::Method;

use super::rule::{filled, known, tag, wrong};
use super::template::Template;
use crate::key;
use crate::rfc9111::is_unsafe;

/// What goes when a request of this method on this route has succeeded.
///
/// A request has succeeded when the service answered with 2xx or 3xx (RFC 9111 §4.4), or when
/// nobody knows: see the [crate documentation](crate#what-makes-it-go). What is named here has
/// gone before the answer is handed to the client. The target's own path goes without being
/// named, for every method that may change something.
///
/// In all texts `{name}` is a parameter of the route.
#[derive(Clone, Debug)]
#[must_use]
pub struct Invalidation {
    pub(super) method: Option<Method>,
    pub(super) route: String,
    paths: Vec<String>,
    path_patterns: Vec<String>,
    tags: Vec<String>,
    key_patterns: Vec<(Option<Cache>, String)>,
}

impl Invalidation {
    /// On requests of this method, which is one that may change something.
    pub fn on(method: Method, route: impl Into<String>) -> Self {
        Self::new(Some(method), route.into())
    }

    /// On requests of any method that may change something: all but GET, HEAD, OPTIONS, TRACE
    /// and CONNECT.
    pub fn on_any(route: impl Into<String>) -> Self {
        Self::new(None, route.into())
    }

    fn new(method: Option<Method>, route: String) -> Self {
        Self {
            method,
            route,
            paths: Vec::new(),
            path_patterns: Vec::new(),
            tags: Vec::new(),
            key_patterns: Vec::new(),
        }
    }

    /// All responses stored for this path go: with every query, on every host, in every variant.
    pub fn path(mut self, template: impl Into<String>) -> Self {
        self.paths.push(template.into());
        self
    }

    /// All responses go that are stored for a path that matches this glob, such as
    /// `/cities/*`, in the form in which the path was sent.
    ///
    /// Each pattern that differs leaves a mark, and a cache keeps 1,024 of them: over that, all
    /// that is older than the oldest goes. A pattern with a parameter in it, on a route that
    /// changes often, empties the cache again and again; a [`tag`](Self::tag) does not.
    pub fn path_pattern(mut self, template: impl Into<String>) -> Self {
        self.path_patterns.push(template.into());
        self
    }

    /// What carries this tag goes: responses and function results alike. A parameter stands here
    /// decoded, as handlers see it.
    pub fn tag(mut self, template: impl Into<String>) -> Self {
        self.tags.push(template.into());
        self
    }

    /// What functions have stored under keys that match this glob goes, in the namespace of the
    /// cache that the layer was made with: `cities:get_city:{id}`.
    ///
    /// A parameter is written as a function's key writes it as an argument. A parameter that
    /// reads as a number takes both forms, that of a number and that of a text. A text without
    /// a `*` is a single key; all others leave marks, as [patterns of paths](Self::path_pattern)
    /// do.
    pub fn key_pattern(mut self, template: impl Into<String>) -> Self {
        self.key_patterns.push((None, template.into()));
        self
    }

    /// Like [`key_pattern`](Self::key_pattern), in another namespace or another cache.
    pub fn key_pattern_in(mut self, cache: &Cache, template: impl Into<String>) -> Self {
        self.key_patterns
            .push((Some(cache.clone()), template.into()));
        self
    }

    /// Checks the rule, whose route has the parameters of `route`.
    pub(super) fn compile(self, route: &Template, cache: &Cache) -> Result<CompiledInvalidation> {
        let name = &self.route;
        self.check()?;
        let key_patterns = self.key_patterns.iter().map(|(target, text)| {
            let target = target.as_ref().unwrap_or(cache).clone();
            Ok((target, glob(name, known(name, route, text)?, text)?))
        });
        Ok(CompiledInvalidation {
            paths: each(&self.paths, |text| path(name, route, text))?,
            path_patterns: each(&self.path_patterns, |text| {
                let template = path_pattern(name, route, text)?;
                glob(name, template.map_literals(key::path_glob), text)
            })?,
            tags: each(&self.tags, |text| tag(name, route, text))?,
            key_patterns: key_patterns.collect::<Result<_>>()?,
        })
    }

    /// A rule that could never make anything go would be taken for one that does.
    fn check(&self) -> Result<()> {
        if let Some(method) = self.method.as_ref().filter(|it| !is_unsafe(it)) {
            return Err(wrong(&self.route, format!("{method} changes nothing")));
        }
        let texts = [&self.paths, &self.path_patterns, &self.tags];
        if texts.iter().all(|texts| texts.is_empty()) && self.key_patterns.is_empty() {
            let what = "it names nothing that goes; its own path goes without a rule";
            return Err(wrong(&self.route, what));
        }
        Ok(())
    }
}

fn each(texts: &[String], compile: impl Fn(&str) -> Result<Template>) -> Result<Vec<Template>> {
    texts.iter().map(|text| compile(text)).collect()
}

/// A template of a path. A query in it would match nothing, silently.
fn path(route: &str, parameters: &Template, text: &str) -> Result<Template> {
    if text.contains('*') && !text.contains("{*") {
        return Err(wrong(
            route,
            format!("`{text}` is a glob; use path_pattern"),
        ));
    }
    if !text.starts_with('/') {
        return Err(wrong(route, format!("`{text}` does not begin with `/`")));
    }
    path_pattern(route, parameters, text)
}

fn path_pattern(route: &str, parameters: &Template, text: &str) -> Result<Template> {
    if let Some((path, _)) = text.split_once('?') {
        let what = format!("`{text}`: `{path}` goes with every query; leave the query out");
        return Err(wrong(route, what));
    }
    filled(route, parameters, text)
}

/// A template that is a glob once it is filled.
fn glob(route: &str, template: Template, text: &str) -> Result<Template> {
    for sample in template.fill(|_| vec!["x".to_owned()]) {
        Pattern::new(sample).map_err(|error| wrong(route, format!("`{text}`: {error}")))?;
    }
    Ok(template)
}

/// An invalidation rule that has been checked.
#[derive(Debug)]
pub(crate) struct CompiledInvalidation {
    pub(crate) paths: Vec<Template>,
    pub(crate) path_patterns: Vec<Template>,
    pub(crate) tags: Vec<Template>,
    pub(crate) key_patterns: Vec<(Cache, Template)>,
}
