//! `wardroom:automation/credential`: what a guest may know and do of what is
//! assigned to it. The rules are the lent
//! [`Credentials`](wardroom_core::credential::Credentials)'; here are only the
//! words.

use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::credential::{
    Assigned, AwsRequest, CredentialError, CredentialKind, CredentialName, HmacHash, JwtAlgorithm, SignScheme, Signed,
};
use wardroom_core::witness::Witness;

use super::automation::wardroom::automation::credential as wit;
use crate::run::RunState;

type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

impl RunState {
    /// The guest's answer; the operator hears of a refusal, and what of ours
    /// failed ends the run.
    fn answer<T>(&self, name: &str, result: Result<T, CredentialError>) -> Answer<T> {
        Ok(match result {
            Ok(value) => Ok(value),
            Err(CredentialError::Host(fault)) => return Err(wasmtime::Error::new(fault)),
            Err(error) => Err(self.refused(name, error)),
        })
    }

    fn refused(&self, name: &str, error: CredentialError) -> wit::Error {
        match error {
            CredentialError::Refused(refusal) => {
                self.notes.refused(&refusal);
                wit::Error::Denied(refusal.to_string())
            }
            CredentialError::Unfit(reason) => wit::Error::Unfit(reason),
            error => {
                self.notes.refused(&not_assigned(name));
                wit::Error::NotAssigned(error.to_string())
            }
        }
    }
}

/// What is no name of a credential is not repeated: it may be a value.
fn not_assigned(name: &str) -> Refusal {
    let name = name.parse::<CredentialName>().ok().map(|name| name.to_string());
    Refusal {
        capability: Capability::Credentials,
        wanted: name.clone().unwrap_or_else(|| "something that is no name".to_owned()),
        reason: "it is not assigned to this execution".to_owned(),
        scope: name,
    }
}

impl wit::Host for RunState {
    fn list(&mut self) -> Vec<wit::Assigned> {
        self.notes.credentials().assigned().into_iter().map(Into::into).collect()
    }

    fn placeholder(&mut self, name: String) -> Result<String, wit::Error> {
        let found = self.notes.credentials().assigned().into_iter().find(|credential| credential.name.as_str() == name);
        found.map(|credential| credential.placeholder).ok_or_else(|| {
            let shown = not_assigned(&name).wanted;
            self.refused(&name, CredentialError::NotAssigned(shown))
        })
    }

    async fn sign(&mut self, name: String, scheme: wit::Scheme) -> Answer<wit::Signature> {
        let credentials = self.notes.credentials().clone();
        let signed = credentials.sign(&name, &scheme.into()).await;
        self.answer(&name, signed.map(Into::into))
    }

    async fn reveal(&mut self, name: String) -> Answer<String> {
        let credentials = self.notes.credentials().clone();
        let value = credentials.reveal(&name).await;
        self.answer(&name, value)
    }
}

impl From<Assigned> for wit::Assigned {
    fn from(credential: Assigned) -> Self {
        let kind = match credential.kind {
            CredentialKind::ApiKey => wit::Kind::ApiKey,
            CredentialKind::OauthToken => wit::Kind::OauthToken,
            CredentialKind::EnvVar => wit::Kind::EnvVar,
            CredentialKind::Secret => wit::Kind::Secret,
            CredentialKind::Url => wit::Kind::Url,
            CredentialKind::Form => wit::Kind::Form,
        };
        Self { name: credential.name.to_string(), kind, placeholder: credential.placeholder }
    }
}

impl From<wit::Scheme> for SignScheme {
    fn from(scheme: wit::Scheme) -> Self {
        match scheme {
            wit::Scheme::Hmac(request) => Self::Hmac { hash: request.hash.into(), message: request.message },
            wit::Scheme::Jwt(request) => Self::Jwt { algorithm: request.algorithm.into(), key_id: request.key_id, claims: request.claims },
            wit::Scheme::AwsSigv4(request) => Self::AwsSigV4(AwsRequest {
                access_key_id: request.access_key_id,
                region: request.region,
                service: request.service,
                method: request.method,
                url: request.url,
                headers: request.headers,
                payload_hash: request.payload_hash,
            }),
        }
    }
}

impl From<wit::Hash> for HmacHash {
    fn from(hash: wit::Hash) -> Self {
        match hash {
            wit::Hash::Sha1 => Self::Sha1,
            wit::Hash::Sha256 => Self::Sha256,
            wit::Hash::Sha512 => Self::Sha512,
        }
    }
}

impl From<wit::JwtAlgorithm> for JwtAlgorithm {
    fn from(algorithm: wit::JwtAlgorithm) -> Self {
        match algorithm {
            wit::JwtAlgorithm::Hs256 => Self::Hs256,
            wit::JwtAlgorithm::Hs512 => Self::Hs512,
            wit::JwtAlgorithm::Rs256 => Self::Rs256,
            wit::JwtAlgorithm::Es256 => Self::Es256,
            wit::JwtAlgorithm::Eddsa => Self::EdDsa,
        }
    }
}

impl From<Signed> for wit::Signature {
    fn from(signed: Signed) -> Self {
        match signed {
            Signed::Bytes(bytes) => Self::Bytes(bytes),
            Signed::Text(text) => Self::Text(text),
            Signed::Headers(headers) => Self::Headers(headers),
        }
    }
}
