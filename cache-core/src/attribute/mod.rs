//! What the code that `#[cached]` and `#[cache_invalidate]` emit calls. No part of the public
//! interface: the attributes of the same version are its only user.

mod call;
mod handle;
mod identity;
mod invalidation;
mod kind;
mod outcomes;

pub use call::{Call, Start, start};
pub use handle::{Shared, handle};
pub use identity::{Memo, Site, path};
pub use invalidation::Invalidation;
pub use kind::{Kind, cacheable, probe, with_none};

pub use crate::cache::Cache;
pub use crate::error::Result;
pub use crate::key::{KeyWriter, key_part};
pub use std::any::{type_name, type_name_of_val};
pub use std::module_path;
pub use std::time::Duration;

use std::pin::Pin;

/// Moves the way through the cache to the heap, so that the future of a call that finds its value
/// stays small.
pub fn boxed<F: Future>(future: F) -> Pin<Box<F>> {
    Box::pin(future)
}

/// The future that it is given. A function that does nothing but return an `async` block would be
/// told to be an `async fn`.
pub fn future<F: Future>(future: F) -> F {
    future
}
