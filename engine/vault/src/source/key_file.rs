//! A master key in a file that only its owner can read.
//!
//! Owns the file's format, what is checked before it is believed, and how it is
//! changed. It must never follow a link, read what others can read or write, or
//! leave a half-written file in the place of a whole one.
//!
//! ```text
//!  wardroom-key-1 0190b5a0-…-7c3d 64-hex-digits
//! ```
//!
//! One line a key; there are two while a vault is on its way from one to the
//! other, and several vaults may share a file. Whoever changes it holds a lock
//! on its folder, so that no two processes each write the other's line away. It
//! is written beside (`.NAME.UUID`) and moved into place; what a process that
//! was killed in between left there is removed by the next that has the lock.

use std::io;
use std::path::{Path, PathBuf};

use wardroom_core::blame::Blame;
use wardroom_core::text::for_terminal_line;
use zeroize::Zeroizing;

use crate::key::{KEY_BYTES, KeyId, MasterKey};

/// What every line begins with: the format and its version.
const PREFIX: &str = "wardroom-key-1";
/// Bytes of a line: prefix, id and hex, a space between each, and its end.
const LINE_BYTES: usize = PREFIX.len() + 1 + 36 + 1 + 2 * KEY_BYTES + 1;
/// Bytes of the file at most; what is larger is not ours, whatever it is.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Why a key file is not used. Never repeats what stands in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Others can read or write it.
    #[error("the key file {} is open to others (mode {mode:04o}); expected 0600: run `chmod 600 {}`", shown(path), quoted(path))]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else's, who can change its permissions at will.
    #[error("the key file {} belongs to user {owner}, not to the one who runs this", shown(path))]
    Owner {
        /// The file.
        path: PathBuf,
        /// Their user id.
        owner: u32,
    },
    /// It could point anywhere by the next time.
    #[error("the key file {} is a symbolic link; expected the file itself", shown(.0))]
    Link(PathBuf),
    /// A folder, a pipe, a device.
    #[error("the key file {} is no regular file", shown(.0))]
    NotAFile(PathBuf),
    /// Not a line of ours.
    #[error("line {line} of the key file {} is not `{PREFIX} ID HEX`", shown(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Two keys of one id: which one is right cannot be told.
    #[error("the key file {} has two keys {key_id}", shown(path))]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// Theirs.
        key_id: KeyId,
    },
    /// Larger than any key file.
    #[error("the key file {} has more than {MAX_FILE_BYTES} bytes", shown(.0))]
    TooLarge(PathBuf),
    /// Somebody else changes it, for longer than that can take.
    #[error("the folder of the key file {} is locked by another process", shown(.0))]
    Busy(PathBuf),
    /// It cannot be read or written.
    #[error("the key file {} cannot be {doing}", shown(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// A participle: read, written.
        doing: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Who owns a file cannot be checked here.
    #[error("key files need an operating system with Unix permissions")]
    Unsupported,
}

impl KeyFileError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Io { cause, .. } => match cause.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => Blame::Operator,
                _ => Blame::Host,
            },
            _ => Blame::Operator,
        }
    }
}

/// A path as a message shows it.
fn shown(path: &Path) -> String {
    for_terminal_line(&path.to_string_lossy())
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = shown(path);
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+,:@".contains(&b));
    if plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// A key of the file.
struct Line {
    key_id: KeyId,
    key: MasterKey,
}

fn parse(path: &Path, text: &[u8]) -> Result<Vec<Line>, KeyFileError> {
    let mut lines: Vec<Line> = Vec::new();
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    if body.is_empty() {
        return Ok(lines);
    }
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let line = parse_line(line).ok_or_else(|| KeyFileError::Line { path: path.to_owned(), line: number })?;
        if lines.iter().any(|other| other.key_id == line.key_id) {
            return Err(KeyFileError::Duplicate { path: path.to_owned(), key_id: line.key_id });
        }
        lines.push(line);
    }
    Ok(lines)
}

fn parse_line(line: &[u8]) -> Option<Line> {
    let mut words = line.split(|byte| *byte == b' ');
    let (prefix, key_id, hex) = (words.next()?, words.next()?, words.next()?);
    if prefix != PREFIX.as_bytes() || words.next().is_some() {
        return None;
    }
    let key_id = std::str::from_utf8(key_id).ok()?.parse().ok()?;
    Some(Line { key_id, key: MasterKey::from_hex(hex)? })
}

fn written(lines: &[Line]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(LINE_BYTES * lines.len()));
    for Line { key_id, key } in lines {
        text.extend_from_slice(format!("{PREFIX} {key_id} ").as_bytes());
        text.extend_from_slice(&key.expose_hex());
        text.push(b'\n');
    }
    text
}

#[cfg(unix)]
pub(crate) use unix::{create_private, read_private};
#[cfg(unix)]
pub(super) use unix::{load, probe, remove, store};

#[cfg(unix)]
mod unix {
    use std::ffi::OsString;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt as _;
    use std::time::{Duration, Instant};

    use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, fchmod, flock, fstat, fsync, openat, renameat, unlinkat};
    use rustix::io::Errno;
    use uuid::Uuid;

    use super::*;

    /// How long to wait for another process that changes the file: a few
    /// kilobytes and two syncs take milliseconds, on a slow disk a second.
    const LOCK_LIMIT: Duration = Duration::from_secs(5);
    const LOCK_PAUSE: Duration = Duration::from_millis(10);

    pub(in crate::source) fn load(path: &Path, key_id: KeyId) -> Result<Option<MasterKey>, KeyFileError> {
        let folder = match Folder::open(path) {
            Err(KeyFileError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            folder => folder?,
        };
        let lines = folder.read()?.unwrap_or_default();
        Ok(lines.into_iter().find(|line| line.key_id == key_id).map(|line| line.key))
    }

    pub(in crate::source) fn store(path: &Path, key_id: KeyId, key: &MasterKey) -> Result<(), KeyFileError> {
        let folder = Folder::open(path)?;
        folder.lock()?;
        folder.sweep()?;
        let line = Line { key_id, key: key.duplicate() };
        match folder.read()? {
            None => folder.create(&written(&[line])),
            Some(mut lines) => {
                lines.retain(|other| other.key_id != key_id);
                lines.push(line);
                folder.replace(&lines)
            }
        }
    }

    /// What is gone already is fine; with its last key goes the file.
    pub(in crate::source) fn remove(path: &Path, key_id: KeyId) -> Result<(), KeyFileError> {
        let folder = match Folder::open(path) {
            Err(KeyFileError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        folder.lock()?;
        folder.sweep()?;
        let Some(mut lines) = folder.read()? else { return Ok(()) };
        let before = lines.len();
        lines.retain(|line| line.key_id != key_id);
        if lines.len() == before {
            return Ok(());
        }
        if lines.is_empty() { folder.delete() } else { folder.replace(&lines) }
    }

    /// Whether the file, where there is one, is fit to be used, and its folder
    /// is there.
    pub(in crate::source) fn probe(path: &Path) -> Result<(), KeyFileError> {
        Folder::open(path)?.read().map(drop)
    }

    /// A whole file that only its owner can read; `None` where there is none.
    pub(crate) fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFileError> {
        Folder::open(path)?.text()
    }

    /// Makes a file that only its owner can read. One that is there is left alone:
    /// the error's cause is `AlreadyExists` then.
    pub(crate) fn create_private(path: &Path, text: &[u8]) -> Result<(), KeyFileError> {
        Folder::open(path)?.create(text)
    }

    /// The folder that the file is in. Everything goes through its handle: a
    /// folder swapped on the way changes nothing.
    struct Folder {
        handle: OwnedFd,
        name: OsString,
        path: PathBuf,
    }

    impl Folder {
        fn open(path: &Path) -> Result<Self, KeyFileError> {
            let io = |errno| failed(path, "read")(errno);
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(KeyFileError::NotAFile(path.to_owned()));
            };
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let handle = rustix::fs::open(parent, flags, Mode::empty()).map_err(io)?;
            Ok(Self { handle, name: name.to_owned(), path: path.to_owned() })
        }

        /// Until the handle is dropped.
        fn lock(&self) -> Result<(), KeyFileError> {
            let end = Instant::now() + LOCK_LIMIT;
            loop {
                match flock(&self.handle, FlockOperation::NonBlockingLockExclusive) {
                    Ok(()) => return Ok(()),
                    Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < end => std::thread::sleep(LOCK_PAUSE),
                    Err(Errno::WOULDBLOCK) => return Err(KeyFileError::Busy(self.path.clone())),
                    Err(errno) => return Err(failed(&self.path, "locked")(errno)),
                }
            }
        }

        /// The keys of the file; `None` where there is no file.
        fn read(&self) -> Result<Option<Vec<Line>>, KeyFileError> {
            self.text()?.map(|text| parse(&self.path, &text)).transpose()
        }

        fn text(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFileError> {
            // Not blocking: a pipe in its place must not hold us up.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let handle = match openat(&self.handle, &self.name, flags, Mode::empty()) {
                Ok(handle) => handle,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP) => return Err(KeyFileError::Link(self.path.clone())),
                Err(errno) => return Err(failed(&self.path, "read")(errno)),
            };
            let size = self.check(&handle)?;
            // Room for one byte more, so that the vector never grows.
            let mut text = Zeroizing::new(Vec::with_capacity(size.saturating_add(1)));
            let limit = u64::try_from(size).unwrap_or(MAX_FILE_BYTES);
            let read = File::from(handle).take(limit).read_to_end(&mut text);
            read.map_err(|cause| KeyFileError::Io { path: self.path.clone(), doing: "read", cause })?;
            Ok(Some(text))
        }

        /// On the opened handle, so that what is checked is what is read.
        /// Returns the size.
        fn check(&self, handle: &OwnedFd) -> Result<usize, KeyFileError> {
            let path = || self.path.clone();
            let stat = fstat(handle).map_err(failed(&self.path, "read"))?;
            if !FileType::from_raw_mode(stat.st_mode).is_file() {
                return Err(KeyFileError::NotAFile(path()));
            }
            if stat.st_uid != rustix::process::geteuid().as_raw() {
                return Err(KeyFileError::Owner { path: path(), owner: stat.st_uid });
            }
            let mode = Mode::from_raw_mode(stat.st_mode);
            if mode.intersects(Mode::RWXG | Mode::RWXO) {
                #[allow(clippy::useless_conversion, reason = "permission bits have 16 bits on macOS")]
                return Err(KeyFileError::Permissions { path: path(), mode: u32::from(mode.as_raw_mode()) });
            }
            let size = u64::try_from(stat.st_size).ok().filter(|size| *size <= MAX_FILE_BYTES);
            size.and_then(|size| usize::try_from(size).ok()).ok_or_else(|| KeyFileError::TooLarge(path()))
        }

        /// Makes the file; one that came up meanwhile is left alone.
        fn create(&self, text: &[u8]) -> Result<(), KeyFileError> {
            self.write_new(&self.name, text)?;
            fsync(&self.handle).map_err(failed(&self.path, "written"))
        }

        /// Puts a whole new file in the place of the old one.
        fn replace(&self, lines: &[Line]) -> Result<(), KeyFileError> {
            let mut fresh = self.unfinished();
            fresh.push(Uuid::now_v7().to_string());
            let replaced = self
                .write_new(&fresh, &written(lines))
                .and_then(|()| renameat(&self.handle, &fresh, &self.handle, &self.name).map_err(failed(&self.path, "written")));
            if let Err(error) = replaced {
                // It holds keys: better gone. Where that fails too, the first error says why.
                let _: Result<(), Errno> = unlinkat(&self.handle, &fresh, AtFlags::empty());
                return Err(error);
            }
            fsync(&self.handle).map_err(failed(&self.path, "written"))
        }

        /// What the name of a file that is being written begins with; a UUID
        /// follows.
        fn unfinished(&self) -> OsString {
            let mut name = OsString::from(".");
            name.push(&self.name);
            name.push(".");
            name
        }

        /// Removes what others did not finish writing: it holds keys, and nobody
        /// else would ever look at it. Under the lock only, where they are dead.
        fn sweep(&self) -> Result<(), KeyFileError> {
            let unfinished = self.unfinished();
            let begun = |name: &[u8]| {
                let rest = name.strip_prefix(unfinished.as_bytes());
                rest.and_then(|rest| std::str::from_utf8(rest).ok()).is_some_and(|rest| rest.parse::<KeyId>().is_ok())
            };
            let entries = Dir::read_from(&self.handle).map_err(failed(&self.path, "read"))?;
            for entry in entries {
                let entry = entry.map_err(failed(&self.path, "read"))?;
                let name = entry.file_name();
                if begun(name.to_bytes()) {
                    unlinkat(&self.handle, name, AtFlags::empty()).map_err(failed(&self.path, "removed"))?;
                }
            }
            Ok(())
        }

        fn write_new(&self, name: &OsString, text: &[u8]) -> Result<(), KeyFileError> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let own = Mode::RUSR | Mode::WUSR;
            let handle = openat(&self.handle, name, flags, own).map_err(failed(&self.path, "written"))?;
            // The umask may have taken more than it should.
            fchmod(&handle, own).map_err(failed(&self.path, "written"))?;
            let mut file = File::from(handle);
            let wrote = file.write_all(text).and_then(|()| file.sync_all());
            wrote.map_err(|cause| KeyFileError::Io { path: self.path.clone(), doing: "written", cause })
        }

        fn delete(&self) -> Result<(), KeyFileError> {
            unlinkat(&self.handle, &self.name, AtFlags::empty()).map_err(failed(&self.path, "removed"))?;
            fsync(&self.handle).map_err(failed(&self.path, "removed"))
        }
    }

    fn failed(path: &Path, doing: &'static str) -> impl Fn(Errno) -> KeyFileError {
        let path = path.to_owned();
        move |errno| KeyFileError::Io { path: path.clone(), doing, cause: errno.into() }
    }
}

#[cfg(not(unix))]
pub(crate) use elsewhere::{create_private, read_private};
#[cfg(not(unix))]
pub(super) use elsewhere::{load, probe, remove, store};

#[cfg(not(unix))]
mod elsewhere {
    use super::*;

    pub(in crate::source) fn load(_: &Path, _: KeyId) -> Result<Option<MasterKey>, KeyFileError> {
        Err(KeyFileError::Unsupported)
    }

    pub(in crate::source) fn store(_: &Path, _: KeyId, _: &MasterKey) -> Result<(), KeyFileError> {
        Err(KeyFileError::Unsupported)
    }

    pub(in crate::source) fn remove(_: &Path, _: KeyId) -> Result<(), KeyFileError> {
        Err(KeyFileError::Unsupported)
    }

    pub(in crate::source) fn probe(_: &Path) -> Result<(), KeyFileError> {
        Err(KeyFileError::Unsupported)
    }

    pub(crate) fn read_private(_: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFileError> {
        Err(KeyFileError::Unsupported)
    }

    pub(crate) fn create_private(_: &Path, _: &[u8]) -> Result<(), KeyFileError> {
        Err(KeyFileError::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer that grows leaves copies of keys behind.
    #[test]
    fn lines_are_written_into_a_buffer_of_their_size() {
        for count in [1, 2, 7] {
            let line = |_| Line { key_id: KeyId::fresh(), key: MasterKey::generate().unwrap() };
            let text = written(&(0..count).map(line).collect::<Vec<_>>());
            assert_eq!((text.len(), text.capacity()), (117 * count, 117 * count));
        }
    }

    #[test]
    fn the_machine_is_blamed_for_what_nobody_did() {
        let blame = |kind: io::ErrorKind| KeyFileError::Io { path: "/k".into(), doing: "read", cause: kind.into() }.blame();
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied, io::ErrorKind::NotADirectory] {
            assert_eq!(blame(kind), Blame::Operator, "{kind}");
        }
        assert_eq!(blame(io::ErrorKind::StorageFull), Blame::Host);
        assert_eq!(KeyFileError::Busy("/k".into()).blame(), Blame::Operator);
    }

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted(Path::new("/home/a.b/k-1_2+3,4:5@6")), "/home/a.b/k-1_2+3,4:5@6");
        assert_eq!(quoted(Path::new("/a b")), "'/a b'");
        assert_eq!(quoted(Path::new("/a'b")), r"'/a'\''b'");
    }
}
