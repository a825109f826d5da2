//! What a database keeps of its vault: everything but the key.
//!
//! Owns [`VaultRecord`], its JSON form and its checks. Whoever can write the
//! database can write this record, so it must never be believed unchecked, and
//! nothing in it may decide anything but which key is looked for and where.
//!
//! ```text
//!              begin                finish                 retire
//!  settled ───────────▶ pending ───────────────▶ retired ───────────▶ settled
//!                          │      (one commit       ▲
//!                          └──────── with the rows)─┘
//!                          recover: what was pending is to be removed
//! ```

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wardroom_core::blame::Blame;
use wardroom_core::clock::Timestamp;
use wardroom_core::text::{for_terminal_line, truncated};

use crate::key::{KeyId, MAX_ITERATIONS, SALT_BYTES};
use crate::seal::Sealed;
use crate::source::Source;

/// The only format there is.
const FORMAT: u32 = 1;
/// Bytes of the check value at most; ours is shorter.
const MAX_CHECK_BYTES: usize = 128;

/// A master key in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPlace {
    /// Where it is kept.
    pub source: Source,
    /// Which one.
    pub key_id: KeyId,
}

/// A vault as its database keeps it; compared as a whole and swapped there.
/// There is none that was not checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRecord", into = "RawRecord")]
pub struct VaultRecord {
    pub(crate) key: KeyPlace,
    pub(crate) key_version: u32,
    pub(crate) iterations: u32,
    pub(crate) salt: [u8; SALT_BYTES],
    pub(crate) check: Sealed,
    pub(crate) created_at: Timestamp,
    /// Stored by a rotation that has not moved the rows.
    pub(crate) pending: Option<KeyPlace>,
    /// Left behind by a rotation that has moved them: seals nothing any more.
    pub(crate) retired: Option<KeyPlace>,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not JSON, a field missing or too many, or one that does not parse. The
    /// text of the JSON reader: it repeats words of the record, which has no
    /// secret.
    #[error("the vault's record cannot be read: {0}")]
    Json(String),
    /// Of a newer Wardroom.
    #[error("the vault's record has format {0}; this version knows format {FORMAT}")]
    Format(u32),
    /// A field that no vault has; names it.
    #[error("the vault's record is damaged: {0}")]
    Field(&'static str),
}

impl RecordError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Format(_) => Blame::Operator,
            Self::Json(_) | Self::Field(_) => Blame::Host,
        }
    }
}

impl VaultRecord {
    /// Reads and checks one.
    ///
    /// # Errors
    ///
    /// [`RecordError`] where the text is no record.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let raw: RawRecord = serde_json::from_str(text).map_err(|error| RecordError::Json(shown(&error.to_string())))?;
        raw.try_into()
    }

    /// As the database keeps it.
    #[must_use]
    pub fn to_text(&self) -> String {
        // A map of texts and numbers: nothing of it can fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As [`parse`](Self::parse), of a record whose key file is named without a
    /// folder where it lies in the data folder: that may be moved as a whole.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_in(home: &Path, text: &str) -> Result<Self, RecordError> {
        let within = |path: &str| {
            let name = Path::new(path).file_name().filter(|name| name.as_encoded_bytes() == path.as_bytes())?;
            home.join(name).to_str().map(str::to_owned)
        };
        let mut raw: Value = serde_json::from_str(text).map_err(|error| RecordError::Json(shown(&error.to_string())))?;
        each_path(&mut raw, &within);
        Self::parse(&raw.to_string())
    }

    /// As [`to_text`](Self::to_text), with a key file in the data folder named
    /// without it.
    #[must_use]
    pub fn to_text_in(&self, home: &Path) -> String {
        let short = |path: &str| {
            let path = Path::new(path);
            (path.parent() == Some(home)).then(|| path.file_name()?.to_str().map(str::to_owned)).flatten()
        };
        let mut raw = serde_json::to_value(self).unwrap_or_default();
        each_path(&mut raw, &short);
        raw.to_string()
    }

    /// Where its master key is.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.key.source
    }

    /// Which master key.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key.key_id
    }

    /// Which version of the key sealed every value.
    #[must_use]
    pub const fn key_version(&self) -> u32 {
        self.key_version
    }

    /// Rounds of derivation.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// When this key was made.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The key of a rotation that has not moved the rows.
    #[must_use]
    pub const fn pending(&self) -> Option<&KeyPlace> {
        self.pending.as_ref()
    }

    /// The key that a rotation left behind.
    #[must_use]
    pub const fn retired(&self) -> Option<&KeyPlace> {
        self.retired.as_ref()
    }

    fn check(self) -> Result<Self, RecordError> {
        let wrong = |field| Err(RecordError::Field(field));
        if self.key_version == 0 || self.check.key_version() != self.key_version {
            return wrong("key_version");
        }
        // Fewer rounds would make the next passphrase that is typed cheap to guess.
        if !(self.key.source.iterations()..=MAX_ITERATIONS).contains(&self.iterations) {
            return wrong("iterations");
        }
        // Leftovers are removed: the key in use must never pass for one.
        let leftovers = [&self.pending, &self.retired];
        if leftovers.iter().any(|place| place.as_ref().is_some_and(|place| place.key_id == self.key.key_id)) {
            return wrong("the key in use is also a leftover");
        }
        if self.pending.is_some() && self.retired.is_some() {
            return wrong("both pending and retired");
        }
        Ok(self)
    }
}

/// Changes every text that is called `path`.
fn each_path(value: &mut Value, change: &impl Fn(&str) -> Option<String>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        match value {
            Value::String(path) if name == "path" => {
                if let Some(changed) = change(path) {
                    *path = changed;
                }
            }
            inner => each_path(inner, change),
        }
    }
}

/// A reader's message repeats the record's words: one line, not too long.
fn shown(message: &str) -> String {
    for_terminal_line(truncated(message, 300))
}

/// Every field as it stands in the JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    format: u32,
    source: Source,
    key_id: KeyId,
    key_version: u32,
    iterations: u32,
    salt: String,
    check: String,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<KeyPlace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired: Option<KeyPlace>,
}

impl From<VaultRecord> for RawRecord {
    fn from(record: VaultRecord) -> Self {
        Self {
            format: FORMAT,
            source: record.key.source,
            key_id: record.key.key_id,
            key_version: record.key_version,
            iterations: record.iterations,
            salt: STANDARD.encode(record.salt),
            check: STANDARD.encode(record.check.as_bytes()),
            created_at: record.created_at,
            pending: record.pending,
            retired: record.retired,
        }
    }
}

impl TryFrom<RawRecord> for VaultRecord {
    type Error = RecordError;

    fn try_from(raw: RawRecord) -> Result<Self, RecordError> {
        if raw.format != FORMAT {
            return Err(RecordError::Format(raw.format));
        }
        let salt = STANDARD.decode(&raw.salt).ok().and_then(|salt| salt.try_into().ok());
        let check = STANDARD.decode(&raw.check).ok().filter(|check| check.len() <= MAX_CHECK_BYTES);
        let record = Self {
            key: KeyPlace { source: raw.source, key_id: raw.key_id },
            key_version: raw.key_version,
            iterations: raw.iterations,
            salt: salt.ok_or(RecordError::Field("salt"))?,
            check: check.and_then(|check| Sealed::parse(check).ok()).ok_or(RecordError::Field("check"))?,
            created_at: raw.created_at,
            pending: raw.pending,
            retired: raw.retired,
        };
        record.check()
    }
}
