//! Lists, extracts and creates zip and tar archives within granted folders.
//!
//! An archive is a stranger's: nothing in it is believed. Every entry is looked at
//! before the first one is extracted, and again while it is; whatever would leave
//! the folder, replace something, or be anything but a plain file or folder refuses
//! the whole archive (`name.rs`). What comes out of a compressed stream is counted
//! as it comes (`meter.rs`), whatever the archive says of it. The sandbox stands
//! behind all that: outside of the granted folders nothing has a name.

mod create;
mod extract;
mod meter;
mod name;
mod open;

#[allow(missing_docs, clippy::missing_safety_doc, clippy::too_many_arguments, reason = "generated from wit/archive.wit")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "archive", additional_derives: [PartialEq] });
    use super::Archive;
    export!(Archive);
}

use std::path::PathBuf;

use bindings::{Created, Entry, Error, Extracted, Format, Guest, Kind, Listing, Problem, Reason};
use name::Names;

/// Entries of an archive.
const MAX_ENTRIES: usize = 10_000;
/// Problems that are told.
const MAX_PROBLEMS: usize = 20;

/// The functions of `wit/archive.wit`.
struct Archive;

impl Guest for Archive {
    fn list(folder: String, file: String) -> Result<Listing, Error> {
        let mut opened = open::Opened::at(&folder, &file, extract::MOST_BYTES)?;
        let (mut names, mut entries) = (Names::default(), Vec::new());
        opened.walk(|found| {
            let problem = found.refused().or_else(|| names.admit(&found.name, found.kind == Kind::Folder).err());
            let bytes = if found.kind == Kind::File { found.bytes } else { 0 };
            entries.push(Entry { name: shown(&found.name), kind: found.kind, bytes, problem });
            Ok(())
        })?;
        Ok(Listing { format: opened.format, entries })
    }

    fn extract(folder: String, file: String, into: String, max_bytes: Option<u64>) -> Result<Extracted, Error> {
        extract::extract(&folder, &file, &into, max_bytes)
    }

    fn create(folder: String, names: Option<Vec<String>>, into: String, file: String, format: Option<Format>) -> Result<Created, Error> {
        create::create(&folder, names, &create::Target { into: &into, file: &file, format })
    }
}

/// A name that people read.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Collects what is refused; the first ones are told.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, name: &[u8], reason: Reason) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(Problem { name: shown(name), reason });
        }
    }

    fn none(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Refused(self.0)) }
    }
}

/// A file's name in a folder that a caller named.
fn inside(folder: &str, file: &str) -> Result<PathBuf, Error> {
    let name = name::parts(file.as_bytes());
    let parts = name.map_err(|_| Error::Invalid(format!("`{file}` is no path below a folder")))?;
    if parts.is_empty() {
        return Err(Error::Invalid("`file` is empty".to_owned()));
    }
    Ok(below(folder, &parts))
}

fn below(folder: &str, parts: &[String]) -> PathBuf {
    let mut path = PathBuf::from(folder);
    path.extend(parts);
    path
}

/// What the system said, and of what.
fn io_error(what: &str, error: &std::io::Error) -> Error {
    let text = format!("`{what}`: {error}");
    match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => Error::Denied(text),
        std::io::ErrorKind::NotFound => Error::Missing(text),
        std::io::ErrorKind::AlreadyExists => Error::Exists(text),
        _ => Error::Failed(text),
    }
}
