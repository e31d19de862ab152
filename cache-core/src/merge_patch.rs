//! JSON merge patches (RFC 7396), on text: what a patch does not name keeps every digit.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::{Error, ErrorKind, Result};

/// The deepest that a patch may be nested, as deep as `serde_json` reads values.
const MAX_DEPTH: usize = 128;

/// The members of an object. Numbers in them are digits, not floats that would lose some.
type Members = BTreeMap<String, Box<RawValue>>;

/// The object `target`, patched by the object `patch` (RFC 7396, section 2).
///
/// # Errors
///
/// [`ErrorKind::WrongType`] if one of them is no object, or the patch is nested too deep.
pub(crate) fn merge_patch(target: &[u8], patch: &RawValue) -> Result<Bytes> {
    if !is_object(patch) {
        let message = "a patch is a JSON object with the fields to change, such as a struct or a \
                       map; `set` replaces a whole value";
        return Err(Error::new(ErrorKind::WrongType, message));
    }
    let target: &RawValue = serde_json::from_slice(target).map_err(unusable)?;
    if !is_object(target) {
        let message = "the stored value is not a JSON object, has no fields to change, and was \
                       left alone";
        return Err(Error::new(ErrorKind::WrongType, message));
    }
    let merged = merge(Some(target), patch, MAX_DEPTH)?;
    Ok(Bytes::from(String::from(Box::<str>::from(merged))))
}

fn merge(target: Option<&RawValue>, patch: &RawValue, depth: usize) -> Result<Box<RawValue>> {
    if !is_object(patch) {
        return Ok(patch.to_owned());
    }
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    let mut members = match target.filter(|target| is_object(target)) {
        Some(target) => members_of(target)?,
        None => Members::new(),
    };
    for (name, change) in members_of(patch)? {
        let old = members.remove(&name);
        if change.get() != "null" {
            members.insert(name, merge(old.as_deref(), &change, depth)?);
        }
    }
    to_raw_value(&members).map_err(unusable)
}

fn members_of(object: &RawValue) -> Result<Members> {
    serde_json::from_str(object.get()).map_err(unusable)
}

fn is_object(value: &RawValue) -> bool {
    value.get().trim_start().starts_with('{')
}

fn too_deep() -> Error {
    let message = format!("a patch is nested at most {MAX_DEPTH} objects deep");
    Error::new(ErrorKind::WrongType, message)
}

fn unusable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::WrongType, "what is to be merged is not JSON").with_source(error)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn merged(target: &str, patch: &str) -> Result<Value> {
        let patch = RawValue::from_string(patch.to_owned()).unwrap();
        let merged = merge_patch(target.as_bytes(), &patch)?;
        Ok(serde_json::from_slice(&merged).unwrap())
    }

    /// The cases of RFC 7396, appendix A, in which both are objects.
    #[test]
    fn patches_of_objects_do_what_the_rfc_says() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, json!({"a":"c"})),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, json!({"a":"b","b":"c"})),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, json!({})),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, json!({"b":"c"})),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, json!({"a":"c"})),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, json!({"a":["b"]})),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                json!({"a":{"b":"d"}}),
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, json!({"a":[1]})),
            (r#"{"e":null}"#, r#"{"a":1}"#, json!({"e":null,"a":1})),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, json!({"a":{"bb":{}}})),
            (r#"{"a":"foo"}"#, r#"{"a":{"b":1}}"#, json!({"a":{"b":1}})),
        ] {
            assert_eq!(merged(target, patch).unwrap(), result, "{target} {patch}");
        }
    }

    #[test]
    fn what_is_not_named_keeps_every_digit() {
        let patch = RawValue::from_string(r#"{"b":{"y":1}}"#.to_owned()).unwrap();
        let target = br#"{"a":340282366920938463463374607431768211455,"b":{"x":0.1000},"c":1e400}"#;
        let merged = merge_patch(target, &patch).unwrap();
        let expected =
            br#"{"a":340282366920938463463374607431768211455,"b":{"x":0.1000,"y":1},"c":1e400}"#;
        assert_eq!(&merged[..], &expected[..]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (target, patch) in [
            ("1", "{}"),
            ("[]", "{}"),
            ("{}", "[]"),
            ("{}", "null"),
            ("x", "{}"),
        ] {
            let error = merged(target, patch).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongType, "{target} {patch}");
        }
    }

    #[test]
    fn a_patch_that_is_nested_for_ever_is_refused() {
        let deep = |depth| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(merged("{}", &deep(MAX_DEPTH - 1)).is_ok());
        assert!(merged("{}", &deep(200_000)).is_err());
    }
}
