//! Second stage: options that were checked against each other and against the function.

mod arguments;
mod cached;
mod glob;
mod invalidate;
mod place;
mod types;

pub(crate) use arguments::Arguments;
pub(crate) use cached::{Cached, Ttl};
pub(crate) use invalidate::{Invalidate, Target};
pub(crate) use place::Place;
pub(crate) use types::Types;

use syn::LitStr;

use crate::errors::Errors;
use crate::function::Function;
use crate::options::{Given, Known, Options};
use crate::template::Template;

const TAGS: Known = Known {
    name: "tags",
    example: "tags = [\"users\", \"user:{id}\"]",
};

/// Reads `tags`, which both attributes have.
fn take_tags(options: &mut Options, function: &Function, errors: &mut Errors) -> Vec<Template> {
    let given = options.take(&TAGS, errors);
    let literals = given.and_then(|given| errors.keep(given.strings()));
    let literals = literals.into_iter().flatten();
    literals
        .map(|literal| Template::parse(literal, function, errors))
        .collect()
}

/// Text in which placeholders would not be replaced, so that there must not be any.
fn plain_text(given: &Given, errors: &mut Errors) -> Option<LitStr> {
    let literal = errors.keep(given.string())?;
    let text = literal.value();
    if text.is_empty() {
        errors.at(&literal, format!("`{}` is empty", given.name()));
    } else if text.contains(['{', '}']) {
        let message = format!(
            "`{}` is the same for every call; placeholders are for keys, patterns and tags",
            given.name()
        );
        errors.at(&literal, message);
    }
    Some(literal)
}
