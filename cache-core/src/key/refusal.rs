//! Values that have no part of their own, and why.

use std::fmt::{self, Display};

use serde::ser;

/// Why a value has no part, or what its `Serialize` said.
#[derive(Debug)]
pub(super) struct Refusal(Box<str>);

impl Refusal {
    pub(super) fn new(reason: &str) -> Self {
        Self(reason.into())
    }

    pub(super) fn unordered() -> Self {
        Self::new(
            "equal values of it serialize in different orders; use a `BTreeSet` or a sorted `Vec`",
        )
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl ser::Error for Refusal {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

/// Whether sequences of a type of this name come in an order that is not part of the value.
///
/// Pointers are looked through, since serde writes what they point to; other wrappers are not,
/// since they may sort.
pub(super) fn is_unordered(type_name: &str) -> bool {
    const POINTERS: [&str; 6] = [
        "&",
        "mut ",
        "alloc::boxed::Box<",
        "alloc::rc::Rc<",
        "alloc::sync::Arc<",
        "alloc::borrow::Cow<",
    ];
    if let Some(target) = POINTERS
        .iter()
        .find_map(|pointer| type_name.strip_prefix(pointer))
    {
        return is_unordered(target);
    }
    let path = type_name.split('<').next().unwrap_or_default();
    let name = path.rsplit("::").next().unwrap_or_default();
    name.ends_with("HashSet") || matches!(name, "DashSet" | "BinaryHeap")
}
