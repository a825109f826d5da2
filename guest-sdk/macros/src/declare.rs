//! The derive of `Params`: what a type's fields are called and mean, in the pieces
//! of TOML that the manifest has for params. What a field's type is, the compiler
//! finds out: a macro sees its name alone.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Data, DeriveInput, Expr, Field, Fields, Lit, LitStr, Meta, Type};

use crate::names::{renamed, toml_string};

pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(&item.generics, "params are of known types"));
    }
    match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => of_struct(item, fields.named.iter()),
            _ => Err(syn::Error::new_spanned(item, "params have names: expected a struct with named fields")),
        },
        Data::Enum(data) => of_enum(item, data),
        Data::Union(_) => Err(syn::Error::new_spanned(item, "expected a struct or an enum")),
    }
}

fn of_struct<'a>(item: &DeriveInput, fields: impl Iterator<Item = &'a Field>) -> syn::Result<TokenStream> {
    let container = Serde::read(&item.attrs)?;
    let mut parts = Vec::new();
    for field in fields {
        let own = Serde::read(&field.attrs)?;
        if !own.skipped {
            parts.push(param(field, &own, &container)?);
        }
    }
    let name = &item.ident;
    Ok(quote! {
        impl ::wardroom_guest::params::Params for #name {
            const PARTS: &'static [&'static str] = {
                #[allow(unused_imports, reason = "for types that say nothing themselves")]
                use ::wardroom_guest::params::{AnyJson as _, Of};
                &[#(#parts),*]
            };
        }
    })
}

/// The pieces of one param's table.
fn param(field: &Field, own: &Serde, container: &Serde) -> syn::Result<TokenStream> {
    let ident = field.ident.as_ref().map(|ident| ident.to_string()).unwrap_or_default();
    let ident = ident.strip_prefix("r#").unwrap_or(&ident);
    let name = match &own.rename {
        Some(name) => name.clone(),
        None => renamed(ident, container.rename_all.as_deref()).ok_or_else(|| syn::Error::new_spanned(field, "an unknown `rename_all`"))?,
    };
    let (kind, optional) = match inside_option(&field.ty) {
        Some(inside) => (inside, true),
        None => (&field.ty, false),
    };
    let head = format!("\n[params.{}]\ntype = \"", toml_string(&name));
    let mut tail = String::from("\"\n");
    if !(optional || own.default || container.default) {
        tail.push_str("required = true\n");
    }
    let docs = docs(&field.attrs);
    if !docs.is_empty() {
        tail.push_str(&format!("description = {}\n", toml_string(&docs)));
    }
    if own.converted {
        return Ok(quote!(#head, "json", #tail));
    }
    Ok(quote!(#head, <Of<#kind>>::TYPE, #tail, <Of<#kind>>::VALUES))
}

fn of_enum(item: &DeriveInput, data: &syn::DataEnum) -> syn::Result<TokenStream> {
    let container = Serde::read(&item.attrs)?;
    let mut values = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(syn::Error::new_spanned(variant, "a param's enum has cases that carry nothing"));
        }
        let own = Serde::read(&variant.attrs)?;
        let name = own.rename.or_else(|| renamed(&variant.ident.to_string(), container.rename_all.as_deref()));
        let name = name.ok_or_else(|| syn::Error::new_spanned(variant, "an unknown `rename_all`"))?;
        if !own.skipped {
            values.push(toml_string(&name));
        }
    }
    let (name, values) = (&item.ident, format!("values = [{}]\n", values.join(", ")));
    Ok(quote! {
        impl ::wardroom_guest::params::Typed for #name {
            const TYPE: &'static str = "enum";
            const VALUES: &'static str = #values;
        }
    })
}

/// The `T` of what is written as an `Option<T>`: what serde takes for one, too.
fn inside_option(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        syn::GenericArgument::Type(inside) => Some(inside),
        _ => None,
    }
}

/// The comment, its lines joined.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(text) => match &text.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// What serde is told that a declaration has to know.
#[derive(Default)]
struct Serde {
    rename: Option<String>,
    rename_all: Option<String>,
    default: bool,
    skipped: bool,
    /// Read by a function of its own: any JSON may be meant.
    converted: bool,
}

impl Serde {
    fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut serde = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| serde.take(&meta))?;
        }
        Ok(serde)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match word.as_str() {
            "rename" => self.rename = Some(read_name(meta)?),
            "rename_all" => self.rename_all = Some(read_name(meta)?),
            "default" => {
                self.default = true;
                if meta.input.peek(syn::Token![=]) {
                    drop(meta.value()?.parse::<LitStr>()?);
                }
            }
            "skip" | "skip_deserializing" => self.skipped = true,
            "with" | "deserialize_with" => {
                self.converted = true;
                drop(meta.value()?.parse::<LitStr>()?);
            }
            // What they make of a type is not declared field by field.
            "flatten" | "tag" | "content" | "untagged" | "transparent" | "from" | "try_from" | "remote" => {
                return Err(meta.error(format!("params with serde's `{word}` cannot be declared: take them apart, or use `task!`")));
            }
            _ if meta.input.peek(syn::Token![=]) => drop(meta.value()?.parse::<Expr>()?),
            _ if meta.input.peek(syn::token::Paren) => drop(meta.input.parse::<proc_macro2::Group>()?),
            _ => {}
        }
        Ok(())
    }
}

/// `= "x"`, or `(deserialize = "x", …)`.
fn read_name(meta: &ParseNestedMeta<'_>) -> syn::Result<String> {
    if meta.input.peek(syn::Token![=]) {
        return Ok(meta.value()?.parse::<LitStr>()?.value());
    }
    let mut name = None;
    meta.parse_nested_meta(|inner| {
        let text = inner.value()?.parse::<LitStr>()?.value();
        if inner.path.is_ident("deserialize") {
            name = Some(text);
        }
        Ok(())
    })?;
    name.ok_or_else(|| meta.error("expected a name to read it by"))
}
