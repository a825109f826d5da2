//! Artifacts of registries: the pulling half of the OCI distribution
//! specification ("Pull"), for artifacts laid out as the CNCF's Wasm OCI
//! artifact guidance says.
//!
//! ```text
//!  GET manifests/TAG or DIGEST ─▶ its digest ─▶ exactly one layer of application/wasm
//!  GET blobs/DIGEST            ─▶ its size, its digest
//!  401 ─▶ once: a token of the realm, or name and password; again 401: refused
//! ```
//!
//! Of the manifest two things count: its bytes are those that were named, and it
//! has that one layer. The configuration beside it is not fetched (what a plugin
//! is says the plugin), an index is not chosen from (the digest names what is
//! meant), and a layer's other addresses (`urls`) are not gone to.

use serde::Deserialize;
use wardroom_core::capability::credentials::is_private;
use wardroom_core::capability::net::HttpTarget;
use wardroom_core::id::Digest;
use wardroom_core::limit::MAX_PROGRAM_BYTES;
use wardroom_core::plugin::OciSource;
use zeroize::Zeroizing;

use super::challenge::{Challenge, challenge};
use super::error::FetchError;
use super::{Authorization, Found, Session, Stop, Wanted, words};

/// OCI image specification, media types.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
/// Wasm OCI artifact layout, "Manifest format".
pub(super) const WASM: &str = "application/wasm";
/// Bytes of a manifest: registries have to take so many (distribution
/// specification, "Pushing Manifests").
const MAX_MANIFEST: u64 = 4 << 20;
/// Bytes of an answer that holds a token, and of the token.
const MAX_TOKEN_ANSWER: u64 = 64 << 10;
const MAX_TOKEN: usize = 16 << 10;
/// Artifacts of an index that are named in its refusal.
const SHOWN: usize = 5;

/// Image specification, "Image Manifest Property Descriptions"; what is not here
/// is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: Option<String>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    /// Of an index.
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// Image specification, "OCI Content Descriptors".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// Token authentication specification, "Token Response Fields".
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

/// Where a registry begins: what is typed grants this origin.
pub(super) fn base(oci: &OciSource) -> Result<HttpTarget, FetchError> {
    at(oci, "")
}

fn at(oci: &OciSource, path: &str) -> Result<HttpTarget, FetchError> {
    let url = format!("{}/v2/{path}", oci.origin());
    HttpTarget::parse("GET", &url).map_err(|source| FetchError::Location { place: oci.registry(), source })
}

/// The bytes of an artifact's one layer.
pub(super) async fn pull(session: &Session<'_>, oci: &OciSource) -> Result<Vec<u8>, FetchError> {
    let mut registry = Registry { session, oci, authorization: None };
    let layer = registry.manifest().await?;
    registry.blob(&layer).await
}

struct Registry<'a> {
    session: &'a Session<'a>,
    oci: &'a OciSource,
    authorization: Option<Authorization>,
}

/// The one layer, as the manifest has it.
struct Layer {
    digest: Digest,
    size: u64,
}

impl Registry<'_> {
    async fn manifest(&mut self) -> Result<Layer, FetchError> {
        let oci = self.oci;
        let reference = oci.tag().map_or_else(|| oci.digest().to_string(), str::to_owned);
        let path = format!("{}/manifests/{reference}", oci.repository());
        // An index is asked for as well, so that it can be refused as one.
        let found = self.get(&path, ACCEPTED, MAX_MANIFEST).await?;
        let place = found.at.place();
        let bytes = match (self.session.whole(found, oci.digest()).await, oci.tag()) {
            // By a tag another manifest may have come, and it is one.
            (Err(FetchError::Digest { found, kind: Some(MANIFEST | INDEX), .. }), Some(tag)) => {
                let place = format!("{}/{}", oci.registry(), oci.repository());
                return Err(FetchError::TagMoved { place, tag: tag.to_owned(), expected: oci.digest(), found });
            }
            (whole, _) => whole?,
        };
        layer(&bytes, &place)
    }

    async fn blob(&mut self, layer: &Layer) -> Result<Vec<u8>, FetchError> {
        let path = format!("{}/blobs/{}", self.oci.repository(), layer.digest);
        let found = self.get(&path, "*/*", layer.size).await?;
        let (place, announced) = (found.at.place(), found.answer.length());
        if let Some(found) = announced.filter(|announced| *announced != layer.size) {
            return Err(FetchError::Size { place, expected: layer.size, found });
        }
        self.session.whole(found, layer.digest).await.map_err(|error| match error {
            FetchError::Digest { size, .. } if size as u64 != layer.size => {
                FetchError::Size { place, expected: layer.size, found: size as u64 }
            }
            error => error,
        })
    }

    /// Asks, and says once who it is where the registry wants to know.
    async fn get(&mut self, path: &str, accept: &str, limit: u64) -> Result<Found, FetchError> {
        let target = at(self.oci, path)?;
        let wanted = |authorization| Wanted { at: Stop::typed(target.clone()), accept, authorization, limit };
        let found = self.session.ask(wanted(self.authorization.as_ref())).await?;
        // Whoever it was sent on to has no business asking.
        if found.answer.status() != 401 || !found.at.target.is_same_origin(&target) {
            return found.good().await;
        }
        if self.authorization.is_some() {
            return Err(FetchError::LoginFailed(self.oci.registry()));
        }
        let authorization = self.log_in(&found).await?;
        let found = self.session.ask(wanted(Some(&authorization))).await?;
        if found.answer.status() == 401 {
            return Err(FetchError::LoginFailed(self.oci.registry()));
        }
        self.authorization = Some(authorization);
        found.good().await
    }

    async fn log_in(&self, asked: &Found) -> Result<Authorization, FetchError> {
        let registry = || self.oci.registry();
        let unknown = |reason: &str| FetchError::Challenge { registry: registry(), reason: reason.to_owned() };
        match challenge(asked.answer.headers("www-authenticate")) {
            None => Err(unknown("it names no way, or none of Basic and Bearer")),
            Some(Challenge::Basic) => self.named().ok_or_else(|| FetchError::Login(registry())),
            Some(Challenge::Bearer { realm, service }) => {
                let realm = HttpTarget::parse("GET", &realm).map_err(|error| unknown(&format!("its realm: {error}")))?;
                if !is_private(&realm) {
                    return Err(unknown("its realm would be spoken to in the clear"));
                }
                self.token(realm, service.as_deref()).await.map(Authorization::Token)
            }
        }
    }

    /// Name and password out of the vault, where a credential was named.
    fn named(&self) -> Option<Authorization> {
        use base64::Engine as _;
        let assigned = self.session.credentials.assigned().into_iter().next()?;
        // The vault looks into what is encoded like this (RFC 7617), and fills
        // the value in where it goes to a host that it is for.
        let encoded = base64::engine::general_purpose::STANDARD.encode(assigned.placeholder);
        Some(Authorization::Credential(format!("Basic {encoded}")))
    }

    /// Token authentication specification, "Requesting a Token": for pulling this
    /// repository and for nothing else, whatever the registry would have asked
    /// for.
    async fn token(&self, realm: HttpTarget, service: Option<&str>) -> Result<Zeroizing<String>, FetchError> {
        let scope = format!("repository:{}:pull", self.oci.repository());
        let service = service.map(|service| ("service", service));
        let pairs: Vec<(&str, &str)> = service.into_iter().chain([("scope", scope.as_str())]).collect();
        let named = self.named();
        let at = Stop { target: realm.with_query(&pairs), guarded: self.session.is_somebody() };
        let wanted = Wanted { at, accept: "application/json", authorization: named.as_ref(), limit: MAX_TOKEN_ANSWER };
        let found = self.session.ask(wanted).await?;
        if matches!(found.answer.status(), 401 | 403) {
            let registry = self.oci.registry();
            return Err(if named.is_some() { FetchError::LoginFailed(registry) } else { FetchError::Login(registry) });
        }
        let mut found = found.good().await?;
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(more) = found.more().await? {
            bytes.extend_from_slice(&more);
        }
        // What is wrong with it is not said: it holds a secret.
        let answer: Option<TokenAnswer> = serde_json::from_slice(&bytes).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token)).map(Zeroizing::new);
        let is_token =
            |token: &Zeroizing<String>| (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = token.filter(is_token).ok_or_else(|| FetchError::Challenge {
            registry: self.oci.registry(),
            reason: format!("`{}` gives no token", found.at.place()),
        })?;
        Ok(Zeroizing::new(format!("Bearer {}", *token)))
    }
}

/// The one layer of a manifest whose bytes are those that were named.
fn layer(bytes: &[u8], place: &str) -> Result<Layer, FetchError> {
    let not = |reason: String| FetchError::Artifact { place: place.to_owned(), reason };
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|_| not("its manifest cannot be read".to_owned()))?;
    let kind = manifest.media_type.as_deref();
    if kind == Some(INDEX) || (manifest.layers.is_empty() && !manifest.manifests.is_empty()) {
        let digests = manifest.manifests.iter().filter_map(|one| one.digest.parse().ok()).take(SHOWN).collect();
        return Err(FetchError::Index { place: place.to_owned(), digests });
    }
    if manifest.schema_version != 2 || kind.is_some_and(|kind| kind != MANIFEST) {
        return Err(not(format!("expected a manifest of the type {MANIFEST}")));
    }
    let [layer] = manifest.layers.as_slice() else {
        return Err(not(format!("it has {} layers: expected exactly one, of the type {WASM}", manifest.layers.len())));
    };
    if layer.media_type != WASM {
        let kind = words::kind(&layer.media_type).map_or_else(|| "another type".to_owned(), |kind| format!("the type `{kind}`"));
        return Err(not(format!("its layer is of {kind}: expected {WASM}")));
    }
    let digest = layer.digest.parse().map_err(|_| not("its layer is named by something else than a SHA-256".to_owned()))?;
    if layer.size > MAX_PROGRAM_BYTES {
        return Err(FetchError::TooLarge { place: place.to_owned(), size: layer.size });
    }
    Ok(Layer { digest, size: layer.size })
}

#[cfg(test)]
mod tests {
    use super::super::digest_of;
    use super::*;

    fn of(layers: &str, more: &str) -> Result<Layer, FetchError> {
        layer(format!(r#"{{"schemaVersion":2,"layers":[{layers}]{more}}}"#).as_bytes(), "r.example/a")
    }

    fn descriptor(kind: &str, size: u64) -> String {
        format!(r#"{{"mediaType":"{kind}","digest":"{}","size":{size},"urls":["https://evil.example/"]}}"#, digest_of(b"x"))
    }

    #[test]
    fn an_artifact_is_one_layer_of_wasm() {
        let good = of(&descriptor(WASM, 1), "").unwrap();
        assert_eq!((good.digest, good.size), (digest_of(b"x"), 1));
        assert!(of(&descriptor(WASM, 1), &format!(r#","mediaType":"{MANIFEST}""#)).is_ok());
        let two = format!("{0},{0}", descriptor(WASM, 1));
        let docker = r#","mediaType":"application/vnd.docker.distribution.manifest.v2+json""#;
        let old = layer(br#"{"schemaVersion":1,"layers":[]}"#, "x");
        for wrong in [
            of("", ""),
            of(&two, ""),
            of(&descriptor("application/vnd.oci.image.layer.v1.tar+gzip", 1), ""),
            of(&descriptor(WASM, 1), docker),
            old,
        ] {
            assert!(matches!(wrong, Err(FetchError::Artifact { .. })));
        }
        let other = r#"{"mediaType":"application/wasm","digest":"sha512:00","size":1}"#;
        assert!(matches!(of(other, ""), Err(FetchError::Artifact { .. })));
        assert!(matches!(of(r#"{"mediaType":"application/wasm","size":-1}"#, ""), Err(FetchError::Artifact { .. })));
        assert!(of(&descriptor(WASM, MAX_PROGRAM_BYTES), "").is_ok());
        assert!(matches!(of(&descriptor(WASM, MAX_PROGRAM_BYTES + 1), ""), Err(FetchError::TooLarge { .. })));
    }

    #[test]
    fn an_index_is_not_chosen_from() {
        let listed = format!(r#","manifests":[{}]"#, descriptor(MANIFEST, 1));
        for index in [of("", &listed), of(&descriptor(WASM, 1), &format!(r#","mediaType":"{INDEX}"{listed}"#))] {
            let Err(FetchError::Index { digests, .. }) = index else { panic!() };
            assert_eq!(digests, [digest_of(b"x")]);
        }
    }
}
