//! The annotated function, as far as the attributes have to understand it.

mod arguments;
mod fingerprint;
mod result;

pub(crate) use arguments::Argument;
pub(crate) use result::Style;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Block, Expr, GenericParam, ImplItemFn, Item, ReturnType, Signature, Stmt, TraitItemFn, Type,
};

use crate::errors::Errors;

/// A function or method with a body that gives a future.
pub(crate) struct Function {
    item: ImplItemFn,
    /// Every name that the arguments bring into the body, in order.
    pub(crate) arguments: Vec<Argument>,
    /// The type of the value that the function's future gives.
    pub(crate) result: Type,
    pub(crate) style: Style,
}

impl Function {
    /// Understands the item, or says why it cannot carry the attribute.
    pub(crate) fn parse(item: TokenStream, attribute: &str, errors: &mut Errors) -> Option<Self> {
        let item = errors.keep(parse_item(item, attribute))?;
        let (result, style) = errors.keep(result_of(&item.sig, attribute))?;
        Some(Self {
            arguments: arguments::arguments_of(&item.sig),
            result,
            style,
            item,
        })
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.item.sig.ident
    }

    /// `self`, if the function is a method.
    pub(crate) fn receiver(&self) -> Option<Ident> {
        let receiver = self.item.sig.receiver()?;
        Some(Ident::new("self", receiver.self_token.span))
    }

    /// Whether the function shows that it stands in an `impl` or a trait.
    pub(crate) fn knows_self_type(&self) -> bool {
        self.receiver().is_some() || mentions(&self.item.sig, "Self")
    }

    /// A number that stands for signature and body: what it computes has changed only if this has,
    /// or what it calls.
    pub(crate) fn fingerprint(&self) -> u64 {
        let (signature, body) = (&self.item.sig, &self.item.block);
        fingerprint::of(quote!(#signature #body))
    }

    /// What the function says about its result's type, to point at in messages.
    pub(crate) fn declared_output(&self) -> &ReturnType {
        &self.item.sig.output
    }

    /// The type and const parameters of the function itself.
    pub(crate) fn generics(&self) -> impl Iterator<Item = &GenericParam> {
        let params = self.item.sig.generics.params.iter();
        params.filter(|param| !matches!(param, GenericParam::Lifetime(_)))
    }

    /// Whether an error of this function may hold references, as far as its result's type tells.
    pub(crate) fn errors_may_borrow(&self) -> bool {
        let mut parameters = self.generics().filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(parameter.ident.to_string()),
            _ => None,
        });
        result::borrows(&self.result) || parameters.any(|name| mentions(&self.result, &name))
    }

    pub(crate) fn statements(&self) -> &[Stmt] {
        &self.item.block.stmts
    }

    /// The function with other statements in its body; all else is kept.
    pub(crate) fn with_body(&self, statements: TokenStream) -> TokenStream {
        let mut item = self.item.clone();
        item.block = Block {
            brace_token: item.block.brace_token,
            stmts: vec![Stmt::Expr(Expr::Verbatim(statements), None)],
        };
        item.into_token_stream()
    }
}

/// Whether an identifier occurs anywhere in the tokens.
pub(crate) fn mentions(tokens: &impl ToTokens, name: &str) -> bool {
    fn any(tokens: TokenStream, name: &str) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == name,
            TokenTree::Group(group) => any(group.stream(), name),
            _ => false,
        })
    }
    any(tokens.to_token_stream(), name)
}

fn parse_item(item: TokenStream, attribute: &str) -> syn::Result<ImplItemFn> {
    // A method's grammar is a free function's, and a little more.
    syn::parse2::<ImplItemFn>(item.clone()).map_err(|error| {
        if let Ok(declared) = syn::parse2::<TraitItemFn>(item.clone()) {
            let message = format!(
                "`{}` has no body here; put `#[{attribute}]` on the function in the `impl`",
                declared.sig.ident
            );
            return syn::Error::new_spanned(declared.sig, message);
        }
        match syn::parse2::<Item>(item.clone()) {
            Ok(_) => syn::Error::new_spanned(item, placement(attribute)),
            Err(_) => error,
        }
    })
}

fn result_of(signature: &Signature, attribute: &str) -> syn::Result<(Type, Style)> {
    result::result_of(signature)
        .ok_or_else(|| syn::Error::new_spanned(signature.fn_token, placement(attribute)))
}

fn placement(attribute: &str) -> String {
    format!(
        "`#[{attribute}]` goes on an `async fn`, or on a function that returns \
         `impl Future<Output = …>`, `Pin<Box<dyn Future<Output = …>>>` or `BoxFuture<…>`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(item: TokenStream) -> Result<Function, String> {
        let mut errors = Errors::default();
        let function = Function::parse(item, "cached", &mut errors);
        function.ok_or_else(|| errors.into_compile_errors().unwrap().to_string())
    }

    #[test]
    fn every_name_that_a_pattern_binds_is_an_argument() {
        let function = parsed(quote! {
            async fn f(&self, a: u8, Path((b, mut c)): Path<(u8, u8)>, User { d, e: f, .. }: User,
                _: u8, g @ _: u8) -> u8 { 1 }
        });
        let names: Vec<_> = function
            .unwrap()
            .arguments
            .iter()
            .map(|argument| argument.name.to_string())
            .collect();
        assert_eq!(names, ["a", "b", "c", "d", "f", "g"]);
    }

    #[test]
    fn the_result_is_found_in_every_form_of_a_future() {
        for (item, style) in [
            (
                quote!(
                    async fn f() -> R<u8> {
                        x
                    }
                ),
                Style::Async,
            ),
            (
                quote!(
                    fn f() -> impl Future<Output = R<u8>> + Send {
                        x
                    }
                ),
                Style::Future,
            ),
            (
                quote!(
                    fn f<'a>()
                    -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = R<u8>> + Send + 'a>>
                    {
                        x
                    }
                ),
                Style::Boxed,
            ),
            (
                quote!(
                    fn f() -> BoxFuture<'_, R<u8>> {
                        x
                    }
                ),
                Style::Boxed,
            ),
        ] {
            let function = parsed(item).unwrap();
            assert_eq!(function.style, style);
            assert_eq!(function.result.to_token_stream().to_string(), "R < u8 >");
        }
    }

    #[test]
    fn what_cannot_be_awaited_is_refused_with_what_can() {
        for item in [
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            quote!(
                struct F;
            ),
            quote!(
                fn f() -> Pin<u8> {
                    1
                }
            ),
        ] {
            let message = parsed(item).err().unwrap();
            assert!(message.contains("goes on an `async fn`"), "{message}");
        }
        let message = parsed(quote!(
            async fn f() -> u8;
        ))
        .err()
        .unwrap();
        assert!(message.contains("has no body here"), "{message}");
    }
}
