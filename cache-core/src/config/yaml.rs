//! YAML, with the line of each value.

use config::{Value, ValueKind};
use saphyr::{MarkedYaml, ScalarStyle, YamlData, YamlLoader};
use saphyr_parser::{Event, Parser, ScanError, SpannedEventReceiver};

use super::wrong::wrong;
use crate::error::{Error, Result};

/// More levels than any configuration has, and fewer than a stack.
const MAX_DEPTH: usize = 64;

/// Reads a text; `name` is what messages call it. Scalars stay as they are written, so that a
/// password `0123` keeps its first digit; who reads them decides what they are.
pub(super) fn parse(name: &str, text: &str) -> Result<Value> {
    let mut documents = load(text).map_err(|(line, what)| refused(name, line, &what))?;
    match (documents.pop(), documents.len()) {
        (None, _) => Ok(Value::new(Some(&at(name, 1)), ValueKind::Nil)),
        (Some(document), 0) => value(name, &document),
        (Some(second), _) => {
            let line = second.span.start.line();
            Err(refused(
                name,
                line,
                "a second document begins here; one is read",
            ))
        }
    }
}

/// The documents of a text, or the line of a mistake and what it is. The parser's own loading calls
/// itself for each level.
fn load(text: &str) -> Result<Vec<MarkedYaml<'_>>, (usize, String)> {
    let not_yaml = |error: &ScanError| {
        let what = format!("this is not YAML: {}", error.info());
        (error.marker().line(), what)
    };
    let mut loader = YamlLoader::default();
    loader.early_parse(false);
    let mut depth: usize = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let what = format!("this is nested deeper than {MAX_DEPTH} levels");
            return Err((span.start.line(), what));
        }
        loader.on_event(event, span);
    }
    match loader.error() {
        Some(error) => Err(not_yaml(error)),
        None => Ok(loader.into_documents()),
    }
}

fn refused(name: &str, line: usize, what: &str) -> Error {
    wrong(Some(&at(name, line)), "", what)
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
