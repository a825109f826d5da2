//! The name of a credential, and what is refused as one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters of a name at most.
const MAX_NAME: usize = 64;

/// A name such as `GITHUB_TOKEN`: `^[A-Z][A-Z0-9_]{0,63}$`, and nothing that
/// looks like a value pasted in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialName(String);

/// Why a text names no credential. What looks like a value is not repeated: the
/// message is shown, logged and recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialNameError {
    /// Not the form of a name.
    #[error("`{0}` names no credential: expected a capital letter, then up to 63 capital letters, digits and `_`")]
    Form(String),
    /// It looks like the value.
    #[error("this looks like a credential's value, not its name ({0}); expected a name such as GITHUB_TOKEN")]
    Value(&'static str),
}

/// What the values of well-known services begin with, and what they are. Facts
/// from their documentation.
const VALUE_PREFIXES: [(&str, &str); 22] = [
    ("ghp_", "a GitHub token"),
    ("gho_", "a GitHub token"),
    ("ghu_", "a GitHub token"),
    ("ghs_", "a GitHub token"),
    ("ghr_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("sk-", "an API key"),
    ("sk_live_", "a Stripe key"),
    ("sk_test_", "a Stripe key"),
    ("rk_live_", "a Stripe key"),
    ("pk_live_", "a Stripe key"),
    ("whsec_", "a webhook's signing secret"),
    ("xoxb-", "a Slack token"),
    ("xoxp-", "a Slack token"),
    ("xapp-", "a Slack token"),
    ("npm_", "an npm token"),
    ("pypi-", "a PyPI token"),
    ("hf_", "a Hugging Face token"),
    ("eyj", "a JSON web token"),
    ("aiza", "a Google API key"),
    ("bearer ", "an Authorization header"),
];

/// An identifier of an AWS access key: one of these, then 16 characters.
const AWS_KEY_IDS: [&str; 4] = ["AKIA", "ASIA", "AROA", "AIDA"];

impl CredentialName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn looks_like_a_value(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    // A name such as SK_LIVE_KEY is one; what follows the prefix of a real
    // value is in lower case or longer than any word.
    let is_name = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let prefixed = VALUE_PREFIXES.iter().find(|(prefix, _)| lower.starts_with(prefix) && (!is_name || is_random(text)));
    if let Some((_, what)) = prefixed {
        return Some(what);
    }
    if lower.contains("://") || lower.starts_with("www.") || lower.contains("hooks.") {
        return Some("an address");
    }
    let aws = |id: &str| text.len() == 20 && text.starts_with(id) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if AWS_KEY_IDS.iter().any(|id| aws(id)) {
        return Some("an AWS access key id");
    }
    is_random(text).then_some("a long random text")
}

/// A run of 20 or more letters and digits that has four digits among letters:
/// no word of a name, whatever the language.
fn is_random(text: &str) -> bool {
    let longest = text.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|run| run.len()).unwrap_or("");
    let digits = longest.bytes().filter(u8::is_ascii_digit).count();
    longest.len() >= 20 && digits >= 4
}

impl FromStr for CredentialName {
    type Err = CredentialNameError;

    fn from_str(text: &str) -> Result<Self, CredentialNameError> {
        if let Some(what) = looks_like_a_value(text) {
            return Err(CredentialNameError::Value(what));
        }
        let starts = text.starts_with(|c: char| c.is_ascii_uppercase());
        let continues = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if starts && continues && text.len() <= MAX_NAME {
            Ok(Self(text.to_owned()))
        } else {
            // Whatever it is, at most a word of it is repeated.
            Err(CredentialNameError::Form(crate::text::for_terminal_line(crate::text::truncated(text, 20))))
        }
    }
}

impl TryFrom<String> for CredentialName {
    type Error = CredentialNameError;

    fn try_from(text: String) -> Result<Self, CredentialNameError> {
        text.parse()
    }
}

impl From<CredentialName> for String {
    fn from(name: CredentialName) -> Self {
        name.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_capital_words() {
        for name in ["A", "GITHUB_TOKEN", "AWS_DEPLOY_KEY_2", "SK_LIVE_KEY", "HF_TOKEN", "NPM_TOKEN", &"A".repeat(64)] {
            assert_eq!(name.parse::<CredentialName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for wrong in ["", "a", "1A", "_A", "A-B", "A B", "Ä", "A\0", "token", &"A".repeat(65)] {
            assert!(matches!(wrong.parse::<CredentialName>(), Err(CredentialNameError::Form(_))), "{wrong}");
        }
    }

    #[test]
    fn what_looks_like_a_value_is_refused_and_not_repeated() {
        for value in [
            "ghp_xxxxxxxxxxxx",
            "https://hooks.slack.com/services/T0/B0/x",
            "AKIAIOSFODNN7EXAMPLE",
            "sk-proj-abcdefgh",
            "xoxb-1-2-3",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "AIzaSyA0123456789abcdefghijklmnopqrstuv",
            "GHP_1A2B3C4D5E6F7A8B9C0D1E2F",
            "A1B2C3D4E5F6A7B8C9D0E1F2",
        ] {
            let error = value.parse::<CredentialName>().unwrap_err();
            assert!(matches!(error, CredentialNameError::Value(_)), "{value}: {error}");
            assert!(!error.to_string().contains(value), "{value}");
        }
    }
}
