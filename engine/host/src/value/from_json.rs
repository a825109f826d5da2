//! JSON to values: what a caller gave becomes what a function takes.
//!
//! Owns: which JSON is accepted. Strict on purpose: an unknown key, a wrong
//! spelling or a number out of range is an error that says what to write,
//! because the caller is often a language model and a silent guess would run.
//!
//! The recursion is bounded by the type's depth, the memory by
//! [`MAX_VALUE_BYTES`](super::MAX_VALUE_BYTES).

use std::mem::size_of;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};
use wasmtime::component::Val;
use wasmtime::component::types::{ComponentFunc, Type};

use super::shape::{self, Case, Int, Member, Name, Shape};
use super::{MAX_VALUE_BYTES, Place, ValueError, text};

/// Converts an object of params into a function's arguments, in its order.
///
/// # Errors
///
/// Every variant of [`ValueError`] but `OutputTooLong` and `NotOfType`; paths
/// start with `params`.
pub fn arguments(params: &Json, func: &ComponentFunc) -> Result<Vec<Val>, ValueError> {
    let members = shape::params(func)?;
    let place = Place::Root("params");
    let Json::Object(given) = params else {
        return Err(ValueError::Mismatch {
            path: place.path(),
            expected: "an object of the function's params".to_owned(),
            found: text::found(params),
        });
    };
    let fields = Reader::new("params").members(given, &members, "param", &place)?;
    Ok(fields.into_iter().map(|(_, value)| value).collect())
}

/// Converts JSON into one value of a type.
///
/// # Errors
///
/// Every variant of [`ValueError`] but `OutputTooLong` and `NotOfType`; paths
/// start with `value`.
pub fn from_json(json: &Json, ty: &Type) -> Result<Val, ValueError> {
    let shape = Shape::of(ty, "value")?;
    let mut reader = Reader::new("value");
    reader.values(1)?;
    reader.value(json, &shape, &Place::Root("value"))
}

struct Reader {
    root: &'static str,
    left: usize,
}

impl Reader {
    fn new(root: &'static str) -> Self {
        Self { root, left: MAX_VALUE_BYTES }
    }

    /// Books memory before it is used.
    fn take(&mut self, bytes: usize) -> Result<(), ValueError> {
        self.left = self.left.checked_sub(bytes).ok_or(ValueError::TooManyValues { root: self.root })?;
        Ok(())
    }

    /// Books the place of some values; their owner does, before it makes them.
    fn values(&mut self, count: usize) -> Result<(), ValueError> {
        self.take(count.saturating_mul(size_of::<Val>()))
    }

    fn owned(&mut self, text: &str) -> Result<String, ValueError> {
        self.take(text.len())?;
        Ok(text.to_owned())
    }

    fn boxed(&mut self, json: &Json, shape: &Shape, place: &Place<'_>) -> Result<Box<Val>, ValueError> {
        self.values(1)?;
        self.value(json, shape, place).map(Box::new)
    }

    fn value(&mut self, json: &Json, shape: &Shape, place: &Place<'_>) -> Result<Val, ValueError> {
        match (shape, json) {
            (Shape::Option(inner), _) => self.option(json, inner, place),
            (Shape::Bool, Json::Bool(value)) => Ok(Val::Bool(*value)),
            (Shape::Int(int), _) => integer(json, *int).ok_or_else(|| mismatch(json, shape, place)),
            (Shape::F32, _) => float(json).and_then(f32_of).map(Val::Float32).ok_or_else(|| mismatch(json, shape, place)),
            (Shape::F64, _) => float(json).map(Val::Float64).ok_or_else(|| mismatch(json, shape, place)),
            (Shape::Char, Json::String(text)) => only_char(text).map(Val::Char).ok_or_else(|| mismatch(json, shape, place)),
            (Shape::String, Json::String(text)) => self.owned(text).map(Val::String),
            (Shape::Bytes, Json::String(text)) => self.bytes(text)?.map(Val::List).ok_or_else(|| mismatch(json, shape, place)),
            (Shape::Bytes, Json::Array(items)) => self.items(items, &Shape::Int(Int::U8), place).map(Val::List),
            (Shape::List(item), Json::Array(items)) => self.items(items, item, place).map(Val::List),
            (Shape::FixedList(item, length), Json::Array(items)) if items.len() == *length => {
                self.items(items, item, place).map(Val::FixedLengthList)
            }
            (Shape::Object(value), Json::Object(given)) => self.object(given, value, place),
            (Shape::Pairs(key, value), Json::Array(pairs)) => self.pairs(pairs, (key, value), place),
            (Shape::Record(members), Json::Object(given)) => self.members(given, members, "field", place).map(Val::Record),
            (Shape::Tuple(shapes), Json::Array(items)) if items.len() == shapes.len() => self.tuple(items, shapes, place),
            (Shape::Variant(cases), Json::String(name)) => self.plain_case(name, cases, place),
            (Shape::Variant(cases), Json::Object(given)) => {
                let (name, payload) = only_entry(given).ok_or_else(|| mismatch(json, shape, place))?;
                self.loaded_case(name, payload, cases, place)
            }
            (Shape::Enum(names), Json::String(name)) => {
                let name = known(name, names, "case", place)?;
                self.owned(&name.wit).map(Val::Enum)
            }
            (Shape::Flags(names), Json::Array(items)) => self.flags(items, names, place),
            (Shape::Result(ok, err), Json::Object(given)) => match only_entry(given) {
                Some(("ok", json)) => self.side(json, ok.as_deref(), &Place::Key(place, "ok")).map(|v| Val::Result(Ok(v))),
                Some(("err", json)) => self.side(json, err.as_deref(), &Place::Key(place, "err")).map(|v| Val::Result(Err(v))),
                _ => Err(mismatch(json, shape, place)),
            },
            _ => Err(mismatch(json, shape, place)),
        }
    }

    fn option(&mut self, json: &Json, inner: &Shape, place: &Place<'_>) -> Result<Val, ValueError> {
        if json.is_null() {
            return Ok(Val::Option(None));
        }
        if !matches!(inner, Shape::Option(_)) {
            return Ok(Val::Option(Some(self.boxed(json, inner, place)?)));
        }
        match json.as_object().and_then(only_entry) {
            Some(("some", json)) => Ok(Val::Option(Some(self.boxed(json, inner, &Place::Key(place, "some"))?))),
            _ => Err(ValueError::Mismatch { path: place.path(), expected: text::NESTED_OPTION.to_owned(), found: text::found(json) }),
        }
    }

    /// The inside of an `ok` or `err`; null where it carries nothing.
    fn side(&mut self, json: &Json, shape: Option<&Shape>, place: &Place<'_>) -> Result<Option<Box<Val>>, ValueError> {
        match shape {
            Some(shape) => self.boxed(json, shape, place).map(Some),
            None if json.is_null() => Ok(None),
            None => {
                Err(ValueError::Mismatch { path: place.path(), expected: "null, it carries no value".to_owned(), found: text::found(json) })
            }
        }
    }

    fn bytes(&mut self, text: &str) -> Result<Option<Vec<Val>>, ValueError> {
        // Three bytes from four characters; the padding makes it at most two too many.
        self.values(text.len() / 4 * 3)?;
        let bytes = STANDARD.decode(text).ok();
        Ok(bytes.map(|bytes| bytes.into_iter().map(Val::U8).collect()))
    }

    fn items(&mut self, items: &[Json], shape: &Shape, place: &Place<'_>) -> Result<Vec<Val>, ValueError> {
        self.values(items.len())?;
        items.iter().enumerate().map(|(index, json)| self.value(json, shape, &Place::Index(place, index))).collect()
    }

    fn tuple(&mut self, items: &[Json], shapes: &[Shape], place: &Place<'_>) -> Result<Val, ValueError> {
        self.values(items.len())?;
        let values = items.iter().zip(shapes).enumerate();
        values.map(|(index, (json, shape))| self.value(json, shape, &Place::Index(place, index))).collect::<Result<_, _>>().map(Val::Tuple)
    }

    fn object(&mut self, given: &Map<String, Json>, shape: &Shape, place: &Place<'_>) -> Result<Val, ValueError> {
        self.values(given.len().saturating_mul(2))?;
        given
            .iter()
            .map(|(key, json)| {
                let value = self.value(json, shape, &Place::Key(place, key))?;
                Ok((Val::String(self.owned(key)?), value))
            })
            .collect::<Result<_, _>>()
            .map(Val::Map)
    }

    fn pairs(&mut self, pairs: &[Json], (key, value): (&Shape, &Shape), place: &Place<'_>) -> Result<Val, ValueError> {
        self.values(pairs.len().saturating_mul(2))?;
        let mut entries = Vec::with_capacity(pairs.len());
        for (index, pair) in pairs.iter().enumerate() {
            let place = Place::Index(place, index);
            let Some([k, v]) = pair.as_array().map(Vec::as_slice) else {
                return Err(ValueError::Mismatch {
                    path: place.path(),
                    expected: "a [key, value] pair".to_owned(),
                    found: text::found(pair),
                });
            };
            let k = self.value(k, key, &Place::Index(&place, 0))?;
            entries.push((k, self.value(v, value, &Place::Index(&place, 1))?));
        }
        Ok(Val::Map(entries))
    }

    fn members(
        &mut self,
        given: &Map<String, Json>,
        members: &[Member],
        kind: &'static str,
        place: &Place<'_>,
    ) -> Result<Vec<(String, Val)>, ValueError> {
        // A misspelled name leaves another one missing: say the spelling first.
        let is_known = |key: &String| members.iter().any(|member| member.name.json == *key);
        if let Some(key) = given.keys().find(|key| !is_known(key)) {
            return Err(text::unknown_name(place, kind, key, names_of(members.iter().map(|member| &member.name))));
        }
        self.values(members.len())?;
        let mut fields = Vec::with_capacity(members.len());
        for member in members {
            let place = Place::Key(place, &member.name.json);
            let value = match given.get(&member.name.json) {
                Some(json) => self.value(json, &member.shape, &place)?,
                None if member.is_optional() => Val::Option(None),
                None => {
                    return Err(ValueError::Missing { path: place.path(), expected: text::expected(&member.shape) });
                }
            };
            fields.push((self.owned(&member.name.wit)?, value));
        }
        Ok(fields)
    }

    fn plain_case(&mut self, name: &str, cases: &[Case], place: &Place<'_>) -> Result<Val, ValueError> {
        let case = find_case(name, cases, place)?;
        if let Some(payload) = &case.payload {
            let place = Place::Key(place, &case.name.json);
            return Err(ValueError::Missing { path: place.path(), expected: text::expected(payload) });
        }
        Ok(Val::Variant(self.owned(&case.name.wit)?, None))
    }

    fn loaded_case(&mut self, name: &str, json: &Json, cases: &[Case], place: &Place<'_>) -> Result<Val, ValueError> {
        let case = find_case(name, cases, place)?;
        let Some(shape) = &case.payload else {
            return Err(ValueError::Mismatch {
                path: place.path(),
                expected: format!("the string \"{}\", the case carries no value", text::shown(&case.name.json)),
                found: "an object".to_owned(),
            });
        };
        let payload = self.boxed(json, shape, &Place::Key(place, &case.name.json))?;
        Ok(Val::Variant(self.owned(&case.name.wit)?, Some(payload)))
    }

    /// Flags in the order of their type, as a guest gives them too.
    fn flags(&mut self, items: &[Json], names: &[Name], place: &Place<'_>) -> Result<Val, ValueError> {
        let mut set = vec![false; names.len()];
        for (index, item) in items.iter().enumerate() {
            let Json::String(given) = item else {
                return Err(ValueError::Mismatch {
                    path: Place::Index(place, index).path(),
                    expected: "the name of a flag".to_owned(),
                    found: text::found(item),
                });
            };
            let position = names.iter().position(|name| name.json == *given);
            match position.and_then(|position| set.get_mut(position)) {
                None => return Err(text::unknown_name(place, "flag", given, names_of(names))),
                Some(set) if *set => {
                    return Err(ValueError::RepeatedFlag { path: place.path(), name: text::shown(given) });
                }
                Some(set) => *set = true,
            }
        }
        let given = names.iter().zip(set).filter(|(_, set)| *set);
        given.map(|(name, _)| self.owned(&name.wit)).collect::<Result<_, _>>().map(Val::Flags)
    }
}

fn mismatch(json: &Json, shape: &Shape, place: &Place<'_>) -> ValueError {
    ValueError::Mismatch { path: place.path(), expected: text::expected(shape), found: text::found_for(shape, json) }
}

fn names_of<'a>(names: impl IntoIterator<Item = &'a Name, IntoIter: Clone>) -> impl Iterator<Item = &'a str> + Clone {
    names.into_iter().map(|name| name.json.as_str())
}

fn known<'a>(given: &str, names: &'a [Name], kind: &'static str, place: &Place<'_>) -> Result<&'a Name, ValueError> {
    names.iter().find(|name| name.json == given).ok_or_else(|| text::unknown_name(place, kind, given, names_of(names)))
}

fn find_case<'a>(given: &str, cases: &'a [Case], place: &Place<'_>) -> Result<&'a Case, ValueError> {
    cases
        .iter()
        .find(|case| case.name.json == given)
        .ok_or_else(|| text::unknown_name(place, "case", given, names_of(cases.iter().map(|case| &case.name))))
}

fn only_entry(given: &Map<String, Json>) -> Option<(&str, &Json)> {
    let mut entries = given.iter();
    let (name, json) = entries.next()?;
    entries.next().is_none().then_some((name.as_str(), json))
}

fn only_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let only = chars.next()?;
    chars.next().is_none().then_some(only)
}

fn integer(json: &Json, int: Int) -> Option<Val> {
    let value = match json {
        Json::Number(number) => whole(number)?,
        Json::String(text) if int.is_wide() => text::decimal(text)?,
        _ => return None,
    };
    Some(match int {
        Int::U8 => Val::U8(value.try_into().ok()?),
        Int::U16 => Val::U16(value.try_into().ok()?),
        Int::U32 => Val::U32(value.try_into().ok()?),
        Int::U64 => Val::U64(value.try_into().ok()?),
        Int::S8 => Val::S8(value.try_into().ok()?),
        Int::S16 => Val::S16(value.try_into().ok()?),
        Int::S32 => Val::S32(value.try_into().ok()?),
        Int::S64 => Val::S64(value.try_into().ok()?),
    })
}

/// The value of a number that is whole, however it is written: `5`, `5.0` and
/// `5e0` are one integer (JSON Schema 2020-12, core, section 4.2.3).
fn whole(number: &Number) -> Option<i128> {
    if let Some(value) = number.as_u64() {
        return Some(value.into());
    }
    if let Some(value) = number.as_i64() {
        return Some(value.into());
    }
    let value = number.as_f64()?;
    // 2^65 is far beyond both 64-bit ranges and far inside the exact ones.
    if value.fract() != 0.0 || value.abs() > 36_893_488_147_419_103_232.0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and at most 2^65, so exact")]
    Some(value as i128)
}

fn float(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// The nearest `f32`; a number too large for one is not infinity.
fn f32_of(value: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest is the rule here")]
    let nearest = value as f32;
    (nearest.is_finite() || !value.is_finite()).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_in_range_are_integers_however_they_are_written() {
        for (text, ty, value) in [
            ("5", Type::U8, Some(Val::U8(5))),
            ("5.0", Type::U8, Some(Val::U8(5))),
            ("5e0", Type::U8, Some(Val::U8(5))),
            ("-0.0", Type::U8, Some(Val::U8(0))),
            ("256", Type::U8, None),
            ("-1", Type::U8, None),
            ("0.5", Type::U8, None),
            ("\"5\"", Type::U8, None),
            ("true", Type::U8, None),
            ("-128", Type::S8, Some(Val::S8(-128))),
            ("-129", Type::S8, None),
            ("65535", Type::U16, Some(Val::U16(65535))),
            ("-32769", Type::S16, None),
            ("4294967296", Type::U32, None),
            ("-2147483648", Type::S32, Some(Val::S32(i32::MIN))),
            ("18446744073709551615", Type::U64, Some(Val::U64(u64::MAX))),
            ("\"18446744073709551615\"", Type::U64, Some(Val::U64(u64::MAX))),
            ("\"18446744073709551616\"", Type::U64, None),
            ("18446744073709551616", Type::U64, None),
            ("1e19", Type::U64, Some(Val::U64(10_000_000_000_000_000_000))),
            ("1e300", Type::U64, None),
            ("\"01\"", Type::U64, None),
            ("\"-9223372036854775808\"", Type::S64, Some(Val::S64(i64::MIN))),
            ("\"9223372036854775808\"", Type::S64, None),
        ] {
            let json: Json = serde_json::from_str(text).unwrap();
            assert_eq!(from_json(&json, &ty).ok(), value, "{text} as {ty:?}");
        }
    }

    #[test]
    fn floats_keep_their_bits_and_never_overflow() {
        for (text, ty, value) in [
            ("-0.0", Type::Float64, Some(Val::Float64(-0.0))),
            ("-0", Type::Float32, Some(Val::Float32(-0.0))),
            ("5e-324", Type::Float64, Some(Val::Float64(5e-324))),
            ("0.1", Type::Float32, Some(Val::Float32(0.1))),
            ("3.4028235e38", Type::Float32, Some(Val::Float32(f32::MAX))),
            ("3.4028235677973362e38", Type::Float32, Some(Val::Float32(f32::MAX))),
            ("3.4028235677973366e38", Type::Float32, None),
            ("-1e300", Type::Float32, None),
            ("\"NaN\"", Type::Float32, Some(Val::Float32(f32::NAN))),
            ("\"-Infinity\"", Type::Float64, Some(Val::Float64(f64::NEG_INFINITY))),
            ("\"nan\"", Type::Float64, None),
            ("\"+Infinity\"", Type::Float64, None),
            ("\"1\"", Type::Float64, None),
        ] {
            let json: Json = serde_json::from_str(text).unwrap();
            assert_eq!(from_json(&json, &ty).ok(), value, "{text} as {ty:?}");
        }
    }

    #[test]
    fn a_char_is_one_unicode_scalar() {
        for (text, value) in [("a", Some('a')), ("🦀", Some('🦀')), ("", None), ("ab", None), ("e\u{301}", None)] {
            assert_eq!(from_json(&json!(text), &Type::Char).ok(), value.map(Val::Char), "{text}");
        }
    }

    #[test]
    fn an_error_says_where_what_and_what_instead() {
        let error = from_json(&json!(300), &Type::U8).unwrap_err();
        assert_eq!(error.to_string(), "`value` should be a u8 (0 to 255), found 300");
    }
}
