//! The locals of emitted code.
//!
//! By the kind of their span they cannot meet the user's, whatever their names. Where a local is
//! shown in messages is up to the statement that it stands in.

use proc_macro2::{Ident, Span};

use super::ours_at;

macro_rules! names {
    ($($name:ident)*) => { $(
        pub(super) fn $name(span: Span) -> Ident {
            Ident::new(concat!("__cache_", stringify!($name)), ours_at(span))
        }
    )* };
}

names! { call invalidation key kind outcome result start hint }
