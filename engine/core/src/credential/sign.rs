//! Signatures that the host makes, so that the key need not be revealed.

/// Which hash an HMAC is over (RFC 2104).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HmacHash {
    /// SHA-1, for services that still ask for it; as an HMAC unbroken.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a JSON web token is signed (RFC 7518, 3.1; RFC 8037 for `EdDSA`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256; the value is the key.
    Hs256,
    /// HMAC with SHA-512; the value is the key.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256; the value is a private key in PEM.
    Rs256,
    /// ECDSA on P-256 with SHA-256; the value is a private key in PEM.
    Es256,
    /// Ed25519; the value is a private key in PEM.
    EdDsa,
}

/// A request that AWS Signature Version 4 is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRequest {
    /// The access key's identifier; no secret.
    pub access_key_id: String,
    /// Such as `eu-central-1`.
    pub region: String,
    /// Such as `s3`.
    pub service: String,
    /// The method.
    pub method: String,
    /// The whole address; its host must be one that the credential is bound to.
    pub url: String,
    /// Headers that are signed with it, beside `host` and `x-amz-date`.
    pub headers: Vec<(String, String)>,
    /// The body's SHA-256 as 64 hex digits, or `UNSIGNED-PAYLOAD`.
    pub payload_hash: String,
}

/// What is to be signed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignScheme {
    /// RFC 2104 over these bytes.
    Hmac {
        /// The hash.
        hash: HmacHash,
        /// What is signed.
        message: Vec<u8>,
    },
    /// RFC 7519, in compact form.
    Jwt {
        /// The algorithm.
        algorithm: JwtAlgorithm,
        /// `kid` of the header, where the service wants one.
        key_id: Option<String>,
        /// A JSON object.
        claims: String,
    },
    /// AWS Signature Version 4, in headers.
    AwsSigV4(AwsRequest),
}

impl SignScheme {
    /// The word in records and messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hmac { .. } => "hmac",
            Self::Jwt { .. } => "jwt",
            Self::AwsSigV4(_) => "aws-sigv4",
        }
    }
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// Of [`SignScheme::Hmac`]: the code.
    Bytes(Vec<u8>),
    /// Of [`SignScheme::Jwt`]: the token.
    Text(String),
    /// Of [`SignScheme::AwsSigV4`]: the headers to add to the request.
    Headers(Vec<(String, String)>),
}
