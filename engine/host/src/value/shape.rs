//! A component's type, checked and spelled out once.
//!
//! Owns: which types have a JSON form at all, and the bounds on them. A
//! [`Shape`] is the receipt: it exists only for a type that has a JSON form
//! and is small enough to walk, so that the schema and both converters are
//! total and never ask again. It is a tree where the component's own type may
//! share parts; the weight bounds that.

use wasmtime::component::types::{ComponentFunc, Type};

use super::text;
use super::{MAX_TYPE_DEPTH, MAX_TYPE_WEIGHT, Place, Unsupported};

/// A type with a JSON form.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    Int(Int),
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`.
    Bytes,
    List(Box<Shape>),
    FixedList(Box<Shape>, usize),
    /// A map with string keys: a JSON object.
    Object(Box<Shape>),
    /// Any other map: an array of pairs.
    Pairs(Box<Shape>, Box<Shape>),
    Record(Vec<Member>),
    Tuple(Vec<Shape>),
    Variant(Vec<Case>),
    Enum(Vec<Name>),
    Flags(Vec<Name>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
}

/// A field of a record, or a param of a function.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Name,
    pub(super) shape: Shape,
}

impl Member {
    /// Whether it may be left out: then it is `none`.
    pub(super) fn is_optional(&self) -> bool {
        matches!(self.shape, Shape::Option(_))
    }
}

/// A case of a variant.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: Name,
    pub(super) payload: Option<Shape>,
}

/// A name in both spellings.
#[derive(Debug)]
pub(super) struct Name {
    /// As the component has it: `retry-after`.
    pub(super) wit: String,
    /// As JSON has it: `retry_after`.
    pub(super) json: String,
}

/// The integers of the component model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Int {
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
}

impl Int {
    /// The smallest and the largest value.
    pub(super) fn range(self) -> (i64, u64) {
        match self {
            Self::U8 => (0, u8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::U64 => (0, u64::MAX),
            Self::S8 => (i8::MIN.into(), i8::MAX.unsigned_abs().into()),
            Self::S16 => (i16::MIN.into(), i16::MAX.unsigned_abs().into()),
            Self::S32 => (i32::MIN.into(), i32::MAX.unsigned_abs().into()),
            Self::S64 => (i64::MIN, i64::MAX.unsigned_abs()),
        }
    }

    /// WIT's word with its article.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::U8 => "a u8",
            Self::U16 => "a u16",
            Self::U32 => "a u32",
            Self::U64 => "a u64",
            Self::S8 => "an s8",
            Self::S16 => "an s16",
            Self::S32 => "an s32",
            Self::S64 => "an s64",
        }
    }

    /// Whether a JSON number may not be able to carry it, so that a decimal
    /// string may stand for it.
    pub(super) const fn is_wide(self) -> bool {
        matches!(self, Self::U64 | Self::S64)
    }
}

impl Shape {
    /// Checks one type; `root` names it in the error.
    pub(super) fn of(ty: &Type, root: &'static str) -> Result<Self, Unsupported> {
        Survey::default().shape(ty, &Place::Root(root), 1)
    }
}

/// Checks the params of a function.
pub(super) fn params(func: &ComponentFunc) -> Result<Vec<Member>, Unsupported> {
    Survey::default().members(func.params(), &Place::Root("params"), 0)
}

/// Checks the result of a function; `None` where it has none.
pub(super) fn result(func: &ComponentFunc) -> Result<Option<Shape>, Unsupported> {
    let root = Place::Root("result");
    let mut results = func.results();
    match (results.next(), results.next()) {
        (None, _) => Ok(None),
        (Some(ty), None) => Survey::default().shape(&ty, &root, 1).map(Some),
        // The component model dropped this; old binaries may still say it.
        (Some(_), Some(_)) => {
            Err(Unsupported { path: root.path(), type_name: "a list of results", reason: "a function has at most one result".to_owned() })
        }
    }
}

/// One walk over a type; counts what it has seen.
#[derive(Default)]
struct Survey {
    weight: usize,
}

impl Survey {
    fn shape(&mut self, ty: &Type, place: &Place<'_>, depth: usize) -> Result<Shape, Unsupported> {
        self.weigh(16, place)?;
        if depth > MAX_TYPE_DEPTH {
            return Err(Unsupported {
                path: place.path(),
                type_name: "a deeply nested type",
                reason: format!("at most {MAX_TYPE_DEPTH} types may nest in one another"),
            });
        }
        if let Some(shape) = scalar(ty) {
            return Ok(shape);
        }
        let below = depth + 1;
        let each = Place::Each(place);
        Ok(match ty {
            Type::List(list) if list.ty() == Type::U8 => Shape::Bytes,
            Type::List(list) => Shape::List(self.boxed(&list.ty(), &each, below)?),
            Type::FixedLengthList(list) => {
                let length = usize::try_from(list.len()).unwrap_or(usize::MAX);
                Shape::FixedList(self.boxed(&list.ty(), &each, below)?, length)
            }
            Type::Map(map) if map.key() == Type::String => Shape::Object(self.boxed(&map.value(), &each, below)?),
            Type::Map(map) => {
                let key = self.boxed(&map.key(), &Place::Index(&each, 0), below)?;
                Shape::Pairs(key, self.boxed(&map.value(), &Place::Index(&each, 1), below)?)
            }
            Type::Record(record) => Shape::Record(self.members(record.fields().map(|field| (field.name, field.ty)), place, depth)?),
            Type::Tuple(tuple) => Shape::Tuple(
                tuple
                    .types()
                    .enumerate()
                    .map(|(index, ty)| self.shape(&ty, &Place::Index(place, index), below))
                    .collect::<Result<_, _>>()?,
            ),
            Type::Variant(variant) => {
                Shape::Variant(variant.cases().map(|case| self.case(case.name, case.ty.as_ref(), place, below)).collect::<Result<_, _>>()?)
            }
            Type::Enum(names) => Shape::Enum(self.names(names.names(), place)?),
            Type::Flags(names) => Shape::Flags(self.names(names.names(), place)?),
            Type::Option(option) => Shape::Option(self.boxed(&option.ty(), place, below)?),
            Type::Result(result) => Shape::Result(
                self.side(result.ok(), &Place::Key(place, "ok"), below)?,
                self.side(result.err(), &Place::Key(place, "err"), below)?,
            ),
            without => return Err(without_json_form(without, place)),
        })
    }

    fn boxed(&mut self, ty: &Type, place: &Place<'_>, depth: usize) -> Result<Box<Shape>, Unsupported> {
        self.shape(ty, place, depth).map(Box::new)
    }

    fn side(&mut self, ty: Option<Type>, place: &Place<'_>, depth: usize) -> Result<Option<Box<Shape>>, Unsupported> {
        ty.map(|ty| self.boxed(&ty, place, depth)).transpose()
    }

    fn members<'t>(
        &mut self,
        members: impl Iterator<Item = (&'t str, Type)>,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<Vec<Member>, Unsupported> {
        members
            .map(|(wit, ty)| {
                let name = self.name(wit, place)?;
                let shape = self.shape(&ty, &Place::Key(place, &name.json), depth + 1)?;
                Ok(Member { name, shape })
            })
            .collect()
    }

    fn case(&mut self, wit: &str, ty: Option<&Type>, place: &Place<'_>, depth: usize) -> Result<Case, Unsupported> {
        let name = self.name(wit, place)?;
        let inside = Place::Key(place, &name.json);
        let payload = ty.map(|ty| self.shape(ty, &inside, depth)).transpose()?;
        Ok(Case { name, payload })
    }

    fn names<'t>(&mut self, names: impl Iterator<Item = &'t str>, place: &Place<'_>) -> Result<Vec<Name>, Unsupported> {
        names.map(|wit| self.name(wit, place)).collect()
    }

    fn name(&mut self, wit: &str, place: &Place<'_>) -> Result<Name, Unsupported> {
        self.weigh(wit.len(), place)?;
        Ok(Name { wit: wit.to_owned(), json: text::json_name(wit) })
    }

    fn weigh(&mut self, weight: usize, place: &Place<'_>) -> Result<(), Unsupported> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= MAX_TYPE_WEIGHT {
            return Ok(());
        }
        Err(Unsupported {
            path: place.path(),
            type_name: "part of a type that is too large",
            reason: format!("16 for every type and the bytes of its names may come to {MAX_TYPE_WEIGHT}"),
        })
    }
}

fn scalar(ty: &Type) -> Option<Shape> {
    Some(match ty {
        Type::Bool => Shape::Bool,
        Type::U8 => Shape::Int(Int::U8),
        Type::U16 => Shape::Int(Int::U16),
        Type::U32 => Shape::Int(Int::U32),
        Type::U64 => Shape::Int(Int::U64),
        Type::S8 => Shape::Int(Int::S8),
        Type::S16 => Shape::Int(Int::S16),
        Type::S32 => Shape::Int(Int::S32),
        Type::S64 => Shape::Int(Int::S64),
        Type::Float32 => Shape::F32,
        Type::Float64 => Shape::F64,
        Type::Char => Shape::Char,
        Type::String => Shape::String,
        _ => return None,
    })
}

fn without_json_form(ty: &Type, place: &Place<'_>) -> Unsupported {
    let (type_name, reason) = match ty {
        Type::Own(_) => ("a resource", "it lives inside the program that made it"),
        Type::Borrow(_) => ("a borrowed resource", "it lives inside the program that made it"),
        Type::Stream(_) => ("a stream", "its items arrive while the program runs"),
        Type::Future(_) => ("a future", "its value arrives while the program runs"),
        Type::ErrorContext => ("an error-context", "it is a handle of the runtime"),
        _ => ("a type that is not known here", "this version has no rule for it"),
    };
    Unsupported { path: place.path(), type_name, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_context_is_refused_by_name() {
        let refused = Shape::of(&Type::ErrorContext, "value").expect_err("it is a handle");
        assert_eq!(refused.type_name, "an error-context");
        assert_eq!(refused.path.to_string(), "value");
    }

    #[test]
    fn ranges_are_those_of_the_rust_types() {
        assert_eq!(Int::S8.range(), (-128, 127));
        assert_eq!(Int::U64.range(), (0, u64::MAX));
        assert_eq!(Int::S64.range(), (i64::MIN, 9_223_372_036_854_775_807));
    }
}
