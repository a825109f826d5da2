//! What scripts may call, as TypeScript declares it: for whoever writes one.
//!
//! Names, descriptions and defaults are data that programs wrote: nothing in them
//! ends a comment or a text, and no terminal obeys them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use wardroom_core::call::CalleeView;
use wardroom_core::text::{for_terminal_line, truncated};

/// Bytes of all declarations; what does not fit is told of by number.
const MAX_BYTES: usize = 50_000;
/// Bytes of one declaration; a longer one is told without its types.
const MAX_ONE: usize = 8_000;
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
    let words = Words::of(callees);
    for view in callees {
        let (path, name) = placed(view);
        let shown = words.spelled(path, name);
        let mut text = function(&shown, view);
        if text.len() > MAX_ONE {
            let plain = json!({ "type": "object" });
            text = function(&shown, &CalleeView { params: plain, result: None, ..view.clone() });
        }
        let size = text.len() + path.len() + 32;
        if bytes + size > MAX_BYTES {
            left += 1;
        } else {
            bytes += size;
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
        text.push_str(&format!("  readonly {}: {{\n", key(&words.spelled("", plugin))));
        for (interface, functions) in group {
            let inner = functions.concat();
            if interface.is_empty() {
                text.push_str(&indented(&inner, 4));
            } else {
                text.push_str(&format!("    readonly {}: {{\n{}    }};\n", key(&words.spelled(plugin, interface)), indented(&inner, 6)));
            }
        }
        text.push_str("  };\n");
    }
    text.push_str("};\n");
    text
}

/// Where a callee stands, and its last word.
fn placed(view: &CalleeView) -> (&str, &str) {
    view.name.rsplit_once('.').unwrap_or(("task", view.name.as_str()))
}

/// The words that stand beside each other, by where they stand.
struct Words<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

impl<'a> Words<'a> {
    fn of(callees: &'a [CalleeView]) -> Self {
        let mut words = BTreeMap::<&str, BTreeSet<&str>>::new();
        for view in callees {
            let (path, name) = placed(view);
            words.entry(path).or_default().insert(name);
            let (plugin, interface) = path.split_once('.').map_or((path, None), |(plugin, interface)| (plugin, Some(interface)));
            words.entry("").or_default().insert(plugin);
            words.entry(plugin).or_default().extend(interface);
        }
        Self(words)
    }

    /// As the interpreter has it: camel case where that stands for one name alone,
    /// else the very name.
    fn spelled(&self, path: &str, word: &str) -> String {
        let short = camel(word);
        let is_meant = |other: &&&str| **other == short || camel(other) == short;
        let meant = self.0.get(path).map_or(0, |words| words.iter().filter(is_meant).count());
        if meant > 1 { word.to_owned() } else { short }
    }
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
    format!("{}{}(params{mark}: {}): Promise<{result}>;\n", comment(&view.description), key(name), type_of(&view.params, 0))
}

/// A comment on a line of its own. Nothing in it ends it.
fn comment(text: &str) -> String {
    let text = for_terminal_line(truncated(text, MAX_COMMENT)).replace("*/", "*\\/");
    if text.trim().is_empty() { String::new() } else { format!("/** {} */\n", text.trim()) }
}

/// `fetch-report` as scripts write it: `fetchReport`.
fn camel(name: &str) -> String {
    let mut joined = String::new();
    let mut dashes = 0;
    for c in name.chars() {
        match (c, dashes) {
            ('-', _) => dashes += 1,
            (c, 0) => joined.push(c),
            (c, _) => {
                joined.push(c.to_ascii_uppercase());
                dashes = 0;
            }
        }
    }
    joined.push_str(&"-".repeat(dashes));
    joined
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
    fn a_short_name_stands_for_one_callee_alone() {
        let none = || json!({ "type": "object" });
        let declared = of(&["a-1", "a1", "b--c", "b-c", "d-", "e-f"].map(|name| view(name, "", none())));
        for name in ["\"a-1\"", "a1", "\"b--c\"", "\"b-c\"", "\"d-\"", "eF"] {
            assert_eq!(declared.matches(&format!("    {name}(params?")).count(), 1, "{name}: {declared}");
        }
    }

    #[test]
    fn a_large_callee_hides_no_other() {
        let properties: Map<String, Value> =
            (0..300).map(|number| (format!("p{number}"), json!({ "type": "string", "description": "x".repeat(200) }))).collect();
        let large = view("aa-big", "Big", json!({ "type": "object", "properties": properties }));
        let declared = of(&[large, view("small", "", json!({ "type": "object" }))]);
        assert!(declared.contains("aaBig(params?: { [name: string]: unknown })") && declared.contains("small("), "{declared}");
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
