//! Credentials in a person's words.

use wardroom_core::capability::credentials::{CredentialScope, CredentialUse};

/// `the credential API_TOKEN toward api.example.org (also to read its value)`.
pub(crate) fn credential_words(scope: &CredentialScope) -> String {
    let place = scope.host.as_ref().map_or_else(|| "toward its own hosts".to_owned(), |host| format!("toward {host}"));
    let words = scope.uses.iter().map(|word| match word {
        CredentialUse::Query => "in queries",
        CredentialUse::Path => "in paths",
        CredentialUse::Body => "in bodies",
        CredentialUse::Sign => "to sign",
        CredentialUse::Reveal => "TO READ ITS VALUE",
    });
    let words: Vec<&str> = words.collect();
    let also = if words.is_empty() { String::new() } else { format!(", also {}", words.join(", ")) };
    format!("the credential {} {place}{also}", scope.name)
}
