//! Pieces of JSON Schema (2020-12) that several tools share. What is published
//! here is what arguments are checked against: there is no second rule.

use serde_json::{Map, Value, json};

/// An object with these properties, and no others.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// What a tool answers: `success`, and these beside it.
pub(super) fn answer(properties: Value) -> Value {
    let mut all = Map::from_iter([
        ("success".to_owned(), json!({ "type": "boolean" })),
        // A refusal has these: a word, and words for people.
        ("error".to_owned(), json!({ "type": ["object", "string", "null"] })),
        ("message".to_owned(), json!({ "type": ["string", "null"] })),
        ("hint".to_owned(), json!({ "type": ["string", "null"] })),
        ("approved".to_owned(), json!({ "type": "boolean" })),
    ]);
    if let Value::Object(properties) = properties {
        all.extend(properties);
    }
    json!({ "type": "object", "properties": all, "required": ["success"] })
}

/// The same schema in words that more clients read: some take one type in one
/// place and no list of them, and no schema that says nothing.
pub(super) fn portable(schema: Value) -> Value {
    match schema {
        Value::Object(mut fields) => {
            // Where it has branches already, the list stays: both have to hold.
            if !fields.contains_key("anyOf")
                && let Some(Value::Array(types)) = fields.get("type").cloned()
            {
                fields.shift_remove("type");
                fields.insert("anyOf".to_owned(), types.into_iter().map(|one| json!({ "type": one })).collect());
            }
            // What stands in `const`, `default` and the like is a value, and no schema.
            for key in ["properties", "patternProperties", "$defs"] {
                if let Some(Value::Object(named)) = fields.get_mut(key) {
                    named.values_mut().for_each(|one| *one = portable(one.take()));
                }
            }
            for key in ["anyOf", "oneOf", "allOf"] {
                if let Some(Value::Array(all)) = fields.get_mut(key) {
                    all.iter_mut().for_each(|one| *one = portable(one.take()));
                }
            }
            for key in ["items", "additionalProperties"] {
                if let Some(one) = fields.get_mut(key) {
                    *one = portable(one.take());
                }
            }
            if fields.is_empty() { any() } else { Value::Object(fields) }
        }
        other => other,
    }
}

/// Any value at all.
fn any() -> Value {
    let types = ["object", "array", "string", "number", "boolean", "null"].map(|one| json!({ "type": one }));
    json!({ "anyOf": types })
}

pub(super) fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

pub(super) fn bounded_text(about: &str, most: usize) -> Value {
    json!({ "type": "string", "description": about, "minLength": 1, "maxLength": most })
}

pub(super) fn flag(about: &str, default: bool) -> Value {
    json!({ "type": "boolean", "description": about, "default": default })
}

pub(super) fn whole(about: &str, least: u64, most: u64, default: u64) -> Value {
    json!({ "type": "integer", "description": about, "minimum": least, "maximum": most, "default": default })
}

pub(super) fn list_of_texts(about: &str) -> Value {
    json!({ "type": "array", "description": about, "items": { "type": "string", "minLength": 1, "maxLength": 2048 }, "maxItems": 64 })
}

/// A task's name.
pub(super) fn task_name(about: &str) -> Value {
    json!({ "type": "string", "description": about, "pattern": "^[a-z][a-z0-9-]{0,47}$" })
}

/// Params of a program, by name.
pub(super) fn params() -> Value {
    json!({ "type": "object", "description": "Params of the program, by name; list_templates and get_task show which" })
}

/// When a task is due.
pub(super) fn schedule() -> Value {
    let one = |kind: &str, key: &str, value: Value| {
        json!({
            "type": "object",
            "properties": { "type": { "const": kind }, key: value },
            "required": ["type", key],
            "additionalProperties": false,
        })
    };
    json!({
        "description": "When it runs: {type: cron, expression}, {type: interval, minutes}, or {type: once, datetime}",
        "oneOf": [
            one("cron", "expression", bounded_text("A cron expression of 5 or 6 fields, such as `0 9 * * MON-FRI`", 256)),
            one("interval", "minutes", json!({ "type": "integer", "minimum": 1, "maximum": 527_040, "description": "The period in minutes" })),
            one("once", "datetime", bounded_text("A moment: RFC 3339, or `2030-01-31 09:00` in the task's zone", 64)),
        ],
    })
}

/// What a request for grants may name, each as after `=` of its flag.
pub(super) fn grants() -> Value {
    object(
        json!({
            "net": list_of_texts("Addresses: `https://HOST[:PORT][/PATH][,METHOD…]`"),
            "read": list_of_texts("Folders to read, absolute"),
            "write": list_of_texts("Folders to read and write, absolute"),
            "sqlite": list_of_texts("SQLite databases: `FILE` or `FILE:write`, absolute"),
            "env": list_of_texts("Environment variables, by name"),
            "state": text("Bytes that it may keep from one run to the next, such as `64KiB`"),
            "credentials": list_of_texts("Credentials: `NAME[@HOST[:PORT]][:query][:path][:body][:sign]`"),
            "call": list_of_texts("Other tasks or tools that it may start, by name: `TASK` or `PLUGIN.FUNCTION`"),
        }),
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_form_lets_through_what_the_other_does() {
        let plain = json!({ "type": ["object", "null"], "properties": {
            "a": { "type": ["string", "null"], "maxLength": 2 }, "b": {}, "c": { "type": "array", "items": { "type": ["integer", "string"] } },
        }, "required": ["a"] });
        let said = portable(plain.clone());
        assert!(!said.to_string().contains("\"type\":["), "{said}");
        let (plain, said) = (jsonschema::validator_for(&plain).unwrap(), jsonschema::validator_for(&said).unwrap());
        for value in [
            json!(null),
            json!({ "a": "xy" }),
            json!({ "a": "xyz" }),
            json!({ "a": null, "b": [1, { "x": null }], "c": [1, "x"] }),
            json!({ "a": 1 }),
            json!({ "a": "x", "c": [true] }),
            json!({}),
            json!("x"),
        ] {
            assert_eq!(plain.is_valid(&value), said.is_valid(&value), "{value}");
        }
    }

    #[test]
    fn a_schedule_is_one_of_three_and_nothing_else() {
        let schema = jsonschema::validator_for(&schedule()).unwrap();
        for good in [
            json!({"type": "cron", "expression": "* * * * *"}),
            json!({"type": "interval", "minutes": 5}),
            json!({"type": "once", "datetime": "2030-01-31 09:00"}),
        ] {
            assert!(schema.is_valid(&good), "{good}");
        }
        for bad in [
            json!({"type": "cron"}),
            json!({"type": "interval", "minutes": 0}),
            json!({"type": "interval", "minutes": 1.5}),
            json!({"type": "interval", "expression": "* * * * *"}),
            json!({"type": "cron", "expression": "* * * * *", "minutes": 5}),
            json!("daily"),
            json!(null),
        ] {
            assert!(!schema.is_valid(&bad), "{bad}");
        }
    }
}
