//! Extracting: the whole archive into new files, or nothing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::bindings::{Error, Extracted, Kind};
use crate::name::Names;
use crate::open::{Found, Opened};
use crate::{Problems, below, io_error};

/// Bytes that an archive may unpack to unless somebody says otherwise.
const USUAL_BYTES: u64 = 256 << 20;
/// Bytes that any may.
pub(crate) const MOST_BYTES: u64 = 4 << 30;

pub(crate) fn extract(folder: &str, file: &str, into: &str, max_bytes: Option<u64>) -> Result<Extracted, Error> {
    let max = max_bytes.unwrap_or(USUAL_BYTES);
    if max == 0 || max > MOST_BYTES {
        return Err(Error::Invalid(format!("`max_bytes` is {max}: expected 1 to {MOST_BYTES}")));
    }
    let mut archive = Opened::at(folder, file, max)?;
    look_through(&mut archive)?;
    let mut made = Made::default();
    let done = put(&mut archive, into, &mut made);
    match done {
        Ok(()) => Ok(made.kept()),
        Err(error) => {
            made.undo();
            Err(error)
        }
    }
}

/// Every entry, before the first one is extracted.
fn look_through(archive: &mut Opened) -> Result<(), Error> {
    let (mut names, mut problems) = (Names::default(), Problems::default());
    let said = crate::meter::Meter::clone(&archive.meter);
    let is_zip = archive.format == crate::bindings::Format::Zip;
    archive.walk(|found| {
        // A zip says sizes without being unpacked; a tar is counted as it is read.
        if is_zip {
            said.count(found.bytes).map_err(Error::TooLarge)?;
        }
        let admitted = names.admit(&found.name, found.kind == Kind::Folder);
        if let Some(reason) = found.refused().or(admitted.err()) {
            problems.add(&found.name, reason);
        }
        Ok(())
    })?;
    problems.none()
}

fn put(archive: &mut Opened, into: &str, made: &mut Made) -> Result<(), Error> {
    let meter = archive.meter.clone();
    let mut names = Names::default();
    archive.walk(|mut found| {
        // Looked at again: the file may be another one by now.
        let admitted = names.admit(&found.name, found.kind == Kind::Folder);
        let parts = match (found.refused(), admitted) {
            (None, Ok(parts)) => parts,
            (Some(reason), _) | (None, Err(reason)) => {
                let mut problems = Problems::default();
                problems.add(&found.name, reason);
                return problems.none();
            }
        };
        let Some((last, folders)) = parts.split_last() else { return Ok(()) };
        let folders = if found.kind == Kind::Folder { parts.as_slice() } else { folders };
        made.folders(into, folders)?;
        if found.kind == Kind::Folder {
            return Ok(());
        }
        let mut path = below(into, folders);
        path.push(last);
        made.file(path, &mut found).map_err(|error| match (meter.tripped(), error) {
            (Some(why), _) => Error::TooLarge(why),
            (None, error) => error,
        })
    })
}

/// What was made so far.
#[derive(Default)]
struct Made {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    bytes: u64,
}

impl Made {
    /// Makes the folders on the way that are missing. What is there has to be a
    /// folder itself: a link would lead elsewhere.
    fn folders(&mut self, into: &str, parts: &[String]) -> Result<(), Error> {
        let mut path = PathBuf::from(into);
        for part in parts {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(Error::Exists(format!("`{}` is there and is no folder", path.display()))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir(&path).map_err(|error| io_error(&path.display().to_string(), &error))?;
                    self.folders.push(path.clone());
                }
                Err(error) => return Err(io_error(&path.display().to_string(), &error)),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, found: &mut Found<'_>) -> Result<(), Error> {
        let shown = path.display().to_string();
        let mut file = File::create_new(&path).map_err(|error| match fs::symlink_metadata(&path) {
            Ok(_) => Error::Exists(format!("`{shown}` is there already")),
            Err(_) => io_error(&shown, &error),
        })?;
        self.files.push(path);
        let written = io::copy(found.content, &mut file).map_err(|error| Error::Damaged(format!("`{shown}`: {error}")))?;
        if written != found.bytes {
            return Err(Error::Damaged(format!("`{shown}` has {written} bytes: the archive says {}", found.bytes)));
        }
        self.bytes += written;
        Ok(())
    }

    fn kept(&self) -> Extracted {
        let count = |paths: &[PathBuf]| u32::try_from(paths.len()).unwrap_or(u32::MAX);
        Extracted { files: count(&self.files), folders: count(&self.folders), bytes: self.bytes }
    }

    /// Takes everything back, the newest first. What somebody else put into a new
    /// folder meanwhile keeps it there.
    fn undo(&self) {
        let gone = |removed: io::Result<()>, path: &Path| {
            if let Err(error) = removed {
                eprintln!("`{}` is left behind: {error}", path.display());
            }
        };
        self.files.iter().rev().for_each(|path| gone(fs::remove_file(path), path));
        self.folders.iter().rev().for_each(|path| gone(fs::remove_dir(path), path));
    }
}
