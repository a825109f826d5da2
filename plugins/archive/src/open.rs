//! An archive that is read: which format it has, and its entries one by one.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use tar::EntryType;
use zip::{CompressionMethod, ZipArchive};

use crate::bindings::{Error, Format, Kind, Reason};
use crate::meter::Meter;
use crate::{MAX_ENTRIES, inside, io_error};

/// File types in a mode, as POSIX has them.
const TYPE_BITS: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// An entry as it is come upon.
pub(crate) struct Found<'a> {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    /// Bytes that it says to have.
    pub(crate) bytes: u64,
    refused: Option<Reason>,
    pub(crate) content: &'a mut dyn Read,
}

impl Found<'_> {
    /// Why it is never extracted, its name aside.
    pub(crate) fn refused(&self) -> Option<Reason> {
        self.refused
    }
}

/// An archive that is open.
pub(crate) struct Opened {
    shown: String,
    path: PathBuf,
    pub(crate) format: Format,
    pub(crate) meter: Meter,
}

impl Opened {
    /// Opens an archive that may unpack to `max` bytes.
    pub(crate) fn at(folder: &str, name: &str, max: u64) -> Result<Self, Error> {
        let path = inside(folder, name)?;
        let shown = path.display().to_string();
        let failed = |error: io::Error| io_error(&shown, &error);
        let meta = fs::metadata(&path).map_err(failed)?;
        if !meta.is_file() {
            return Err(Error::Invalid(format!("`{shown}` is no file")));
        }
        let mut file = File::open(&path).map_err(failed)?;
        let format = format(&mut file).map_err(failed)?;
        let Some(format) = format else {
            return Err(Error::Damaged(format!("`{shown}` is no zip, tar or tar.gz")));
        };
        Ok(Self { shown, path, format, meter: Meter::new(meta.len(), max) })
    }

    /// Goes through all entries in their order, from the first.
    pub(crate) fn walk(&mut self, mut visit: impl FnMut(Found<'_>) -> Result<(), Error>) -> Result<(), Error> {
        self.meter.restart();
        let mut file = BufReader::new(File::open(&self.path).map_err(|error| io_error(&self.shown, &error))?);
        let mut count = 0;
        let mut counted = |found: Found<'_>| {
            count += 1;
            if count > MAX_ENTRIES {
                return Err(Error::TooLarge(format!("it has more than {MAX_ENTRIES} entries")));
            }
            visit(found)
        };
        match self.format {
            Format::Zip => self.walk_zip(&mut file, &mut counted),
            Format::Tar => self.walk_tar(&mut self.meter.reader(file), &mut counted),
            Format::TarGz => self.walk_tar(&mut self.meter.reader(MultiGzDecoder::new(file)), &mut counted),
        }
    }

    fn walk_tar(&self, reader: &mut dyn Read, visit: &mut dyn FnMut(Found<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let failed = |error: io::Error| self.damaged(&error);
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let (kind, refused) = match entry.header().entry_type() {
                EntryType::XGlobalHeader => continue,
                EntryType::Regular | EntryType::Continuous => (Kind::File, None),
                EntryType::Directory => (Kind::Folder, None),
                EntryType::Symlink | EntryType::Link => (Kind::Other, Some(Reason::Link)),
                _ => (Kind::Other, Some(Reason::SpecialFile)),
            };
            let (name, bytes) = (entry.path_bytes().into_owned(), entry.size());
            // Before POSIX there were no folders: a name that ends in a slash is one.
            let kind = if kind == Kind::File && name.ends_with(b"/") { Kind::Folder } else { kind };
            visit(Found { name, kind, bytes, refused, content: &mut entry })?;
        }
        Ok(())
    }

    fn walk_zip(&self, file: &mut BufReader<File>, visit: &mut dyn FnMut(Found<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let directory = zip_directory(file).map_err(|error| self.damaged(&error))?;
        if directory.count > MAX_ENTRIES {
            return Err(Error::TooLarge(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let failed = |error: zip::result::ZipError| self.damaged(&io::Error::from(error));
        let mut archive = ZipArchive::new(file).map_err(failed)?;
        if archive.len() != directory.count || archive.offset() != 0 || archive.central_directory_start() != directory.start {
            return Err(self.damaged(&io::Error::other("it can be read in more than one way")));
        }
        if archive.has_overlapping_entries().map_err(failed)? {
            return Err(self.damaged(&io::Error::other("entries lie over each other")));
        }
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(failed)?;
            let (kind, refused) = zip_kind(entry.is_dir(), entry.encrypted(), entry.compression(), entry.unix_mode());
            let (name, bytes) = (entry.name_raw().to_vec(), entry.size());
            drop(entry);
            if refused.is_some() || kind == Kind::Folder {
                visit(Found { name, kind, bytes, refused, content: &mut io::empty() })?;
            } else {
                let entry = archive.by_index(index).map_err(failed)?;
                visit(Found { name, kind, bytes, refused, content: &mut self.meter.reader(entry) })?;
            }
        }
        // After the entries, so that a duplicate is told by its name.
        archive.validate_header_consistency().map_err(failed)
    }

    /// What went wrong while reading: it was too much, or it does not hold.
    pub(crate) fn damaged(&self, error: &io::Error) -> Error {
        match self.meter.tripped() {
            Some(why) => Error::TooLarge(format!("`{}`: {why}", self.shown)),
            None if error.kind() == io::ErrorKind::PermissionDenied => io_error(&self.shown, error),
            None => Error::Damaged(format!("`{}`: {error}", self.shown)),
        }
    }
}

fn zip_kind(folder: bool, encrypted: bool, method: CompressionMethod, mode: Option<u32>) -> (Kind, Option<Reason>) {
    let kind = if folder { Kind::Folder } else { Kind::File };
    match mode.map(|mode| mode & TYPE_BITS) {
        Some(LINK) => return (Kind::Other, Some(Reason::Link)),
        Some(FOLDER) if folder => {}
        Some(REGULAR) if !folder => {}
        None | Some(0) => {}
        Some(_) => return (Kind::Other, Some(Reason::SpecialFile)),
    }
    let known = matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated);
    let refused = if encrypted {
        Some(Reason::Encrypted)
    } else if known {
        None
    } else {
        Some(Reason::UnknownCompression)
    };
    (kind, refused)
}

/// Where the list of a zip's entries is, by the record at its end.
struct Directory {
    count: usize,
    start: u64,
}

/// Reads the record at the end by itself. Its comment has to end where the file
/// does, and the list where the record starts: an archive in which several readers
/// would find several lists is none.
fn zip_directory(file: &mut (impl Read + Seek)) -> io::Result<Directory> {
    const RECORD: usize = 22;
    let size = file.seek(SeekFrom::End(0))?;
    let tail_size = size.min(RECORD as u64 + u64::from(u16::MAX));
    file.seek(SeekFrom::Start(size - tail_size))?;
    let mut tail = Vec::new();
    file.take(tail_size).read_to_end(&mut tail)?;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = tail.get(at..at + bytes)?;
        Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let fits = |at: &usize| {
        let comment = number(at + 20, 2);
        number(*at, 4) == Some(0x0605_4b50) && comment == Some((tail.len() - at - RECORD) as u64)
    };
    let last = tail.len().checked_sub(RECORD);
    let found = last.and_then(|last| (0..=last).rev().find(fits));
    let found = found.ok_or_else(|| io::Error::other("it has no end: broken off, or with something behind it"))?;
    let field = |offset, bytes| number(found + offset, bytes).unwrap_or_default();
    let (count, length, start) = (field(10, 2), field(12, 4), field(16, 4));
    let record = size - tail_size + found as u64;
    // Zip64 says so by the largest numbers; it is for more than is extracted here.
    if count == u64::from(u16::MAX) || start == u64::from(u32::MAX) {
        return Err(io::Error::other("it is a zip64, which is not read"));
    }
    if field(4, 4) != 0 || field(8, 2) != count || start + length != record {
        return Err(io::Error::other("it can be read in more than one way"));
    }
    Ok(Directory { count: usize::try_from(count).unwrap_or(usize::MAX), start })
}

fn format(file: &mut File) -> io::Result<Option<Format>> {
    let mut head = Vec::new();
    Read::by_ref(file).take(512).read_to_end(&mut head)?;
    Ok(if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Some(Format::Zip)
    } else if head.starts_with(&[0x1f, 0x8b]) {
        Some(Format::TarGz)
    } else if head.len() == 512 && (head.iter().all(|byte| *byte == 0) || checksum_holds(&head)) {
        Some(Format::Tar)
    } else {
        None
    })
}

/// The sum of a tar's first header, its own field counted as blanks.
fn checksum_holds(head: &[u8]) -> bool {
    let sum: u64 = head.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum();
    let said = head.get(148..156).and_then(|field| std::str::from_utf8(field).ok());
    said.and_then(|text| u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()) == Some(sum)
}
