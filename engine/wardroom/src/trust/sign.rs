//! Signing a file: its bytes with a signature in them, in the place of those
//! without, or beside them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::Digest as _;
use wardroom_core::blame::Blame;
use wardroom_core::id::Digest;
use wardroom_core::limit::{MAX_PROGRAM_BYTES, MAX_SCRIPT_BYTES};
use wardroom_core::program::ProgramName;
use wardroom_core::signature::{Carried, SignatureFormError, SignerKey, Unsigned};
use wardroom_vault::{SigningKey, SigningKeyError};

use crate::execution::resolve::{ResolveError, read_program};
use crate::template;

/// A file that is not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It cannot be read, or is no program.
    #[error(transparent)]
    Resolve(Box<ResolveError>),
    /// The key.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// It carries a signature, or what cannot be read as one.
    #[error("`{}` cannot be signed: {source}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: SignatureFormError,
    },
    /// With its signature it would be longer than what is run.
    #[error("`{}` would have {bytes} bytes with its signature, and no program has more than {most}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes.
        bytes: u64,
        /// At most.
        most: u64,
    },
    /// There is nothing that could be written.
    #[error("`{}` is a template's name: expected a file", .0.display())]
    Template(PathBuf),
    /// There is something already where it is to be written.
    #[error("there is a file `{}` already, and none is written over", .0.display())]
    Exists(PathBuf),
    /// It would be written over the key.
    #[error("`{}` is the key's own file: it is never written over", .0.display())]
    OverKey(PathBuf),
    /// The file that is written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SignError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Resolve(error) => error.blame(),
            Self::Key(error) => error.blame(),
            Self::Form { source: SignatureFormError::Signed(_), .. } => Blame::Operator,
            Self::Form { .. } => Blame::Guest,
            _ => Blame::Operator,
        }
    }
}

impl From<ResolveError> for SignError {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(Box::new(error))
    }
}

/// A file that is signed.
#[derive(Debug, Serialize)]
pub struct SignedFile {
    /// Where it lies.
    pub file: PathBuf,
    /// Its bytes' SHA-256.
    pub digest: Digest,
    /// Who signed.
    pub signer: SignerKey,
    /// Who had signed it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<SignerKey>,
}

/// Signs a program's file with the key of another: in its place, or into `output`,
/// which is a new file.
/// One that carries a signature gets another only where `replace` says so.
///
/// # Errors
///
/// [`SignError`] says why it is not signed; the file is as it was then.
pub fn sign_file(file: &Path, key: &Path, output: Option<&Path>, replace: bool) -> Result<SignedFile, SignError> {
    if template::of_path(file).is_some() {
        return Err(SignError::Template(file.to_owned()));
    }
    let key_file = key;
    let key = SigningKey::read(key_file)?;
    let (program, real) = read_program(&ProgramName { path: file.to_owned(), function: None })?;
    let form = |source| SignError::Form { path: file.to_owned(), source };
    let before = Carried::find(program.format, &program.bytes).map_err(form)?;
    let bytes = before.filter(|_| replace).map_or(&*program.bytes, |carried| carried.covered());
    let signed = key.sign(Unsigned::new(program.format, bytes).map_err(form)?);
    let most = if program.format.is_script() { MAX_SCRIPT_BYTES } else { MAX_PROGRAM_BYTES };
    if signed.len() as u64 > most {
        return Err(SignError::TooLarge { path: file.to_owned(), bytes: signed.len() as u64, most });
    }
    // A link is followed: what it leads to is what was read.
    let place = output.unwrap_or(&real);
    let failed = |source| SignError::Write { path: place.to_owned(), source };
    if is_same_file(place, key_file).map_err(failed)? {
        return Err(SignError::OverKey(place.to_owned()));
    }
    let claimed = output.map(claim).transpose()?;
    let written = write(place, &real, &signed).map_err(failed);
    if let Some(claimed) = claimed.filter(|_| written.is_err()) {
        drop(std::fs::remove_file(claimed));
    }
    written?;
    let digest = Digest::from_bytes(sha2::Sha256::digest(&signed).into());
    Ok(SignedFile { file: place.to_owned(), digest, signer: key.signer(), replaced: before.map(|carried| carried.signer()) })
}

/// Whatever the names are, and links to them.
fn is_same_file(place: &Path, key: &Path) -> std::io::Result<bool> {
    let place = match std::fs::metadata(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        place => place?,
    };
    let key = std::fs::metadata(key)?;
    Ok((place.dev(), place.ino()) == (key.dev(), key.ino()))
}

/// An empty file of a name that nothing has: what takes its place takes nobody else's.
fn claim(place: &Path) -> Result<&Path, SignError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(place) {
        Ok(_) => Ok(place),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(SignError::Exists(place.to_owned())),
        Err(source) => Err(SignError::Write { path: place.to_owned(), source }),
    }
}

/// Whole or not at all, with the permissions of the file that was read.
fn write(place: &Path, like: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mode = std::fs::metadata(like)?.mode() & 0o777;
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let random = HEXLOWER.encode(&random);
    let fresh = folder.join(format!(".wardroom-sign-{random}"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&fresh, place));
    if written.is_err() {
        drop(std::fs::remove_file(&fresh));
    }
    written?;
    File::open(folder)?.sync_all()
}
