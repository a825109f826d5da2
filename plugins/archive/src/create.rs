//! Creating: plain files and folders into a new archive, in the order of names.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::bindings::{Created, Error, Format, Reason};
use crate::name::{Names, parts};
use crate::{MAX_ENTRIES, Problems, below, inside, io_error};

/// How deep folders are followed.
const MAX_DEPTH: usize = 64;
/// Bytes of one file: what a zip without extensions can say.
const MAX_FILE: u64 = u32::MAX as u64 - 1;

/// Where an archive is to be.
pub(crate) struct Target<'a> {
    pub(crate) into: &'a str,
    pub(crate) file: &'a str,
    pub(crate) format: Option<Format>,
}

/// Something that is to be archived.
struct Member {
    parts: Vec<String>,
    folder: bool,
    bytes: u64,
    /// Seconds since 1970.
    changed: u64,
}

pub(crate) fn create(folder: &str, names: Option<Vec<String>>, target: &Target<'_>) -> Result<Created, Error> {
    let format = target.format.or_else(|| format_of(target.file));
    let Some(format) = format else {
        return Err(Error::Invalid(format!("`{}` ends in none of .zip, .tar, .tar.gz, .tgz: say the `format`", target.file)));
    };
    let members = Gathered::of(folder, names)?;
    let path = inside(target.into, target.file)?;
    let shown = path.display().to_string();
    let file = File::create_new(&path).map_err(|error| match fs::symlink_metadata(&path) {
        Ok(_) => Error::Exists(format!("`{shown}` is there already")),
        Err(_) => io_error(&shown, &error),
    })?;
    let written = write(format, folder, &members, BufWriter::new(file)).and_then(|()| fs::metadata(&path));
    match written {
        Ok(meta) => Ok(Created { entries: u32::try_from(members.len()).unwrap_or(u32::MAX), bytes: meta.len() }),
        Err(error) => {
            if let Err(left) = fs::remove_file(&path) {
                eprintln!("`{shown}` is left behind: {left}");
            }
            Err(io_error(&shown, &error))
        }
    }
}

fn format_of(file: &str) -> Option<Format> {
    let name = file.to_ascii_lowercase();
    let ends = |ending: &str| name.ends_with(ending);
    if ends(".zip") {
        Some(Format::Zip)
    } else if ends(".tar.gz") || ends(".tgz") {
        Some(Format::TarGz)
    } else {
        ends(".tar").then_some(Format::Tar)
    }
}

/// What is to be archived, as far as it was found.
#[derive(Default)]
struct Gathered {
    members: Vec<Member>,
    names: Names,
    problems: Problems,
}

impl Gathered {
    fn of(folder: &str, names: Option<Vec<String>>) -> Result<Vec<Member>, Error> {
        let mut gathered = Self::default();
        match names {
            None => gathered.inside(folder, &[])?,
            Some(names) => {
                for name in &names {
                    let parts = parts(name.as_bytes()).ok().filter(|parts| !parts.is_empty());
                    let parts = parts.ok_or_else(|| Error::Invalid(format!("`{name}` is no path below `{folder}`")))?;
                    gathered.take(folder, parts)?;
                }
            }
        }
        gathered.problems.none()?;
        Ok(gathered.members)
    }

    fn inside(&mut self, folder: &str, parts: &[String]) -> Result<(), Error> {
        let path = below(folder, parts);
        let shown = path.display().to_string();
        if parts.len() > MAX_DEPTH {
            return Err(Error::TooLarge(format!("`{shown}` lies deeper than {MAX_DEPTH} folders")));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(|error| io_error(&shown, &error))? {
            let name = entry.map_err(|error| io_error(&shown, &error))?.file_name();
            let Some(name) = name.to_str() else {
                self.problems.add(name.to_string_lossy().as_bytes(), Reason::UnclearName);
                continue;
            };
            names.push(name.to_owned());
        }
        names.sort_unstable();
        names.into_iter().try_for_each(|name| self.take(folder, [parts, &[name]].concat()))
    }

    fn take(&mut self, folder: &str, parts: Vec<String>) -> Result<(), Error> {
        let path = below(folder, &parts);
        let meta = fs::symlink_metadata(&path).map_err(|error| io_error(&path.display().to_string(), &error))?;
        let name = parts.join("/");
        let reason = if meta.is_dir() || meta.is_file() {
            self.names.admit(name.as_bytes(), meta.is_dir()).err()
        } else {
            Some(if meta.is_symlink() { Reason::Link } else { Reason::SpecialFile })
        };
        if let Some(reason) = reason {
            self.problems.add(name.as_bytes(), reason);
            return Ok(());
        }
        if self.members.len() >= MAX_ENTRIES {
            return Err(Error::TooLarge(format!("there are more than {MAX_ENTRIES} files and folders")));
        }
        if meta.len() > MAX_FILE {
            return Err(Error::TooLarge(format!("`{name}` has more than {MAX_FILE} bytes")));
        }
        let changed = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |age| age.as_secs());
        self.members.push(Member { parts: parts.clone(), folder: meta.is_dir(), bytes: meta.len(), changed });
        if meta.is_dir() { self.inside(folder, &parts) } else { Ok(()) }
    }
}

fn write(format: Format, folder: &str, members: &[Member], file: BufWriter<File>) -> io::Result<()> {
    match format {
        Format::Zip => write_zip(folder, members, file),
        Format::Tar => write_tar(folder, members, file)?.flush(),
        Format::TarGz => write_tar(folder, members, GzEncoder::new(file, Compression::default()))?.finish()?.flush(),
    }
}

fn write_tar<W: Write>(folder: &str, members: &[Member], sink: W) -> io::Result<W> {
    let mut archive = tar::Builder::new(sink);
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(member.changed);
        let name = member.parts.join("/");
        if member.folder {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            archive.append_data(&mut header, format!("{name}/"), io::empty())?;
        } else {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(0o644);
            header.set_size(member.bytes);
            archive.append_data(&mut header, name, content(folder, member)?)?;
        }
    }
    archive.into_inner()
}

fn write_zip(folder: &str, members: &[Member], file: BufWriter<File>) -> io::Result<()> {
    let mut archive = ZipWriter::new(file);
    for member in members {
        let name = member.parts.join("/");
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        if member.folder {
            archive.add_directory(name, options.unix_permissions(0o755))?;
        } else {
            archive.start_file(name, options.unix_permissions(0o644))?;
            io::copy(&mut content(folder, member)?, &mut archive)?;
        }
    }
    archive.finish()?.flush()
}

/// A file's bytes: as many as it had, or an error.
fn content(folder: &str, member: &Member) -> io::Result<Exactly> {
    Ok(Exactly { file: File::open(below(folder, &member.parts))?, left: member.bytes })
}

/// A tar says a file's size before its bytes: a file that changes meanwhile would
/// break what follows.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let room = buffer.get_mut(..most).unwrap_or_default();
        if room.is_empty() {
            return Ok(0);
        }
        let read = self.file.read(room)?;
        if read == 0 {
            return Err(io::Error::other("a file became shorter while it was archived"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}
