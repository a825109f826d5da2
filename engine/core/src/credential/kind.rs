//! What a credential is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a value is, and with that where it may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A service's key or token, on one line.
    ApiKey,
    /// An access token of OAuth 2, on one line.
    OauthToken,
    /// What programs expect in an environment variable, on one line.
    EnvVar,
    /// Anything else; may have several lines (a private key in PEM).
    Secret,
    /// A whole address that is secret (a webhook). Its placeholder is an
    /// address too, and stands only where a request goes.
    Url,
    /// A JSON object of texts: what a connection needs together.
    Form,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::ApiKey, Self::OauthToken, Self::EnvVar, Self::Secret, Self::Url, Self::Form];

    /// The word in flags, answers and rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::OauthToken => "oauth_token",
            Self::EnvVar => "env_var",
            Self::Secret => "secret",
            Self::Url => "url",
            Self::Form => "form",
        }
    }

    /// Whether a value may have several lines.
    #[must_use]
    pub const fn has_lines(self) -> bool {
        matches!(self, Self::Secret | Self::Form)
    }
}

/// No such kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind `{0}`: expected api_key, oauth_token, env_var, secret, url or form")]
pub struct UnknownKind(pub String);

impl FromStr for CredentialKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UnknownKind(crate::text::truncated(text, 80).to_owned()))
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
