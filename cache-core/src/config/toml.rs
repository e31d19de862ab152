//! TOML, with the line of each value.

use config::{Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::wrong::wrong;
use super::yaml::at;
use crate::error::Result;

/// Reads a text; `name` is what messages call it.
pub(super) fn parse(name: &str, text: &str) -> Result<Value> {
    let document = Document { name, text };
    let parsed = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        // Not the error itself: it shows the line, which may hold a password.
        let what = format!("this is not TOML: {}", error.message());
        wrong(Some(&document.at(start)), "", &what)
    })?;
    let kind = document.table(parsed.get_ref());
    Ok(Value::new(Some(&document.at(0)), kind))
}

struct Document<'a> {
    name: &'a str,
    text: &'a str,
}

impl Document<'_> {
    fn at(&self, byte: usize) -> String {
        let before = self.text.as_bytes().iter().take(byte);
        at(self.name, 1 + before.filter(|byte| **byte == b'\n').count())
    }

    fn table(&self, table: &DeTable<'_>) -> ValueKind {
        let field = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let place = self.at(key.span().start);
            let key: &std::borrow::Cow<'_, str> = key.get_ref();
            (key.to_string(), Value::new(Some(&place), self.kind(value)))
        };
        ValueKind::Table(table.iter().map(field).collect())
    }

    fn kind(&self, value: &Spanned<DeValue<'_>>) -> ValueKind {
        match value.get_ref() {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Integer(number) => ValueKind::String(number.to_string()),
            DeValue::Float(number) => ValueKind::String(number.to_string()),
            DeValue::Boolean(flag) => ValueKind::Boolean(*flag),
            DeValue::Datetime(time) => ValueKind::String(time.to_string()),
            DeValue::Table(table) => self.table(table),
            DeValue::Array(items) => {
                let item = |item: &Spanned<_>| {
                    let place = self.at(item.span().start);
                    Value::new(Some(&place), self.kind(item))
                };
                ValueKind::Array(items.iter().map(item).collect())
            }
        }
    }
}
