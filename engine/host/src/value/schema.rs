//! JSON Schema (draft 2020-12) of a component's types.
//!
//! Owns: the words of the schema. A schema accepts exactly what `from_json.rs`
//! accepts; a property test holds the two together with an independent
//! validator. Keywords that look at one kind of JSON only (`minimum`,
//! `pattern`, `items` …) are written beside a `type` that lists two kinds:
//! shorter than `anyOf`, and the same by the specification.

use serde_json::{Map, Value as Json, json};
use wasmtime::component::types::{ComponentFunc, Type};

use super::shape::{self, Case, Int, Member, Name, Shape};
use super::{Unsupported, text};

/// The JSON Schema of the values of a type.
///
/// # Errors
///
/// [`Unsupported`] where the type, or one inside it, has no JSON form.
pub fn schema(ty: &Type) -> Result<Json, Unsupported> {
    Shape::of(ty, "value").map(|shape| of_shape(&shape))
}

/// The JSON Schema of a function's params: an object with one property each.
///
/// # Errors
///
/// [`Unsupported`] where a param has no JSON form.
pub fn params_schema(func: &ComponentFunc) -> Result<Json, Unsupported> {
    shape::params(func).map(|members| object(&members))
}

/// The JSON Schema of what a function gives when it succeeds: of its result,
/// for `result<T, E>` of `T`, and of `null` where there is nothing.
///
/// # Errors
///
/// [`Unsupported`] where the result, its error included, has no JSON form.
pub fn result_schema(func: &ComponentFunc) -> Result<Json, Unsupported> {
    Ok(match shape::result(func)? {
        None => nothing(),
        Some(Shape::Result(ok, _)) => payload(ok.as_deref()),
        Some(shape) => of_shape(&shape),
    })
}

/// The JSON Schema of what a function gives when it fails: for
/// `result<T, E>` of `E`; `None` for a function that cannot say so.
///
/// # Errors
///
/// [`Unsupported`] where the result has no JSON form.
pub fn failure_schema(func: &ComponentFunc) -> Result<Option<Json>, Unsupported> {
    Ok(match shape::result(func)? {
        Some(Shape::Result(_, err)) => Some(payload(err.as_deref())),
        _ => None,
    })
}

/// Whether a function can be called with JSON, without the work of a schema.
///
/// # Errors
///
/// [`Unsupported`] names the first param or result that has no JSON form.
pub fn supported(func: &ComponentFunc) -> Result<(), Unsupported> {
    shape::params(func)?;
    shape::result(func)?;
    Ok(())
}

fn of_shape(shape: &Shape) -> Json {
    match shape {
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int(int) => integer(*int),
        Shape::F32 => json!({
            "type": ["number", "string"],
            "exclusiveMinimum": -text::F32_OVERFLOW,
            "exclusiveMaximum": text::F32_OVERFLOW,
            "pattern": text::FLOAT_PATTERN,
        }),
        Shape::F64 => json!({"type": ["number", "string"], "pattern": text::FLOAT_PATTERN}),
        // Lengths are counted in characters (Unicode scalars), not in bytes.
        Shape::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        Shape::String => json!({"type": "string"}),
        Shape::Bytes => json!({
            "type": ["string", "array"],
            "contentEncoding": "base64",
            "pattern": text::BASE64_PATTERN,
            "items": integer(Int::U8),
        }),
        Shape::List(item) => json!({"type": "array", "items": of_shape(item)}),
        Shape::FixedList(item, length) => json!({
            "type": "array",
            "items": of_shape(item),
            "minItems": length,
            "maxItems": length,
        }),
        Shape::Object(value) => json!({"type": "object", "additionalProperties": of_shape(value)}),
        Shape::Pairs(key, value) => json!({"type": "array", "items": tuple([key.as_ref(), value.as_ref()])}),
        Shape::Record(members) => object(members),
        Shape::Tuple(items) => tuple(items),
        Shape::Variant(cases) => variant(cases),
        Shape::Enum(names) => one_of(names),
        Shape::Flags(names) => json!({"type": "array", "items": one_of(names), "uniqueItems": true}),
        Shape::Option(inner) => match **inner {
            // Its `none` is null already, so that a value has to say it is one.
            Shape::Option(_) => json!({"anyOf": [tagged("some", of_shape(inner)), nothing()]}),
            _ => json!({"anyOf": [of_shape(inner), nothing()]}),
        },
        Shape::Result(ok, err) => json!({"anyOf": [
            tagged("ok", payload(ok.as_deref())),
            tagged("err", payload(err.as_deref())),
        ]}),
    }
}

fn integer(int: Int) -> Json {
    let (minimum, maximum) = int.range();
    match int {
        Int::U64 => json!({
            "type": ["integer", "string"],
            "minimum": minimum,
            "maximum": maximum,
            "pattern": text::u64_pattern(),
        }),
        Int::S64 => json!({
            "type": ["integer", "string"],
            "minimum": minimum,
            "maximum": maximum,
            "pattern": text::s64_pattern(),
        }),
        _ => json!({"type": "integer", "minimum": minimum, "maximum": maximum}),
    }
}

fn nothing() -> Json {
    json!({"type": "null"})
}

fn payload(shape: Option<&Shape>) -> Json {
    shape.map_or_else(nothing, of_shape)
}

/// An object with exactly one key.
fn tagged(name: &str, value: Json) -> Json {
    let mut properties = Map::new();
    properties.insert(name.to_owned(), value);
    json!({
        "type": "object",
        "properties": properties,
        "required": [name],
        "additionalProperties": false,
    })
}

fn object(members: &[Member]) -> Json {
    let properties: Map<String, Json> = members.iter().map(|member| (member.name.json.clone(), of_shape(&member.shape))).collect();
    let required: Vec<&str> = members.iter().filter(|member| !member.is_optional()).map(|member| member.name.json.as_str()).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn tuple<'a>(items: impl IntoIterator<Item = &'a Shape>) -> Json {
    let items: Vec<Json> = items.into_iter().map(of_shape).collect();
    let count = items.len();
    // Without a minimum, `prefixItems` accepts a shorter array.
    json!({"type": "array", "prefixItems": items, "items": false, "minItems": count})
}

fn variant(cases: &[Case]) -> Json {
    let (plain, loaded): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.payload.is_none());
    let mut choices: Vec<Json> = Vec::new();
    if !plain.is_empty() {
        choices.push(one_of(plain.into_iter().map(|case| &case.name)));
    }
    choices.extend(loaded.into_iter().map(|case| tagged(&case.name.json, payload(case.payload.as_ref()))));
    json!({"anyOf": choices})
}

fn one_of<'a>(names: impl IntoIterator<Item = &'a Name>) -> Json {
    let names: Vec<&str> = names.into_iter().map(|name| name.json.as_str()).collect();
    json!({"type": "string", "enum": names})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_have_exact_ranges() {
        for (ty, expected) in [
            (Type::Bool, json!({"type": "boolean"})),
            (Type::U8, json!({"type": "integer", "minimum": 0, "maximum": 255})),
            (Type::S32, json!({"type": "integer", "minimum": -2_147_483_648_i64, "maximum": 2_147_483_647})),
            (Type::Char, json!({"type": "string", "minLength": 1, "maxLength": 1})),
            (Type::String, json!({"type": "string"})),
        ] {
            assert_eq!(schema(&ty), Ok(expected));
        }
    }
}
