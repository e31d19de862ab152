//! The user's body as a future of its own.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::{names, ours_at};
use crate::function::{Function, Style, mentions};

/// `async move { … }` around the function's statements; the arguments move into it.
pub(super) fn future(function: &Function) -> TokenStream {
    let statements = function.statements();
    match function.style {
        Style::Async => annotated(function, &quote! { { #(#statements)* } }),
        Style::Future => annotated(function, &quote! { (move || { #(#statements)* })().await }),
        Style::Boxed => {
            let declared = function.declared_output();
            let call = quote! { (move || #declared { #(#statements)* })().await };
            annotated(function, &call)
        }
    }
}

/// What becomes of the statements that surround [`future`]: they are the body of an `async fn`,
/// or of the future that the function returns.
pub(super) fn around(
    function: &Function,
    private: &TokenStream,
    statements: &TokenStream,
) -> TokenStream {
    match function.style {
        Style::Async => statements.clone(),
        Style::Future => quote! { #private::future(async move { #statements }) },
        Style::Boxed => quote! { #private::boxed(async move { #statements }) },
    }
}

/// An async block cannot say what it returns, so `?` and `return` in it need to be told by the
/// type of an earlier `return`, and coercions by the type of a variable.
fn annotated(function: &Function, value: &TokenStream) -> TokenStream {
    let output = &function.result;
    if mentions(output, "impl") {
        return quote! { async move { #value } };
    }
    let output = output.to_token_stream();
    let span = ours_at(function.result.span());
    let (hint, result) = (names::hint(span), names::result(span));
    quote_spanned! {span=>
        async move {
            #[allow(unreachable_code)]
            if let ::core::option::Option::Some(#hint) = ::core::option::Option::None::<#output> {
                return #hint;
            }
            #[allow(
                unreachable_code,
                clippy::diverging_sub_expression,
                clippy::let_unit_value,
                clippy::redundant_closure_call
            )]
            let #result: #output = #value;
            #[allow(unreachable_code)]
            #result
        }
    }
}
