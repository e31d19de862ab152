//! The type and const parameters that tell one instance of a generic function from another.

use proc_macro2::Ident;
use syn::GenericParam;

use crate::function::{Argument, Function, mentions};

/// What of a function's generic parameters is in its keys and in the owner of its entries.
///
/// A parameter that occurs in skipped arguments alone, such as the executor of a database
/// driver, is in neither: a result does not depend on what was skipped.
pub(crate) struct Types {
    /// The type parameters that matter.
    pub(crate) parameters: Vec<Ident>,
    /// The const parameters, all of which matter.
    pub(crate) constants: Vec<Ident>,
    /// Arguments in the key whose type is `impl Trait`.
    pub(crate) unnamed: Vec<Ident>,
    /// Whether there are parameters that must not matter.
    pub(crate) some_are_skipped: bool,
}

impl Types {
    pub(super) fn of(function: &Function, in_key: impl Fn(&Ident) -> bool) -> Self {
        let (kept, skipped): (Vec<_>, Vec<_>) = function
            .arguments
            .iter()
            .partition(|argument| in_key(&argument.name));
        let only_skipped = |parameter: &Ident| {
            let name = parameter.to_string();
            let found_in = |argument: &&Argument| mentions(&argument.ty, &name);
            skipped.iter().any(found_in)
                && !kept.iter().any(found_in)
                && !mentions(&function.result, &name)
        };
        let (unneeded, parameters): (Vec<_>, Vec<_>) =
            type_parameters(function).partition(only_skipped);
        Self {
            parameters,
            constants: constants(function),
            unnamed: unnamed(&kept),
            some_are_skipped: !unneeded.is_empty() || !unnamed(&skipped).is_empty(),
        }
    }
}

fn type_parameters(function: &Function) -> impl Iterator<Item = Ident> {
    function.generics().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(parameter.ident.clone()),
        _ => None,
    })
}

fn constants(function: &Function) -> Vec<Ident> {
    let constants = function.generics().filter_map(|parameter| match parameter {
        GenericParam::Const(parameter) => Some(parameter.ident.clone()),
        _ => None,
    });
    constants.collect()
}

fn unnamed(arguments: &[&Argument]) -> Vec<Ident> {
    let unnamed = arguments
        .iter()
        .filter(|argument| mentions(&argument.ty, "impl"));
    unnamed.map(|argument| argument.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Errors;
    use proc_macro2::TokenStream;
    use quote::quote;

    fn of(item: TokenStream, skipped: &str) -> Types {
        let mut errors = Errors::default();
        let function = Function::parse(item, "cached", &mut errors).unwrap();
        Types::of(&function, |name| name != skipped)
    }

    #[test]
    fn a_parameter_of_skipped_arguments_alone_does_not_matter() {
        let types = of(
            quote!(
                async fn f<E, T>(db: E, id: T) -> u8 {
                    1
                }
            ),
            "db",
        );
        assert_eq!(types.parameters, ["T"]);
        assert!(types.some_are_skipped);
        let types = of(
            quote!(
                async fn f<E>(db: &E) -> E::Row {
                    1
                }
            ),
            "db",
        );
        assert_eq!(types.parameters, ["E"], "the result depends on it");
        let types = of(
            quote!(
                async fn f(db: impl Db, id: u64) -> u8 {
                    1
                }
            ),
            "db",
        );
        assert!(types.some_are_skipped && types.unnamed.is_empty());
    }

    #[test]
    fn a_parameter_that_no_argument_mentions_matters() {
        let types = of(
            quote!(
                async fn f<S, const N: u8>(id: impl Id) -> u8 {
                    1
                }
            ),
            "",
        );
        assert_eq!(types.parameters, ["S"]);
        assert_eq!(types.constants, ["N"]);
        assert_eq!(types.unnamed, ["id"]);
        assert!(!types.some_are_skipped);
    }
}
