//! First stage: the tokens between the attribute's parentheses become named options.

mod given;

pub(crate) use given::Given;

use proc_macro2::{TokenStream, TokenTree};
use syn::Token;
use syn::parse::{ParseStream, Parser};

use crate::errors::{Errors, listed};

/// An option that an attribute knows, and how it is written.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) example: &'static str,
}

/// The options of one attribute, as they were written.
pub(crate) struct Options {
    given: Vec<Given>,
    asked: Vec<&'static str>,
}

impl Options {
    /// Reads options up to the end; after a mistake it goes on behind the next comma.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut given = Vec::new();
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match parse_one(input) {
                    Ok(option) => given.push(option),
                    Err(error) => {
                        errors.push(error);
                        skip_to_comma(input);
                    }
                }
            }
            Ok(())
        };
        let parsed = parser.parse2(tokens);
        errors.keep(parsed);
        let asked = Vec::new();
        Self { given, asked }
    }

    /// Takes the option of that name; a second one is a mistake.
    pub(crate) fn take(&mut self, known: &Known, errors: &mut Errors) -> Option<Given> {
        let mut found = self.take_all(known).into_iter();
        let first = found.next();
        for again in found {
            errors.at(&again.name, format!("`{}` is given twice", known.name));
        }
        first
    }

    /// Takes all options of that name.
    pub(crate) fn take_all(&mut self, known: &Known) -> Vec<Given> {
        self.asked.push(known.name);
        let mut found: Vec<_> = self
            .given
            .extract_if(.., |option| option.name == known.name)
            .collect();
        for option in &mut found {
            option.example = known.example;
        }
        found
    }

    /// Whether no option is left that nobody asked for.
    pub(crate) fn are_all_taken(&self) -> bool {
        self.given.is_empty()
    }

    /// Reports every option that nobody asked for.
    pub(crate) fn reject_rest(self, attribute: &str, errors: &mut Errors) {
        let possible = listed(&self.asked);
        for option in &self.given {
            let message = format!(
                "`{}` is not an option of `#[{attribute}]`; there are {possible}",
                option.name
            );
            errors.at(&option.name, message);
        }
    }
}

fn parse_one(input: ParseStream<'_>) -> syn::Result<Given> {
    let option = input.parse()?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(option)
}

fn skip_to_comma(input: ParseStream<'_>) {
    while let Ok(token) = input.parse::<TokenTree>() {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',') {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    const TTL: Known = Known {
        name: "ttl",
        example: "ttl = 60",
    };

    fn parsed(tokens: TokenStream) -> (Options, Errors) {
        let mut errors = Errors::default();
        (Options::parse(tokens, &mut errors), errors)
    }

    fn messages(errors: Errors) -> String {
        errors.into_compile_errors().unwrap_or_default().to_string()
    }

    #[test]
    fn what_stands_behind_a_mistake_is_still_read() {
        let (mut options, mut errors) = parsed(quote!(ttl = , 5, cache_none, ttl = 60));
        assert!(options.take(&TTL, &mut errors).is_some());
        assert_eq!(options.given.len(), 1, "only `cache_none` is left");
        assert_eq!(messages(errors).matches("compile_error").count(), 2);
    }

    #[test]
    fn an_option_given_twice_is_a_mistake() {
        let (mut options, mut errors) = parsed(quote!(ttl = 1, ttl = 2));
        options.take(&TTL, &mut errors);
        assert!(messages(errors).contains("`ttl` is given twice"));
    }

    #[test]
    fn an_unknown_option_is_told_which_there_are() {
        let (mut options, mut errors) = parsed(quote!(tll = 1));
        options.take(&TTL, &mut errors);
        options.reject_rest("cached", &mut errors);
        let message = messages(errors);
        assert!(message.contains("`tll` is not an option of `#[cached]`; there are `ttl`"));
    }

    #[test]
    fn an_option_in_the_wrong_form_shows_the_right_one() {
        let (mut options, mut errors) = parsed(quote!(ttl(60)));
        let option = options.take(&TTL, &mut errors).unwrap();
        let error = option.string().err().unwrap().to_string();
        assert_eq!(error, "`ttl` is written `ttl = 60`");
    }
}
