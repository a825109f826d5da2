//! Names of entries: what a plain path below a folder is, and that no two of an
//! archive are in each other's way.

use std::collections::{HashMap, HashSet};

use crate::bindings::Reason;

/// Bytes of a name.
const MAX_NAME: usize = 1024;
/// Bytes of a part of it.
const MAX_PART: usize = 255;

/// The parts of a plain name, without `.`; none at all where it is the folder itself.
pub(crate) fn parts(name: &[u8]) -> Result<Vec<String>, Reason> {
    let Ok(text) = std::str::from_utf8(name) else { return Err(Reason::UnclearName) };
    if text.is_empty() || text.len() > MAX_NAME || text.contains(|letter: char| letter == '\\' || letter.is_control()) {
        return Err(Reason::UnclearName);
    }
    let drive = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && text.get(1..2) == Some(":");
    if text.starts_with('/') || drive {
        return Err(Reason::AbsoluteName);
    }
    let mut parts = Vec::new();
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(Reason::ClimbingName);
        }
        if part.len() > MAX_PART {
            return Err(Reason::UnclearName);
        }
        parts.push(part.to_owned());
    }
    Ok(parts)
}

/// The names that an archive has so far.
#[derive(Default)]
pub(crate) struct Names {
    files: HashSet<String>,
    /// Folders, and whether one is an entry of its own or only lies on the way to one.
    folders: HashMap<String, bool>,
}

impl Names {
    /// Takes a name in: its parts, where it is plain and stands in nobody's way.
    pub(crate) fn admit(&mut self, name: &[u8], is_folder: bool) -> Result<Vec<String>, Reason> {
        let parts = parts(name)?;
        if parts.is_empty() {
            return if is_folder { Ok(parts) } else { Err(Reason::UnclearName) };
        }
        let mut path = String::new();
        for (index, part) in parts.iter().enumerate() {
            path.push('/');
            path.push_str(&part.to_lowercase());
            let last = index + 1 == parts.len();
            if self.files.contains(&path) {
                return Err(Reason::DuplicateName);
            }
            if last && !is_folder {
                if self.folders.contains_key(&path) {
                    return Err(Reason::DuplicateName);
                }
                self.files.insert(path.clone());
            } else {
                let entry = self.folders.entry(path.clone()).or_default();
                if last && std::mem::replace(entry, true) {
                    return Err(Reason::DuplicateName);
                }
            }
        }
        Ok(parts)
    }
}
