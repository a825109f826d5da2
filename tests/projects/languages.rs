//! From nothing to a typed tool: for each language a project is made, built, its
//! function called with JSON, its cases run.

use serde_json::json;

use super::{has, made, plugin};
use crate::support::home::Home;

fn becomes_a_typed_tool(language: &str) {
    let home = Home::new();
    made(&home, language);
    let built = plugin(&home, &["build", "made", "--json"]);
    assert_eq!(built.code, Some(0), "{built}");
    let built = built.json();
    assert_eq!((&built["shape"], &built["asks_for"], &built["requested_not_imported"]), (&json!("functions"), &json!([]), &json!([])));
    let functions = built["functions"].as_array().unwrap();
    let count = functions.iter().find(|function| function["name"] == "words.count").unwrap_or_else(|| panic!("{built:#}"));
    let request = &count["params"]["properties"]["request"];
    assert_eq!(request["properties"]["text"], json!({"type": "string"}));
    assert_eq!(request["required"], json!(["text"]));

    let program = "made/build/made.wasm#words.count";
    let record = home.record(&[program, "--input", r#"{"request": {"text": "größer als alle", "min_length": 4}}"#]);
    record.succeeded();
    assert_eq!(record.result(), &json!({"words": 2, "characters": 10, "longest": "größer"}));
    let failed = home.record(&[program, "--input", r#"{"request": {"text": ""}}"#]);
    assert_eq!(failed.ending(), ("failed", "failed", "guest", Some(3)), "{}", failed.json);
    assert!(failed.message().contains("the text has no words"), "{}", failed.message());

    let tested = plugin(&home, &["test", "made", "--json"]);
    assert_eq!(tested.code, Some(0), "{tested}");
    let tested = tested.json();
    assert_eq!((&tested["failed"], tested["cases"].as_array().map(Vec::len)), (&json!(0), Some(2)));
    assert_eq!(tested["cases"][0]["log"], json!(["info counted 2 words"]), "{tested:#}");
}

#[test]
fn a_project_in_rust_becomes_a_typed_tool() {
    becomes_a_typed_tool("rust");
}

#[test]
fn a_project_in_javascript_becomes_a_typed_tool() {
    if has("componentize-qjs") {
        becomes_a_typed_tool("js");
    }
}

#[test]
fn a_project_in_typescript_becomes_a_typed_tool() {
    if has("componentize-qjs") {
        becomes_a_typed_tool("ts");
    }
}

#[test]
fn a_project_in_python_becomes_a_typed_tool() {
    if has("componentize-py") {
        becomes_a_typed_tool("python");
    }
}

#[test]
fn a_project_in_c_becomes_a_typed_tool() {
    if has("python-zig") {
        becomes_a_typed_tool("c");
    }
}

#[test]
fn a_project_in_go_becomes_a_typed_tool() {
    if has("go") {
        becomes_a_typed_tool("go");
    }
}
