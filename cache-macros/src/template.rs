//! Text with placeholders: `"user:{user.id}:{locale}"`.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Index, LitStr, Member};

use crate::errors::{Errors, listed};
use crate::function::Function;

/// A template whose placeholders are known to name arguments.
pub(crate) struct Template {
    pub(crate) literal: LitStr,
    pub(crate) parts: Vec<Part>,
}

pub(crate) enum Part {
    Text(String),
    Value(Placeholder),
}

/// `{argument.field.0}`
pub(crate) struct Placeholder {
    pub(crate) root: Ident,
    pub(crate) members: Vec<Member>,
}

impl Template {
    /// Reads a template; what is wrong with it goes to `errors`.
    pub(crate) fn parse(literal: LitStr, function: &Function, errors: &mut Errors) -> Self {
        let text = literal.value();
        if text.is_empty() {
            errors.at(&literal, "the text is empty");
        }
        let mut parts = Vec::new();
        for piece in pieces(&text) {
            match piece.map(|piece| part(piece, &literal, function)) {
                Ok(Ok(part)) => push(&mut parts, part),
                Ok(Err(message)) | Err(message) => errors.at(&literal, message),
            }
        }
        Self { literal, parts }
    }

    /// The placeholders, in order.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(placeholder) => Some(placeholder),
            Part::Text(_) => None,
        })
    }
}

#[derive(Clone, Copy)]
enum Piece<'t> {
    Text(&'t str),
    Value(&'t str),
}

/// The pieces of a template; reading ends at the first lone brace.
fn pieces(text: &str) -> Vec<Result<Piece<'_>, String>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        pieces.push(Ok(Piece::Text(&rest[..at])));
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            pieces.push(Ok(Piece::Text(&rest[..1])));
            rest = &rest[2..];
        } else if let Some(end) = rest.find('}').filter(|end| *end > 0) {
            pieces.push(Ok(Piece::Value(&rest[1..end])));
            rest = &rest[end + 1..];
        } else {
            let brace = &rest[..1];
            let message = format!("`{brace}` stands alone; write `{brace}{brace}` for a brace");
            pieces.push(Err(message));
            return pieces;
        }
    }
    pieces.push(Ok(Piece::Text(rest)));
    pieces
}

fn part(piece: Piece<'_>, literal: &LitStr, function: &Function) -> Result<Part, String> {
    match piece {
        Piece::Text(text) => Ok(Part::Text(text.into())),
        Piece::Value(source) => placeholder(source, literal.span(), function).map(Part::Value),
    }
}

fn push(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (_, Part::Text(text)) if text.is_empty() => {}
        (Some(Part::Text(before)), Part::Text(text)) => before.push_str(&text),
        (_, part) => parts.push(part),
    }
}

fn placeholder(source: &str, span: Span, function: &Function) -> Result<Placeholder, String> {
    let malformed = || {
        format!(
            "`{{{source}}}` is not a placeholder; write `{{argument}}` or `{{argument.field}}`, \
             and `{{{{` for a brace"
        )
    };
    let mut names = source.split('.').map(str::trim);
    let root = names.next().and_then(identifier).ok_or_else(malformed)?;
    let members = names
        .map(|name| member(name, Span::mixed_site().located_at(span)))
        .collect::<Option<_>>()
        .ok_or_else(malformed)?;
    let root = resolve(&root, source, span, function)?;
    Ok(Placeholder { root, members })
}

fn identifier(name: &str) -> Option<Ident> {
    syn::parse::Parser::parse_str(Ident::parse_any, name).ok()
}

fn member(name: &str, span: Span) -> Option<Member> {
    if let Ok(index) = name.parse() {
        return Some(Member::Unnamed(Index { index, span }));
    }
    if matches!(name, "self" | "Self" | "super" | "crate" | "_") {
        return None;
    }
    let mut field = identifier(name)?;
    // A field that is called like a keyword: `{item.type}`.
    if syn::parse_str::<Ident>(name).is_err() {
        field = Ident::new_raw(name, span);
    }
    field.set_span(span);
    Some(Member::Named(field))
}

/// The argument that is meant, shown at the template's place in the source.
fn resolve(root: &Ident, source: &str, span: Span, function: &Function) -> Result<Ident, String> {
    let mut arguments = function.arguments.iter().map(|argument| &argument.name);
    let found = if root == "self" {
        function.receiver()
    } else {
        arguments.find(|name| name.unraw() == root.unraw()).cloned()
    };
    let mut found = found.ok_or_else(|| unknown(source, function))?;
    found.set_span(span.resolved_at(found.span()));
    Ok(found)
}

fn unknown(source: &str, function: &Function) -> String {
    let mut names: Vec<_> = function.arguments.iter().map(|a| a.name.clone()).collect();
    names.splice(0..0, function.receiver());
    let name = function.name();
    match names.as_slice() {
        [] => format!("`{{{source}}}` names no argument: `{name}` has none"),
        [only] => format!("`{{{source}}}` names no argument of `{name}`; there is `{only}`"),
        several => {
            let names = listed(several);
            format!("`{{{source}}}` names no argument of `{name}`; there are {names}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::{ToTokens, quote};

    fn read(text: &str) -> Result<String, String> {
        let mut errors = Errors::default();
        let item = quote!(
            async fn f(&self, id: u64, user: User) -> u8 {
                1
            }
        );
        let function = Function::parse(item, "cached", &mut errors).unwrap();
        let literal = LitStr::new(text, Span::call_site());
        let template = Template::parse(literal, &function, &mut errors);
        let shown = template.parts.iter().map(show).collect::<Vec<_>>();
        match errors.into_compile_errors() {
            None => Ok(shown.join("|")),
            Some(errors) => Err(errors.to_string()),
        }
    }

    fn show(part: &Part) -> String {
        let Part::Value(placeholder) = part else {
            let Part::Text(text) = part else {
                unreachable!()
            };
            return text.clone();
        };
        let members = placeholder.members.iter().map(|member| match member {
            Member::Named(name) => format!(".{name}"),
            Member::Unnamed(index) => format!(".{}", index.to_token_stream()),
        });
        format!("<{}{}>", placeholder.root, members.collect::<String>())
    }

    #[test]
    fn placeholders_are_told_from_text() {
        assert_eq!(read("user:{id}").unwrap(), "user:|<id>");
        assert_eq!(read("{user.name.0}:x").unwrap(), "<user.name.0>|:x");
        assert_eq!(read("{self.tenant}{id}").unwrap(), "<self.tenant>|<id>");
        assert_eq!(read("a{{{id}}}b").unwrap(), "a{|<id>|}b");
        assert_eq!(read("plain").unwrap(), "plain");
    }

    #[test]
    fn a_placeholder_that_names_no_argument_is_told_which_there_are() {
        let message = read("{user_id}:{id}:{team}").unwrap_err();
        assert_eq!(message.matches("compile_error").count(), 2, "{message}");
        assert!(message.contains("there are `self`, `id` and `user`"));
    }

    #[test]
    fn what_is_no_placeholder_is_refused() {
        for text in [
            "{}",
            "{user.id()}",
            "{id:?}",
            "{user.}",
            "{a-b}",
            "{user.super}",
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains("is not a placeholder"), "{message}");
        }
        for text in ["{id", "id}", "a}b{id}"] {
            let message = read(text).unwrap_err();
            assert!(message.contains("stands alone"), "{message}");
        }
        assert!(read("").unwrap_err().contains("empty"));
    }
}
