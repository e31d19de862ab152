//! Where settings come from, and in which order.

use std::fmt;
use std::path::{Path, PathBuf};

use config::{Map, Value, ValueKind};

use super::environment::{self, Variables};
use super::merge::merge;
use super::substitute::substitute;
use super::wrong::wrong;
use super::{CacheConfig, toml, yaml};
use crate::error::{Error, Result};

/// Settings from several places: each over those before it, field by field, and the environment
/// over all.
#[derive(Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CacheConfigBuilder {
    layers: Vec<From>,
    variables: Option<Variables>,
}

enum From {
    File(PathBuf),
    Yaml(String, String),
    Toml(String, String),
}

impl CacheConfigBuilder {
    /// Adds a file: YAML if its name ends in `.yaml` or `.yml`, TOML if in `.toml`.
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.layers.push(From::File(path.as_ref().to_owned()));
        self
    }

    /// Adds a text in YAML, which messages call by `name`.
    pub fn yaml(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.layers.push(From::Yaml(name.into(), text.into()));
        self
    }

    /// Adds a text in TOML, which messages call by `name`.
    pub fn toml(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.layers.push(From::Toml(name.into(), text.into()));
        self
    }

    /// The variables that are used. Default: those of the process.
    pub fn environment<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        self.variables = Some(Variables::new(variables));
        self
    }

    /// Reads everything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if a file cannot be read, is
    /// not what its name says, refers to a variable that is not set, or has a field that is not
    /// known or not as expected. The fields of a provider are read by its kind, when the
    /// [`Registry`](crate::Registry) is built.
    pub fn build(self) -> Result<CacheConfig> {
        let variables = self.variables.unwrap_or_else(Variables::of_the_process);
        let mut root = Value::default();
        for layer in self.layers {
            merge(&mut root, layer.read()?);
        }
        if matches!(root.kind, ValueKind::Nil) {
            root.kind = ValueKind::Table(Map::new());
        }
        substitute(&mut root, "", &variables)?;
        environment::apply(&mut root, &variables)?;
        CacheConfig::of(&root)
    }
}

impl From {
    fn read(self) -> Result<Value> {
        let value = match self {
            Self::Yaml(name, text) => yaml::parse(&name, &text),
            Self::Toml(name, text) => toml::parse(&name, &text),
            Self::File(path) => file(&path),
        }?;
        match value.kind {
            ValueKind::Table(_) | ValueKind::Nil => Ok(value),
            _ => Err(wrong(
                value.origin(),
                "",
                "expected fields, each as `name: value`, such as `default_ttl: 10m`",
            )),
        }
    }
}

fn file(path: &Path) -> Result<Value> {
    let name = path.display().to_string();
    let parse = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => yaml::parse,
        Some("toml") => toml::parse,
        _ => {
            return Err(wrong(
                Some(&name),
                "",
                "the name of the file does not tell its format; expected `.yaml`, `.yml` or `.toml`",
            ));
        }
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&name, error))?;
    parse(&name, &text)
}

fn unreadable(name: &str, error: std::io::Error) -> Error {
    let what = format!("the file cannot be read: {error}");
    wrong(Some(name), "", &what).with_source(error)
}

impl fmt::Debug for CacheConfigBuilder {
    /// Without the texts and variables, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheConfigBuilder")
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}
