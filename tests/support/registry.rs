//! A real registry: Debian's `docker-registry` (the Distribution project's) on
//! loopback, with a folder of its own, and somebody who pushes to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::Digest as _;

use super::home::Running;
use super::parts::needs;

/// Who may pull and push where a registry asks: `htpasswd -nbBC 4` made the line.
pub(crate) const LOGIN: &str = "puller:right password";
const HTPASSWD: &str = "puller:$2y$04$IT8fjNaM/DJTKobaPdB7lu3qJtCmNShDMB.WoMTwkRq7aia58QT/W\n";

/// The types of the Wasm OCI artifact layout.
pub(crate) const WASM: &str = "application/wasm";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How it finds out who it is.
pub(crate) enum Asks<'a> {
    Nobody,
    /// Name and password.
    Basic,
    /// A token of this realm.
    Token {
        realm: &'a str,
        issuer: &'a Issuer,
    },
}

/// Killed, by its process id, when dropped.
pub(crate) struct Registry {
    running: Running,
    port: u16,
    authorization: Option<String>,
    folder: tempfile::TempDir,
}

impl Registry {
    /// Nothing where the part is missing.
    pub(crate) fn start(asks: &Asks<'_>) -> Option<Self> {
        Self::start_with(asks, None)
    }

    /// Over TLS, with a certificate and its key as PEM files.
    pub(crate) fn start_with(asks: &Asks<'_>, tls: Option<(&Path, &Path)>) -> Option<Self> {
        let there = Command::new("docker-registry").arg("--version").output().is_ok_and(|output| output.status.success());
        if !needs("docker-registry", there, "apt-get install docker-registry") {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("wardroom-registry-").tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let auth = match asks {
            Asks::Nobody => Value::Null,
            Asks::Basic => json!({ "htpasswd": { "realm": "here", "path": file("htpasswd", HTPASSWD) } }),
            Asks::Token { realm, issuer } => json!({ "token": {
                "realm": realm, "service": "the registry", "issuer": "the issuer", "rootcertbundle": file("issuer.pem", &issuer.pem),
            } }),
        };
        let tls = tls.map_or(Value::Null, |(certificate, key)| json!({ "certificate": certificate, "key": key }));
        let mut config = json!({
            "version": 0.1,
            "log": { "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": folder.path().join("data") } },
            "http": { "addr": "127.0.0.1:0", "secret": "of this test", "tls": tls },
            "auth": auth,
        });
        for (outer, inner) in [("/http", "tls"), ("", "auth")] {
            let place = config.pointer_mut(outer).unwrap().as_object_mut().unwrap();
            place.retain(|name, value| name != inner || !value.is_null());
        }
        // JSON is YAML.
        let config = file("config.yml", &config.to_string());
        let mut command = Command::new("docker-registry");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(["serve", &config]);
        let running = Running::start(&mut command, b"");
        let said = running.until_stderr("listening on 127.0.0.1:");
        let rest = said.split("listening on 127.0.0.1:").nth(1).unwrap();
        // The line may not be whole yet.
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let authorization = matches!(asks, Asks::Basic).then(|| format!("Basic {}", STANDARD.encode(LOGIN)));
        Some(Self { running, port: digits.parse().unwrap(), authorization, folder })
    }

    /// `localhost:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Whoever pushes shows this from now on.
    pub(crate) fn authorize(&mut self, header: String) {
        self.authorization = Some(header);
    }

    /// Pushes an artifact as the layout has it; answers the digest of its
    /// manifest.
    pub(crate) fn push(&self, repository: &str, tag: &str, wasm: &[u8]) -> String {
        let layers = json!([self.blob(repository, WASM, wasm)]);
        self.push_layers(repository, tag, &layers)
    }

    /// The same with layers of any kind.
    pub(crate) fn push_layers(&self, repository: &str, tag: &str, layers: &Value) -> String {
        let config = self.blob(repository, "application/vnd.wasm.config.v0+json", b"{}");
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.push_manifest(repository, tag, MANIFEST, &manifest)
    }

    pub(crate) fn push_manifest(&self, repository: &str, tag: &str, kind: &str, manifest: &Value) -> String {
        let body = manifest.to_string();
        let put = self.ask("PUT", &format!("/v2/{repository}/manifests/{tag}"), kind, body.as_bytes());
        assert!(put.starts_with("HTTP/1.1 201"), "{put}");
        digest(body.as_bytes())
    }

    /// Pushes bytes (distribution specification, "Pushing a blob monolithically");
    /// answers their descriptor.
    pub(crate) fn blob(&self, repository: &str, kind: &str, bytes: &[u8]) -> Value {
        let begun = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"");
        assert!(begun.starts_with("HTTP/1.1 202"), "{begun}");
        let location = begun.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let path = location.splitn(4, '/').nth(3).unwrap();
        let put = self.ask("PUT", &format!("/{path}&digest={}", digest(bytes)), "application/octet-stream", bytes);
        assert!(put.starts_with("HTTP/1.1 201"), "{put}");
        json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() })
    }

    fn ask(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> String {
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n", self.host(), body.len());
        head.extend(self.authorization.iter().map(|header| format!("Authorization: {header}\r\n")));
        if !kind.is_empty() {
            head.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Where it keeps what it was given.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// It is still there.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        self.running.pid()
    }
}

/// `sha256:HEX`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    wardroom_core::id::Digest::from_bytes(sha2::Sha256::digest(bytes).into()).to_string()
}

/// Gives out tokens that a registry believes (the Distribution project's token
/// implementation: a JSON web token, signed by the key of a certificate).
pub(crate) struct Issuer {
    pem: String,
    der: Vec<u8>,
    key: ring::signature::EcdsaKeyPair,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["issuer.test".to_owned()]).unwrap();
        let (algorithm, random) = (&ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING, ring::rand::SystemRandom::new());
        let key = ring::signature::EcdsaKeyPair::from_pkcs8(algorithm, &made.signing_key.serialize_der(), &random).unwrap();
        Self { pem: made.cert.pem(), der: made.cert.der().to_vec(), key }
    }

    /// For these actions in this repository.
    pub(crate) fn token(&self, repository: &str, actions: &[&str]) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.der)] });
        let claims = json!({
            "iss": "the issuer", "sub": "somebody", "aud": "the registry", "jti": "one",
            "iat": now, "nbf": now - 60, "exp": now + 600,
            "access": [{ "type": "repository", "name": repository, "actions": actions }],
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&ring::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
