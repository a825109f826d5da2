//! Questions of JSON, and their answers as jq gives them.

use serde_json::{Value, json};
use wardroom_core::failure::FailureKind;

use super::Function;
use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::{Finished, Job};

fn asked(params: Value) -> Finished {
    Job::file(&guests::plugin("json-query")).function("query").params(params).finish()
}

/// The values of an answer that is whole.
fn values(params: Value) -> Vec<String> {
    let answer = asked(params).json().clone();
    assert_eq!(answer["truncated"], false);
    serde_json::from_value(answer["values"].clone()).unwrap()
}

fn refused(params: Value) -> String {
    let finished = asked(params);
    let (kind, why) = finished.failure();
    assert_eq!(kind, FailureKind::Failed);
    why.to_owned()
}

#[test]
fn a_report_is_made_of_an_order_list() {
    let home = Home::new();
    let query = Function::of(&home, "json-query", "query");
    let input = r#"{"orders":[{"who":"ada","cents":120},{"who":"bo","cents":30},{"who":"ada","cents":5}]}"#;
    let filter = ".orders | group_by(.who) | map({(.[0].who): (map(.cents) | add)}) | add";
    assert_eq!(
        query.gives(&json!({ "filter": filter, "input": input })),
        json!({ "values": [r#"{"ada":125,"bo":30}"#], "truncated": false })
    );
}

/// Each answer is that of jq 1.6 for the same filter and input.
#[test]
fn filters_answer_as_jq_does() {
    for (filter, input, expected) in [
        (".", r#"{"b": [1, 2.5, -30.25], "a": null}"#, vec![r#"{"b":[1,2.5,-30.25],"a":null}"#]),
        (".a.b?", "{}", vec!["null"]),
        (".[] | select(. > 1)", "[1,2,3]", vec!["2", "3"]),
        ("keys, length", r#"{"b":1,"a":2}"#, vec![r#"["a","b"]"#, "2"]),
        ("to_entries", r#"{"a":1}"#, vec![r#"[{"key":"a","value":1}]"#]),
        ("[limit(3; range(10; 0; -3))]", "null", vec!["[10,7,4]"]),
        ("reduce .[] as $x (0; . + $x)", "[1,2,3]", vec!["6"]),
        ("[foreach .[] as $x (0; . + $x; [$x, .])]", "[1,2]", vec!["[[1,1],[2,3]]"]),
        ("[paths]", r#"{"a":[1]}"#, vec![r#"[["a"],["a",0]]"#]),
        (".a |= . + 1", r#"{"a":1,"b":2}"#, vec![r#"{"a":2,"b":2}"#]),
        ("del(.[1:3])", "[1,2,3,4]", vec!["[1,4]"]),
        ("sort_by(.a) | map(.a)", r#"[{"a":"b"},{"a":null},{"a":1}]"#, vec![r#"[null,1,"b"]"#]),
        ("\"\\(.a) \\(.b | @json)\"", r#"{"a":"x","b":["y"]}"#, vec![r#""x [\"y\"]""#]),
        ("[match(\"(a)(?<n>b?)\"; \"g\").captures[].string]", r#""abxa""#, vec![r#"["a","b","a",""]"#]),
        ("test(\"A\"; \"i\"), sub(\"a\"; \"o\"), gsub(\"[ab]\"; \"_\")", r#""banana""#, vec!["true", r#""bonana""#, r#""__n_n_""#]),
        ("@base64, (@base64 | @base64d), @uri", r#""ä &""#, vec![r#""w6QgJg==""#, r#""ä &""#, r#""%C3%A4%20%26""#]),
        ("try error(\"x\") catch .", "null", vec![r#""x""#]),
        ("[.[] | if . == null then \"none\" elif . then \"yes\" else \"no\" end]", "[null,true,false]", vec![r#"["none","yes","no"]"#]),
        ("def f(g): [.[] | g]; f(. * 2)", "[1,2]", vec!["[2,4]"]),
        ("label $out | .[] | if . > 1 then ., break $out else . end", "[1,2,3]", vec!["1", "2"]),
        ("[splits(\", *\")]", r#""a, b,c""#, vec![r#"["a","b","c"]"#]),
        ("ascii_downcase, explode, (explode | implode)", r#""Aé""#, vec![r#""aé""#, "[65,233]", r#""Aé""#]),
        ("[.[] | tojson | fromjson]", r#"[1,"1",[1],{}]"#, vec![r#"[1,"1",[1],{}]"#]),
        ("fromdate, (1425599621 | todate)", r#""2015-03-05T23:51:47Z""#, vec!["1425599507", r#""2015-03-05T23:53:41Z""#]),
        (
            "any, all, flatten, (. | unique), min, max",
            "[true,[false]]",
            vec!["true", "true", "[true,false]", "[true,[false]]", "true", "[false]"],
        ),
        ("nan, infinite", "null", vec!["null", "1.7976931348623157e+308"]),
        ("2147483647 + 1, 4294967296 * 2, 7 / 2, 7 % 3", "null", vec!["2147483648", "8589934592", "3.5", "1"]),
        (".", r#""\u0000\u001f\u007f\ud83d\ude00\/""#, vec![r#""\u0000\u001f\u007f😀/""#]),
    ] {
        assert_eq!(values(json!({ "filter": filter, "input": input })), expected, "{filter}");
    }
}

/// Where jq 1.6 rounds.
#[test]
fn whole_numbers_keep_all_their_digits() {
    let long = "12345678901234567890";
    assert_eq!(
        values(json!({ "filter": "., . + 1, . * .", "input": long })),
        [long, "12345678901234567891", "152415787532388367501905199875019052100"]
    );
}

#[test]
fn several_inputs_are_asked_one_by_one_or_as_one() {
    let input = "{\"a\":1}\n{\"a\":2} [3]";
    assert_eq!(values(json!({ "filter": ".[\"a\"]?", "input": input })), ["1", "2"]);
    assert_eq!(values(json!({ "filter": "length", "input": input, "slurp": true })), ["3"]);
    assert_eq!(values(json!({ "filter": ".", "input": "not read", "null_input": true })), ["null"]);
    assert_eq!(values(json!({ "filter": ".", "input": "" })), [""; 0]);
    assert_eq!(values(json!({ "filter": ".[]", "input": r#"["a\n",1]"#, "raw": true })), ["a\n", "1"]);
    let variables = json!([{ "name": "who", "value": "\"ada\"" }, { "name": "n", "value": "[1,2]" }]);
    assert_eq!(values(json!({ "filter": "\"\\($who) \\($n | add) \\(.)\"", "input": "7", "variables": variables })), ["\"ada 3 7\""]);
}

#[test]
fn what_is_no_json_is_refused() {
    for input in ["{a:1}", "[1,]", "'x'", "NaN", "[1] #x", "b\"x\"", "01", "{1:2}", "\"\\x41\"", "nul"] {
        let why = refused(json!({ "filter": ".", "input": input }));
        assert!(why.starts_with("the input is no JSON"), "{input}: {why}");
    }
    assert!(refused(json!({ "filter": ".", "input": "[".repeat(100_000) })).contains("recursion limit"));
    assert!(refused(json!({ "filter": "{(1|tostring): 1} | with_entries(.key |= 1)", "input": "1" })).contains("no string"));
}

#[test]
fn a_filter_that_does_not_hold_is_told_with_its_place() {
    for (filter, why) in [
        (".a | foo", "the filter has an unknown filter `foo` at 1:6"),
        (".a |\n $x", "the filter has an unknown variable `$x` at 2:2"),
        ("{", "the filter cannot be read at its end: expected closing brace"),
        ("import \"a\" as a; .", "the filter wants the module `a`: there are none here"),
        (".a", "the filter failed: cannot index 1 with \"a\""),
        ("error({b: 2})", "the filter failed: {\"b\":2}"),
        ("halt(3)", "the filter halted with 3"),
    ] {
        assert_eq!(refused(json!({ "filter": filter, "input": "1" })), why);
    }
    let variables = json!([{ "name": "a b", "value": "1" }]);
    assert!(refused(json!({ "filter": ".", "input": "1", "variables": variables })).contains("no name of a variable"));
}

#[test]
fn an_answer_has_bounds() {
    let answer = asked(json!({ "filter": "range(infinite)", "input": "1", "limit": 3 })).json().clone();
    assert_eq!(answer, json!({ "values": ["0", "1", "2"], "truncated": true }));
    assert_eq!(refused(json!({ "filter": ".", "input": "1", "limit": 10_001 })), "`limit` is 10001: expected 1 to 10000");
    let long = "\"x\" * 3000000 | ., .";
    assert_eq!(refused(json!({ "filter": long, "input": "1" })), "the values have more than 4194304 bytes");
    let deep = "reduce range(1000) as $i (0; [.])";
    assert_eq!(refused(json!({ "filter": deep, "input": "1" })), "a value is nested deeper than 500");
}

#[test]
fn a_filter_without_end_meets_the_limits_of_its_run() {
    let job = |filter: &str| Job::file(&guests::plugin("json-query")).function("query").params(json!({ "filter": filter, "input": "1" }));
    let spun = job("def f: f; f").deadline_ms(300).finish();
    assert_eq!(spun.failure().0, FailureKind::Deadline);
    let hoarded = job("[range(infinite)]").memory(32 << 20).finish();
    assert_eq!(hoarded.failure().0, FailureKind::Limit);
    let dived = job("def f: 1 + f; f").finish();
    assert_eq!(dived.failure().0, FailureKind::Trap);
}
