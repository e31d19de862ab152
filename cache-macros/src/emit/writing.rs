//! How arguments and templates are written into keys, patterns and tags.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::{names, ours_at};
use crate::model::Place;
use crate::template::{Part, Placeholder};

/// A closure that writes what `statements` say to the key that it is given.
pub(super) fn closure(statements: &TokenStream) -> TokenStream {
    let key = names::key(Span::call_site());
    if statements.is_empty() {
        return quote!(|_| ::core::result::Result::Ok(()));
    }
    quote! { |#key| { #statements ::core::result::Result::Ok(()) } }
}

/// Statements that write text and placeholders.
pub(super) fn template(place: &Place, parts: &[Part]) -> TokenStream {
    parts.iter().map(|part| one(place, part)).collect()
}

/// Statements that write `:` and an argument, for each of them.
pub(super) fn arguments(place: &Place, arguments: &[Ident]) -> TokenStream {
    let key = names::key(Span::call_site());
    let argument = |name: &Ident| {
        let value = value(place, name);
        quote! { #key.literal(":"); #value }
    };
    arguments.iter().map(argument).collect()
}

fn one(place: &Place, part: &Part) -> TokenStream {
    let key = names::key(Span::call_site());
    match part {
        Part::Text(text) => quote! { #key.literal(#text); },
        Part::Value(Placeholder { root, members }) => {
            value(place, quote_spanned!(root.span()=> #root #(.#members)*))
        }
    }
}

fn value(place: &Place, expression: impl ToTokens) -> TokenStream {
    let key = names::key(Span::call_site());
    let span = ours_at(expression.span());
    let private = place.private(span);
    quote_spanned! {span=> #private::key_part(&#expression, #key)?; }
}
