//! The one path from an attribute and its item to the tokens that replace them.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;
use crate::function::Function;
use crate::options::Options;

/// An attribute of this crate: what it accepts, and what it makes of a function.
pub(crate) trait Attribute: Sized {
    /// The name that users write.
    const NAME: &'static str;

    /// Checks the options against each other and against the function. What is wrong goes to
    /// `errors`; an option that is not asked for is reported as unknown afterwards.
    fn check(options: &mut Options, function: &Function, errors: &mut Errors) -> Option<Self>;

    /// The statements that take the place of the function's body.
    fn emit(&self, function: &Function) -> TokenStream;
}

/// Replaces the item by what the attribute makes of it, or reports all that is wrong.
pub(crate) fn expand<A: Attribute>(options: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let expanded = try_expand::<A>(options, item.clone(), &mut errors);
    match (errors.into_compile_errors(), expanded) {
        (None, Some(expanded)) => expanded,
        // The item stays, so that nothing else fails because it is missing.
        (errors, _) => quote! { #errors #item },
    }
}

fn try_expand<A: Attribute>(
    options: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let mut options = Options::parse(options, errors);
    let function = Function::parse(item, A::NAME, errors)?;
    let model = A::check(&mut options, &function, errors);
    options.reject_rest(A::NAME, errors);
    let body = model?.emit(&function);
    Some(function.with_body(body))
}
