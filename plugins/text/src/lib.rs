//! Works on texts: Markdown to HTML, regular expressions, differences.
//!
//! Owns what is safe to show and how much may come out; never reads or writes
//! anything but its arguments. The functions are described in `wit/text.wit`.

mod difference;
mod markdown;
mod pattern;

#[allow(missing_docs, clippy::missing_safety_doc, clippy::too_many_arguments, reason = "generated from wit/text.wit")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "text" });
    use super::Text;
    export!(Text);
}

use bindings::{Difference, Flavour, Guest, Occurrence, Replaced};

/// The functions of `wit/text.wit`.
struct Text;

impl Guest for Text {
    fn markdown_to_html(markdown: String, flavour: Option<Flavour>, unsafe_html: Option<bool>) -> Result<String, String> {
        markdown::html(&markdown, flavour.unwrap_or(Flavour::Github), unsafe_html.unwrap_or(false))
    }

    fn find(text: String, pattern: String, limit: Option<u32>) -> Result<Vec<Occurrence>, String> {
        pattern::find(&text, &pattern, limit)
    }

    fn replace(text: String, pattern: String, replacement: String, literal: Option<bool>, limit: Option<u32>) -> Result<Replaced, String> {
        pattern::replace(&text, &pattern, &replacement, literal.unwrap_or(false), limit)
    }

    fn split(text: String, pattern: String, limit: Option<u32>) -> Result<Vec<String>, String> {
        pattern::split(&text, &pattern, limit)
    }

    fn diff(
        old: String,
        new: String,
        context: Option<u32>,
        old_name: Option<String>,
        new_name: Option<String>,
    ) -> Result<Difference, String> {
        difference::unified(&old, &new, context, (old_name, new_name))
    }
}

/// Bytes of a text that is made here.
const MAX_OUTPUT: usize = 4 << 20;

/// What came out, where it is not too much.
fn bounded(text: String) -> Result<String, String> {
    if text.len() > MAX_OUTPUT { Err(too_long()) } else { Ok(text) }
}

fn too_long() -> String {
    format!("the result has more than {MAX_OUTPUT} bytes")
}

/// A limit as it was asked for, or the usual one; never 0, never more than `max`.
fn limited(name: &str, asked: Option<u32>, usual: u32, max: u32) -> Result<usize, String> {
    let limit = asked.unwrap_or(usual);
    if limit == 0 || limit > max {
        return Err(format!("`{name}` is {limit}: expected 1 to {max}"));
    }
    usize::try_from(limit).map_err(|_| format!("`{name}` is {limit}: expected 1 to {max}"))
}
