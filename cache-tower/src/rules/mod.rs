//! Rules by route: what users write, checked and looked up as axum looks up its routes.

pub(crate) mod forms;
mod invalidation;
mod query;
mod rule;
mod template;

use std::collections::HashMap;
use std::sync::Arc;

use cache_core::{Cache, Result};
use http::Method;
use matchit::{InsertError, Params, Router};

pub(crate) use invalidation::CompiledInvalidation;
pub use invalidation::Invalidation;
pub use query::Query;
pub(crate) use rule::CompiledRule;
pub use rule::Rule;
use rule::wrong;
pub(crate) use template::Template;

/// All rules of a layer.
#[derive(Default)]
pub(crate) struct Rules {
    gets: Router<Arc<CompiledRule>>,
    mutations: HashMap<Option<Method>, Router<Arc<CompiledInvalidation>>>,
}

impl Rules {
    /// Checks rules, and that no two speak of the same requests.
    pub(crate) fn compile(
        rules: Vec<Rule>,
        invalidations: Vec<Invalidation>,
        cache: &Cache,
        body_limit: usize,
    ) -> Result<Self> {
        let mut compiled = Self::default();
        for rule in rules {
            let route = rule.route.clone();
            let rule = rule.compile(&Template::parse(&route)?, body_limit)?;
            insert(&mut compiled.gets, &route, rule)?;
        }
        for rule in invalidations {
            let (method, route) = (rule.method.clone(), rule.route.clone());
            let rule = rule.compile(&Template::parse(&route)?, cache)?;
            let router = compiled.mutations.entry(method).or_default();
            insert(router, &route, rule)?;
        }
        Ok(compiled)
    }

    /// The rule for GET on this path, and the route's parameters as they stand in it.
    pub(crate) fn get<'r, 'p>(&'r self, path: &'p str) -> Option<Matched<'r, 'p, CompiledRule>> {
        Matched::at(&self.gets, path)
    }

    /// The rules for a request that may change something: its method's and those of any method.
    pub(crate) fn mutation<'r, 'p>(
        &'r self,
        method: &Method,
        path: &'p str,
    ) -> impl Iterator<Item = Matched<'r, 'p, CompiledInvalidation>> {
        let methods = [Some(method.clone()), None];
        let routers = methods.map(|method| self.mutations.get(&method));
        let routers = routers.into_iter().flatten();
        routers.filter_map(move |router| Matched::at(router, path))
    }
}

fn insert<T>(router: &mut Router<Arc<T>>, route: &str, rule: T) -> Result<()> {
    if !route.starts_with('/') {
        return Err(wrong(route, "a route begins with `/`"));
    }
    let inserted = router.insert(route, Arc::new(rule));
    inserted.map_err(|error| match error {
        InsertError::Conflict { with } => {
            wrong(route, format!("`{with}` speaks of the same requests"))
        }
        other => wrong(route, other),
    })
}

/// A rule with the parameters of the path that it was found for.
pub(crate) struct Matched<'r, 'p, T> {
    pub(crate) rule: &'r Arc<T>,
    parameters: Params<'r, 'p>,
}

impl<'r, 'p, T> Matched<'r, 'p, T> {
    /// The texts of a template for this path, in which a parameter has each of these forms.
    pub(crate) fn fill(
        &self,
        template: &Template,
        forms: impl Fn(&str) -> Vec<String>,
    ) -> Vec<String> {
        template.fill(|name| self.parameters.get(name).map(&forms).unwrap_or_default())
    }

    fn at(router: &'r Router<Arc<T>>, path: &'p str) -> Option<Self> {
        let found = router.at(path).ok()?;
        Some(Self {
            rule: found.value,
            parameters: found.params,
        })
    }
}

#[cfg(test)]
mod tests;
