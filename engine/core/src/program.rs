//! Programs: how they are named, and what a named one turns out to be.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// PROGRAM as it is written everywhere: a path, optionally with `#function`; a
/// function inside an interface is `interface.function`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramName {
    /// The file.
    pub path: PathBuf,
    /// The exported function, where one was named.
    pub function: Option<String>,
}

impl ProgramName {
    /// Reads a PROGRAM. A `#` in a file's own name is reached by `./a#b.js#`.
    ///
    /// # Errors
    ///
    /// [`ProgramNameError`] for an empty path or a NUL byte.
    pub fn parse(text: &str) -> Result<Self, ProgramNameError> {
        let (path, function) = match text.rsplit_once('#') {
            Some((path, "")) => (path, None),
            Some((path, function)) => (path, Some(function.to_owned())),
            None => (text, None),
        };
        if path.is_empty() || path.contains('\0') {
            return Err(ProgramNameError(text.to_owned()));
        }
        Ok(Self { path: PathBuf::from(path), function })
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some(function) => write!(f, "{}#{function}", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

/// A text that is no PROGRAM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no program: expected a path, optionally with `#function`")]
pub struct ProgramNameError(pub String);

/// What a program's bytes are, told by the bytes, or by the ending for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A WebAssembly component.
    Component,
    /// A WebAssembly core module, to be made a component when read.
    Module,
    /// JavaScript source text.
    JavaScript,
    /// TypeScript source text.
    TypeScript,
}

impl Format {
    /// Tells the format: by the first eight bytes for WebAssembly, else by the
    /// file's ending.
    ///
    /// # Errors
    ///
    /// [`FormatError`] where it is neither.
    pub fn of(path: &Path, bytes: &[u8]) -> Result<Self, FormatError> {
        // Core binary format 5.5.16: magic, then version 1; the component
        // model's preamble has layer 1 in the upper half of the version.
        match bytes.first_chunk::<8>() {
            Some(b"\0asm\x01\0\0\0") => return Ok(Self::Module),
            Some([b'\0', b'a', b's', b'm', _, _, 1, 0]) => return Ok(Self::Component),
            Some([b'\0', b'a', b's', b'm', ..]) => return Err(FormatError::Version),
            _ => {}
        }
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("js" | "mjs") => Ok(Self::JavaScript),
            Some("ts" | "mts") => Ok(Self::TypeScript),
            Some("wasm") if bytes.is_empty() => Err(FormatError::Empty),
            Some("wasm") => Err(FormatError::NotWasm),
            _ => Err(FormatError::Unknown),
        }
    }

    /// The lower-case word, as in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Module => "module",
            Self::JavaScript => "java_script",
            Self::TypeScript => "type_script",
        }
    }

    /// Source text rather than WebAssembly.
    #[must_use]
    pub const fn is_script(self) -> bool {
        matches!(self, Self::JavaScript | Self::TypeScript)
    }
}

/// Bytes that are no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// The magic number is there, the version is none we know.
    #[error("the file is WebAssembly of an unknown binary version: expected a component or a version 1 module")]
    Version,
    /// Named `.wasm`, is not.
    #[error("the file is no WebAssembly: it does not start with `\\0asm`")]
    NotWasm,
    /// Neither by bytes nor by ending.
    #[error("the file is neither WebAssembly nor a script: expected a `.wasm`, `.js`, `.mjs`, `.ts` or `.mts` file")]
    Unknown,
}

/// A program's bytes, with what is known of them without compiling.
#[derive(Clone)]
pub struct Program {
    /// What it is called in messages and stack traces.
    pub name: String,
    /// The SHA-256 of `bytes`.
    pub digest: Digest,
    /// What the bytes are.
    pub format: Format,
    /// The bytes as they were read, once.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}, {})", self.name, self.format, self.digest)
    }
}

/// Which of a program's doors is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// `run` of the exported `wardroom:automation/task`.
    Task,
    /// An exported function: `function`, or `interface.function`.
    Function(String),
    /// `wasi:cli/run`, with its own arguments.
    Command {
        /// The arguments after the program's name.
        args: Vec<String>,
    },
    /// The script itself.
    Script,
}

/// A program's shape, told by its exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Exports `wardroom:automation/task`.
    Task,
    /// Exports `wasi:cli/run`.
    Command,
    /// Exports other functions.
    Functions,
    /// JavaScript or TypeScript source.
    Script,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_path_and_perhaps_a_function() {
        let parse = |text| ProgramName::parse(text).map(|name| (name.path.display().to_string(), name.function));
        assert_eq!(parse("a/b.wasm"), Ok(("a/b.wasm".to_owned(), None)));
        assert_eq!(parse("b.wasm#text.upper"), Ok(("b.wasm".to_owned(), Some("text.upper".to_owned()))));
        assert_eq!(parse("./a#b.js#"), Ok(("./a#b.js".to_owned(), None)));
        assert!(parse("").is_err() && parse("#f").is_err() && parse("a\0b").is_err());
    }

    #[test]
    fn the_bytes_tell_the_format_before_the_ending_does() {
        let of = |path: &str, bytes: &[u8]| Format::of(Path::new(path), bytes);
        assert_eq!(of("x.js", b"\0asm\x0d\0\x01\0"), Ok(Format::Component));
        assert_eq!(of("x", b"\0asm\x01\0\0\0"), Ok(Format::Module));
        assert_eq!(of("x.wasm", b"\0asm\x02\0\0\0"), Err(FormatError::Version));
        assert_eq!(of("x.ts", b"let x"), Ok(Format::TypeScript));
        assert_eq!(of("x.wasm", b""), Err(FormatError::Empty));
        assert_eq!(of("x.wasm", b"\0as"), Err(FormatError::NotWasm));
        assert_eq!(of("x.py", b"print()"), Err(FormatError::Unknown));
    }
}
