//! How a mistake is told: the place, the path of the field, and what would be accepted.

use config::{ConfigError, Value, ValueKind};
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// A mistake at `path`, which stands at `place` where that is known.
pub(super) fn wrong(place: Option<&str>, path: &str, what: &str) -> Error {
    let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
    let path = match path {
        "" => String::new(),
        path => format!("`{path}`: "),
    };
    let message = format!("{place}{path}{what}");
    Error::new(ErrorKind::Configuration, message)
}

/// Reads what stands at `path` as a `T`.
pub(super) fn read<T: DeserializeOwned>(value: &Value, path: &str) -> Result<T> {
    T::deserialize(value.clone()).map_err(|error| explain(value, path, error))
}

fn explain(root: &Value, path: &str, error: ConfigError) -> Error {
    let (key, what) = parts(error);
    let (field, what) = field_of(&what);
    let key = join(&key, field);
    wrong(place(root, &key), &join(path, &key), &what)
}

/// `path.key`, where neither may be empty.
pub(super) fn join(path: &str, key: &str) -> String {
    match (path, key) {
        ("", one) | (one, "") => one.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}

/// Where an error is, and what it says. No value is repeated: it may be a password that stands in
/// the wrong place.
fn parts(error: ConfigError) -> (String, String) {
    match error {
        ConfigError::At { error, key, .. } => {
            let (inner, what) = parts(*error);
            (join(&key.unwrap_or_default(), &inner), what)
        }
        ConfigError::Type { expected, key, .. } => {
            let what = format!("expected {}", plain(expected));
            (key.unwrap_or_default(), what)
        }
        ConfigError::NotFound(key) => (key, "is missing".to_owned()),
        error => (String::new(), without_value(&error.to_string())),
    }
}

fn without_value(message: &str) -> String {
    let tells = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    let expected = message.rsplit_once(", expected ").filter(|_| tells);
    expected.map_or_else(
        || message.to_owned(),
        |(_, expected)| format!("expected {}", plain(expected)),
    )
}

/// What programmers call a type, as anybody would.
fn plain(expected: &str) -> &str {
    match expected {
        "an unsigned 16 bit integer" => "a whole number from 0 to 65535",
        expected if expected.contains("integer") => "a whole number",
        "a boolean" => "`true` or `false`",
        "a string" => "a text",
        "a sequence" => "a list, such as `[one, two]`",
        expected if expected.contains("map") || expected.starts_with("struct") => {
            "fields, each as `name: value`"
        }
        expected => expected,
    }
}

/// The field that serde does not know, and what it says of it.
fn field_of(what: &str) -> (&str, String) {
    let unknown = what.strip_prefix("unknown field `");
    match unknown.and_then(|rest| rest.split_once('`')) {
        Some((field, rest)) => (field, unknown_field(rest)),
        None => ("", what.to_owned()),
    }
}

fn unknown_field(rest: &str) -> String {
    match rest.ends_with("there are no fields") {
        true => "unknown field, there is none but `kind`".to_owned(),
        false => format!("unknown field{rest}"),
    }
}

/// Where the value at `key` stands, or the last one on the way there.
pub(super) fn place<'a>(root: &'a Value, key: &str) -> Option<&'a str> {
    let mut at = root;
    let mut place = root.origin();
    let mut rest = key;
    while let Some((next, left)) = step(at, rest) {
        (at, rest) = (next, left);
        place = at.origin().or(place);
    }
    place
}

fn step<'a, 'k>(value: &'a Value, key: &'k str) -> Option<(&'a Value, &'k str)> {
    match &value.kind {
        ValueKind::Table(table) => {
            let named = table.iter().filter_map(|(name, value)| {
                let rest = key.strip_prefix(name.as_str())?;
                let ends = rest.is_empty() || rest.starts_with(['.', '[']);
                ends.then(|| (value, rest.strip_prefix('.').unwrap_or(rest)))
            });
            // Names can contain dots: the longest one is meant.
            named.min_by_key(|(_, rest)| rest.len())
        }
        ValueKind::Array(values) => {
            let (index, rest) = key.strip_prefix('[')?.split_once(']')?;
            let value = values.get(index.parse::<usize>().ok()?)?;
            Some((value, rest.strip_prefix('.').unwrap_or(rest)))
        }
        _ => None,
    }
}
