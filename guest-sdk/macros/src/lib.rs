//! The macros of `wardroom-guest`, which says what they are for and re-exports
//! them. Use them from there.

mod declare;
mod names;

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{DeriveInput, FnArg, ItemFn, Pat, Token, Type, parse_macro_input};

/// See `wardroom_guest::main`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    let made = if arguments.is_empty() { task(item) } else { Err(syn::Error::new(item.sig.ident.span(), "expected no arguments")) };
    made.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// See `wardroom_guest::Params`.
#[proc_macro_derive(Params, attributes(serde))]
pub fn params(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    declare::derive(&item).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn task(mut item: ItemFn) -> syn::Result<proc_macro2::TokenStream> {
    if let Some(wrong) = &item.sig.asyncness {
        return Err(syn::Error::new_spanned(wrong, "a task is a plain function: it may wait, and nothing waits beside it"));
    }
    if !item.sig.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(&item.sig.generics, "a task takes params of known types"));
    }
    let name = item.sig.ident.clone();
    let own = take_arguments(&mut item.sig.inputs)?;
    if let [argument] = own.as_slice()
        && argument.name == "params"
    {
        let kind = &argument.kind;
        return Ok(quote! {
            #item
            ::wardroom_guest::task!(#name);
            ::wardroom_guest::__declare!(#kind);
        });
    }
    let called = format_ident!("__{name}_with_params");
    let fields = own.iter().map(|Argument { attributes, name, kind }| quote!(#(#attributes)* #name: #kind));
    let given = own.iter().map(|argument| &argument.name);
    let output = &item.sig.output;
    Ok(quote! {
        #item

        #[derive(::wardroom_guest::__serde::Deserialize, ::wardroom_guest::Params)]
        #[serde(crate = "::wardroom_guest::__serde")]
        #[doc(hidden)]
        struct __Params {
            #(#fields,)*
        }

        #[doc(hidden)]
        fn #called(params: __Params) #output {
            #name(#(params.#given),*)
        }

        ::wardroom_guest::task!(#called);
        ::wardroom_guest::__declare!(__Params);
    })
}

/// An argument of the function, which becomes a param.
struct Argument {
    attributes: Vec<syn::Attribute>,
    name: syn::Ident,
    kind: Type,
}

/// Takes the attributes off: functions' own arguments have no comments.
fn take_arguments(inputs: &mut Punctuated<FnArg, Token![,]>) -> syn::Result<Vec<Argument>> {
    inputs
        .iter_mut()
        .map(|input| match input {
            FnArg::Typed(argument) => match &*argument.pat {
                Pat::Ident(name) => {
                    Ok(Argument { attributes: std::mem::take(&mut argument.attrs), name: name.ident.clone(), kind: (*argument.ty).clone() })
                }
                other => Err(syn::Error::new_spanned(other, "a param needs a name")),
            },
            FnArg::Receiver(own) => Err(syn::Error::new_spanned(own, "a task is a function of its own, no method")),
        })
        .collect()
}
