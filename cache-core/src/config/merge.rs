//! One source of settings, laid over those before it.

use config::{Value, ValueKind};

/// Lays `above` over `below`, field by field; lists are replaced. The crate's own way would take
/// names of fields for paths, drop empty sections, and forget where a section stands.
pub(super) fn merge(below: &mut Value, above: Value) {
    let fields = match &mut below.kind {
        ValueKind::Table(fields) if !fields.is_empty() => fields,
        _ => {
            *below = above;
            return;
        }
    };
    match above.kind {
        ValueKind::Table(above) => {
            for (name, value) in above {
                merge(fields.entry(name).or_default(), value);
            }
        }
        ValueKind::Nil => {}
        _ => *below = above,
    }
}
