//! What scripts may call, as TypeScript declares it: for whoever writes one.
//!
//! Names, descriptions and defaults are data that programs wrote: nothing in them
//! ends a comment or a text, and no terminal obeys them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wardroom_core::call::CalleeView;
use wardroom_core::text::{for_terminal_line, truncated};

/// Bytes of all declarations; what does not fit is told of by number.
const MAX_BYTES: usize = 50_000;
/// Types within types that are written out; deeper ones are `unknown`.
const MAX_DEPTH: usize = 24;
/// Bytes of one comment.
const MAX_COMMENT: usize = 1024;

const HEAD: &str = "\
// What a script may call with run_script, and a task that was granted it: each runs with its own rights.
// A failure is thrown as an Error with `kind`, `message` and the callee's `execution`.
";

/// The declarations of callees, in order of their names.
pub(super) fn of(callees: &[CalleeView]) -> String {
    let (mut groups, mut left, mut bytes) = (BTreeMap::<String, Group>::new(), 0_usize, HEAD.len());
    for view in callees {
        let (path, name) = match view.name.rsplit_once('.') {
            Some((path, name)) => (path, name),
            None => ("task", view.name.as_str()),
        };
        let text = function(name, view);
        bytes += text.len() + path.len() + 32;
        if bytes > MAX_BYTES {
            left += 1;
        } else {
            let (plugin, interface) = path.split_once('.').unwrap_or((path, ""));
            groups.entry(plugin.to_owned()).or_default().entry(interface.to_owned()).or_default().push(text);
        }
    }
    let mut text = HEAD.to_owned();
    if left > 0 {
        text.push_str(&format!("// {left} more are not shown here: `Object.keys(tools)` has their names.\n"));
    }
    text.push_str("declare const tools: {\n");
    for (plugin, group) in &groups {
        text.push_str(&format!("  readonly {}: {{\n", key(&camel(plugin))));
        for (interface, functions) in group {
            let inner = functions.concat();
            if interface.is_empty() {
                text.push_str(&indented(&inner, 4));
            } else {
                text.push_str(&format!("    readonly {}: {{\n{}    }};\n", key(&camel(interface)), indented(&inner, 6)));
            }
        }
        text.push_str("  };\n");
    }
    text.push_str("};\n");
    text
}

/// Functions of a plugin, by interface; those of no interface under no name.
type Group = BTreeMap<String, Vec<String>>;

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

fn function(name: &str, view: &CalleeView) -> String {
    let required = view.params.get("required").and_then(Value::as_array).is_some_and(|required| !required.is_empty());
    let mark = if required { "" } else { "?" };
    let result = view.result.as_ref().map_or_else(|| "unknown".to_owned(), |schema| type_of(schema, 0));
    format!("{}{}(params{mark}: {}): Promise<{result}>;\n", comment(&view.description), key(&camel(name)), type_of(&view.params, 0))
}

/// A comment on a line of its own. Nothing in it ends it.
fn comment(text: &str) -> String {
    let text = for_terminal_line(truncated(text, MAX_COMMENT)).replace("*/", "*\\/");
    if text.trim().is_empty() { String::new() } else { format!("/** {} */\n", text.trim()) }
}

/// `fetch-report` as scripts write it: `fetchReport`.
fn camel(name: &str) -> String {
    let mut words = name.split('-').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut joined, word| {
        let mut letters = word.chars();
        joined.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        joined.push_str(letters.as_str());
        joined
    })
}

/// A name of a property.
fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let is_plain = name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(plain);
    if is_plain { name.to_owned() } else { literal(name) }
}

/// A text as JavaScript writes it, in letters that say nothing to anybody else.
fn literal(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            ' '..='~' => written.push(c),
            other => written.push_str(&format!("\\u{{{:x}}}", u32::from(other))),
        }
    }
    written.push('"');
    // Also where it stands in a comment.
    written.replace("*/", "*\\/")
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) => literal(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => "unknown".to_owned(),
    }
}

/// The type of what a JSON Schema lets through.
fn type_of(schema: &Value, depth: usize) -> String {
    let Some(schema) = schema.as_object().filter(|_| depth < MAX_DEPTH) else { return "unknown".to_owned() };
    let each = |list: &[Value]| either(list.iter().map(|schema| type_of(schema, depth + 1)));
    if let Some(known) = schema.get("const") {
        return value(known);
    }
    if let Some(Value::Array(known)) = schema.get("enum") {
        return either(known.iter().map(value));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(list)) = schema.get(key) {
            return each(list);
        }
    }
    match schema.get("type") {
        Some(Value::String(word)) => of_word(word, schema, depth),
        Some(Value::Array(words)) => either(words.iter().filter_map(Value::as_str).map(|word| of_word(word, schema, depth))),
        _ => "unknown".to_owned(),
    }
}

/// Each once, in their order.
fn either(types: impl Iterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for one in types {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    if seen.is_empty() { "never".to_owned() } else { seen.join(" | ") }
}

fn of_word(word: &str, schema: &Map<String, Value>, depth: usize) -> String {
    match word {
        "string" => "string".to_owned(),
        "number" | "integer" => "number".to_owned(),
        "boolean" => "boolean".to_owned(),
        "null" => "null".to_owned(),
        "array" => array(schema, depth),
        "object" => object(schema, depth),
        _ => "unknown".to_owned(),
    }
}

fn array(schema: &Map<String, Value>, depth: usize) -> String {
    if let Some(Value::Array(items)) = schema.get("prefixItems") {
        let items: Vec<String> = items.iter().map(|item| type_of(item, depth + 1)).collect();
        return format!("[{}]", items.join(", "));
    }
    let item = schema.get("items").map_or_else(|| "unknown".to_owned(), |items| type_of(items, depth + 1));
    format!("Array<{item}>")
}

fn object(schema: &Map<String, Value>, depth: usize) -> String {
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let others = match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(others @ Value::Object(_)) => Some(type_of(others, depth + 1)),
        _ => Some("unknown".to_owned()),
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut members: Vec<String> = Vec::new();
    for (name, property) in properties.into_iter().flatten() {
        let mark = if required.contains(&name.as_str()) { "" } else { "?" };
        let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let default = property.get("default").map(|default| format!("Default: {}", value(default)));
        let about =
            [Some(about.to_owned()).filter(|about| !about.is_empty()), default].into_iter().flatten().collect::<Vec<_>>().join(". ");
        let about = comment(&about).replace('\n', " ");
        members.push(format!("{about}{}{mark}: {}", key(name), type_of(property, depth + 1)));
    }
    match others {
        // A list of some names and any other is told as the others' type alone where
        // there are no names.
        Some(others) if members.is_empty() => format!("{{ [name: string]: {others} }}"),
        Some(_) => format!("{{ {}; [name: string]: unknown }}", members.join("; ")),
        None if members.is_empty() => "{}".to_owned(),
        None => format!("{{ {} }}", members.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(name: &str, description: &str, params: Value) -> CalleeView {
        CalleeView { name: name.to_owned(), description: description.to_owned(), params, result: None }
    }

    #[test]
    fn each_callee_is_declared_where_scripts_find_it() {
        let params = json!({ "type": "object", "required": ["a"], "additionalProperties": false, "properties": {
            "a": { "type": "number" },
            "of-day": { "enum": ["monday", "it's"], "default": "monday", "description": "Which day" },
        } });
        let none = json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false });
        let text =
            CalleeView { result: Some(json!({ "type": "array", "items": { "type": "string" } })), ..view("text.tables.to-rows", "", none) };
        let declared = of(&[view("add-two", "Adds", params), view("any", "", json!({ "type": "object" })), text]);
        let body = declared.strip_prefix(HEAD).unwrap();
        let expected = r#"declare const tools: {
  readonly task: {
    /** Adds */
    addTwo(params: { a: number; /** Which day. Default: "monday" */ "of-day"?: "monday" | "it's" }): Promise<unknown>;
    any(params?: { [name: string]: unknown }): Promise<unknown>;
  };
  readonly text: {
    readonly tables: {
      toRows(params?: {}): Promise<Array<string>>;
    };
  };
};
"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn nothing_that_a_program_says_ends_a_comment_or_a_text() {
        let evil = "*/ declare const all: \u{1b}[2J any; /*\n// x";
        let params = json!({ "type": "object", "properties": {
            evil: { "enum": [evil, "\"; evil(); \""], "description": evil, "default": evil } } });
        let declared = of(&[view("a", evil, params)]);
        assert_eq!(declared.matches("*/").count(), 2, "{declared}");
        assert_eq!(declared.matches("/**").count(), 2, "{declared}");
        assert!(!declared.contains('\u{1b}') && declared.lines().count() == HEAD.lines().count() + 6, "{declared}");
        assert!(declared.contains(r#""\"; evil(); \"""#), "{declared}");
    }

    #[test]
    fn what_does_not_fit_is_told_of() {
        let many: Vec<CalleeView> = (0..2000).map(|number| view(&format!("t{number}"), &"x".repeat(100), json!({}))).collect();
        let declared = of(&many);
        assert!(declared.len() < MAX_BYTES + 200 && declared.contains(" more are not shown here"), "{}", declared.len());
        assert_eq!(of(&many), declared, "the same each time");
        let mut deep = json!({ "type": "string" });
        for _ in 0..1000 {
            deep = json!({ "type": "array", "items": deep });
        }
        assert!(type_of(&deep, 0).len() < 1000);
    }

    #[test]
    fn types_are_those_of_the_schema() {
        for (schema, expected) in [
            (json!({ "type": ["integer", "string"] }), "number | string"),
            (json!({ "type": ["number", "integer"] }), "number"),
            (json!({ "anyOf": [{ "type": "boolean" }, { "type": "null" }] }), "boolean | null"),
            (json!({ "type": "array", "prefixItems": [{ "type": "string" }, {}], "items": false }), "[string, unknown]"),
            (json!({ "type": "object", "additionalProperties": { "type": "number" } }), "{ [name: string]: number }"),
            (json!({ "const": "x" }), "\"x\""),
            (json!(true), "unknown"),
        ] {
            assert_eq!(type_of(&schema, 0), expected, "{schema}");
        }
    }
}
