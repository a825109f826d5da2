//! What can be the value of a credential.

use serde_json::Value;
use wardroom_core::capability::credentials::BoundHost;
use wardroom_core::capability::net::HttpTarget;
use wardroom_core::credential::{CredentialKind, MAX_VALUE_BYTES, MIN_REDACTED_BYTES};
use wardroom_vault::Secret;

/// A text that cannot be the value. Says nothing of it but its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Nothing at all.
    #[error("the value is empty: expected 1 to {MAX_VALUE_BYTES} bytes")]
    Empty,
    /// More than is kept.
    #[error("the value is longer than {MAX_VALUE_BYTES} bytes")]
    TooLong,
    /// Bytes that are no text.
    #[error("the value is no text in UTF-8")]
    NotText,
    /// A byte that ends texts in C, and means a value of another kind.
    #[error("the value holds a NUL character")]
    Nul,
    /// Line breaks, where one line is meant.
    #[error("the value has several lines: expected one; a private key is of kind `secret`")]
    Lines,
    /// No address.
    #[error("the value is no address: expected https://host/path, without a user name")]
    Url,
    /// No JSON object of texts.
    #[error("the value is no form: expected a JSON object whose values are texts")]
    Form,
}

/// What a person may want to think over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// It will not be redacted.
    #[error(
        "the value is shorter than {MIN_REDACTED_BYTES} bytes: it is not removed from logs and results, because that would destroy them and betray it"
    )]
    Short,
    /// Blanks at its ends.
    #[error("the value begins or ends with a blank; it is kept as it is")]
    Blank,
    /// It is bound to no host.
    #[error("the credential is for no host: it is filled nowhere until it has one")]
    NoHost,
}

/// Checks a value, and answers what is odd about it.
///
/// # Errors
///
/// [`ValueError`] where it cannot be a value of this kind.
pub(super) fn check(kind: CredentialKind, value: &Secret) -> Result<Vec<Warning>, ValueError> {
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(ValueError::TooLong);
    }
    let text = value.expose_text().ok_or(ValueError::NotText)?;
    if text.contains('\0') {
        return Err(ValueError::Nul);
    }
    if !kind.has_lines() && text.contains(['\n', '\r']) {
        return Err(ValueError::Lines);
    }
    match kind {
        CredentialKind::Url => drop(address(text)?),
        CredentialKind::Form if !is_form(text) => return Err(ValueError::Form),
        _ => {}
    }
    let short = (value.len() < MIN_REDACTED_BYTES).then_some(Warning::Short);
    let blank = (text.trim() != text && !kind.has_lines()).then_some(Warning::Blank);
    Ok(short.into_iter().chain(blank).collect())
}

fn is_form(text: &str) -> bool {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => !fields.is_empty() && fields.values().all(Value::is_string),
        _ => false,
    }
}

fn address(text: &str) -> Result<HttpTarget, ValueError> {
    HttpTarget::parse("GET", text).map_err(|_| ValueError::Url)
}

/// The host that an address is for: its own.
pub(super) fn own_host(value: &Secret) -> Option<BoundHost> {
    let target = address(value.expose_text()?).ok()?;
    target.endpoint().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(kind: CredentialKind, text: &str) -> Result<Vec<Warning>, ValueError> {
        check(kind, &Secret::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn a_value_fits_its_kind() {
        use CredentialKind::{ApiKey, Form, Secret as Any, Url};
        assert_eq!(checked(ApiKey, "0123456789"), Ok(vec![]));
        assert_eq!(checked(ApiKey, "short"), Ok(vec![Warning::Short]));
        assert_eq!(checked(ApiKey, " 0123456789"), Ok(vec![Warning::Blank]));
        assert_eq!(checked(Any, "-----BEGIN\nx\n"), Ok(vec![]));
        assert_eq!(checked(Url, "https://hooks.example/services/T0/B0"), Ok(vec![]));
        assert_eq!(checked(Form, r#"{"host":"h","password":"p"}"#), Ok(vec![]));
        for (kind, text, error) in [
            (ApiKey, "", ValueError::Empty),
            (ApiKey, "a\nb", ValueError::Lines),
            (ApiKey, "a\rb", ValueError::Lines),
            (Any, "a\0b", ValueError::Nul),
            (Url, "hooks.example", ValueError::Url),
            (Url, "https://user@hooks.example/", ValueError::Url),
            (Form, "[]", ValueError::Form),
            (Form, "{}", ValueError::Form),
            (Form, r#"{"port":5432}"#, ValueError::Form),
        ] {
            assert_eq!(checked(kind, text), Err(error), "{kind} {text:?}");
        }
        assert_eq!(checked(Any, &"x".repeat(MAX_VALUE_BYTES + 1)), Err(ValueError::TooLong));
        assert_eq!(check(Any, &Secret::new(vec![0xff; 9])), Err(ValueError::NotText));
    }

    #[test]
    fn an_address_is_for_its_own_host() {
        let host = |text: &str| own_host(&Secret::new(text.as_bytes().to_vec())).map(|host| host.to_string());
        assert_eq!(host("https://hooks.example/a?b"), Some("hooks.example".to_owned()));
        assert_eq!(host("http://127.0.0.1:8080/a"), Some("127.0.0.1:8080".to_owned()));
    }
}
