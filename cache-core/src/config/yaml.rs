//! YAML, with the line of each value.

use config::{Value, ValueKind};
use saphyr::{MarkedYaml, ScalarStyle, YamlData, YamlLoader};
use saphyr_parser::Parser;

use super::wrong::wrong;
use crate::error::Result;

/// Reads a text; `name` is what messages call it. Scalars stay as they are written, so that a
/// password `0123` keeps its first digit; who reads them decides what they are.
pub(super) fn parse(name: &str, text: &str) -> Result<Value> {
    let refused = |line: usize, what: &str| wrong(Some(&at(name, line)), "", what);
    let mut loader = YamlLoader::<MarkedYaml>::default();
    loader.early_parse(false);
    let scanned = Parser::new_from_str(text).load(&mut loader, true);
    let scanned = scanned.and_then(|()| loader.error().cloned().map_or(Ok(()), Err));
    if let Err(error) = scanned {
        let what = format!("this is not YAML: {}", error.info());
        return Err(refused(error.marker().line(), &what));
    }
    let mut documents = loader.into_documents();
    match (documents.pop(), documents.len()) {
        (None, _) => Ok(Value::new(Some(&at(name, 1)), ValueKind::Nil)),
        (Some(document), 0) => value(name, &document),
        (Some(second), _) => {
            let line = second.span.start.line();
            Err(refused(line, "a second document begins here; one is read"))
        }
    }
}

/// The name of a place, as messages have it.
pub(super) fn at(name: &str, line: usize) -> String {
    format!("{name}, line {line}")
}

fn value(name: &str, node: &MarkedYaml<'_>) -> Result<Value> {
    let place = at(name, node.span.start.line());
    let kind = match &node.data {
        YamlData::Representation(text, style, _) => scalar(text, *style),
        YamlData::Sequence(items) => {
            let items = items.iter().map(|item| value(name, item));
            ValueKind::Array(items.collect::<Result<_>>()?)
        }
        YamlData::Mapping(fields) => {
            let fields = fields.iter().map(|(key, node)| field(name, key, node));
            ValueKind::Table(fields.collect::<Result<_>>()?)
        }
        YamlData::Tagged(_, inner) => return value(name, inner),
        _ => {
            let what = "this cannot be read; expected a text, a list, or fields";
            return Err(wrong(Some(&place), "", what));
        }
    };
    Ok(Value::new(Some(&place), kind))
}

fn field(name: &str, key: &MarkedYaml<'_>, node: &MarkedYaml<'_>) -> Result<(String, Value)> {
    let place = at(name, key.span.start.line());
    let YamlData::Representation(text, ..) = &key.data else {
        return Err(wrong(Some(&place), "", "the name of a field is a text"));
    };
    let kind = match &node.data {
        // The null provider, which nobody should have to quote. An empty `kind:` stays a mistake.
        YamlData::Representation(word, ScalarStyle::Plain, _)
            if text == "kind" && word == "null" =>
        {
            ValueKind::String("null".into())
        }
        _ => value(name, node)?.kind,
    };
    Ok((text.to_string(), Value::new(Some(&place), kind)))
}

fn scalar(text: &str, style: ScalarStyle) -> ValueKind {
    let plain = matches!(style, ScalarStyle::Plain);
    match text {
        "" | "~" | "null" | "Null" | "NULL" if plain => ValueKind::Nil,
        text => ValueKind::String(text.to_owned()),
    }
}
