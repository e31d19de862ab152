//! The section of one provider.

use std::fmt;

use config::{Value, ValueKind};
use serde::de::DeserializeOwned;

use super::wrong::{join, place, read, wrong};
use crate::error::{Error, Result};

/// What a configuration says about one provider, for the factory of its kind.
///
/// ```
/// use cache_core::config::{HumanDuration, Section};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Shelf {
///     path: String,
///     patience: Option<HumanDuration>,
/// }
///
/// fn settings(section: &Section) -> cache_core::Result<Shelf> {
///     let shelf: Shelf = section.read()?;
///     if shelf.path.is_empty() {
///         return Err(section.error("path", "expected the folder to keep entries in"));
///     }
///     Ok(shelf)
/// }
/// ```
#[derive(Clone)]
pub struct Section {
    name: String,
    kind: String,
    /// Where the kind stands.
    kind_place: Option<String>,
    fields: Value,
    key_prefix: Option<String>,
}

impl Section {
    /// Takes the kind out of the fields; the rest is for the kind's factory.
    pub(super) fn new(name: &str, mut fields: Value, key_prefix: Option<String>) -> Result<Self> {
        let path = join("providers", name);
        let at = fields.origin().map(str::to_owned);
        let ValueKind::Table(table) = &mut fields.kind else {
            let what = "expected the fields of a provider: `kind`, and what that takes";
            return Err(wrong(at.as_deref(), &path, what));
        };
        let kind = table.remove("kind").unwrap_or_default();
        let kind_place = kind.origin().map(str::to_owned);
        let ValueKind::String(kind) = kind.kind else {
            let what =
                "expected the kind of the provider, such as `memory`, `redis`, `tiered` or `null`";
            let at = kind_place.as_deref().or(at.as_deref());
            return Err(wrong(at, &join(&path, "kind"), what));
        };
        let name = name.to_owned();
        Ok(Self {
            name,
            kind,
            kind_place,
            fields,
            key_prefix,
        })
    }

    /// The provider's name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind that the configuration asks for.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What all keys of the deployment begin with, where the configuration says it.
    pub fn key_prefix(&self) -> Option<&str> {
        self.key_prefix.as_deref()
    }

    /// Reads the fields, all but `kind`, as a `T`, which should `deny_unknown_fields`. Numbers and
    /// truth values of YAML come as they are written; they are converted where `T` asks for one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), with the field's name, where
    /// it stands, and what `T` expects there; never with its value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.fields, &self.path())
    }

    /// A mistake in `field`, with the place where it stands. `what` says what would be accepted;
    /// with an empty `field` it is about the section.
    pub fn error(&self, field: &str, what: impl AsRef<str>) -> Error {
        let path = join(&self.path(), field);
        wrong(place(&self.fields, field), &path, what.as_ref())
    }

    /// A mistake in the kind.
    pub(crate) fn kind_error(&self, what: &str) -> Error {
        wrong(
            self.kind_place.as_deref(),
            &join(&self.path(), "kind"),
            what,
        )
    }

    fn path(&self) -> String {
        join("providers", &self.name)
    }
}

impl fmt::Debug for Section {
    /// Without the fields, which may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
