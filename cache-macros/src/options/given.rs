//! One option: its name, and its value in the form that is asked for.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, LitStr, Path, Token, parenthesized, token};

/// One option as it was written.
pub(crate) struct Given {
    pub(super) name: Ident,
    value: Value,
    pub(super) example: &'static str,
}

enum Value {
    Flag,
    Assigned(Expr),
    List(TokenStream),
}

impl Given {
    /// The option's name, to point at in messages.
    pub(crate) fn name(&self) -> &Ident {
        &self.name
    }

    /// `name = expression`
    pub(crate) fn expression(&self) -> syn::Result<&Expr> {
        match &self.value {
            Value::Assigned(expression) => Ok(bare(expression)),
            _ => Err(self.misused(&self.name)),
        }
    }

    /// `name = "text"`
    pub(crate) fn string(&self) -> syn::Result<LitStr> {
        let expression = self.expression()?;
        as_string(expression).ok_or_else(|| self.misused(expression))
    }

    /// `name = ["text", "text"]`, or one text without the brackets.
    pub(crate) fn strings(&self) -> syn::Result<Vec<LitStr>> {
        let expression = self.expression()?;
        let strings = match expression {
            Expr::Array(array) => array.elems.iter().map(as_string).collect(),
            single => as_string(single).map(|string| vec![string]),
        };
        strings.ok_or_else(|| self.misused(expression))
    }

    /// `name`, `name = true` or `name = false`
    pub(crate) fn flag(&self) -> syn::Result<bool> {
        match &self.value {
            Value::Flag => Ok(true),
            Value::Assigned(expression) => {
                as_bool(expression).ok_or_else(|| self.misused(expression))
            }
            Value::List(_) => Err(self.misused(&self.name)),
        }
    }

    /// `name(first, second)`
    pub(crate) fn names(&self) -> syn::Result<Vec<Ident>> {
        let Value::List(tokens) = &self.value else {
            return Err(self.misused(&self.name));
        };
        let parser = |input: ParseStream<'_>| {
            Punctuated::<Ident, Token![,]>::parse_terminated_with(input, Ident::parse_any)
        };
        let names = parser
            .parse2(tokens.clone())
            .map_err(|error| syn::Error::new(error.span(), self.misused(&self.name)))?;
        if names.is_empty() {
            return Err(self.misused(&self.name));
        }
        Ok(names.into_iter().collect())
    }

    /// `name = some::path`
    pub(crate) fn path(&self) -> syn::Result<Path> {
        match self.expression()? {
            Expr::Path(path) if path.qself.is_none() => Ok(path.path.clone()),
            other => Err(self.misused(other)),
        }
    }

    /// The mistake of an option that is not written as it should be.
    pub(crate) fn misused(&self, tokens: impl ToTokens) -> syn::Error {
        let message = format!("`{}` is written `{}`", self.name, self.example);
        syn::Error::new_spanned(tokens, message)
    }
}

impl Parse for Given {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = Ident::parse_any(input)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Assigned(input.parse()?)
        } else if input.peek(token::Paren) {
            let list;
            parenthesized!(list in input);
            Value::List(list.parse()?)
        } else {
            Value::Flag
        };
        let example = "";
        Ok(Self {
            name,
            value,
            example,
        })
    }
}

/// The expression without the invisible group that a `macro_rules!` fragment comes in.
fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Group(group) => bare(&group.expr),
        other => other,
    }
}

fn as_string(expression: &Expr) -> Option<LitStr> {
    match bare(expression) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        }) => Some(literal.clone()),
        _ => None,
    }
}

fn as_bool(expression: &Expr) -> Option<bool> {
    match bare(expression) {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(literal),
            ..
        }) => Some(literal.value),
        _ => None,
    }
}
