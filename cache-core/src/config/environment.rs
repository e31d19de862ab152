//! The variables that set something whatever the files say.

use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};

use super::wrong::wrong;
use crate::error::Result;

/// The environment of the process, or what a test puts in its place. An empty variable counts as
/// not set.
#[derive(Clone, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// Those of the process. What is not Unicode cannot be a setting of ours.
    pub(super) fn of_the_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    fn value(&self, name: &str) -> Option<Value> {
        let origin = format!("environment variable {name}");
        self.get(name).map(|value| Value::new(Some(&origin), value))
    }
}

/// The variables that are fields of the whole configuration.
const GENERAL: [(&str, &str); 2] = [
    ("CACHE_DEFAULT_TTL", "default_ttl"),
    ("CACHE_KEY_PREFIX", "key_prefix"),
];

/// The variables that are parts of an address.
const PARTS: [(&str, &str); 4] = [
    ("REDIS_HOST", "host"),
    ("REDIS_PORT", "port"),
    ("REDIS_PASSWORD", "password"),
    ("REDIS_DB", "db"),
];

/// Lays the variables over what the files say.
pub(super) fn apply(root: &mut Value, variables: &Variables) -> Result<()> {
    let ValueKind::Table(fields) = &mut root.kind else {
        return Ok(());
    };
    for (variable, field) in GENERAL {
        if let Some(value) = variables.value(variable) {
            fields.insert(field.to_owned(), value);
        }
    }
    let address = address(variables);
    if address.is_empty() {
        return Ok(());
    }
    if let Some(section) = redis_section(fields, &address)? {
        replace_address(section, address);
    }
    Ok(())
}

/// `REDIS_URL`, which is a whole address, or the parts that are set.
fn address(variables: &Variables) -> Vec<(&'static str, Value)> {
    if let Some(url) = variables.value("REDIS_URL") {
        return vec![("url", url)];
    }
    let part = |(variable, field)| Some((field, variables.value(variable)?));
    PARTS.into_iter().filter_map(part).collect()
}

/// The section that an address from outside is about. Where nothing is configured, one is made;
/// where there are providers and none is Redis, nobody has use for it.
fn redis_section<'a>(
    fields: &'a mut Map<String, Value>,
    address: &[(&str, Value)],
) -> Result<Option<&'a mut Map<String, Value>>> {
    let origin = address[0].1.origin().map(str::to_owned);
    let providers = fields.entry("providers".to_owned()).or_default();
    if matches!(providers.kind, ValueKind::Nil) {
        *providers = made(origin.as_ref());
    }
    let ValueKind::Table(providers) = &mut providers.kind else {
        return Ok(None);
    };
    let Some(name) = redis_name(providers, origin.as_deref())? else {
        return Ok(None);
    };
    let section = providers.get_mut(&name).map(|section| &mut section.kind);
    Ok(section.and_then(|section| match section {
        ValueKind::Table(section) => Some(section),
        _ => None,
    }))
}

/// Providers of which one is Redis.
fn made(origin: Option<&String>) -> Value {
    let kind = Value::new(origin, "redis");
    let section = Map::from_iter([("kind".to_owned(), kind)]);
    let section = Value::new(origin, section);
    Value::new(None, Map::from_iter([("redis".to_owned(), section)]))
}

/// The only provider of the kind, or the one that is called by its name.
fn redis_name(providers: &Map<String, Value>, origin: Option<&str>) -> Result<Option<String>> {
    let all = providers.iter().filter(|(_, section)| is_redis(section));
    let mut names: Vec<&String> = all.map(|(name, _)| name).collect();
    names.sort();
    match &names[..] {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        several if several.iter().any(|name| *name == "redis") => Ok(Some("redis".to_owned())),
        several => {
            let several: Vec<_> = several.iter().map(|name| format!("`{name}`")).collect();
            let what = format!(
                "it is not clear which provider this is about: {}; name one of them `redis`, or \
                 refer to the variable in its section",
                several.join(", ")
            );
            Err(wrong(origin, "providers", &what))
        }
    }
}

fn is_redis(section: &Value) -> bool {
    let ValueKind::Table(fields) = &section.kind else {
        return false;
    };
    let kind = fields.get("kind").map(|kind| &kind.kind);
    matches!(kind, Some(ValueKind::String(kind)) if kind == "redis")
}

/// A URL replaces all parts, and a host the URL.
fn replace_address(section: &mut Map<String, Value>, address: Vec<(&'static str, Value)>) {
    for (field, value) in address {
        let replaced: &[_] = match field {
            "url" => &["host", "port", "user", "password", "db", "tls"],
            "host" => &["url"],
            _ => &[],
        };
        section.retain(|name, _| !replaced.contains(&name.as_str()));
        section.insert(field.to_owned(), value);
    }
}
