//! What a request that changes something makes invalid.

use cache_core::{Cache, Pattern, Result};
use http::Method;

use super::rule::{known, wrong};
use super::template::Template;

/// What goes when a request of this method on this route has succeeded.
///
/// A request has succeeded when the service answered with 2xx or 3xx (RFC 9111 §4.4). What is
/// named here has gone before the answer is handed to the client. The target's own path goes
/// without being named, for every method that may change something.
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
    /// On requests of this method.
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
    /// `/cities/*`.
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
    /// reads as a number takes both forms, that of a number and that of a text.
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
        let compile = |texts: &[String]| -> Result<Vec<Template>> {
            let templates = texts.iter().map(|text| known(&self.route, route, text));
            templates.collect()
        };
        let patterns = self.key_patterns.iter().map(|(target, text)| {
            let template = glob(&self.route, route, text)?;
            Ok((target.as_ref().unwrap_or(cache).clone(), template))
        });
        let path_patterns = self.path_patterns.iter();
        Ok(CompiledInvalidation {
            paths: compile(&self.paths)?,
            path_patterns: path_patterns
                .map(|text| glob(&self.route, route, text))
                .collect::<Result<_>>()?,
            tags: compile(&self.tags)?,
            key_patterns: patterns.collect::<Result<_>>()?,
        })
    }
}

/// A template that is a glob once it is filled.
fn glob(route: &str, parameters: &Template, text: &str) -> Result<Template> {
    let template = known(route, parameters, text)?;
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
