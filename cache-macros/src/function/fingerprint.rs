//! A number that stands for a function's code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A hash of tokens (FNV-1a, 64 bit). White space and comments are no tokens, so that formatting
/// a file changes nothing; doc comments are.
///
/// It is worked out token by token: how a stream prints is up to the compiler.
pub(super) fn of(tokens: TokenStream) -> u64 {
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    hash.stream(tokens);
    hash.0
}

struct Hash(u64);

impl Hash {
    fn stream(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let (open, close) = delimiters(group.delimiter());
                    self.word(open);
                    self.stream(group.stream());
                    self.word(close);
                }
                TokenTree::Ident(ident) => self.word(&ident.to_string()),
                TokenTree::Punct(punct) => self.word(punct.as_char().encode_utf8(&mut [0; 4])),
                TokenTree::Literal(literal) => self.word(&literal.to_string()),
            }
        }
    }

    /// Adds a token and its end, which no UTF-8 text contains.
    fn word(&mut self, word: &str) {
        for byte in word.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn delimiters(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        // Put around what a `macro_rules!` variable stands for, by some compilers.
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(code: &str) -> u64 {
        of(code.parse().unwrap())
    }

    #[test]
    fn formatting_and_comments_do_not_count() {
        let plain = "fn f(id: u64) -> u64 { g(id) + 1 }";
        let other = "fn f( id : u64 )\n  -> u64 {\n // a comment\n g( id )+1 /* more */ }";
        assert_eq!(hash(plain), hash(other));
    }

    #[test]
    fn every_token_and_its_place_counts() {
        let codes = [
            "f(a b)",
            "f(ab)",
            "f(b a)",
            "f[a b]",
            "f(a) b",
            "f(a \"b\")",
            "f a b",
        ];
        let hashes: std::collections::HashSet<_> = codes.map(hash).into();
        assert_eq!(hashes.len(), codes.len());
    }

    #[test]
    fn the_hash_is_the_same_on_every_machine() {
        assert_eq!(hash("a"), 0x089b_c907_b544_c769);
    }
}
