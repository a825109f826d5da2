//! The mapping between JSON and typed values, row by row and by property.
//!
//! Types come from components that are only compiled, never run. The property
//! tests make `WARDROOM_PROPTEST_CASES` types (256 unless told) from a seed
//! that they print; `WARDROOM_SEED` repeats a run.

#![expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "made-up bits are cut on purpose; a failed test stops by a panic, also in the functions that tests share"
)]

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value as Json, json};
use wardroom_host::value::{self, Outcome, ValueError};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, Val};

/// Enough for every text here.
const PLENTY: usize = 1 << 20;

// ── Types ───────────────────────────────────────────────────────────────────

/// A WIT type, to be written as component text.
#[derive(Debug, Clone)]
enum Wit {
    Scalar(&'static str),
    List(Box<Wit>),
    FixedList(Box<Wit>, usize),
    Map(&'static str, Box<Wit>),
    Record(Vec<(String, Wit)>),
    Tuple(Vec<Wit>),
    Variant(Vec<(String, Option<Wit>)>),
    Enum(Vec<String>),
    Flags(Vec<String>),
    Option(Box<Wit>),
    Result(Option<Box<Wit>>, Option<Box<Wit>>),
}

const SCALARS: [&str; 13] = ["bool", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f32", "f64", "char", "string"];

/// What a map may have as keys.
const KEYS: [&str; 6] = ["string", "bool", "u8", "u64", "s32", "char"];

fn list(item: Wit) -> Wit {
    Wit::List(Box::new(item))
}

fn option(inner: Wit) -> Wit {
    Wit::Option(Box::new(inner))
}

fn record(fields: &[(&str, Wit)]) -> Wit {
    Wit::Record(fields.iter().map(|(name, wit)| ((*name).to_owned(), wit.clone())).collect())
}

fn variant(cases: &[(&str, Option<Wit>)]) -> Wit {
    Wit::Variant(cases.iter().map(|(name, wit)| ((*name).to_owned(), wit.clone())).collect())
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The text of a component under construction.
#[derive(Default)]
struct Text {
    body: String,
    types: usize,
}

impl Text {
    /// Writes what a type needs and returns how to refer to it.
    fn define(&mut self, wit: &Wit) -> String {
        let mut def = String::new();
        let mut nominal = false;
        match wit {
            Wit::Scalar(name) => return (*name).to_owned(),
            Wit::List(item) => def = format!("(list {})", self.define(item)),
            Wit::FixedList(item, length) => def = format!("(list {} {length})", self.define(item)),
            Wit::Map(key, value) => def = format!("(map {key} {})", self.define(value)),
            Wit::Option(inner) => def = format!("(option {})", self.define(inner)),
            Wit::Tuple(items) => {
                let items: Vec<String> = items.iter().map(|item| self.define(item)).collect();
                def = format!("(tuple {})", items.join(" "));
            }
            Wit::Result(ok, err) => {
                let ok = ok.as_ref().map(|ok| self.define(ok)).unwrap_or_default();
                let err = err.as_ref().map(|err| format!("(error {})", self.define(err))).unwrap_or_default();
                def = format!("(result {ok} {err})");
            }
            Wit::Record(fields) => {
                nominal = true;
                for (name, wit) in fields {
                    let ty = self.define(wit);
                    write!(def, "(field \"{name}\" {ty})").unwrap();
                }
                def = format!("(record {def})");
            }
            Wit::Variant(cases) => {
                nominal = true;
                for (name, wit) in cases {
                    let ty = wit.as_ref().map(|wit| self.define(wit)).unwrap_or_default();
                    write!(def, "(case \"{name}\" {ty})").unwrap();
                }
                def = format!("(variant {def})");
            }
            Wit::Enum(names) => {
                nominal = true;
                def = format!("(enum {})", quoted(names));
            }
            Wit::Flags(names) => {
                nominal = true;
                def = format!("(flags {})", quoted(names));
            }
        }
        self.types += 1;
        let index = self.types;
        writeln!(self.body, "(type $raw{index} {def})").unwrap();
        if !nominal {
            return format!("$raw{index}");
        }
        // The component model wants these types named by an import.
        writeln!(self.body, "(import \"t{index}\" (type $named{index} (eq $raw{index})))").unwrap();
        format!("$named{index}")
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" ")
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = wasmtime::Config::new();
        config.wasm_component_model_map(true).wasm_component_model_fixed_length_lists(true);
        Engine::new(&config).unwrap()
    })
}

/// The type of the function that a component's text imports as `f`.
fn function_of_text(body: &str) -> ComponentFunc {
    let bytes = wat::parse_str(format!("(component {body})")).unwrap_or_else(|error| panic!("{error}\n{body}"));
    let component = Component::new(engine(), bytes).unwrap_or_else(|error| panic!("{error:?}\n{body}"));
    let ty = component.component_type();
    let found = ty.imports(engine()).find(|(name, _)| *name == "f");
    match found.map(|(_, item)| item.ty) {
        Some(ComponentItem::ComponentFunc(func)) => func,
        _ => panic!("no function `f` in\n{body}"),
    }
}

fn function(params: &[(&str, Wit)], result: Option<Wit>) -> ComponentFunc {
    let mut text = Text::default();
    let mut signature = String::new();
    for (name, wit) in params {
        let ty = text.define(wit);
        write!(signature, "(param \"{name}\" {ty})").unwrap();
    }
    if let Some(wit) = result {
        let ty = text.define(&wit);
        write!(signature, "(result {ty})").unwrap();
    }
    function_of_text(&format!("{}\n(import \"f\" (func {signature}))", text.body))
}

fn type_of(wit: &Wit) -> Type {
    let func = function(&[("p", wit.clone())], None);
    let (_, ty) = func.params().next().unwrap();
    ty
}

fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn validator(schema: &Json) -> jsonschema::Validator {
    jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{error}: {schema}"));
    jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{error}: {schema}"))
}

// ── The table, row by row ───────────────────────────────────────────────────

fn string(text: &str) -> Val {
    Val::String(text.to_owned())
}

fn some(value: Val) -> Val {
    Val::Option(Some(Box::new(value)))
}

fn bytes(bytes: &[u8]) -> Val {
    Val::List(bytes.iter().copied().map(Val::U8).collect())
}

fn case(name: &str, payload: Option<Val>) -> Val {
    Val::Variant(name.to_owned(), payload.map(Box::new))
}

fn field(name: &str, value: Val) -> (String, Val) {
    (name.to_owned(), value)
}

/// One row: a type; JSON that is its value's own text, with the value; other
/// JSON that is accepted, with what it means in the value's own text; JSON
/// that is refused.
struct Row {
    wit: Wit,
    own: Vec<(&'static str, Val)>,
    also: Vec<(&'static str, &'static str)>,
    refused: Vec<&'static str>,
}

impl Row {
    fn check(&self) {
        let Self { wit, own, also, refused } = self;
        let ty = type_of(wit);
        let validator = validator(&value::schema(&ty).unwrap());
        for (text, val) in own {
            let json = parsed(text);
            assert!(validator.is_valid(&json), "{wit:?}: schema of {text}");
            assert_eq!(value::from_json(&json, &ty).as_ref(), Ok(val), "{wit:?}: {text}");
            assert_eq!(value::to_json(val, &ty, PLENTY).unwrap().to_string(), *text, "{wit:?}: {val:?}");
        }
        for (text, canonical) in also {
            let json = parsed(text);
            assert!(validator.is_valid(&json), "{wit:?}: schema of {text}");
            let val = value::from_json(&json, &ty).unwrap_or_else(|error| panic!("{wit:?}: {text}: {error}"));
            assert_eq!(value::to_json(&val, &ty, PLENTY).unwrap().to_string(), *canonical, "{wit:?}: {text}");
        }
        for text in refused {
            let json = parsed(text);
            assert!(!validator.is_valid(&json), "{wit:?}: schema of {text}");
            assert!(value::from_json(&json, &ty).is_err(), "{wit:?}: {text}");
        }
    }
}

fn list_rows() -> Vec<Row> {
    vec![
        Row {
            wit: list(Wit::Scalar("u8")),
            own: vec![("\"\"", bytes(&[])), ("\"AQL/\"", bytes(&[1, 2, 255])), ("\"AA==\"", bytes(&[0]))],
            also: vec![("[]", "\"\""), ("[1,2.0,255]", "\"AQL/\"")],
            refused: vec!["\"AA\"", "\"AB==\"", "\"A===\"", "\"AQL_\"", "\"AQL/\\n\"", "[256]", "[null]", "null", "{}"],
        },
        Row {
            wit: list(Wit::Scalar("s8")),
            own: vec![("[]", Val::List(vec![])), ("[-1,2]", Val::List(vec![Val::S8(-1), Val::S8(2)]))],
            also: vec![],
            refused: vec!["\"AA==\"", "[128]", "{}", "null"],
        },
        Row {
            wit: Wit::FixedList(Box::new(Wit::Scalar("u8")), 2),
            own: vec![("[1,2]", Val::FixedLengthList(vec![Val::U8(1), Val::U8(2)]))],
            also: vec![],
            refused: vec!["[1]", "[1,2,3]", "\"AQI=\""],
        },
        Row {
            wit: Wit::Map("string", Box::new(Wit::Scalar("bool"))),
            own: vec![
                ("{}", Val::Map(vec![])),
                ("{\"b\":true,\"a\":false}", Val::Map(vec![(string("b"), Val::Bool(true)), (string("a"), Val::Bool(false))])),
            ],
            also: vec![],
            refused: vec!["{\"a\":1}", "[]", "[[\"a\",true]]"],
        },
        Row {
            wit: Wit::Map("u64", Box::new(Wit::Scalar("char"))),
            own: vec![("[]", Val::Map(vec![])), ("[[1,\"x\"]]", Val::Map(vec![(Val::U64(1), Val::Char('x'))]))],
            also: vec![("[[\"1\",\"x\"]]", "[[1,\"x\"]]")],
            refused: vec!["{}", "[[1]]", "[[1,\"x\",2]]", "[1,\"x\"]", "[[1,\"xy\"]]"],
        },
        Row {
            wit: Wit::Tuple(vec![Wit::Scalar("u8"), Wit::Scalar("string")]),
            own: vec![("[1,\"a\"]", Val::Tuple(vec![Val::U8(1), string("a")]))],
            also: vec![],
            refused: vec!["[1]", "[1,\"a\",null]", "[\"a\",1]", "{}"],
        },
    ]
}

fn named_rows() -> Vec<Row> {
    vec![
        Row {
            wit: record(&[("max-items", Wit::Scalar("u8")), ("note", option(Wit::Scalar("string")))]),
            own: vec![
                ("{\"max_items\":1,\"note\":null}", Val::Record(vec![field("max-items", Val::U8(1)), field("note", Val::Option(None))])),
                ("{\"max_items\":1,\"note\":\"x\"}", Val::Record(vec![field("max-items", Val::U8(1)), field("note", some(string("x")))])),
            ],
            also: vec![("{\"max_items\":1}", "{\"max_items\":1,\"note\":null}")],
            refused: vec!["{}", "{\"max-items\":1}", "{\"max_items\":1,\"other\":2}", "{\"max_items\":null}", "[]", "null"],
        },
        Row {
            wit: variant(&[("retry-after", Some(Wit::Scalar("u8"))), ("not-now", None), ("maybe", Some(option(Wit::Scalar("u8"))))]),
            own: vec![
                ("{\"retry_after\":5}", case("retry-after", Some(Val::U8(5)))),
                ("\"not_now\"", case("not-now", None)),
                ("{\"maybe\":null}", case("maybe", Some(Val::Option(None)))),
            ],
            also: vec![],
            refused: vec![
                "\"retry_after\"",
                "{\"not_now\":null}",
                "\"not-now\"",
                "\"maybe\"",
                "{}",
                "{\"retry_after\":5,\"maybe\":1}",
                "null",
            ],
        },
        Row {
            wit: Wit::Enum(owned(&["low", "very-high"])),
            own: vec![("\"low\"", Val::Enum("low".to_owned())), ("\"very_high\"", Val::Enum("very-high".to_owned()))],
            also: vec![],
            refused: vec!["\"very-high\"", "\"LOW\"", "0", "{\"low\":null}", "null"],
        },
        Row {
            wit: Wit::Flags(owned(&["read", "write-all"])),
            own: vec![("[]", Val::Flags(vec![])), ("[\"read\",\"write_all\"]", Val::Flags(owned(&["read", "write-all"])))],
            also: vec![("[\"write_all\",\"read\"]", "[\"read\",\"write_all\"]")],
            refused: vec!["[\"read\",\"read\"]", "[\"write-all\"]", "[1]", "\"read\"", "{\"read\":true}"],
        },
    ]
}

fn choice_rows() -> Vec<Row> {
    let unit = Wit::Result(None, None);
    vec![
        Row {
            wit: option(Wit::Scalar("u8")),
            own: vec![("null", Val::Option(None)), ("1", some(Val::U8(1)))],
            also: vec![],
            refused: vec!["{\"some\":1}", "false", "\"\""],
        },
        Row {
            wit: option(option(Wit::Scalar("u8"))),
            own: vec![("null", Val::Option(None)), ("{\"some\":null}", some(Val::Option(None))), ("{\"some\":1}", some(some(Val::U8(1))))],
            also: vec![],
            refused: vec!["1", "{}", "{\"none\":null}", "{\"some\":{\"some\":1}}", "{\"some\":1,\"more\":2}"],
        },
        Row {
            wit: Wit::Result(Some(Box::new(Wit::Scalar("u8"))), Some(Box::new(Wit::Scalar("string")))),
            own: vec![
                ("{\"ok\":1}", Val::Result(Ok(Some(Box::new(Val::U8(1)))))),
                ("{\"err\":\"no\"}", Val::Result(Err(Some(Box::new(string("no")))))),
            ],
            also: vec![],
            refused: vec!["1", "{}", "{\"ok\":\"no\"}", "{\"ok\":1,\"err\":\"no\"}", "{\"error\":\"no\"}", "null"],
        },
        Row {
            wit: option(unit.clone()),
            own: vec![("null", Val::Option(None)), ("{\"ok\":null}", some(Val::Result(Ok(None))))],
            also: vec![],
            refused: vec!["{\"ok\":1}", "\"ok\""],
        },
        Row {
            wit: unit,
            own: vec![("{\"ok\":null}", Val::Result(Ok(None))), ("{\"err\":null}", Val::Result(Err(None)))],
            also: vec![],
            refused: vec!["null", "{\"ok\":{}}", "{\"ok\":false}"],
        },
    ]
}

#[test]
fn every_row_of_the_table_holds_for_lists_maps_and_tuples() {
    list_rows().iter().for_each(Row::check);
}

#[test]
fn every_row_of_the_table_holds_for_types_with_names() {
    named_rows().iter().for_each(Row::check);
}

#[test]
fn every_row_of_the_table_holds_for_options_and_results() {
    choice_rows().iter().for_each(Row::check);
}

#[test]
fn of_a_repeated_map_key_the_last_value_is_written() {
    let ty = type_of(&Wit::Map("string", Box::new(Wit::Scalar("u8"))));
    let val = Val::Map(vec![(string("a"), Val::U8(1)), (string("b"), Val::U8(2)), (string("a"), Val::U8(3))]);
    assert_eq!(value::to_json(&val, &ty, PLENTY), Ok(json!({"a": 3, "b": 2})));
}

// ── Schemas ─────────────────────────────────────────────────────────────────

#[test]
fn a_schema_says_what_the_table_says() {
    let ty = type_of(&record(&[
        ("at-most", option(Wit::Scalar("u16"))),
        ("level", Wit::Enum(owned(&["low", "very-high"]))),
        ("choice", variant(&[("none", None), ("some-of", Some(Wit::Tuple(vec![Wit::Scalar("bool")])))])),
    ]));
    let expected = json!({
        "type": "object",
        "properties": {
            "at_most": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 65535}, {"type": "null"}]},
            "level": {"type": "string", "enum": ["low", "very_high"]},
            "choice": {"anyOf": [
                {"type": "string", "enum": ["none"]},
                {
                    "type": "object",
                    "properties": {
                        "some_of": {"type": "array", "prefixItems": [{"type": "boolean"}], "items": false, "minItems": 1},
                    },
                    "required": ["some_of"],
                    "additionalProperties": false,
                },
            ]},
        },
        "required": ["level", "choice"],
        "additionalProperties": false,
    });
    assert_eq!(value::schema(&ty), Ok(expected));
}

#[test]
fn the_patterns_of_64_bit_texts_accept_exactly_the_numbers_in_range() {
    let mut rng = Random(seed());
    let (unsigned, signed) = (Type::U64, Type::S64);
    let (u64s, s64s) = (validator(&value::schema(&unsigned).unwrap()), validator(&value::schema(&signed).unwrap()));
    for _ in 0..4000 {
        let near = [u64::MAX.to_string(), i64::MAX.to_string(), i64::MIN.to_string(), "0".to_owned(), "-0".to_owned()];
        let text = edited(&rng.pick(&near), &mut rng);
        let json = json!(text);
        let is_u64 = text.parse::<u64>().is_ok_and(|number| number.to_string() == text);
        let is_s64 = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
        assert_eq!((u64s.is_valid(&json), s64s.is_valid(&json)), (is_u64, is_s64), "schema of {text:?}");
        assert_eq!(value::from_json(&json, &unsigned).is_ok(), is_u64, "{text:?} as u64");
        assert_eq!(value::from_json(&json, &signed).is_ok(), is_s64, "{text:?} as s64");
    }
}

// ── Functions ───────────────────────────────────────────────────────────────

#[test]
fn params_are_an_object_and_options_may_be_left_out() {
    let func = function(&[("max-items", Wit::Scalar("u8")), ("note", option(Wit::Scalar("string")))], None);
    assert_eq!(value::supported(&func), Ok(()));
    assert_eq!(value::params_schema(&func).unwrap()["required"], json!(["max_items"]),);
    let expected = vec![Val::U8(3), Val::Option(None)];
    assert_eq!(value::arguments(&json!({"max_items": 3}), &func), Ok(expected.clone()));
    assert_eq!(value::arguments(&json!({"note": null, "max_items": 3}), &func), Ok(expected));
    assert!(matches!(value::arguments(&json!([3]), &func), Err(ValueError::Mismatch { .. })));
    assert!(matches!(value::arguments(&json!(null), &func), Err(ValueError::Mismatch { .. })));
}

#[test]
fn a_function_without_params_takes_an_empty_object() {
    let func = function(&[], None);
    assert_eq!(value::arguments(&json!({}), &func), Ok(vec![]));
    assert_eq!(value::params_schema(&func).unwrap()["properties"], json!({}));
    assert_eq!(value::result_schema(&func), Ok(json!({"type": "null"})));
    assert_eq!(value::failure_schema(&func), Ok(None));
    assert_eq!(value::outcome(&[], &func, 4), Ok(Outcome::Success(Json::Null)));
}

#[test]
fn a_result_is_taken_apart_only_at_the_top() {
    let inner = Wit::Result(Some(Box::new(Wit::Scalar("u8"))), None);
    let func = function(&[], Some(Wit::Result(Some(Box::new(inner.clone())), Some(Box::new(Wit::Scalar("string"))))));
    let refused = Val::Result(Ok(Some(Box::new(Val::Result(Err(None))))));
    assert_eq!(value::outcome(&[refused], &func, PLENTY), Ok(Outcome::Success(json!({"err": null}))));
    let failed = Val::Result(Err(Some(Box::new(string("no")))));
    assert_eq!(value::outcome(&[failed], &func, PLENTY), Ok(Outcome::Failure(json!("no"))));
    assert_eq!(value::result_schema(&func), value::schema(&type_of(&inner)));
    assert_eq!(value::failure_schema(&func), Ok(Some(json!({"type": "string"}))));
}

#[test]
fn a_result_without_payloads_gives_null_either_way() {
    let func = function(&[], Some(Wit::Result(None, None)));
    assert_eq!(value::outcome(&[Val::Result(Ok(None))], &func, PLENTY), Ok(Outcome::Success(Json::Null)));
    assert_eq!(value::outcome(&[Val::Result(Err(None))], &func, PLENTY), Ok(Outcome::Failure(Json::Null)));
    assert_eq!(value::failure_schema(&func), Ok(Some(json!({"type": "null"}))));
    assert!(matches!(value::outcome(&[], &func, PLENTY), Err(ValueError::NotOfType { .. })));
}

#[test]
fn a_function_with_a_resource_is_unsupported_and_says_where() {
    let body = "(import \"r\" (type $r (sub resource)))
        (type $raw (record (field \"the-body\" (own $r))))
        (import \"t\" (type $t (eq $raw)))";
    let owns = function_of_text(&format!("{body}(import \"f\" (func (param \"given\" (list $t))))"));
    let refused = value::supported(&owns).unwrap_err();
    assert_eq!((refused.path.to_string().as_str(), refused.type_name), ("params.given[].the_body", "a resource"));
    assert_eq!(value::params_schema(&owns), Err(refused.clone()));
    assert_eq!(value::arguments(&json!({"given": []}), &owns), Err(ValueError::Unsupported(refused)));

    let borrows = function_of_text(&format!("{body}(import \"f\" (func (param \"self\" (borrow $r))))"));
    assert_eq!(value::supported(&borrows).unwrap_err().type_name, "a borrowed resource");

    let returns = function_of_text(&format!("{body}(import \"f\" (func (result (own $r))))"));
    assert_eq!(value::supported(&returns).unwrap_err().path.to_string(), "result");
    assert!(value::params_schema(&returns).is_ok(), "its params are fine");
}

// ── Errors ──────────────────────────────────────────────────────────────────

#[test]
fn every_refusal_says_where_and_what_to_write() {
    let wit = record(&[
        ("items", list(record(&[("max-items", Wit::Scalar("u8"))]))),
        ("level", option(Wit::Enum(owned(&["low", "very-high"])))),
        ("mode", option(variant(&[("plain", None), ("timed", Some(Wit::Scalar("u32")))]))),
        ("rights", option(Wit::Flags(owned(&["read", "write"])))),
        ("body", option(list(Wit::Scalar("u8")))),
        ("pair", option(Wit::Tuple(vec![Wit::Scalar("u8"), Wit::Scalar("char")]))),
        ("deep", option(option(Wit::Scalar("u8")))),
    ]);
    let func = function(&[("given", wit)], None);
    for (given, words) in [
        (r#"{"items":[{"max_items":1},{"max_items":300}]}"#, "`params.given.items[1].max_items` should be a u8 (0 to 255), found 300"),
        (r#"{"items":[{"maxItems":1}]}"#, "`params.given.items[0]` has no field `maxItems`, the nearest is `max_items`"),
        (r#"{"items":[{}]}"#, "`params.given.items[0].max_items` is missing, it should be a u8 (0 to 255)"),
        (r#"{"items":[],"level":"very-high"}"#, "`params.given.level` has no case `very-high`, the nearest is `very_high`"),
        (r#"{"items":[],"level":"other"}"#, "`params.given.level` has no case `other`, it has `low`, `very_high`"),
        (r#"{"items":[],"level":7}"#, "`params.given.level` should be an enum (a case's name as a string), found 7"),
        (r#"{"items":[],"mode":"timed"}"#, "`params.given.mode.timed` is missing, it should be a u32 (0 to 4294967295)"),
        (
            r#"{"items":[],"mode":{"plain":1}}"#,
            "`params.given.mode` should be the string \"plain\", the case carries no value, found an object",
        ),
        (r#"{"items":[],"rights":["read","read"]}"#, "`params.given.rights` names the flag `read` twice"),
        (r#"{"items":[],"rights":["reed"]}"#, "`params.given.rights` has no flag `reed`, the nearest is `read`"),
        (
            r#"{"items":[],"body":"no base64!"}"#,
            "`params.given.body` should be a list<u8> (standard base64 with padding, or an array of numbers from 0 to 255), found a string that is not base64",
        ),
        (r#"{"items":[],"pair":[1]}"#, "`params.given.pair` should be a tuple (an array of 2), found an array of 1"),
        (r#"{"items":[],"deep":5}"#, "`params.given.deep` should be an option of an option (null, or {\"some\": value or null}), found 5"),
    ] {
        let error = value::arguments(&json!({"given": parsed(given)}), &func).unwrap_err();
        assert_eq!(error.to_string(), words, "{given}");
    }
    let error = value::arguments(&json!({"givn": {}}), &func).unwrap_err();
    assert_eq!(error.to_string(), "`params` has no param `givn`, the nearest is `given`");
}

#[test]
fn an_error_repeats_no_text_of_the_caller_but_names() {
    let func = function(&[("a", Wit::Scalar("u64")), ("b", Wit::Scalar("f32")), ("c", list(Wit::Scalar("u8")))], None);
    for given in [json!({"a": "canary", "b": 1, "c": ""}), json!({"a": 1, "b": "canary", "c": ""}), json!({"a": 1, "b": 1, "c": "canary"})]
    {
        let error = value::arguments(&given, &func).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

// ── Bounds ──────────────────────────────────────────────────────────────────

#[test]
fn a_type_nested_too_deep_is_unsupported() {
    let nested = |depth: usize| (1..depth).fold(Wit::Scalar("bool"), |inner, _| list(inner));
    assert!(value::schema(&type_of(&nested(value::MAX_TYPE_DEPTH))).is_ok());
    let refused = value::schema(&type_of(&nested(value::MAX_TYPE_DEPTH + 1))).unwrap_err();
    assert_eq!(refused.type_name, "a deeply nested type");
}

#[test]
fn the_deepest_schema_is_still_read_by_common_parsers() {
    // Variants take the most levels of JSON, and bytes the most of a leaf.
    let leaf = list(Wit::Scalar("u8"));
    let wit = (1..value::MAX_TYPE_DEPTH).fold(leaf, |inner, _| variant(&[("a", Some(inner))]));
    let schema = value::params_schema(&function(&[("p", wit)], None)).unwrap();
    let text = json!({"result": {"tools": [{"inputSchema": schema}]}}).to_string();
    assert!(serde_json::from_str::<Json>(&text).is_ok());
}

#[test]
fn a_small_component_with_a_huge_type_is_unsupported() {
    // Each type holds the one before it many times: 8^6 parts in all.
    let mut body = "(type $t0 (tuple u8 u8))".to_owned();
    for index in 1..=6 {
        let parts = format!("$t{} ", index - 1).repeat(8);
        write!(body, "(type $t{index} (tuple {parts}))").unwrap();
    }
    let func = function_of_text(&format!("{body}(import \"f\" (func (param \"p\" $t6)))"));
    let refused = value::supported(&func).unwrap_err();
    assert_eq!(refused.type_name, "part of a type that is too large");
    assert_eq!(value::arguments(&json!({"p": []}), &func), Err(ValueError::Unsupported(refused)));
}

#[test]
fn json_that_stands_for_too_many_values_is_refused() {
    let too_long = "A".repeat(value::MAX_VALUE_BYTES / 16);
    let ty = type_of(&list(Wit::Scalar("u8")));
    assert_eq!(value::from_json(&json!(too_long), &ty), Err(ValueError::TooManyValues { root: "value" }));

    // Two bytes of JSON each, more than a thousand values each.
    let names: Vec<String> = (0..1500).map(|index| format!("f{index}")).collect();
    let fields = names.iter().map(|name| (name.clone(), option(Wit::Scalar("bool")))).collect();
    let ty = type_of(&list(Wit::Record(fields)));
    let empties = Json::Array(vec![json!({}); value::MAX_VALUE_BYTES / (1500 * size_of::<Val>())]);
    assert_eq!(value::from_json(&empties, &ty), Err(ValueError::TooManyValues { root: "value" }));
}

#[test]
fn a_result_longer_than_its_limit_is_refused() {
    let ty = type_of(&list(list(Wit::Scalar("bool"))));
    let val = Val::List(vec![Val::List(vec![Val::Bool(true); 100]); 100]);
    let length = value::to_json(&val, &ty, PLENTY).unwrap().to_string().len();
    assert!(value::to_json(&val, &ty, length).is_ok());
    assert_eq!(value::to_json(&val, &ty, length - 1), Err(ValueError::OutputTooLong { max_bytes: length - 1 }));
    assert_eq!(value::to_json(&val, &ty, 0), Err(ValueError::OutputTooLong { max_bytes: 0 }));
}

// ── Properties ──────────────────────────────────────────────────────────────

/// SplitMix64: values from a number, so that a case is repeated by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }
}

#[expect(clippy::print_stdout, reason = "shown for a test that failed")]
fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("WARDROOM_SEED").ok().map(|text| text.parse().unwrap());
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("WARDROOM_SEED={seed}");
        seed
    })
}

fn runner() -> TestRunner {
    let cases = std::env::var("WARDROOM_PROPTEST_CASES").map_or(256, |text| text.parse().unwrap());
    let mut random = Random(seed());
    let bytes: Vec<u8> = (0..4).flat_map(|_| random.next().to_le_bytes()).collect();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Distinct names of every spelling that the component model has.
fn names(count: usize) -> Vec<String> {
    let words = ["a", "retry-after", "HTTP-url", "x-2", "some", "ok", "err", "null", "v1", "max-items"];
    (0..count).map(|index| if index < words.len() { words[index].to_owned() } else { format!("n{index}") }).collect()
}

/// Types of at most four levels.
fn any_wit() -> impl Strategy<Value = Wit> {
    let leaf = prop_oneof![
        8 => proptest::sample::select(&SCALARS[..]).prop_map(Wit::Scalar),
        1 => (1..12_usize).prop_map(|count| Wit::Enum(names(count))),
        1 => (1..12_usize).prop_map(|count| Wit::Flags(names(count))),
        1 => Just(list(Wit::Scalar("u8"))),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let maybe = proptest::option::of(inner.clone());
        prop_oneof![
            inner.clone().prop_map(list),
            (inner.clone(), 1..4_usize).prop_map(|(item, length)| Wit::FixedList(Box::new(item), length)),
            (proptest::sample::select(&KEYS[..]), inner.clone()).prop_map(|(key, value)| Wit::Map(key, Box::new(value))),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|wits| Wit::Record(names(wits.len()).into_iter().zip(wits).collect())),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Wit::Tuple),
            proptest::collection::vec(maybe.clone(), 1..4).prop_map(|wits| Wit::Variant(names(wits.len()).into_iter().zip(wits).collect())),
            inner.clone().prop_map(option),
            inner.prop_map(|wit| option(option(wit))),
            (maybe.clone(), maybe).prop_map(|(ok, err)| Wit::Result(ok.map(Box::new), err.map(Box::new))),
        ]
    })
}

fn any_text(random: &mut Random) -> String {
    let chars = ['a', 'Z', '"', '\\', '\n', '\u{1}', '\u{7f}', 'é', '🦀', '\u{2028}', ' ', '\u{fffd}'];
    (0..random.below(6)).map(|_| random.pick(&chars)).collect()
}

/// Mostly the numbers at the edges, where conversions go wrong.
fn any_bits(random: &mut Random) -> u64 {
    let edges = [0, 1, (1 << 53) - 1, 1 << 53, u64::MAX, 1 << 63, (1 << 63) - 1, 0x7f, 0x80, 1 << 31, u64::MAX << 53];
    match random.below(3) {
        0 => random.next(),
        1 => random.next() & 0xffff,
        _ => random.pick(&edges),
    }
}

fn any_f64(random: &mut Random) -> f64 {
    let edges = [0.0, -0.0, 0.1, 1e300, 5e-324, f64::MAX, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_993.0];
    if random.coin() { f64::from_bits(random.next()) } else { random.pick(&edges) }
}

fn any_f32(random: &mut Random) -> f32 {
    let edges = [0.0, -0.0, 0.1, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 16_777_217.0];
    if random.coin() { f32::from_bits(random.next() as u32) } else { random.pick(&edges) }
}

fn any_scalar(name: &str, random: &mut Random) -> Val {
    let bits = any_bits(random);
    match name {
        "bool" => Val::Bool(random.coin()),
        "u8" => Val::U8(bits as u8),
        "u16" => Val::U16(bits as u16),
        "u32" => Val::U32(bits as u32),
        "u64" => Val::U64(bits),
        "s8" => Val::S8(bits as i8),
        "s16" => Val::S16(bits as i16),
        "s32" => Val::S32(bits as i32),
        "s64" => Val::S64(bits as i64),
        "f32" => Val::Float32(any_f32(random)),
        "f64" => Val::Float64(any_f64(random)),
        "char" => Val::Char(char::from_u32(bits as u32 % 0x11_0000).unwrap_or('"')),
        _ => Val::String(any_text(random)),
    }
}

fn any_payload(wit: Option<&Wit>, random: &mut Random) -> Option<Box<Val>> {
    wit.map(|wit| Box::new(any_val(wit, random)))
}

fn any_val(wit: &Wit, random: &mut Random) -> Val {
    match wit {
        Wit::Scalar(name) => any_scalar(name, random),
        Wit::List(item) => Val::List((0..random.below(5)).map(|_| any_val(item, random)).collect()),
        Wit::FixedList(item, length) => Val::FixedLengthList((0..*length).map(|_| any_val(item, random)).collect()),
        Wit::Map(key, value) => {
            let mut seen = HashSet::new();
            let keys: Vec<Val> = (0..random.below(4)).map(|_| any_scalar(key, random)).collect();
            let keys = keys.into_iter().filter(|key| seen.insert(format!("{key:?}")));
            Val::Map(keys.map(|key| (key, any_val(value, random))).collect())
        }
        Wit::Record(fields) => Val::Record(fields.iter().map(|(name, wit)| (name.clone(), any_val(wit, random))).collect()),
        Wit::Tuple(wits) => Val::Tuple(wits.iter().map(|wit| any_val(wit, random)).collect()),
        Wit::Variant(cases) => {
            let (name, wit) = random.pick(cases);
            Val::Variant(name, any_payload(wit.as_ref(), random))
        }
        Wit::Enum(names) => Val::Enum(random.pick(names)),
        Wit::Flags(names) => Val::Flags(names.iter().filter(|_| random.coin()).cloned().collect()),
        Wit::Option(inner) => Val::Option(random.coin().then(|| Box::new(any_val(inner, random)))),
        Wit::Result(ok, err) => {
            Val::Result(if random.coin() { Ok(any_payload(ok.as_deref(), random)) } else { Err(any_payload(err.as_deref(), random)) })
        }
    }
}

/// A text with one small change.
fn edited(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = random.below(chars.len() + 1);
    let new = random.pick(&['0', '1', '5', '9', '=', 'A', '-', '+', '_', ' ', '\n']);
    match random.below(4) {
        0 => chars.insert(at, new),
        1 if at < chars.len() => drop(chars.remove(at)),
        2 if at < chars.len() => chars[at] = new,
        _ => {}
    }
    chars.into_iter().collect()
}

/// JSON that is near to something of the table.
fn any_leaf(random: &mut Random) -> Json {
    const LEAVES: &str = r#"
        null true false 0 -0 -0.0 1 5.0 5e0 0.5 -1 127 128 -128 -129 255 256 65535 65536
        2147483647 2147483648 -2147483649 4294967295 4294967296 9007199254740993
        9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
        18446744073709551615 18446744073709551616 1e19 1e300 1e-300 3.4028235e38
        3.4028235677973362e38 3.4028235677973366e38 -3.4028235677973366e38
        "" "a" "ab" "é" "e\u0301" "NaN" "Infinity" "-Infinity" "+Infinity" "nan"
        "0" "-0" "00" "18446744073709551615" "18446744073709551616" "1\n"
        "-9223372036854775808" "-9223372036854775809" "9223372036854775808"
        "AAAA" "AA==" "AB==" "AAA=" "AAB=" "AAA" "A-_A"
        "some" "ok" "retry_after" "retry-after" "HTTP_url"
        [] {} [null] [0] [0,1] [0,1,2] ["a"] ["a","a"] ["retry_after","a"] [[0,0]]
        {"some":null} {"some":1} {"ok":null} {"err":null} {"ok":null,"err":null}
        {"a":null} {"a":0} {"retry_after":null}
    "#;
    let leaves: Vec<&str> = LEAVES.split_whitespace().collect();
    parsed(random.pick(&leaves))
}

fn any_json(depth: usize, random: &mut Random) -> Json {
    match random.below(if depth == 0 { 1 } else { 3 }) {
        0 => any_leaf(random),
        1 => Json::Array((0..random.below(4)).map(|_| any_json(depth - 1, random)).collect()),
        _ => {
            let keys = names(10);
            let entries = (0..random.below(4)).map(|_| (random.pick(&keys).replace('-', "_"), any_json(depth - 1, random)));
            Json::Object(entries.collect())
        }
    }
}

fn count(json: &Json) -> usize {
    1 + match json {
        Json::Array(items) => items.iter().map(count).sum(),
        Json::Object(entries) => entries.values().map(count).sum(),
        _ => 0,
    }
}

/// Changes one part of a JSON value, whichever.
fn mutated(json: &mut Json, random: &mut Random) {
    let mut at = random.below(count(json));
    change(json, &mut at, random);
}

/// Goes to the part with the given number, in order, and changes it.
fn change(json: &mut Json, at: &mut usize, random: &mut Random) {
    if *at == 0 {
        *at = usize::MAX;
        return change_here(json, random);
    }
    *at -= 1;
    let parts: Vec<&mut Json> = match json {
        Json::Array(items) => items.iter_mut().collect(),
        Json::Object(entries) => entries.values_mut().collect(),
        _ => Vec::new(),
    };
    for part in parts {
        if *at == usize::MAX {
            return;
        }
        change(part, at, random);
    }
}

/// Writes the same thing in another way, which is accepted for some types.
fn respell(json: &mut Json, random: &mut Random) {
    match &mut *json {
        Json::Number(number) if random.coin() => *json = json!(number.to_string()),
        Json::Number(number) => *json = json!(number.as_f64()),
        Json::String(text) => {
            let number = text.parse::<u64>().map(|number| json!(number));
            *json = number.unwrap_or_else(|_| json!(text.bytes().collect::<Vec<u8>>()));
        }
        Json::Array(items) => items.reverse(),
        Json::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.sort_keys();
        }
        _ => {}
    }
}

fn change_here(json: &mut Json, random: &mut Random) {
    if random.coin() {
        return respell(json, random);
    }
    match (random.below(6), &mut *json) {
        (0, _) => *json = any_leaf(random),
        (1, _) => *json = json!({ random.pick(&["some", "ok", "err", "a"]): json.take() }),
        (2, _) => *json = json!([json.take()]),
        (_, Json::String(text)) => *text = edited(text, random),
        (3, Json::Array(items)) if !items.is_empty() => drop(items.remove(random.below(items.len()))),
        (4, Json::Array(items)) if !items.is_empty() => items.push(random.pick(items)),
        (_, Json::Array(items)) => items.reverse(),
        (3, Json::Object(entries)) => {
            let key = entries.keys().nth(random.below(entries.len().max(1))).cloned();
            key.map(|key| entries.remove(&key));
        }
        (4, Json::Object(entries)) => drop(entries.insert(edited("some_key", random), any_leaf(random))),
        (_, Json::Object(entries)) => {
            *entries = std::mem::replace(entries, Map::new()).into_iter().map(|(key, value)| (edited(&key, random), value)).collect();
        }
        _ => *json = any_leaf(random),
    }
}

fn round_trip(wit: &Wit, ty: &Type, validator: &jsonschema::Validator, random: &mut Random) -> Result<(), TestCaseError> {
    let val = any_val(wit, random);
    let json = value::to_json(&val, ty, PLENTY).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let text = json.to_string();
    prop_assert_eq!(value::from_json(&parsed(&text), ty), Ok(val.clone()), "{}", text);
    prop_assert!(validator.is_valid(&parsed(&text)), "schema of {}", text);
    prop_assert_eq!(value::to_json(&val, ty, text.len()), Ok(json), "{} bytes suffice", text.len());
    let short = text.len() - 1;
    prop_assert_eq!(value::to_json(&val, ty, short), Err(ValueError::OutputTooLong { max_bytes: short }));
    Ok(())
}

#[test]
fn what_is_written_reads_back_as_the_same_bits() {
    runner()
        .run(&(any_wit(), any::<u64>()), |(wit, seed)| {
            let ty = type_of(&wit);
            let validator = validator(&value::schema(&ty).unwrap());
            let mut random = Random(seed);
            (0..8).try_for_each(|_| round_trip(&wit, &ty, &validator, &mut random))
        })
        .unwrap_or_else(|error| panic!("WARDROOM_SEED={}: {error}", seed()));
}

#[test]
fn a_schema_accepts_exactly_what_the_converter_accepts() {
    let verdicts = RefCell::new([0_usize; 2]);
    let agree = |json: &Json, ty: &Type, validator: &jsonschema::Validator| {
        let converted = value::from_json(json, ty);
        prop_assert_eq!(validator.is_valid(json), converted.is_ok(), "{} {:?}", json, converted);
        verdicts.borrow_mut()[usize::from(converted.is_ok())] += 1;
        if let Ok(val) = converted {
            let own = value::to_json(&val, ty, PLENTY).unwrap();
            prop_assert_eq!(value::from_json(&own, ty), Ok(val), "{} as {}", json, own);
        }
        Ok(())
    };
    runner()
        .run(&(any_wit(), any::<u64>()), |(wit, seed)| {
            let ty = type_of(&wit);
            let validator = validator(&value::schema(&ty).unwrap());
            let mut random = Random(seed);
            for _ in 0..24 {
                let mut json = value::to_json(&any_val(&wit, &mut random), &ty, PLENTY).unwrap();
                for _ in 0..=random.below(2) {
                    mutated(&mut json, &mut random);
                }
                // Through text, as it would come: a parser decides what -0 or 1e19 is.
                agree(&parsed(&json.to_string()), &ty, &validator)?;
            }
            for _ in 0..8 {
                agree(&any_json(3, &mut random), &ty, &validator)?;
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("WARDROOM_SEED={}: {error}", seed()));
    let [refused, accepted] = *verdicts.borrow();
    println!("{accepted} accepted, {refused} refused");
    // A test that only ever sees one of the two says nothing.
    assert!(accepted * 10 > refused && refused > accepted, "{accepted} accepted, {refused} refused");
}

/// A component whose `echo` returns the list it was given. A list is a
/// pointer and a length whatever is in it, so that one guest serves all types.
fn echo_text(item: &Wit) -> String {
    let mut text = Text::default();
    let ty = text.define(&list(item.clone()));
    format!(
        r#"(component
            {}
            (core module $module
                (memory (export "memory") 16)
                (global $next (mut i32) (i32.const 64))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (local.get $at))
                (func (export "echo") (param i32 i32) (result i32)
                    (i32.store (i32.const 16) (local.get 0))
                    (i32.store (i32.const 20) (local.get 1))
                    (i32.const 16)))
            (core instance $guest (instantiate $module))
            (alias core export $guest "echo" (core func $echo))
            (alias core export $guest "memory" (core memory $memory))
            (alias core export $guest "realloc" (core func $realloc))
            (func (export "echo") (param "p" {ty}) (result {ty})
                (canon lift (core func $echo) (memory $memory) (realloc (core func $realloc)))))"#,
        text.body
    )
}

fn echoed(item: &Wit, seed: u64) -> Result<(), TestCaseError> {
    let component = Component::new(engine(), wat::parse_str(echo_text(item)).unwrap()).unwrap();
    let mut store = wasmtime::Store::new(engine(), ());
    let instance = wasmtime::component::Linker::new(engine()).instantiate(&mut store, &component).unwrap();
    let echo = instance.get_func(&mut store, "echo").unwrap();
    let func = echo.ty(&store);
    let mut random = Random(seed);

    let (_, ty) = func.params().next().unwrap();
    let given = value::to_json(&any_val(&list(item.clone()), &mut random), &ty, PLENTY).unwrap();
    let arguments = value::arguments(&json!({"p": given}), &func).unwrap();
    let mut results = [Val::Bool(false)];
    echo.call(&mut store, &arguments, &mut results).unwrap();
    prop_assert_eq!(value::outcome(&results, &func, PLENTY), Ok(Outcome::Success(given)));
    Ok(())
}

#[test]
fn values_pass_through_a_real_component_unchanged() {
    runner()
        .run(&(any_wit(), any::<u64>()), |(wit, seed)| echoed(&wit, seed))
        .unwrap_or_else(|error| panic!("WARDROOM_SEED={}: {error}", seed()));
}

#[test]
fn every_f32_survives_text() {
    let mut random = Random(seed());
    for _ in 0..100_000 {
        let bits = random.next() as u32;
        let val = Val::Float32(f32::from_bits(bits));
        let text = value::to_json(&val, &Type::Float32, 64).unwrap().to_string();
        assert_eq!(value::from_json(&parsed(&text), &Type::Float32), Ok(val), "{bits:#x} as {text}");
    }
}
