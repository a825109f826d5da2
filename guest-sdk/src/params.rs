//! Params as the manifest declares them, told by a type: its fields' names, which
//! of them are required, what their comments say.
//!
//! They are written into the module while it is compiled, as the custom section
//! `wardroom-params`; `wardroom plugin build` puts them into the manifest. So
//! params are checked before the task is called, and people and assistants are
//! told what it takes.

pub use wardroom_guest_macros::Params;

/// A type whose fields are a task's params; derived.
///
/// ```
/// use serde::Deserialize;
/// use wardroom_guest::params::{Params, declared};
///
/// #[derive(Deserialize, Params)]
/// #[serde(rename_all = "kebab-case")]
/// enum Order {
///     Newest,
///     MostRead,
/// }
///
/// #[derive(Deserialize, Params)]
/// struct Query {
///     /// What is looked for.
///     text: String,
///     #[serde(default)]
///     limit: u32,
///     order: Option<Order>,
/// }
///
/// assert_eq!(
///     declared::<Query>(),
///     r#"
/// [params."text"]
/// type = "string"
/// required = true
/// description = "What is looked for."
///
/// [params."limit"]
/// type = "integer"
///
/// [params."order"]
/// type = "enum"
/// values = ["newest", "most-read"]
/// "#
/// );
/// ```
///
/// Text, numbers and booleans are what they are; an enum whose cases carry nothing
/// becomes one of its names, and has to derive `Params`, too; any other type is
/// any JSON. An `Option`, or a field with serde's `default`, need not be given.
pub trait Params {
    /// The declaration as TOML, in pieces.
    const PARTS: &'static [&'static str];
}

/// A type that the manifest has a word for.
pub trait Typed {
    /// The word.
    const TYPE: &'static str;
    /// A line that names an enum's values.
    const VALUES: &'static str = "";
}

macro_rules! typed {
    ($($word:literal: $($kind:ty),+;)+) => { $($(impl Typed for $kind { const TYPE: &'static str = $word; })+)+ };
}

typed! {
    "string": String, char, std::path::PathBuf;
    "integer": u8, u16, u32, u64, usize, i8, i16, i32, i64, isize;
    "number": f32, f64;
    "boolean": bool;
}

/// Asks a type: its own word where it has one, else [`AnyJson`]'s.
#[doc(hidden)]
pub struct Of<T: ?Sized>(std::marker::PhantomData<T>);

/// What stands behind [`Of`]'s own constants, for types that have none.
#[doc(hidden)]
pub trait AnyJson {
    const TYPE: &'static str = "json";
    const VALUES: &'static str = "";
}

impl<T: ?Sized> AnyJson for Of<T> {}

impl<T: Typed> Of<T> {
    /// The word.
    pub const TYPE: &'static str = T::TYPE;
    /// An enum's values.
    pub const VALUES: &'static str = T::VALUES;
}

/// The declaration of a type, whole.
#[must_use]
pub fn declared<P: Params>() -> String {
    P::PARTS.concat()
}

#[doc(hidden)]
#[must_use]
pub const fn length(mut parts: &[&str]) -> usize {
    let mut length = 0;
    while let [part, rest @ ..] = parts {
        length += part.len();
        parts = rest;
    }
    length
}

#[doc(hidden)]
#[must_use]
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where out of bounds is an error of the compiler's")]
pub const fn joined<const N: usize>(mut parts: &[&str]) -> [u8; N] {
    let (mut bytes, mut at) = ([0; N], 0);
    while let [part, rest @ ..] = parts {
        let mut from = part.as_bytes();
        while let [byte, others @ ..] = from {
            bytes[at] = *byte;
            at += 1;
            from = others;
        }
        parts = rest;
    }
    bytes
}

/// Writes a declaration into the module.
#[doc(hidden)]
#[macro_export]
macro_rules! __declare {
    ($params:ty) => {
        const _: () = {
            const LENGTH: usize = $crate::params::length(<$params as $crate::params::Params>::PARTS);
            #[cfg_attr(target_family = "wasm", unsafe(link_section = "wardroom-params"))]
            #[used]
            static DECLARED: [u8; LENGTH] = $crate::params::joined(<$params as $crate::params::Params>::PARTS);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces;

    impl Params for Pieces {
        const PARTS: &'static [&'static str] = &["ab", "", "ü"];
    }

    #[test]
    fn pieces_are_joined_while_compiling() {
        const LENGTH: usize = length(Pieces::PARTS);
        const JOINED: [u8; LENGTH] = joined(Pieces::PARTS);
        assert_eq!(JOINED, *"abü".as_bytes());
        assert_eq!(declared::<Pieces>(), "abü");
    }

    #[test]
    fn a_type_without_a_word_is_any_json() {
        assert_eq!((<Of<String>>::TYPE, <Of<Vec<String>>>::TYPE), ("string", "json"));
    }
}
