//! A server's entry in the text of a client's settings: what is there stays as it
//! is, byte for byte, and one member is put beside it.
//!
//! Knows no files. What is not plain JSON (many clients take comments) is left
//! alone: whoever wrote that puts the entry in.

use std::ops::Range;

use serde_json::Value;

/// Why an entry was not put in; nothing is changed then.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Comments, trailing commas, or broken.
    #[error("it is no plain JSON ({0}): what is no JSON would be lost")]
    NotPlain(String),
    /// There is something else where servers would stand.
    #[error("{0} is no object there")]
    NoObject(String),
    /// Which of them counts is for the client to know.
    #[error("{0} stands there more than once")]
    Twice(String),
    /// Under this name is another one.
    #[error("there is another server called `{0}` there")]
    Other(String),
}

/// The text with the entry in it; none where it has it already. An empty text is
/// one without settings.
///
/// `entry` is what a client's settings would be with this server alone: one field
/// that holds one server.
///
/// # Errors
///
/// [`SettingsError`]; [`SettingsError::Other`] not where `replace` is set.
pub fn with_server(text: &str, entry: &Value, replace: bool) -> Result<Option<String>, SettingsError> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    // From here on, the text is known to be JSON.
    let parsed: Value = serde_json::from_str(text).map_err(|error| SettingsError::NotPlain(error.to_string()))?;
    let Some((field, servers)) = only(entry) else { return Err(SettingsError::NoObject("the entry".to_owned())) };
    let Some((name, server)) = only(servers) else { return Err(SettingsError::NoObject("the entry".to_owned())) };
    if !parsed.is_object() {
        return Err(SettingsError::NoObject("the whole".to_owned()));
    }
    let all = Object::at(text, text.len() - text.trim_start().len());
    let Some(place) = all.value(text, field)? else { return Ok(Some(all.with(text, field, servers, 1))) };
    if !parsed.get(field).is_some_and(Value::is_object) {
        return Err(SettingsError::NoObject(format!("`{field}`")));
    }
    let servers = Object::at(text, place.start);
    let Some(place) = servers.value(text, name)? else { return Ok(Some(servers.with(text, name, server, 2))) };
    if parsed.get(field).and_then(|servers| servers.get(name)) == Some(server) {
        return Ok(None);
    }
    if !replace {
        return Err(SettingsError::Other(name.to_owned()));
    }
    let (before, after) = (text.get(..place.start).unwrap_or_default(), text.get(place.end..).unwrap_or_default());
    Ok(Some(format!("{before}{}{after}", indented(server, 2))))
}

/// The one member of an object.
fn only(value: &Value) -> Option<(&str, &Value)> {
    let mut members = value.as_object()?.iter();
    members.next().filter(|_| members.next().is_none()).map(|(name, value)| (name.as_str(), value))
}

/// As JSON of several lines, so deep below the top.
fn indented(value: &Value, depth: usize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.replace('\n', &format!("\n{}", "  ".repeat(depth)))
}

/// Where the members of an object stand in a text.
struct Object {
    /// Their names as they stand there, and their values.
    members: Vec<(Range<usize>, Range<usize>)>,
    /// Behind the last of them, or behind the opening brace.
    end: usize,
    /// Where the closing brace is.
    close: usize,
}

impl Object {
    /// The object that begins at `open`, in a text that is JSON.
    fn at(text: &str, open: usize) -> Self {
        let (mut members, mut depth, mut end) = (Vec::new(), 0_usize, open + 1);
        let (mut name, mut start) = (None, None);
        let mut bytes = text.bytes().enumerate().skip(open);
        while let Some((at, byte)) = bytes.next() {
            let mut behind = at + 1;
            match byte {
                b'"' => {
                    behind = string_end(&mut bytes, behind);
                    start = start.or(Some(at));
                }
                b'{' | b'[' => {
                    depth += 1;
                    start = if depth > 1 { start.or(Some(at)) } else { None };
                }
                b'}' | b']' if depth > 1 => depth -= 1,
                b':' if depth == 1 && name.is_none() => name = start.take().map(|from| from..end),
                b',' | b'}' if depth == 1 => {
                    members.extend(name.take().zip(start.take()).map(|(name, from)| (name, from..end)));
                    if byte == b'}' {
                        return Self { members, end, close: at };
                    }
                    continue;
                }
                byte if byte.is_ascii_whitespace() => continue,
                _ => start = start.or(Some(at)),
            }
            // The colon is no part of a name, and the brace is before the first.
            if depth > 0 && byte != b':' {
                end = behind;
            }
        }
        Self { members, end, close: text.len() }
    }

    /// The value of a member, however its name is written.
    fn value(&self, text: &str, name: &str) -> Result<Option<Range<usize>>, SettingsError> {
        let is_it = |written: &Range<usize>| {
            let written = text.get(written.clone()).unwrap_or_default();
            serde_json::from_str::<String>(written).is_ok_and(|written| written == name)
        };
        let mut found = self.members.iter().filter(|(written, _)| is_it(written)).map(|(_, value)| value.clone());
        let first = found.next();
        if found.next().is_some() { Err(SettingsError::Twice(format!("`{name}`"))) } else { Ok(first) }
    }

    /// The text with one member more, behind the others.
    fn with(&self, text: &str, name: &str, value: &Value, depth: usize) -> String {
        let comma = if self.members.is_empty() { "" } else { "," };
        let (before, between) = (text.get(..self.end).unwrap_or_default(), text.get(self.end..self.close).unwrap_or_default());
        let after = text.get(self.close..).unwrap_or_default();
        // What stood before the closing brace stands there still.
        let between = if between.contains('\n') { between.to_owned() } else { format!("\n{}", "  ".repeat(depth - 1)) };
        let (indent, name) = ("  ".repeat(depth), Value::from(name));
        format!("{before}{comma}\n{indent}{name}: {}{between}{after}", indented(value, depth))
    }
}

/// Behind the quote that ends a string which began before `from`.
fn string_end(bytes: &mut impl Iterator<Item = (usize, u8)>, from: usize) -> usize {
    let mut is_escaped = false;
    for (at, byte) in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn entry() -> Value {
        json!({ "servers": { "own": { "command": "/bin/own", "args": ["a", "b"] } } })
    }

    fn put(text: &str) -> Result<Option<String>, SettingsError> {
        with_server(text, &entry(), false)
    }

    #[test]
    fn an_entry_is_put_beside_what_is_there_which_stays_byte_for_byte() {
        for text in [
            "",
            " \n",
            "{}",
            "{ }\n",
            "{\"servers\":{}}",
            "{\n  \"servers\": {\n  }\n}\n",
            "{\"a\":1.00,\"b\":123456789012345678901234567890}",
            "{\n\t\"theme\": \"d\\\"a{rk\",\n\t\"servers\": {\n\t\t\"other\": { \"args\": [\"}\", \"]\", {\"x\": []}] }\n\t},\n\t\"last\": [1, 2]\n}\n",
            "{\"x\":{\"servers\":{\"own\":1}},\"y\":[{\"servers\":2}]}",
            "{\"\\u0073ervers\": {\"a\": 1}}",
        ] {
            let after = put(text).unwrap().unwrap_or_else(|| panic!("{text}"));
            let parsed: Value = serde_json::from_str(&after).unwrap_or_else(|error| panic!("{error}: {after}"));
            assert_eq!(parsed["servers"]["own"], entry()["servers"]["own"], "{after}");
            // Without what was put in, all is as it was.
            let kept = |text: &str| text.split_whitespace().collect::<String>();
            let added = kept(&after).len() - kept(text.trim()).len();
            assert!(added > 0 && (text.trim().is_empty() || text.len() < after.len()), "{after}");
            let mut rest = after.chars();
            assert!(text.trim().chars().filter(|c| !c.is_whitespace()).all(|c| rest.any(|other| other == c)), "{after}");
            assert_eq!(put(&after), Ok(None), "it has it already: {after}");
        }
        let two = "{\n  \"servers\": {\n    \"other\": 1\n  },\n  \"z\": 0\n}\n";
        let expected = "{\n  \"servers\": {\n    \"other\": 1,\n    \"own\": {\n      \"command\": \"/bin/own\",\n      \"args\": [\n        \"a\",\n        \"b\"\n      ]\n    }\n  },\n  \"z\": 0\n}\n";
        assert_eq!(put(two).unwrap().as_deref(), Some(expected));
    }

    #[test]
    fn another_server_of_that_name_is_replaced_by_force_alone() {
        let text = "{\"servers\": {\"own\": {\"command\": \"other\"}, \"b\": 2}}";
        assert_eq!(put(text), Err(SettingsError::Other("own".to_owned())));
        let replaced = with_server(text, &entry(), true).unwrap().unwrap();
        let parsed: Value = serde_json::from_str(&replaced).unwrap();
        assert_eq!((&parsed["servers"]["own"], &parsed["servers"]["b"]), (&entry()["servers"]["own"], &json!(2)));
    }

    #[test]
    fn what_cannot_be_kept_is_left_alone() {
        for (text, is_plain) in [
            ("{ // mine\n}", false),
            ("{\"a\": 1,}", false),
            ("{\"a\": 1", false),
            ("\u{feff}{}", false),
            ("[]", true),
            ("3", true),
            ("{\"servers\": []}", true),
            ("{\"servers\": null}", true),
            ("{\"servers\": {}, \"servers\": {}}", true),
            ("{\"servers\": {\"own\": 1, \"own\": 2}}", true),
        ] {
            let refused = with_server(text, &entry(), true).unwrap_err();
            assert_eq!(matches!(refused, SettingsError::NotPlain(_)), !is_plain, "{text}: {refused}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("servers|own|.{0,4}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_stood_there_stands_there_still(before in any_json(), is_pretty in any::<bool>()) {
            let text = if is_pretty { serde_json::to_string_pretty(&before).unwrap() } else { before.to_string() };
            if let Ok(after) = put(&text) {
                let after = after.unwrap_or(text);
                let mut parsed: Value = serde_json::from_str(&after).unwrap();
                let servers = parsed["servers"].as_object_mut().unwrap();
                prop_assert_eq!(servers.shift_remove("own"), Some(entry()["servers"]["own"].clone()));
                let is_new = servers.is_empty() && before.get("servers").is_none();
                if is_new {
                    parsed.as_object_mut().unwrap().shift_remove("servers");
                }
                prop_assert_eq!(parsed, before);
            }
        }
    }
}
