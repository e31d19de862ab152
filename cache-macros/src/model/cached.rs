//! What `#[cached]` was asked for, checked.

use proc_macro2::{Ident, TokenStream};
use syn::{Expr, ExprLit, ExprUnary, Lit, LitStr, ReturnType, UnOp};

use super::{Arguments, Place, Types, plain_text, take_tags};
use crate::errors::Errors;
use crate::expand::Attribute;
use crate::function::{Function, mentions};
use crate::options::{Given, Known, Options};
use crate::template::Template;

/// A checked `#[cached]`.
pub(crate) struct Cached {
    pub(crate) place: Place,
    pub(crate) key_prefix: Option<LitStr>,
    pub(crate) arguments: Arguments,
    pub(crate) types: Types,
    pub(crate) ttl: Option<Ttl>,
    /// The option's name, if `None` is stored too.
    pub(crate) cache_none: Option<Ident>,
    pub(crate) tags: Vec<Template>,
}

/// How long results are kept.
pub(crate) enum Ttl {
    Seconds(u64),
    /// Integers that are multiplied, added and so on: `5 * 60`.
    Arithmetic(Expr),
    Duration(Expr),
}

const TTL: Known = Known {
    name: "ttl",
    example: "ttl = 60`, in seconds, or `ttl = Duration::from_millis(500)",
};
const KEY_PREFIX: Known = Known {
    name: "key_prefix",
    example: "key_prefix = \"users\"",
};
const CACHE_NONE: Known = Known {
    name: "cache_none",
    example: "cache_none` or `cache_none = true",
};

impl Attribute for Cached {
    const NAME: &'static str = "cached";

    fn check(options: &mut Options, function: &Function, errors: &mut Errors) -> Option<Self> {
        result_has_a_type_with_a_name(function, errors);
        let ttl = options.take(&TTL, errors);
        let key_prefix = options.take(&KEY_PREFIX, errors);
        let arguments = Arguments::take(options, function, errors);
        let cache_none = options.take(&CACHE_NONE, errors);
        let tags = take_tags(options, function, errors);
        let place = Place::take(options, errors);
        Some(Self {
            place,
            key_prefix: key_prefix.and_then(|given| plain_text(&given, errors)),
            types: Types::of(function, |name| arguments.contain(name)),
            arguments,
            ttl: ttl.and_then(|given| errors.keep(Ttl::read(&given))),
            cache_none: cache_none.and_then(|given| set_flag(&given, errors)),
            tags,
        })
    }

    fn emit(&self, function: &Function) -> TokenStream {
        crate::emit::cached(self, function)
    }
}

/// A value can be stored only if there is one, and its type has to be written out once more.
fn result_has_a_type_with_a_name(function: &Function, errors: &mut Errors) {
    if let ReturnType::Default = function.declared_output() {
        let message = format!("`{}` returns nothing that could be cached", function.name());
        errors.at(function.name(), message);
    } else if mentions(&function.result, "impl") {
        let message = "a cached result needs a type with a name; `impl Trait` has none";
        errors.at(&function.result, message);
    }
}

fn set_flag(given: &Given, errors: &mut Errors) -> Option<Ident> {
    let set = errors.keep(given.flag())?;
    set.then(|| given.name().clone())
}

impl Ttl {
    fn read(given: &Given) -> syn::Result<Self> {
        let expression = given.expression()?;
        match expression {
            Expr::Lit(ExprLit {
                lit: Lit::Int(literal),
                ..
            }) => match literal.base10_parse()? {
                0 => Err(syn::Error::new_spanned(
                    literal,
                    "with `ttl = 0` nothing would ever be found again; leave `#[cached]` out",
                )),
                seconds => Ok(Self::Seconds(seconds)),
            },
            arithmetic if is_arithmetic(arithmetic) => Ok(Self::Arithmetic(arithmetic.clone())),
            Expr::Lit(_)
            | Expr::Unary(ExprUnary {
                op: UnOp::Neg(_), ..
            }) => Err(given.misused(expression)),
            duration => Ok(Self::Duration(duration.clone())),
        }
    }
}

/// Whether an expression consists of whole numbers alone, and so counts seconds.
fn is_arithmetic(expression: &Expr) -> bool {
    match expression {
        Expr::Lit(ExprLit {
            lit: Lit::Int(literal),
            ..
        }) => matches!(literal.suffix(), "" | "u64"),
        Expr::Binary(binary) => is_arithmetic(&binary.left) && is_arithmetic(&binary.right),
        Expr::Paren(inner) => is_arithmetic(&inner.expr),
        Expr::Group(inner) => is_arithmetic(&inner.expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_alone_count_seconds() {
        for (code, seconds) in [
            ("5 * 60", true),
            ("24 * (60 * 60) - 1", true),
            ("2u64 << 3", true),
            ("MINUTE * 5", false),
            ("5 * 60.0", false),
            ("Duration::from_secs(1) * 2", false),
        ] {
            let expression = syn::parse_str(code).unwrap();
            assert_eq!(is_arithmetic(&expression), seconds, "{code}");
        }
    }
}
