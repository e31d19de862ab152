//! What of a call is in its key.

use proc_macro2::Ident;

use crate::errors::Errors;
use crate::function::Function;
use crate::options::{Given, Known, Options};
use crate::template::{Part, Template};

/// What of a call is in its key.
pub(crate) enum Arguments {
    /// These, one after the other.
    Each(Vec<Ident>),
    /// What the template says.
    Template(Template),
}

const INCLUDE_ARGS: Known = Known {
    name: "include_args",
    example: "include_args = false",
};
const KEY: Known = Known {
    name: "key",
    example: "key = \"user:{user.id}\"",
};
const SKIP: Known = Known {
    name: "skip",
    example: "skip(argument, other)",
};

impl Arguments {
    pub(super) fn take(options: &mut Options, function: &Function, errors: &mut Errors) -> Self {
        let include = options.take(&INCLUDE_ARGS, errors);
        let key = options.take(&KEY, errors);
        let skip = options.take(&SKIP, errors);
        only_one_says_what_is_in_the_key([&key, &skip, &include], errors);
        let included = include.is_none_or(|given| errors.keep(given.flag()).unwrap_or(true));
        let skipped = skip.map_or_else(Vec::new, |given| skipped(&given, function, errors));
        if let Some(literal) = key.and_then(|given| errors.keep(given.string())) {
            let template = Template::parse(literal, function, errors);
            values_stay_apart(&template, errors);
            return Self::Template(template);
        }
        let names = function.arguments.iter().map(|argument| &argument.name);
        let kept = names.filter(|name| included && !skipped.contains(name));
        Self::Each(kept.cloned().collect())
    }

    /// Whether the key depends on this argument.
    pub(super) fn contain(&self, argument: &Ident) -> bool {
        match self {
            Self::Each(names) => names.contains(argument),
            Self::Template(template) => template
                .placeholders()
                .any(|placeholder| placeholder.root == *argument),
        }
    }
}

/// `key`, `skip` and `include_args` each say what of a call is in the key.
fn only_one_says_what_is_in_the_key(given: [&Option<Given>; 3], errors: &mut Errors) {
    let mut given = given.into_iter().flatten();
    let Some(first) = given.next() else { return };
    for other in given {
        let message = format!(
            "`{}` says already which arguments are in the key; leave one of the two out",
            first.name()
        );
        errors.at(other.name(), message);
    }
}

fn skipped(given: &Given, function: &Function, errors: &mut Errors) -> Vec<Ident> {
    let names = errors.keep(given.names()).unwrap_or_default();
    for (index, name) in names.iter().enumerate() {
        if name == "self" {
            errors.at(name, "`self` is not part of the key unless `key` names it");
        } else if !function.arguments.iter().any(|a| a.name == *name) {
            let message = format!("`{}` has no argument `{name}` to skip", function.name());
            errors.at(name, message);
        } else if names[..index].contains(name) {
            errors.at(name, format!("`{name}` is skipped twice"));
        }
    }
    names
}

/// Two values that run together could be two others: `1` and `23`, or `12` and `3`. A `:` is
/// never part of a value.
fn values_stay_apart(template: &Template, errors: &mut Errors) {
    let mut touches_a_value = false;
    for part in &template.parts {
        match part {
            Part::Text(text) => touches_a_value &= !text.contains(':'),
            Part::Value(_) if touches_a_value => {
                let message = "the values of two placeholders could run together, so that two \
                               calls share a key; put a `:` between them";
                return errors.at(&template.literal, message);
            }
            Part::Value(_) => touches_a_value = true,
        }
    }
}
