//! Values to JSON: what a function gave becomes what a caller reads.
//!
//! Owns: the one JSON text of every value. The guest chose the value, so the
//! text's length is counted while the JSON is built and the walk stops at the
//! limit; a JSON tree takes a bounded multiple of its text in memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};
use wasmtime::component::Val;
use wasmtime::component::types::{ComponentFunc, Type};

use super::shape::{self, Case, Int, Member, Name, Shape};
use super::{Place, ValueError, text};

/// How a call ended, by what it returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The result; of a `result<T, E>` its `ok`; null where there is nothing.
    Success(Json),
    /// The `err` of a `result<T, E>`; null where that carries nothing.
    Failure(Json),
}

/// Converts what a function returned, and tells success from failure.
///
/// A `result<T, E>` is taken apart only here, at the top: inside another value
/// it is data, and [`to_json`] keeps it.
///
/// # Errors
///
/// [`ValueError::OutputTooLong`] where the JSON text is longer than
/// `max_bytes`, [`ValueError::NotOfType`], [`ValueError::Unsupported`]; paths
/// start with `result`.
pub fn outcome(results: &[Val], func: &ComponentFunc, max_bytes: usize) -> Result<Outcome, ValueError> {
    let shape = shape::result(func)?;
    let place = Place::Root("result");
    let mut writer = Writer::new(max_bytes);
    match (shape, results) {
        (None, []) => writer.null().map(Outcome::Success),
        (Some(Shape::Result(ok, _)), [Val::Result(Ok(value))]) => {
            writer.payload(value.as_deref(), ok.as_deref(), &place).map(Outcome::Success)
        }
        (Some(Shape::Result(_, err)), [Val::Result(Err(value))]) => {
            writer.payload(value.as_deref(), err.as_deref(), &place).map(Outcome::Failure)
        }
        (Some(shape), [value]) => writer.value(value, &shape, &place).map(Outcome::Success),
        (shape, _) => {
            Err(ValueError::NotOfType { path: place.path(), expected: shape.as_ref().map_or_else(|| "nothing".to_owned(), text::expected) })
        }
    }
}

/// Converts one value of a type into JSON whose compact text has at most
/// `max_bytes` bytes.
///
/// # Errors
///
/// [`ValueError::OutputTooLong`], [`ValueError::NotOfType`] (a bug of the
/// host), [`ValueError::Unsupported`]; paths start with `result`.
pub fn to_json(val: &Val, ty: &Type, max_bytes: usize) -> Result<Json, ValueError> {
    let shape = Shape::of(ty, "result")?;
    Writer::new(max_bytes).value(val, &shape, &Place::Root("result"))
}

struct Writer {
    max_bytes: usize,
    left: usize,
}

impl Writer {
    fn new(max_bytes: usize) -> Self {
        Self { max_bytes, left: max_bytes }
    }

    /// Counts bytes of text before what they are the text of is made.
    fn spend(&mut self, bytes: usize) -> Result<(), ValueError> {
        self.left = self.left.checked_sub(bytes).ok_or(ValueError::OutputTooLong { max_bytes: self.max_bytes })?;
        Ok(())
    }

    fn value(&mut self, val: &Val, shape: &Shape, place: &Place<'_>) -> Result<Json, ValueError> {
        match (shape, val) {
            (Shape::Bool, Val::Bool(value)) => {
                self.spend(if *value { 4 } else { 5 })?;
                Ok(Json::Bool(*value))
            }
            (Shape::Int(int), _) => match integer_of(val) {
                Some((kind, value)) if kind == *int => self.integer(value),
                _ => Err(not_of_type(shape, place)),
            },
            (Shape::F32, Val::Float32(value)) => self.float(f64_text(*value)),
            (Shape::F64, Val::Float64(value)) => self.float(*value),
            (Shape::Char, Val::Char(value)) => self.string(value.encode_utf8(&mut [0; 4])),
            (Shape::String, Val::String(value)) => self.string(value),
            (Shape::Bytes, Val::List(items)) => self.bytes(items)?.ok_or_else(|| not_of_type(shape, place)),
            (Shape::List(item), Val::List(items)) => self.items(items, item, place),
            (Shape::FixedList(item, length), Val::FixedLengthList(items)) if items.len() == *length => self.items(items, item, place),
            (Shape::Object(value), Val::Map(entries)) => self.object(entries, value, place),
            (Shape::Pairs(key, value), Val::Map(entries)) => self.pairs(entries, (key, value), place),
            (Shape::Record(members), Val::Record(fields)) if fields.len() == members.len() => self.record(fields, members, place),
            (Shape::Tuple(shapes), Val::Tuple(items)) if items.len() == shapes.len() => self.tuple(items, shapes, place),
            (Shape::Variant(cases), Val::Variant(name, payload)) => {
                let case = cases.iter().find(|case| case.name.wit == *name);
                let case = case.ok_or_else(|| not_of_type(shape, place))?;
                self.case(case, payload.as_deref(), place)
            }
            (Shape::Enum(names), Val::Enum(name)) => {
                let name = find(names, name).ok_or_else(|| not_of_type(shape, place))?;
                self.string(&name.json)
            }
            (Shape::Flags(names), Val::Flags(set)) => self.flags(set, names, shape, place),
            (Shape::Option(_), Val::Option(None)) => self.null(),
            (Shape::Option(inner), Val::Option(Some(value))) => match **inner {
                Shape::Option(_) => self.tagged("some", value, inner, place),
                _ => self.value(value, inner, place),
            },
            (Shape::Result(ok, _), Val::Result(Ok(value))) => self.side("ok", value.as_deref(), ok.as_deref(), place),
            (Shape::Result(_, err), Val::Result(Err(value))) => self.side("err", value.as_deref(), err.as_deref(), place),
            _ => Err(not_of_type(shape, place)),
        }
    }

    fn null(&mut self) -> Result<Json, ValueError> {
        self.spend(4)?;
        Ok(Json::Null)
    }

    fn number(&mut self, number: Number) -> Result<Json, ValueError> {
        self.spend(number.to_string().len())?;
        Ok(Json::Number(number))
    }

    fn string(&mut self, text: &str) -> Result<Json, ValueError> {
        self.spend(text_length(text))?;
        Ok(Json::String(text.to_owned()))
    }

    fn integer(&mut self, value: i128) -> Result<Json, ValueError> {
        match i64::try_from(value) {
            Ok(value) if value.unsigned_abs() <= text::MAX_SAFE_INTEGER => self.number(value.into()),
            // Beyond this, many readers would silently round a number.
            _ => self.string(&value.to_string()),
        }
    }

    fn float(&mut self, value: f64) -> Result<Json, ValueError> {
        match Number::from_f64(value) {
            Some(number) => self.number(number),
            None if value.is_nan() => self.string("NaN"),
            None if value > 0.0 => self.string("Infinity"),
            None => self.string("-Infinity"),
        }
    }

    /// `None` where an item is no byte.
    fn bytes(&mut self, items: &[Val]) -> Result<Option<Json>, ValueError> {
        self.spend(items.len().div_ceil(3).saturating_mul(4).saturating_add(2))?;
        let bytes: Option<Vec<u8>> = items
            .iter()
            .map(|item| match item {
                Val::U8(byte) => Some(*byte),
                _ => None,
            })
            .collect();
        Ok(bytes.map(|bytes| Json::String(STANDARD.encode(bytes))))
    }

    /// The brackets and commas of an array or object.
    fn punctuation(&mut self, count: usize) -> Result<(), ValueError> {
        self.spend(count.saturating_sub(1).saturating_add(2))
    }

    /// A key and its colon.
    fn key(&mut self, key: &str) -> Result<String, ValueError> {
        self.spend(text_length(key).saturating_add(1))?;
        Ok(key.to_owned())
    }

    fn items(&mut self, items: &[Val], shape: &Shape, place: &Place<'_>) -> Result<Json, ValueError> {
        self.punctuation(items.len())?;
        let items = items.iter().enumerate();
        items.map(|(index, item)| self.value(item, shape, &Place::Index(place, index))).collect::<Result<_, _>>().map(Json::Array)
    }

    fn tuple(&mut self, items: &[Val], shapes: &[Shape], place: &Place<'_>) -> Result<Json, ValueError> {
        self.punctuation(items.len())?;
        let items = items.iter().zip(shapes).enumerate();
        items.map(|(index, (item, shape))| self.value(item, shape, &Place::Index(place, index))).collect::<Result<_, _>>().map(Json::Array)
    }

    fn object(&mut self, entries: &[(Val, Val)], shape: &Shape, place: &Place<'_>) -> Result<Json, ValueError> {
        self.punctuation(entries.len())?;
        let mut object = Map::new();
        for (key, value) in entries {
            let Val::String(key) = key else {
                return Err(not_of_type(&Shape::String, place));
            };
            let json = self.value(value, shape, &Place::Key(place, key))?;
            // Of a repeated key the last value counts: so the component model
            // says, and so does an insert.
            object.insert(self.key(key)?, json);
        }
        Ok(Json::Object(object))
    }

    fn pairs(&mut self, entries: &[(Val, Val)], (key, value): (&Shape, &Shape), place: &Place<'_>) -> Result<Json, ValueError> {
        self.punctuation(entries.len())?;
        let mut pairs = Vec::new();
        for (index, (k, v)) in entries.iter().enumerate() {
            let place = Place::Index(place, index);
            self.punctuation(2)?;
            let k = self.value(k, key, &Place::Index(&place, 0))?;
            pairs.push(Json::Array(vec![k, self.value(v, value, &Place::Index(&place, 1))?]));
        }
        Ok(Json::Array(pairs))
    }

    fn record(&mut self, fields: &[(String, Val)], members: &[Member], place: &Place<'_>) -> Result<Json, ValueError> {
        self.punctuation(fields.len())?;
        let mut object = Map::new();
        for ((name, value), member) in fields.iter().zip(members) {
            let place = Place::Key(place, &member.name.json);
            if *name != member.name.wit {
                return Err(not_of_type(&member.shape, &place));
            }
            let json = self.value(value, &member.shape, &place)?;
            object.insert(self.key(&member.name.json)?, json);
        }
        Ok(Json::Object(object))
    }

    fn case(&mut self, case: &Case, payload: Option<&Val>, place: &Place<'_>) -> Result<Json, ValueError> {
        match (&case.payload, payload) {
            (None, None) => self.string(&case.name.json),
            (Some(shape), Some(value)) => self.tagged(&case.name.json, value, shape, place),
            _ => Err(ValueError::NotOfType {
                path: Place::Key(place, &case.name.json).path(),
                expected: case.payload.as_ref().map_or_else(|| "nothing".to_owned(), text::expected),
            }),
        }
    }

    fn flags(&mut self, set: &[String], names: &[Name], shape: &Shape, place: &Place<'_>) -> Result<Json, ValueError> {
        self.punctuation(set.len())?;
        set.iter()
            .map(|flag| {
                let name = find(names, flag).ok_or_else(|| not_of_type(shape, place))?;
                self.string(&name.json)
            })
            .collect::<Result<_, _>>()
            .map(Json::Array)
    }

    fn side(&mut self, name: &str, value: Option<&Val>, shape: Option<&Shape>, place: &Place<'_>) -> Result<Json, ValueError> {
        self.punctuation(1)?;
        let key = self.key(name)?;
        let json = self.payload(value, shape, &Place::Key(place, name))?;
        Ok(Json::Object(Map::from_iter([(key, json)])))
    }

    fn payload(&mut self, value: Option<&Val>, shape: Option<&Shape>, place: &Place<'_>) -> Result<Json, ValueError> {
        match (value, shape) {
            (None, None) => self.null(),
            (Some(value), Some(shape)) => self.value(value, shape, place),
            (_, shape) => {
                Err(ValueError::NotOfType { path: place.path(), expected: shape.map_or_else(|| "nothing".to_owned(), text::expected) })
            }
        }
    }

    fn tagged(&mut self, name: &str, value: &Val, shape: &Shape, place: &Place<'_>) -> Result<Json, ValueError> {
        self.side(name, Some(value), Some(shape), place)
    }
}

fn not_of_type(shape: &Shape, place: &Place<'_>) -> ValueError {
    ValueError::NotOfType { path: place.path(), expected: text::expected(shape) }
}

fn find<'a>(names: &'a [Name], wit: &str) -> Option<&'a Name> {
    names.iter().find(|name| name.wit == wit)
}

fn integer_of(val: &Val) -> Option<(Int, i128)> {
    Some(match val {
        Val::U8(value) => (Int::U8, (*value).into()),
        Val::U16(value) => (Int::U16, (*value).into()),
        Val::U32(value) => (Int::U32, (*value).into()),
        Val::U64(value) => (Int::U64, (*value).into()),
        Val::S8(value) => (Int::S8, (*value).into()),
        Val::S16(value) => (Int::S16, (*value).into()),
        Val::S32(value) => (Int::S32, (*value).into()),
        Val::S64(value) => (Int::S64, (*value).into()),
        _ => return None,
    })
}

/// The `f64` with the shortest text that reads back as this `f32`: 0.1 and not
/// 0.10000000149011612.
fn f64_text(value: f32) -> f64 {
    let exact = f64::from(value);
    let Ok(short) = value.to_string().parse::<f64>() else {
        return exact;
    };
    // The short text was rounded once to an f64 and will be once more to an
    // f32; the two could in principle miss what one would have hit.
    #[expect(clippy::cast_possible_truncation, reason = "it is this rounding that is checked")]
    let back = short as f32;
    if back.to_bits() == value.to_bits() { short } else { exact }
}

/// How many bytes `serde_json` writes for a string, quotes included.
fn text_length(text: &str) -> usize {
    let escapes: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
            0x00..=0x1f => 5,
            _ => 0,
        })
        .sum();
    text.len().saturating_add(escapes).saturating_add(2)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_have_one_text() {
        for (val, ty, json) in [
            (Val::Bool(true), Type::Bool, "true"),
            (Val::U8(255), Type::U8, "255"),
            (Val::U64(9_007_199_254_740_991), Type::U64, "9007199254740991"),
            (Val::U64(9_007_199_254_740_992), Type::U64, "\"9007199254740992\""),
            (Val::S64(-9_007_199_254_740_991), Type::S64, "-9007199254740991"),
            (Val::S64(i64::MIN), Type::S64, "\"-9223372036854775808\""),
            (Val::Float32(0.1), Type::Float32, "0.1"),
            (Val::Float32(-0.0), Type::Float32, "-0.0"),
            (Val::Float64(-0.0), Type::Float64, "-0.0"),
            (Val::Float64(5.0), Type::Float64, "5.0"),
            (Val::Float64(f64::NAN), Type::Float64, "\"NaN\""),
            (Val::Float32(f32::NEG_INFINITY), Type::Float32, "\"-Infinity\""),
            (Val::Char('"'), Type::Char, r#""\"""#),
        ] {
            let text = to_json(&val, &ty, 100).unwrap().to_string();
            assert_eq!(text, json, "{val:?}");
            assert!(to_json(&val, &ty, json.len()).is_ok(), "{val:?}");
            assert_eq!(to_json(&val, &ty, json.len() - 1), Err(ValueError::OutputTooLong { max_bytes: json.len() - 1 }), "{val:?}");
        }
    }

    #[test]
    fn a_string_is_counted_as_it_is_written() {
        let all: String = (0..0x2100).filter_map(char::from_u32).collect();
        assert_eq!(text_length(&all), json!(all).to_string().len());
    }

    #[test]
    fn a_value_of_another_type_is_an_error_of_the_host() {
        assert_eq!(
            to_json(&Val::U8(1), &Type::Bool, 100),
            Err(ValueError::NotOfType { path: Place::Root("result").path(), expected: "a bool (true or false)".to_owned() })
        );
        assert!(matches!(to_json(&Val::U8(1), &Type::U64, 100), Err(ValueError::NotOfType { .. })));
    }
}
