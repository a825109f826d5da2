//! Texts: what is safe to show, what a pattern matches, what differs.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Function;
use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::Job;

/// Runs in this process, for cases by the dozen.
fn quick(function: &str, params: Value) -> Value {
    Job::file(&guests::plugin("text")).function(function).params(params).finish().json().clone()
}

fn html(markdown: &str) -> String {
    quick("markdown-to-html", json!({ "markdown": markdown })).as_str().unwrap().to_owned()
}

#[test]
fn markdown_becomes_html_as_commonmark_says() {
    let home = Home::new();
    let convert = Function::of(&home, "text", "markdown-to-html");
    let page = "Title\n=====\n\n1. one\n2. *two* and **three**\n\n> quoted `code`\n\n```rust\nlet x = 1 < 2;\n```\n";
    let expected = "<h1>Title</h1>\n<ol>\n<li>one</li>\n<li><em>two</em> and <strong>three</strong></li>\n</ol>\n<blockquote>\n\
        <p>quoted <code>code</code></p>\n</blockquote>\n<pre><code class=\"language-rust\">let x = 1 &lt; 2;\n</code></pre>\n";
    assert_eq!(convert.gives(&json!({ "markdown": page })), expected);
    for (markdown, expected) in [
        ("\tfoo\tbaz\n", "<pre><code>foo\tbaz\n</code></pre>\n"),
        ("- a\n\n  b\n", "<ul>\n<li>\n<p>a</p>\n<p>b</p>\n</li>\n</ul>\n"),
        ("***\n", "<hr />\n"),
        ("a\\*b\\*  \nc\n", "<p>a*b*<br />\nc</p>\n"),
        ("[x]: /y \"t\"\n\n[x]\n", "<p><a href=\"/y\" title=\"t\">x</a></p>\n"),
        ("![alt](a.png)\n", "<p><img src=\"a.png\" alt=\"alt\" /></p>\n"),
        ("&copy; &#35;\n", "<p>© #</p>\n"),
        ("a_b_c *d*e\n", "<p>a_b_c <em>d</em>e</p>\n"),
    ] {
        assert_eq!(html(markdown), expected);
    }
}

#[test]
fn the_flavour_decides_on_tables() {
    let table = "| a |\n|---|\n| ~~b~~ |\n";
    assert!(html(table).contains("<td><del>b</del></td>"), "{}", html(table));
    let plain = quick("markdown-to-html", json!({ "markdown": table, "flavour": "common_mark" }));
    assert_eq!(plain, "<p>| a |\n|---|\n| ~~b~~ |</p>\n");
}

#[test]
fn what_a_browser_would_run_is_shown_instead() {
    for (markdown, shown) in [
        ("<script>alert(1)</script>\n", "&lt;script&gt;"),
        ("a <img src=x onerror=alert(1)> b\n", "&lt;img"),
        ("<div onclick=x>\n\n*a*\n\n</div>\n", "&lt;div onclick=x&gt;"),
        ("[a](javascript:alert(1))\n", "<a href=\"\">"),
        ("[a](JaVa&#10;ScRiPt:alert(1))\n", "<a href=\"\">"),
        ("[a](&#1;javascript:alert(1))\n", "<a href=\"\">"),
        ("[a](vbscript:x)\n", "<a href=\"\">"),
        ("![a](data:text/html,x)\n", "<img src=\"\""),
        ("<javascript:alert(1)>\n", "<a href=\"\">"),
        ("[a]\n\n[a]: javascript:alert(1)\n", "<a href=\"\">"),
    ] {
        let page = html(markdown);
        assert!(page.contains(shown), "{markdown}: {page}");
    }
    for target in ["https://a.example/x:y", "mailto:a@b.example", "/a:b", "?q=a:b", "#a:b", "tel:+49"] {
        assert_eq!(html(&format!("[a]({target})\n")), format!("<p><a href=\"{target}\">a</a></p>\n"));
    }
    let kept = quick("markdown-to-html", json!({ "markdown": "<b>x</b> [a](javascript:x)\n", "unsafe_html": true }));
    assert_eq!(kept, "<p><b>x</b> <a href=\"javascript:x\">a</a></p>\n");
}

#[test]
fn a_pattern_is_found_with_its_groups_and_places() {
    let home = Home::new();
    let find = Function::of(&home, "text", "find");
    let found = find.gives(&json!({ "text": "añ 2026-11 x 2027-01", "pattern": r"(?<year>\d{4})-(\d\d)(!)?" }));
    let group = |name: Value, text: Value| json!({ "name": name, "text": text });
    let expected = json!([
        { "text": "2026-11", "start": 3, "end": 10, "groups": [group(json!("year"), json!("2026")), group(json!(null), json!("11")), group(json!(null), json!(null))] },
        { "text": "2027-01", "start": 13, "end": 20, "groups": [group(json!("year"), json!("2027")), group(json!(null), json!("01")), group(json!(null), json!(null))] },
    ]);
    assert_eq!(found, expected);
    assert_eq!(find.gives(&json!({ "text": "aaa", "pattern": "a", "limit": 2 })).as_array().unwrap().len(), 2);
    assert!(find.fails(&json!({ "text": "", "pattern": "(" })).starts_with("the pattern does not hold"));
    assert!(find.fails(&json!({ "text": "", "pattern": r"(a)\1" })).contains("backreferences are not supported"));
    assert!(find.fails(&json!({ "text": "", "pattern": r"(?:a{1000}){1000}" })).contains("exceeds size limit"));
    assert_eq!(find.fails(&json!({ "text": "", "pattern": "a", "limit": 0 })), "`limit` is 0: expected 1 to 10000");
}

#[test]
fn a_pattern_that_backtracks_elsewhere_ends_at_once_here() {
    let text = format!("{}!", "a".repeat(50_000));
    let job = Job::file(&guests::plugin("text")).function("find").params(json!({ "text": text, "pattern": "(a+)+$" }));
    assert_eq!(job.deadline_ms(20_000).finish().json(), &json!([]));
}

#[test]
fn a_pattern_is_replaced_and_split_at() {
    let home = Home::new();
    let replace = Function::of(&home, "text", "replace");
    let params = json!({ "text": "b=1, a=2", "pattern": r"(?<k>\w)=(\d)", "replacement": "$2:${k}$$" });
    assert_eq!(replace.gives(&params), json!({ "text": "1:b$, 2:a$", "count": 2 }));
    let literal = json!({ "text": "b=1, a=2", "pattern": r"\w=", "replacement": "$1", "literal": true, "limit": 1 });
    assert_eq!(replace.gives(&literal), json!({ "text": "$11, a=2", "count": 1 }));
    let split = Function::of(&home, "text", "split");
    assert_eq!(split.gives(&json!({ "text": "a, b,c", "pattern": r",\s*" })), json!(["a", "b", "c"]));
    assert_eq!(split.gives(&json!({ "text": "a, b,c", "pattern": ",", "limit": 2 })), json!(["a", " b,c"]));
}

#[test]
fn a_text_that_grows_without_measure_is_refused() {
    let params = json!({ "text": "x".repeat(20_000), "pattern": "", "replacement": "y".repeat(20_000) });
    let finished = Job::file(&guests::plugin("text")).function("replace").params(params).finish();
    assert_eq!(finished.failure().1, "the result has more than 4194304 bytes");
    let nested = format!("({})", "(".repeat(90) + "x+" + &")".repeat(90));
    let params = json!({ "text": "x".repeat(100_000), "pattern": nested });
    let finished = Job::file(&guests::plugin("text")).function("find").params(params).finish();
    assert_eq!(finished.failure().1, "the result has more than 4194304 bytes");
}

#[test]
fn a_difference_reads_as_diff_writes_it() {
    let home = Home::new();
    let diff = Function::of(&home, "text", "diff");
    let old: String = (1..=9).map(|n| format!("{n}\n")).collect();
    let new = old.replace("5\n", "five\nfive and a half\n").replace("9\n", "9");
    let found = diff.gives(&json!({ "old": old, "new": new, "context": 1, "old_name": "a/n", "new_name": "b/n" }));
    let unified = "--- a/n\n+++ b/n\n@@ -4,3 +4,4 @@\n 4\n-5\n+five\n+five and a half\n 6\n@@ -8,2 +9,2 @@\n 8\n-9\n+9\n\\ No newline at end of file\n";
    assert_eq!(found, json!({ "unified": unified, "added": 3, "removed": 2 }));
    assert_eq!(diff.gives(&json!({ "old": old, "new": old })), json!({ "unified": "", "added": 0, "removed": 0 }));
    let two_lines = diff.fails(&json!({ "old": "", "new": "x", "old_name": "a\n+++ b" }));
    assert_eq!(two_lines, "`old_name` should be one line without control characters");
}

/// What a unified difference makes of the old text.
fn patched(old: &str, unified: &str) -> String {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let (mut made, mut at) = (String::new(), 0);
    for line in unified.split_inclusive('\n').skip(2) {
        match line.as_bytes()[0] {
            b'@' => {
                let range = line.split(' ').nth(1).unwrap().trim_start_matches('-');
                let (start, count) = range.split_once(',').map_or((range, 1), |(start, count)| (start, count.parse::<usize>().unwrap()));
                let start = start.parse::<usize>().unwrap() - usize::from(count > 0);
                made.extend(old[at..start].iter().copied());
                at = start;
            }
            b' ' => {
                made.push_str(old[at]);
                at += 1;
            }
            b'-' => at += 1,
            b'+' => made.push_str(&line[1..]),
            _ => assert_eq!(made.pop(), Some('\n')),
        }
    }
    made.extend(old[at..].iter().copied());
    made
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn a_difference_makes_the_new_text_of_the_old_one(old in "([a-c]\n){0,12}", new in "([a-c]\n){0,12}", context in 0_u32..4) {
        let found = quick("diff", json!({ "old": old, "new": new, "context": context }));
        prop_assert_eq!(patched(&old, found["unified"].as_str().unwrap()), new);
    }
}
