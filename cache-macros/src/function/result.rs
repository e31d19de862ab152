//! What a function gives, and how: the type of the value, out of all forms of a future.

use syn::visit::Visit;
use syn::{
    GenericArgument, Lifetime, PathArguments, ReturnType, Signature, Type, TypeParamBound,
    TypeReference, parse_quote,
};

/// How the function gives its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    /// `async fn f() -> R`
    Async,
    /// `fn f() -> impl Future<Output = R>`
    Future,
    /// `fn f() -> Pin<Box<dyn Future<Output = R>>>`, as `async_trait` writes it.
    Boxed,
}

/// The type of the value that the function's future gives; `None` if it gives no future.
pub(super) fn result_of(signature: &Signature) -> Option<(Type, Style)> {
    let declared = match &signature.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, declared) => (**declared).clone(),
    };
    match signature.asyncness {
        Some(_) => Some((declared, Style::Async)),
        None => future_of(&declared),
    }
}

/// The output of a type that is written as a future.
fn future_of(declared: &Type) -> Option<(Type, Style)> {
    match declared {
        Type::ImplTrait(future) => Some((output_of(&future.bounds)?, Style::Future)),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let inner = type_argument(&last.arguments)?;
            let output = match last.ident.to_string().as_str() {
                "Pin" => boxed_output(inner)?,
                "BoxFuture" | "LocalBoxFuture" => inner.clone(),
                _ => return None,
            };
            Some((output, Style::Boxed))
        }
        Type::Group(group) => future_of(&group.elem),
        Type::Paren(paren) => future_of(&paren.elem),
        _ => None,
    }
}

/// `Output` in `Box<dyn Future<Output = …>>`
fn boxed_output(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    match type_argument(&last.arguments)? {
        Type::TraitObject(object) if last.ident == "Box" => output_of(&object.bounds),
        _ => None,
    }
}

fn type_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// `Output` in bounds that contain `Future<Output = …>`
fn output_of<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<Type> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let last = bound.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(assoc.ty.clone()),
            _ => None,
        })
    })
}

/// Whether the type, as it is written, holds references that do not live for ever.
pub(super) fn borrows(ty: &Type) -> bool {
    let mut found = Borrows(false);
    found.visit_type(ty);
    found.0
}

struct Borrows(bool);

impl<'ast> Visit<'ast> for Borrows {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        self.0 |= reference.lifetime.is_none();
        syn::visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        self.0 |= lifetime.ident != "static";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_references_for_ever_are_none() {
        for ty in [
            "&str",
            "Cow<'_, str>",
            "R<W<'static>, &str>",
            "R<u8, E<'a>>",
        ] {
            assert!(borrows(&syn::parse_str(ty).unwrap()), "{ty}");
        }
        for ty in ["u8", "&'static str", "R<&'static str, Box<dyn E>>"] {
            assert!(!borrows(&syn::parse_str(ty).unwrap()), "{ty}");
        }
    }
}
