//! The one conversion between JSON and the typed values of components.
//!
//! Owns: which JSON stands for which WIT value (the table in `wit/README.md`),
//! in both directions, and the JSON Schema that says the same to callers. All
//! three follow one another: a schema accepts exactly what [`from_json()`]
//! accepts, and what [`to_json()`] writes reads back as the same value.
//!
//! Must never: run a guest, keep a value, or depend on the rest of this crate.
//!
//! Both sides are hostile here. A component chooses its types, so every walk
//! over a type is bounded ([`MAX_TYPE_DEPTH`], [`MAX_TYPE_WEIGHT`]); a caller
//! chooses the JSON, so what it may occupy is bounded ([`MAX_VALUE_BYTES`]);
//! a guest chooses its result, so the JSON text of it is bounded by the caller
//! of [`to_json`].
//!
//! Look next at `shape.rs` (a type, checked and spelled out once), then at
//! `schema.rs`, `from_json.rs` and `to_json.rs`, which walk shapes, and at
//! `text.rs` (names, patterns and words that these share).

mod from_json;
mod schema;
mod shape;
mod text;
mod to_json;

use std::fmt;

pub use from_json::{arguments, from_json};
pub use schema::{failure_schema, params_schema, result_schema, schema, supported};
pub use to_json::{Outcome, outcome, to_json};

/// How many types deep a type may nest, itself included.
///
/// Bounds every recursion of this module. A level takes at most four levels of
/// its schema's JSON, so that a schema stays below the 128 levels that common
/// JSON parsers read.
pub const MAX_TYPE_DEPTH: usize = 24;

/// How large a whole type may be: 16 for every type in it plus the bytes of
/// every name, counted as often as they would appear in the schema.
///
/// A few hundred bytes of component can describe a type of a million parts by
/// using one type many times; its schema would fill the memory of the host.
pub const MAX_TYPE_WEIGHT: usize = 64 * 1024;

/// How many bytes of host memory one conversion into values may take.
///
/// A byte of a `list<u8>` takes `size_of::<Val>()` bytes, and one `{}` can
/// stand for a record of thousands of options, so the size of the JSON text
/// alone is no bound. As much as wasmtime by default lets one call bring the
/// other way.
pub const MAX_VALUE_BYTES: usize = 128 * 1024 * 1024;

/// Names in errors are cut to this many characters: the caller chose them.
const SHOWN_CHARS: usize = 64;

/// Where in a JSON value something is, as `params.items[3].name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    root: &'static str,
    steps: Box<[Step]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Each,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.root)?;
        for step in &self.steps {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Each => f.write_str("[]")?,
                Step::Key(key) if text::is_plain(key) => write!(f, ".{key}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

/// Where a walk stands. A list on the stack, so that only an error costs an
/// allocation.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Root(&'static str),
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
    /// Every element, where a walk is over types and not over values.
    Each(&'a Place<'a>),
}

impl Place<'_> {
    fn path(&self) -> Path {
        let mut steps = Vec::new();
        let mut place = self;
        let root = loop {
            place = match place {
                Place::Root(root) => break root,
                Place::Key(parent, key) => {
                    steps.push(Step::Key(text::shown(key)));
                    parent
                }
                Place::Index(parent, index) => {
                    steps.push(Step::Index(*index));
                    parent
                }
                Place::Each(parent) => {
                    steps.push(Step::Each);
                    parent
                }
            };
        };
        steps.reverse();
        Path { root, steps: steps.into() }
    }
}

/// A type that has no JSON form. A function that uses one cannot be called
/// with JSON; the rest of its component can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is {type_name}, which has no JSON form: {reason}")]
pub struct Unsupported {
    /// The param or result, and the field in it, that has the type; `[]`
    /// stands for every element.
    pub path: Path,
    /// The type in WIT's words with its article, as "a stream".
    pub type_name: &'static str,
    /// Why, as one clause.
    pub reason: String,
}

/// Why a conversion was refused.
///
/// No text that a caller gave is repeated, except numbers and the names that
/// it used for fields, cases and flags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The JSON is of another kind or outside the type's range.
    #[error("`{path}` should be {expected}, found {found}")]
    Mismatch {
        /// Where.
        path: Path,
        /// The type in WIT's words, with its JSON form and range.
        expected: String,
        /// What is there instead, in short.
        found: String,
    },
    /// A field, param or element that is needed is not there.
    #[error("`{path}` is missing, it should be {expected}")]
    Missing {
        /// Where it should be.
        path: Path,
        /// The type in WIT's words, with its JSON form and range.
        expected: String,
    },
    /// A name that the type does not have.
    #[error("`{path}` has no {kind} `{name}`{}", text::names_hint(near.as_deref(), known))]
    UnknownName {
        /// The record, variant, enum or flags.
        path: Path,
        /// What it names: `param`, `field`, `case` or `flag`.
        kind: &'static str,
        /// The name as it was given, shortened.
        name: String,
        /// The most similar name that there is.
        near: Option<String>,
        /// The first few names that there are.
        known: Vec<String>,
    },
    /// A flag that is named twice.
    #[error("`{path}` names the flag `{name}` twice")]
    RepeatedFlag {
        /// The flags.
        path: Path,
        /// The flag.
        name: String,
    },
    /// The JSON stands for values that take more than [`MAX_VALUE_BYTES`].
    #[error("`{root}` needs more than {MAX_VALUE_BYTES} bytes of memory as values")]
    TooManyValues {
        /// What was converted.
        root: &'static str,
    },
    /// The JSON text of a result would be longer than the limit.
    #[error("the result is longer than {max_bytes} bytes of JSON")]
    OutputTooLong {
        /// The limit in bytes.
        max_bytes: usize,
    },
    /// A value that is not of the type it came with: a bug of the host.
    #[error("`{path}` should hold {expected}, but the runtime gave another value")]
    NotOfType {
        /// Where.
        path: Path,
        /// The type in WIT's words.
        expected: String,
    },
    /// The type has no JSON form.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_expression_that_reaches_it() {
        let root = Place::Root("params");
        let items = Place::Key(&root, "items");
        let third = Place::Index(&items, 3);
        let odd = Place::Key(&third, "not a \"name\"");
        assert_eq!(Place::Key(&third, "name").path().to_string(), "params.items[3].name");
        assert_eq!(odd.path().to_string(), "params.items[3][\"not a \\\"name\\\"\"]");
    }

    #[test]
    fn a_long_key_is_cut_in_a_path() {
        let key = "x".repeat(5000);
        let path = Place::Key(&Place::Root("params"), &key).path();
        assert!(path.to_string().len() < 100);
    }
}
