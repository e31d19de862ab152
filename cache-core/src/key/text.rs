//! Text in a key: escaped, and never read as anything but text.

use super::buffer::KeyBuffer;

impl KeyBuffer {
    /// Adds text that came from outside, so that it reads as nothing else.
    pub(super) fn push_text(&mut self, text: &str) {
        match text.as_bytes() {
            [] => self.push_str("\"\""),
            [first, ..] if reads_as_scalar(text) => {
                self.push_escape(*first);
                self.push_str(&text[1..]);
            }
            _ => self.push_escaped(text),
        }
    }

    /// Adds bytes as hexadecimal digits.
    pub(super) fn push_hex(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push_digits(byte, b"0123456789abcdef");
        }
    }

    fn push_escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(plain) = rest.bytes().position(is_special) {
            self.push_str(&rest[..plain]);
            self.push_escape(rest.as_bytes()[plain]);
            rest = &rest[plain + 1..];
        }
        self.push_str(rest);
    }

    fn push_escape(&mut self, byte: u8) {
        self.push_str("%");
        self.push_digits(byte, b"0123456789ABCDEF");
    }

    fn push_digits(&mut self, byte: u8, digits: &[u8; 16]) {
        for digit in [byte >> 4, byte & 0xf] {
            let digit = char::from(digits[usize::from(digit)]);
            self.push_str(digit.encode_utf8(&mut [0; 1]));
        }
    }
}

/// Whether a byte structures keys or patterns, or cannot be seen. All of them are ASCII, so
/// text can be cut around them.
fn is_special(byte: u8) -> bool {
    byte.is_ascii_control() || b"%:,()=<>!~\"*?[]^\\{}".contains(&byte)
}

/// Whether the text is what a number or a `bool` is written as.
fn reads_as_scalar(text: &str) -> bool {
    text == "true" || text == "false" || reads_as_number(text)
}

/// `-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?`
fn reads_as_number(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix('-').unwrap_or(exponent);
    [whole, fraction, exponent].into_iter().all(is_digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        let mut buffer = KeyBuffer::new();
        buffer.push_text(text);
        buffer.as_str().to_owned()
    }

    #[test]
    fn plain_text_stays_as_it_is_typed() {
        for plain in ["anna@example.org", "2026-11-20", "1.2.3", "São Paulo", "e"] {
            assert_eq!(text(plain), plain);
        }
    }

    #[test]
    fn what_structures_keys_and_patterns_is_escaped() {
        assert_eq!(text("a:b,{c}*\n"), "a%3Ab%2C%7Bc%7D%2A%0A");
        assert_eq!(text("100%"), "100%25");
    }

    #[test]
    fn text_that_reads_as_a_scalar_is_marked() {
        for (scalar, marked) in [
            ("1", "%31"),
            ("-1", "%2D1"),
            ("1.5", "%31.5"),
            ("2e-7", "%32e-7"),
            ("true", "%74rue"),
            ("", "\"\""),
        ] {
            assert_eq!(text(scalar), marked);
        }
    }
}
