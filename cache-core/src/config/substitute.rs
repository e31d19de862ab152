//! `${NAME:default}`: the environment inside of values.

use config::{Value, ValueKind};

use super::environment::Variables;
use super::wrong::{join, wrong};
use crate::error::Result;

/// Replaces what is written as `${…}` in all texts below `path`. That happens after the file was
/// parsed, so that a password with a `#` or a quote in it stays one text.
pub(super) fn substitute(value: &mut Value, path: &str, variables: &Variables) -> Result<()> {
    let place = value.origin().map(str::to_owned);
    match &mut value.kind {
        ValueKind::String(text) => {
            let replaced = replace(text, variables);
            *text = replaced.map_err(|what| wrong(place.as_deref(), path, &what))?;
            Ok(())
        }
        ValueKind::Table(fields) => fields
            .iter_mut()
            .try_for_each(|(name, value)| substitute(value, &join(path, name), variables)),
        ValueKind::Array(items) => items.iter_mut().enumerate().try_for_each(|(index, value)| {
            substitute(value, &format!("{path}[{index}]"), variables)
        }),
        _ => Ok(()),
    }
}

fn replace(text: &str, variables: &Variables) -> Result<String, String> {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            replaced.extend([before, "${"]);
            rest = after;
            continue;
        }
        let Some((inside, after)) = after.split_once('}') else {
            return Err("`${` has no `}`; write `${NAME}` or `${NAME:default}`, and `$${` for the characters themselves".into());
        };
        replaced.push_str(before);
        replaced.push_str(&resolve(inside, variables)?);
        rest = after;
    }
    replaced.push_str(rest);
    Ok(replaced)
}

fn resolve(inside: &str, variables: &Variables) -> Result<String, String> {
    let (name, default) = match inside.split_once(':') {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Err(
            "between `${` and `}` stands a name of letters, digits and `_`, or `NAME:default`"
                .into(),
        );
    }
    if default.is_some_and(|default| default.starts_with('-')) {
        return Err(format!(
            "the default of `{name}` begins with `-`, as in a shell; write `${{{name}:default}}`"
        ));
    }
    let value = variables.get(name).or(default);
    value.map(str::to_owned).ok_or_else(|| {
        format!("the environment variable {name} is not set; set it, or give a default: `${{{name}:default}}`")
    })
}
