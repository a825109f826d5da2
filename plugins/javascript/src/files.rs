//! The native half of `fs`: one call of `std::fs` each, and errors under the
//! names that node gives them.

use std::fs::{self, FileType, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rquickjs::{Ctx, IntoJs, Object, Result, TypedArray, Value, convert::List, prelude::Func};
use wasip2::filesystem::preopens::get_directories;

use crate::text::{Bytes, Text};

/// What `node:fs/promises` exports here, besides its default export.
pub(crate) const NAMES: [&str; 13] =
    ["access", "appendFile", "copyFile", "lstat", "mkdir", "readFile", "readdir", "rename", "rm", "rmdir", "stat", "unlink", "writeFile"];

pub(crate) fn install<'js>(ctx: &Ctx<'js>, host: &Object<'js>) -> Result<()> {
    let files = Object::new(ctx.clone())?;
    files.set("open", Func::from(read))?;
    files.set("write", Func::from(write))?;
    files.set("scandir", Func::from(read_dir))?;
    files.set("stat", Func::from(stat))?;
    files.set("mkdir", Func::from(make_dir))?;
    files.set("rm", Func::from(remove))?;
    files.set("rmdir", Func::from(remove_dir))?;
    files.set("unlink", Func::from(remove_file))?;
    files.set("rename", Func::from(rename))?;
    files.set("copyfile", Func::from(copy))?;
    host.set("files", files)
}

/// `[error, value]`, the error being `[code, text, denied]`.
type Answer<T> = List<(Option<List<(&'static str, String, bool)>>, Option<T>)>;

fn answer<T>(path: &str, result: std::io::Result<T>) -> Answer<T> {
    List(match result {
        Ok(value) => (None, Some(value)),
        Err(error) => (Some(describe(path, &error)), None),
    })
}

fn describe(path: &str, error: &Error) -> List<(&'static str, String, bool)> {
    if is_refusal(error) {
        return List(("EACCES", String::from("permission denied"), true));
    }
    if error.kind() == ErrorKind::NotFound && !is_below_a_grant(path) {
        return List(("EACCES", String::from("permission denied: no folder of this task holds it"), true));
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    List((code(error), text.to_lowercase(), false))
}

fn is_refusal(error: &Error) -> bool {
    // ENOTCAPABLE has no kind of its own.
    error.kind() == ErrorKind::PermissionDenied || error.raw_os_error() == Some(76)
}

/// Outside the folders that a task was given, everything merely seems absent.
fn is_below_a_grant(path: &str) -> bool {
    let path = Path::new(path);
    let absolute = if path.is_absolute() { path.to_owned() } else { Path::new("/").join(path) };
    get_directories().iter().any(|(_, folder)| match folder.as_str() {
        "." => path.is_relative(),
        folder => absolute.starts_with(Path::new("/").join(folder)),
    })
}

/// wasi-libc's numbers, which no crate here names.
fn code(error: &Error) -> &'static str {
    match error.raw_os_error() {
        Some(8) => "EBADF",
        Some(10) => "EBUSY",
        Some(19) => "EDQUOT",
        Some(20) => "EEXIST",
        Some(22) => "EFBIG",
        Some(28) => "EINVAL",
        Some(29) => "EIO",
        Some(31) => "EISDIR",
        Some(32) => "ELOOP",
        Some(37) => "ENAMETOOLONG",
        Some(44) => "ENOENT",
        Some(48) => "ENOMEM",
        Some(51) => "ENOSPC",
        Some(54) => "ENOTDIR",
        Some(55) => "ENOTEMPTY",
        Some(58) => "ENOTSUP",
        Some(69) => "EROFS",
        Some(75) => "EXDEV",
        _ => match error.kind() {
            ErrorKind::NotFound => "ENOENT",
            ErrorKind::AlreadyExists => "EEXIST",
            ErrorKind::InvalidInput => "EINVAL",
            ErrorKind::Unsupported => "ENOTSUP",
            _ => "EIO",
        },
    }
}

fn read<'js>(ctx: Ctx<'js>, path: Text) -> Result<Value<'js>> {
    let bytes = fs::read(&path.0);
    let bytes = bytes.map(|bytes| TypedArray::<u8>::new(ctx.clone(), bytes)).map(|array| array.ok());
    answer(&path.0, bytes).into_js(&ctx)
}

fn write(path: Text, bytes: Bytes, flag: Text) -> Answer<()> {
    let mut options = OpenOptions::new();
    match flag.0.as_str() {
        "a" => options.append(true).create(true),
        "wx" => options.write(true).create_new(true),
        _ => options.write(true).create(true).truncate(true),
    };
    let written = options.open(&path.0).and_then(|mut file| file.write_all(&bytes.0));
    answer(&path.0, written)
}

fn read_dir(path: Text) -> Answer<Vec<List<(String, &'static str)>>> {
    answer(&path.0, entries(&path.0))
}

/// By name, so that a script sees the same order wherever it runs.
fn entries(path: &str) -> std::io::Result<Vec<List<(String, &'static str)>>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), kind(entry.file_type()?)));
    }
    entries.sort_unstable();
    Ok(entries.into_iter().map(List).collect())
}

fn kind(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "directory"
    } else if kind.is_symlink() {
        "symlink"
    } else if kind.is_file() {
        "file"
    } else {
        "other"
    }
}

type Stats = List<(&'static str, f64, f64, f64, f64)>;

fn stat(path: Text, follow: bool) -> Answer<Stats> {
    let metadata = if follow { fs::metadata(&path.0) } else { fs::symlink_metadata(&path.0) };
    answer(&path.0, metadata.map(|metadata| stats(&metadata)))
}

fn stats(metadata: &Metadata) -> Stats {
    let [accessed, modified] = [metadata.accessed(), metadata.modified()].map(milliseconds);
    // What std calls `created` has no counterpart in wasi: the last change stands in.
    List((kind(metadata.file_type()), metadata.len() as f64, accessed, modified, modified))
}

fn milliseconds(time: std::io::Result<SystemTime>) -> f64 {
    let since = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

fn make_dir(path: Text, recursive: bool) -> Answer<()> {
    let made = if recursive { fs::create_dir_all(&path.0) } else { fs::create_dir(&path.0) };
    answer(&path.0, made)
}

fn remove(path: Text, recursive: bool, force: bool) -> Answer<()> {
    let removed = match fs::symlink_metadata(&path.0) {
        Ok(metadata) if metadata.is_dir() && recursive => fs::remove_dir_all(&path.0),
        // EISDIR: only with { recursive: true } are folders removed.
        Ok(metadata) if metadata.is_dir() => Err(Error::from_raw_os_error(31)),
        Ok(_) => fs::remove_file(&path.0),
        Err(error) if force && error.kind() == ErrorKind::NotFound && is_below_a_grant(&path.0) => Ok(()),
        Err(error) => Err(error),
    };
    answer(&path.0, removed)
}

fn remove_dir(path: Text) -> Answer<()> {
    answer(&path.0, fs::remove_dir(&path.0))
}

fn remove_file(path: Text) -> Answer<()> {
    answer(&path.0, fs::remove_file(&path.0))
}

fn rename(from: Text, to: Text) -> Answer<()> {
    answer(&from.0, fs::rename(&from.0, &to.0))
}

fn copy(from: Text, to: Text) -> Answer<()> {
    answer(&from.0, fs::copy(&from.0, &to.0).map(drop))
}
