//! What `#[cache_invalidate]` was asked for, checked.

use proc_macro2::{Span, TokenStream};
use syn::LitStr;

use super::glob::{Glob, classify};
use super::{Place, take_tags};
use crate::errors::Errors;
use crate::expand::Attribute;
use crate::function::Function;
use crate::options::{Known, Options};
use crate::template::{Part, Template};

/// A checked `#[cache_invalidate]`.
pub(crate) struct Invalidate {
    pub(crate) place: Place,
    pub(crate) targets: Vec<Target>,
    /// Whether it happens before the function runs, whatever the function returns then.
    pub(crate) before: bool,
}

/// Something that is to go.
pub(crate) enum Target {
    Key(Vec<Part>),
    Pattern(Vec<Part>),
    Tag(Vec<Part>),
}

const KEY_PATTERN: Known = Known {
    name: "key_pattern",
    example: "key_pattern = \"users:get_user:{id}\"",
};
const KEY_PATTERNS: Known = Known {
    name: "key_patterns",
    example: "key_patterns = [\"users:get_user:{id}\", \"users:list:*\"]",
};
const BEFORE: Known = Known {
    name: "before",
    example: "before` or `before = true",
};

impl Attribute for Invalidate {
    const NAME: &'static str = "cache_invalidate";

    fn check(options: &mut Options, function: &Function, errors: &mut Errors) -> Option<Self> {
        let mut targets = take_patterns(options, function, errors);
        let tags = take_tags(options, function, errors);
        targets.extend(tags.into_iter().map(|tag| Target::Tag(tag.parts)));
        let before = options.take(&BEFORE, errors);
        let place = Place::take(options, errors);
        // An option that was mistyped may have been meant to say what goes.
        if targets.is_empty() && options.are_all_taken() && !errors.any() {
            errors.push(nothing_goes());
        }
        Some(Self {
            place,
            targets,
            before: before.is_some_and(|given| errors.keep(given.flag()) == Some(true)),
        })
    }

    fn emit(&self, function: &Function) -> TokenStream {
        crate::emit::invalidate(self, function)
    }
}

fn nothing_goes() -> syn::Error {
    let message = "nothing would be invalidated; say what, by \
                   `key_pattern = \"users:get_user:{id}\"` or `tags = [\"users\"]`";
    syn::Error::new(Span::call_site(), message)
}

fn take_patterns(options: &mut Options, function: &Function, errors: &mut Errors) -> Vec<Target> {
    let mut literals = Vec::new();
    for given in options.take_all(&KEY_PATTERN) {
        literals.extend(errors.keep(given.string()));
    }
    for given in options.take_all(&KEY_PATTERNS) {
        literals.extend(errors.keep(given.strings()).into_iter().flatten());
    }
    let targets = literals
        .into_iter()
        .filter_map(|literal| target(literal, function, errors));
    targets.collect()
}

fn target(literal: LitStr, function: &Function, errors: &mut Errors) -> Option<Target> {
    let template = Template::parse(literal.clone(), function, errors);
    match classify(template) {
        Ok(Glob::Key(parts)) => Some(Target::Key(parts)),
        Ok(Glob::Pattern(parts)) => Some(Target::Pattern(parts)),
        Err(message) => {
            errors.at(literal, message);
            None
        }
    }
}
