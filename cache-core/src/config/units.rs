//! Spans of time and sizes as people write them.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::terms::Ttl;

const SPAN: &str =
    "a number of seconds, or of `ms`, `s`, `m`, `h` or `d`, such as `10m` or `1h30m`";
const SIZE: &str = "a number of bytes, or of `KiB`, `MiB` or `GiB`, such as `64MiB`";

/// A span of time in a section: `600` (seconds), `10m`, `1h30m`, `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

/// A number of bytes in a section: `1024`, `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanBytes(pub u64);

/// A time to live in a section: a [`HumanDuration`] that is not zero, or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanTtl(pub Ttl);

/// A part of something in a section: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HumanFraction(pub(super) f64);

/// A factor in a section: 0 or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HumanFactor(pub(super) f64);

impl<'de> Deserialize<'de> for HumanFraction {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let part = number(from)?.filter(|part| (0.0..=1.0).contains(part));
        let wrong = || D::Error::custom("expected a number from 0 to 1, such as `0.1`");
        part.map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for HumanFactor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let factor = number(from)?.filter(|factor| *factor >= 0.0 && factor.is_finite());
        let wrong = || D::Error::custom("expected a number that is not negative, such as `1`");
        factor.map(Self).ok_or_else(wrong)
    }
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(from.deserialize_any(Written)?.parse().ok())
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = from.deserialize_any(Written)?;
        let span = span(&text);
        span.map(Self)
            .ok_or_else(|| D::Error::custom(format!("expected {SPAN}")))
    }
}

impl<'de> Deserialize<'de> for HumanBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = from.deserialize_any(Written)?;
        let size = size(&text).filter(|size| *size > 0);
        size.map(Self)
            .ok_or_else(|| D::Error::custom(format!("expected {SIZE}")))
    }
}

impl<'de> Deserialize<'de> for HumanTtl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = from.deserialize_any(Written)?;
        if text == "never" {
            return Ok(Self(Ttl::Never));
        }
        match span(&text) {
            Some(Duration::ZERO) => Err(D::Error::custom(
                "expected more than zero; write `never` for no limit, and use a provider of the kind `null` to keep nothing",
            )),
            Some(span) => Ok(Self(Ttl::After(span))),
            None => Err(D::Error::custom(format!("expected {SPAN}, or `never`"))),
        }
    }
}

/// What is written as one word or number.
struct Written;

impl Visitor<'_> for Written {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one text, such as `10m` or `64MiB`, or a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.trim().to_owned())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

/// A number and the word behind it, and what follows.
fn quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let word = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(word);
    Some((number.parse().ok()?, unit, rest.trim_start()))
}

fn span(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    loop {
        let (number, unit, left) = quantity(rest)?;
        let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3_600),
            "d" => seconds(86_400),
            _ => None,
        };
        total = total.checked_add(part?)?;
        rest = left;
        if rest.is_empty() {
            return Some(total);
        }
    }
}

fn size(text: &str) -> Option<u64> {
    let (number, unit, rest) = quantity(text)?;
    let each: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(each).filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        let seconds = |text| span(text).map(|span| span.as_secs());
        for (text, expected) in [
            ("600", 600),
            ("10m", 600),
            ("1h30m", 5_400),
            ("2 d", 172_800),
            ("1m 5s", 65),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
        for text in [
            "",
            "m",
            "10x",
            "-5",
            "1.5h",
            "10m5",
            "99999999999999999999",
            "999999999999999999d",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(size("1024"), Some(1_024));
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1 GiB"), Some(1 << 30));
        for text in ["", "64MB", "1.5GiB", "64MiB x", "99999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
