//! Third stage: checked models become tokens.

mod body;
mod cached;
mod invalidate;
mod names;
mod writing;

pub(crate) use cached::cached;
pub(crate) use invalidate::invalidate;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::model::Place;

/// A span that shows `span` in messages, and whose tokens are ours: they see none of the user's
/// locals, and the user's lints do not look at them.
fn ours_at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

impl Place {
    /// The module that emitted code calls into; messages about the call are shown at `span`.
    fn private(&self, span: Span) -> TokenStream {
        match &self.krate {
            None => quote_spanned!(span=> ::cache_core::__private),
            Some(krate) => quote_spanned!(span=> #krate::__private),
        }
    }

    /// An expression for a reference to the cache, for use within one statement.
    fn handle(&self) -> TokenStream {
        let Some(cache) = &self.cache else {
            return self.default_handle(&self.private(Span::mixed_site()));
        };
        let span = ours_at(cache.span());
        let private = self.private(span);
        let handle = quote_spanned!(span=> #private::handle(&(#cache)));
        match &self.namespace {
            None => handle,
            Some(namespace) => quote!(#handle.fixed_namespace(#namespace)),
        }
    }

    fn default_handle(&self, private: &TokenStream) -> TokenStream {
        let namespace = match &self.namespace {
            None => quote!(::core::option::Option::None),
            Some(namespace) => quote!(::core::option::Option::Some(#namespace)),
        };
        quote! {{
            static CACHE: #private::Shared = #private::Shared::new();
            CACHE.get(#namespace)
        }}
    }
}

#[cfg(test)]
mod tests {
    use crate::expand::expand;
    use crate::model::{Cached, Invalidate};
    use quote::quote;

    #[test]
    fn all_paths_into_the_toolkit_begin_where_the_user_says() {
        let item = quote!(
            async fn f(id: u64) -> Option<u64> {
                None
            }
        );
        let cached = quote!(
            ttl = 5,
            tags = ["{id}"],
            namespace = "n",
            crate = other::path
        );
        let invalidate = quote!(key_pattern = "*{id}", tags = ["{id}"], crate = other::path);
        for tokens in [
            expand::<Cached>(cached, &item),
            expand::<Invalidate>(invalidate, &item),
        ] {
            let text = tokens.to_string();
            let paths = text.matches(":: __private").count();
            assert_ne!(paths, 0);
            assert_eq!(text.matches("other :: path :: __private").count(), paths);
            assert!(!text.contains("cache_core"), "{text}");
        }
    }

    #[test]
    fn what_stands_around_the_body_is_kept() {
        let item = quote! {
            #[doc = "text"]
            #[must_use]
            pub(crate) async fn f<'a, T: Clone>(mut id: &'a T) -> Option<u64> where T: Id {
                #![allow(unused)]
                None
            }
        };
        let text = expand::<Cached>(quote!(), &item).to_string();
        let head = quote! {
            #[doc = "text"]
            #[must_use]
            pub(crate) async fn f<'a, T: Clone>(mut id: &'a T) -> Option<u64> where T: Id
        };
        assert!(text.starts_with(&head.to_string()), "{text}");
        assert!(
            text.contains(&quote!(#![allow(unused)]).to_string()),
            "{text}"
        );
    }
}
