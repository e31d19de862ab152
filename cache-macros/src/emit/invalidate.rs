//! The body that `#[cache_invalidate]` gives a function.

use proc_macro2::{Span, TokenStream};
use quote::quote;

use super::{body, names, writing};
use crate::function::Function;
use crate::model::{Invalidate, Target};

/// Runs the body and makes the targets go, in the order that was asked for. What the targets say
/// of the arguments is written before these move into the body.
pub(crate) fn invalidate(model: &Invalidate, function: &Function) -> TokenStream {
    let private = model.place.private(Span::mixed_site());
    let begin = begin(model, &private);
    let future = body::future(function);
    let invalidation = names::invalidation(Span::call_site());
    let rest = if model.before {
        quote! {
            #private::boxed(#invalidation.run()).await;
            #future.await
        }
    } else {
        after(&private, &future)
    };
    body::around(function, &private, &quote!(#begin #rest))
}

fn begin(model: &Invalidate, private: &TokenStream) -> TokenStream {
    let invalidation = names::invalidation(Span::call_site());
    let handle = model.place.handle();
    let targets = model.targets.iter().map(|target| {
        let (method, parts) = match target {
            Target::Key(parts) => (quote!(key), parts),
            Target::Pattern(parts) => (quote!(pattern), parts),
            Target::Tag(parts) => (quote!(tag), parts),
        };
        let write = writing::closure(&writing::template(&model.place, parts));
        quote!(let #invalidation = #invalidation.#method(#write);)
    });
    quote! {
        let #invalidation = #private::Invalidation::new(#handle);
        #(#targets)*
    }
}

fn after(private: &TokenStream, future: &TokenStream) -> TokenStream {
    let (invalidation, result) = (
        names::invalidation(Span::call_site()),
        names::result(Span::call_site()),
    );
    let (kind, outcome) = (
        names::kind(Span::call_site()),
        names::outcome(Span::call_site()),
    );
    quote! {
        let #result = #future.await;
        let #kind = #private::Kind::of(&#result);
        let #outcome = {
            use #private::probe::*;
            (&&#kind).cache_succeeded(&#result)
        };
        if #outcome {
            #private::boxed(#invalidation.run()).await;
        } else {
            #invalidation.call_off();
        }
        #result
    }
}
