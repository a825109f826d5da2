//! Credentials as everybody but the vault knows them: by name, kind and
//! placeholder, never by value.
//!
//! Owns [`CredentialName`], [`CredentialKind`], and [`Credentials`], the trait
//! through which a run fills, signs, reveals and redacts without its host ever
//! learning how. It must never hold a value: values are the vault's.

mod kind;
pub mod lent;
mod name;
mod placeholder;
pub mod redact;
mod sign;

pub use kind::{CredentialKind, UnknownKind};
pub use lent::{Assigned, CredentialError, Credentials, Draft, NoCredentials};
pub use name::{CredentialName, CredentialNameError};
pub use placeholder::{PLACEHOLDER_HOST_SUFFIX, PLACEHOLDER_PREFIX, PLACEHOLDER_RANDOM_HEX, holds_placeholder};
pub use redact::{Redact, RedactStream};
pub use sign::{AwsRequest, HmacHash, JwtAlgorithm, SignScheme, Signed};

/// Bytes of one value at most.
pub const MAX_VALUE_BYTES: usize = 64 << 10;
/// Bytes from which on a value is redacted. Removing a shorter one would tear
/// up ordinary text, and the holes would tell what it is.
pub const MIN_REDACTED_BYTES: usize = 8;
/// Uses of credentials (requests filled, signatures, values revealed) of one
/// execution. Each is an audit row for ever, and a loop must not fill a disk.
pub const MAX_CREDENTIAL_USES: u64 = 10_000;
/// Bytes of a request's body that are held back to be filled. Larger ones are
/// streamed, and stopped where a placeholder turns up in them.
pub const MAX_FILLED_BODY_BYTES: usize = 1 << 20;
