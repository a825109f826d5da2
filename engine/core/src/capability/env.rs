//! Environment variables, each by its own name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of an environment variable: a letter or `_`, then letters, digits
/// and `_` (POSIX.1-2024, 3.216 "Name"), at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvName(String);

/// A text that names no environment variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no environment variable: expected letters, digits and `_`, not starting with a digit")]
pub struct EnvNameError(pub String);

impl EnvName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvName {
    type Err = EnvNameError;

    fn from_str(text: &str) -> Result<Self, EnvNameError> {
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let continues = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let fits = text.len() <= 255;
        (starts && continues && fits).then(|| Self(text.to_owned())).ok_or_else(|| EnvNameError(text.to_owned()))
    }
}

impl TryFrom<String> for EnvName {
    type Error = EnvNameError;

    fn try_from(text: String) -> Result<Self, EnvNameError> {
        text.parse()
    }
}

impl From<EnvName> for String {
    fn from(name: EnvName) -> Self {
        name.0
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_named_as_posix_names_it() {
        assert!("_A1".parse::<EnvName>().is_ok() && "home".parse::<EnvName>().is_ok());
        for wrong in ["", "1A", "A-B", "A=B", "*", "A B", "Ä", "A\0"] {
            assert!(wrong.parse::<EnvName>().is_err(), "{wrong}");
        }
    }
}
