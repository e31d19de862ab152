//! The forms in which one value of a route parameter can stand elsewhere.
//!
//! A route does not know the type of its parameters. `/cities/007` and `/cities/7` are one city
//! to a handler that takes a number, and two to one that takes a text; so it is with a UUID in
//! upper and in lower case. Whatever is made invalid, or can be, goes by every form, which hides
//! more, never less.

use std::borrow::Cow;

use cache_core::{KeyPart, KeyWriter, Pattern};

use crate::key;
use crate::percent;

/// In tags: decoded, as handlers see it; as a number; in lower case.
pub(crate) fn in_tag(raw: &str) -> Vec<String> {
    with_equals(decoded(raw).into_owned())
}

/// In paths: as it was sent; as a number; in lower case.
pub(crate) fn in_path(raw: &str) -> Vec<String> {
    with_equals(raw.to_owned())
}

/// In globs over paths.
pub(crate) fn in_path_pattern(raw: &str) -> Vec<String> {
    let forms = in_path(raw).into_iter();
    forms.map(|form| key::path_literal(&form)).collect()
}

/// In globs over the keys of functions: as arguments of each type that it can be read as.
pub(crate) fn in_key_pattern(raw: &str) -> Vec<String> {
    let text = decoded(raw);
    let mut forms = vec![argument(&*text), argument(&text.to_ascii_lowercase())];
    forms.extend(integer(&text).map(|number| argument(&number)));
    forms.extend(text.parse::<f64>().ok().map(|number| argument(&number)));
    forms.extend(text.parse::<bool>().ok().map(|truth| argument(&truth)));
    distinct(forms.into_iter().flatten().collect())
}

/// One form that all of them share: as a number, else in lower case.
pub(crate) fn equal(raw: &str) -> String {
    match integer(&decoded(raw)) {
        Some(number) => number.to_string(),
        None => percent::normalize(raw).to_ascii_lowercase(),
    }
}

fn distinct(forms: Vec<String>) -> Vec<String> {
    let mut seen = Vec::with_capacity(forms.len());
    for form in forms {
        if !seen.contains(&form) {
            seen.push(form);
        }
    }
    seen
}

/// What is not UTF-8 no handler takes as text; it stays as it was sent.
fn decoded(raw: &str) -> Cow<'_, str> {
    percent::decode(raw).unwrap_or(Cow::Borrowed(raw))
}

fn with_equals(text: String) -> Vec<String> {
    let number = integer(&text).map(|number| number.to_string());
    let lower = text.to_ascii_lowercase();
    let mut forms = vec![text];
    forms.extend(number);
    forms.push(lower);
    distinct(forms)
}

fn integer(text: &str) -> Option<i128> {
    text.parse().ok()
}

/// The argument as it stands in a key, where it matches nothing else; `None` if a key cannot
/// contain it.
fn argument<T: KeyPart + ?Sized>(value: &T) -> Option<String> {
    let mut key = KeyWriter::new();
    key.part(value).ok()?;
    Some(Pattern::escape(key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_goes_by_its_value_too() {
        assert_eq!(in_tag("007"), ["007", "7"]);
        assert_eq!(in_tag("7"), ["7"]);
        assert_eq!(in_path("%2B7"), ["%2B7", "%2b7"]);
        assert_eq!(in_tag("%2B7"), ["+7", "7"]);
    }

    #[test]
    fn a_text_goes_by_lower_case_too() {
        assert_eq!(in_tag("0E6F-A1"), ["0E6F-A1", "0e6f-a1"]);
        assert_eq!(in_key_pattern("Ab"), ["Ab", "ab"]);
    }

    #[test]
    fn tags_are_decoded_and_paths_are_not() {
        assert_eq!(in_tag("s%C3%A3o"), ["são"]);
        assert_eq!(in_path("s%C3%A3o"), ["s%C3%A3o", "s%c3%a3o"]);
        assert_eq!(in_tag("%FF")[0], "%FF");
    }

    #[test]
    fn an_argument_is_written_as_functions_write_it() {
        let key = |value: &dyn Fn(&mut KeyWriter)| {
            let mut key = KeyWriter::new();
            value(&mut key);
            Pattern::escape(key.as_str())
        };
        let forms = in_key_pattern("42");
        assert!(forms.contains(&key(&|key| key.part(&42_u64).unwrap())));
        assert!(forms.contains(&key(&|key| key.part("42").unwrap())));
        assert!(forms.contains(&key(&|key| key.part(&42.0).unwrap())));
        let text = in_key_pattern("a*:b");
        assert_eq!(text, [key(&|key| key.part("a*:b").unwrap())]);
        assert!(in_key_pattern("true").contains(&"true".to_owned()));
    }
}
