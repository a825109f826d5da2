//! Plugins as words: what they are called, and how one of their functions is
//! named at the command line, in tasks and to assistants. What a plugin is lies
//! above, in the use cases. Where one comes from is `source.rs`.

mod source;

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::task::RESERVED;
use crate::text::is_name;

pub use source::{MAX_SOURCE_BYTES, OciSource, PluginSource, SourceError, SourceKind, UrlSource};

/// Characters of a tool's name at most, and what they may be: what common
/// clients accept. One name that is not hides the whole list from them.
pub const MAX_TOOL_NAME: usize = 64;
/// What parts a plugin's name from its function's in a tool's name.
const BETWEEN: &str = "__";
/// Hexadecimal digits of the hash that stands for what does not fit.
const HASH_DIGITS: usize = 12;

/// A name such as `weather`: `^[a-z][a-z0-9-]{0,47}$`, and not `task`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PluginName(String);

/// Why a text names no plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginNameError {
    /// Not the form of a name.
    #[error("`{0}` names no plugin: expected a lower-case letter, then up to 47 lower-case letters, digits and `-`")]
    Form(String),
    /// A word that means something else.
    #[error("`{RESERVED}` is reserved: expected another name")]
    Reserved,
}

impl PluginName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// On whom the grants of one of its functions hang when it is run at the
    /// command line. No path is like this: those are absolute.
    #[must_use]
    pub fn subject(&self, function: &str) -> String {
        format!("{self}.{function}")
    }

    /// On whom the grants of one of its functions hang when an assistant calls
    /// it. They are not those of the command line.
    #[must_use]
    pub fn tool_subject(&self, function: &str) -> String {
        [TOOL_SUBJECT, self.as_str(), ".", function].concat()
    }
}

const TOOL_SUBJECT: &str = "tool:";

/// What a subject says after `tool:`, where it is a tool's.
#[must_use]
pub fn of_tool_subject(subject: &str) -> Option<&str> {
    subject.strip_prefix(TOOL_SUBJECT)
}

/// `name.function` taken apart: a plugin's name, and which of its functions.
/// Nothing where the text before the first dot is no plugin's name.
#[must_use]
pub fn parts(text: &str) -> Option<(PluginName, Option<&str>)> {
    let (name, function) = match text.split_once('.') {
        Some((name, function)) => (name, Some(function).filter(|function| !function.is_empty())?),
        None => return text.parse().ok().map(|name| (name, None)),
    };
    name.parse().ok().map(|name| (name, Some(function)))
}

/// A function's name as a tool's: `plugin__function`, `plugin__interface_function`.
/// What is too long, or has other characters than clients accept, ends in a hash
/// instead; two functions of one plugin may still meet, and are refused then.
#[must_use]
pub fn tool_name(plugin: &PluginName, function: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let whole = format!("{plugin}{BETWEEN}{}", function.chars().map(plain).collect::<String>());
    // A dot between interface and function is the one character with a sign of
    // its own: names in WIT have no `_`.
    let is_faithful = function.split('.').count() <= 2 && function.chars().all(|c| plain(c) == c || c == '.');
    if is_faithful && whole.len() <= MAX_TOOL_NAME {
        return whole;
    }
    let digest = Sha256::digest(format!("{plugin}.{function}"));
    let hash = HEXLOWER.encode(digest.split_at(HASH_DIGITS / 2).0);
    let kept = whole.get(..whole.len().min(MAX_TOOL_NAME - HASH_DIGITS - 1)).unwrap_or(&whole);
    format!("{kept}_{hash}")
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PluginName {
    type Err = PluginNameError;

    fn from_str(text: &str) -> Result<Self, PluginNameError> {
        if !is_name(text) {
            return Err(PluginNameError::Form(text.to_owned()));
        }
        if text == RESERVED {
            return Err(PluginNameError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for PluginName {
    type Error = PluginNameError;

    fn try_from(text: String) -> Result<Self, PluginNameError> {
        text.parse()
    }
}

impl From<PluginName> for String {
    fn from(name: PluginName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> PluginName {
        text.parse().unwrap()
    }

    #[test]
    fn a_program_of_a_plugin_is_its_name_and_perhaps_a_function() {
        assert_eq!(parts("weather"), Some((name("weather"), None)));
        assert_eq!(parts("weather.now"), Some((name("weather"), Some("now"))));
        assert_eq!(parts("weather.shapes.area"), Some((name("weather"), Some("shapes.area"))));
        for text in ["", ".", "weather.", ".now", "Weather.now", "./weather", "/weather", "task", "task.run", "a/b.c"] {
            assert_eq!(parts(text), None, "{text}");
        }
        assert_eq!(parts("report.js"), Some((name("report"), Some("js"))), "files come first, and are looked for before");
    }

    #[test]
    fn a_tools_name_reads_like_its_function() {
        assert_eq!(tool_name(&name("typed"), "greet-all"), "typed__greet-all");
        assert_eq!(tool_name(&name("typed"), "shapes.area"), "typed__shapes_area");
        let long = tool_name(&name(&"p".repeat(48)), &"f".repeat(48));
        assert_eq!(long.len(), MAX_TOOL_NAME);
        assert!(long.starts_with(&format!("{}__f_", "p".repeat(48))), "{long}");
        assert_ne!(tool_name(&name("p"), "[static]a.b"), tool_name(&name("p"), "_static_a.b"));
    }

    proptest! {
        #[test]
        fn a_tools_name_is_one_that_clients_accept(plugin in "[a-z][a-z0-9-]{0,47}", function in ".{1,200}") {
            prop_assume!(plugin != "task");
            let plugin = name(&plugin);
            let tool = tool_name(&plugin, &function);
            prop_assert!((1..=MAX_TOOL_NAME).contains(&tool.len()), "{}", tool);
            prop_assert!(tool.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{}", tool);
            prop_assert!(tool.starts_with(&format!("{plugin}__")), "no two plugins meet: {}", tool);
            prop_assert_eq!(&tool, &tool_name(&plugin, &function), "it is always the same");
        }

        #[test]
        fn functions_of_wit_names_never_meet(
            a in "([a-z][a-z0-9]{0,9}(-[a-z][a-z0-9]{0,9}){0,6}\\.)?[a-z][a-z0-9]{0,9}(-[a-z][a-z0-9]{0,9}){0,6}",
            b in "([a-z][a-z0-9]{0,9}(-[a-z][a-z0-9]{0,9}){0,6}\\.)?[a-z][a-z0-9]{0,9}(-[a-z][a-z0-9]{0,9}){0,6}",
        ) {
            prop_assume!(a != b);
            prop_assert_ne!(tool_name(&name("p"), &a), tool_name(&name("p"), &b));
        }
    }
}
