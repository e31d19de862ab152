//! The names that a function's arguments have in its body.

use proc_macro2::Ident;
use syn::visit::Visit;
use syn::{FnArg, PatIdent, PatType, Signature, Type};

/// A name in the body that an argument is bound to.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

pub(super) fn arguments_of(signature: &Signature) -> Vec<Argument> {
    let typed = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    typed.flat_map(bindings).collect()
}

/// What a pattern leaves unnamed is unknown to the body too, so it cannot change its result.
fn bindings(argument: &PatType) -> Vec<Argument> {
    let mut names = Names(Vec::new());
    names.visit_pat(&argument.pat);
    let ty = &*argument.ty;
    let bound = names.0.into_iter().map(|name| Argument {
        name,
        ty: ty.clone(),
    });
    bound.collect()
}

struct Names(Vec<Ident>);

impl<'ast> Visit<'ast> for Names {
    fn visit_pat_ident(&mut self, binding: &'ast PatIdent) {
        self.0.push(binding.ident.clone());
        syn::visit::visit_pat_ident(self, binding);
    }
}
