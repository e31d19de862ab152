//! The body that `#[cached]` gives a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::{body, names, ours_at, writing};
use crate::function::Function;
use crate::model::{Arguments, Cached, Place, Ttl};

/// Looks for the value, and runs the body through the cache if it is not there.
///
/// What is evaluated of the options is evaluated before the arguments move into the body; time
/// to live and tags only when the value was not in memory.
pub(crate) fn cached(model: &Cached, function: &Function) -> TokenStream {
    let span = blamed(model, function);
    let private = model.place.private(span);
    let handle = model.place.handle();
    let identity = identity(model, function, &private);
    let outcome = names::outcome(span);
    let find_outcome = find_outcome(model, function, &private);
    let write = writing::closure(&key(model));
    let (start, call) = (names::start(span), names::call(span));
    let result = &function.result;
    let options = options(model, span);
    let future = body::future(function);
    let statements = quote_spanned! {span=>
        #find_outcome
        let #start = #private::start::<#result, _>(#handle, #identity, #outcome, #write);
        let #call = match #start {
            #private::Start::Hit(#outcome) => return #outcome,
            #private::Start::Load(#call) => #call,
        };
        #options
        #private::boxed(#call.run(#future)).await
    };
    body::around(function, &private, &statements)
}

/// Where to show that a result cannot be stored. All statements whose types depend on that are
/// shown at this one place, so that the compiler says it once.
fn blamed(model: &Cached, function: &Function) -> Span {
    ours_at(match &model.cache_none {
        Some(option) => option.span(),
        None => function.result.span(),
    })
}

/// Finds out by the type of the result what is stored of it, and demands that it can be stored.
fn find_outcome(model: &Cached, function: &Function, private: &TokenStream) -> TokenStream {
    let span = blamed(model, function);
    let (kind, outcome) = (names::kind(span), names::outcome(span));
    // The compiler's choice between impls does not look at lifetimes.
    let probe = if function.errors_may_borrow() {
        quote!(cache_kind_with_own_errors)
    } else {
        quote!(cache_kind)
    };
    let demand = match &model.cache_none {
        Some(_) => quote!(with_none),
        None => quote!(cacheable),
    };
    let result = &function.result;
    quote_spanned! {span=>
        let #kind = #private::Kind::<#result>::new();
        let #outcome = {
            use #private::probe::*;
            (&&&&&#kind).#probe()
        };
        let #outcome = {
            use #private::#demand as check;
            check::<#result, _>(#outcome)
        };
    }
}

fn identity(model: &Cached, function: &Function, private: &TokenStream) -> TokenStream {
    let name = function.name().to_string();
    let prefix = optional(model.key_prefix.as_ref().map(ToTokens::to_token_stream));
    let self_type = function
        .knows_self_type()
        .then(|| quote!(#private::type_name::<Self>()));
    let self_type = optional(self_type);
    let path = path(model, function, private);
    let code = function.fingerprint();
    let types = types(model, private);
    let is_template = matches!(model.arguments, Arguments::Template(_));
    quote! {{
        static IDENTITY: #private::Memo = #private::Memo::new();
        IDENTITY.of(&#private::Site {
            module: ::core::module_path!(),
            function: #name,
            key_prefix: #prefix,
            path: #path,
            code: #code,
            self_type: #self_type,
            types: &[#types],
            template: #is_template,
        })
    }}
}

fn optional(tokens: Option<TokenStream>) -> TokenStream {
    match tokens {
        Some(tokens) => quote!(::core::option::Option::Some(#tokens)),
        None => quote!(::core::option::Option::None),
    }
}

/// A closure has the generic arguments of all that is around it, a function has none. So a
/// closure's name tells instances apart, even by the parameters of an `impl` that the macro does
/// not see. Only where some parameters must not count, those that do are listed instead; and then
/// only if the function is known to stand in no `impl` whose parameters nobody lists.
fn path(model: &Cached, function: &Function, private: &TokenStream) -> TokenStream {
    let full = quote!(#private::type_name_of_val(&|| {}));
    if !model.types.some_are_skipped || !model.types.constants.is_empty() {
        return full;
    }
    let knows_self = function.knows_self_type();
    quote!({
        fn here() {}
        let plain = #private::type_name_of_val(&here);
        #private::path(#knows_self, ::core::module_path!(), plain, #full)
    })
}

fn types(model: &Cached, private: &TokenStream) -> TokenStream {
    let (parameters, unnamed) = (&model.types.parameters, &model.types.unnamed);
    quote! {
        #(#private::type_name::<#parameters>(),)*
        #(#private::type_name_of_val(&#unnamed),)*
    }
}

fn key(model: &Cached) -> TokenStream {
    match &model.arguments {
        Arguments::Template(template) => writing::template(&model.place, &template.parts),
        Arguments::Each(names) => {
            let constants = writing::arguments(&model.place, &model.types.constants);
            let arguments = writing::arguments(&model.place, names);
            quote!(#constants #arguments)
        }
    }
}

fn options(model: &Cached, span: Span) -> TokenStream {
    let call = names::call(span);
    let ttl = model.ttl.as_ref().map(|ttl| {
        let ttl = duration(ttl, &model.place);
        quote_spanned!(span=> let #call = #call.ttl(#ttl);)
    });
    let tags = model.tags.iter().map(|tag| {
        let write = writing::closure(&writing::template(&model.place, &tag.parts));
        quote_spanned!(span=> let #call = #call.tag(#write);)
    });
    quote!(#ttl #(#tags)*)
}

fn duration(ttl: &Ttl, place: &Place) -> TokenStream {
    match ttl {
        Ttl::Seconds(seconds) => {
            let private = place.private(Span::mixed_site());
            quote!(#private::Duration::from_secs(#seconds))
        }
        Ttl::Arithmetic(expression) => {
            let span = ours_at(expression.span());
            let private = place.private(span);
            quote_spanned! {span=> { const SECONDS: u64 = #expression; #private::Duration::from_secs(SECONDS) } }
        }
        Ttl::Duration(expression) => {
            let span = ours_at(expression.span());
            let private = place.private(span);
            quote_spanned! {span=> { let ttl: #private::Duration = #expression; ttl } }
        }
    }
}
