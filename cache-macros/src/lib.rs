//! The `#[cached]` and `#[cache_invalidate]` attributes; use them through `cache-core`.
//!
//! An attribute goes through three stages: its tokens become `options`, these and the annotated
//! `function` become a checked `model`, and `emit` turns that into tokens again. What is
//! wrong is collected on the way and reported together.

mod emit;
mod errors;
mod expand;
mod function;
mod model;
mod options;
mod template;

use proc_macro::TokenStream;

#[doc = include_str!("../docs/cached.md")]
#[proc_macro_attribute]
pub fn cached(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand::<model::Cached>(options.into(), &item.into()).into()
}

#[doc = include_str!("../docs/cache_invalidate.md")]
#[proc_macro_attribute]
pub fn cache_invalidate(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand::<model::Invalidate>(options.into(), &item.into()).into()
}
