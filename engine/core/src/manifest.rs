//! The manifest: what a program says of itself, in a script's leading comment
//! block (the shape of PEP 723, inline script metadata) or, for WebAssembly, a
//! `wardroom.toml` in the custom section [`MANIFEST_SECTION`].
//!
//! Bytes here are hostile: parsing is bounded by the size of the text, and
//! every key that is not understood is an error, because a rule that is read
//! and not enforced is worse than none.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::capability::call::{CallScope, CalleeName};
use crate::capability::credentials::CredentialScope;
use crate::capability::env::EnvName;
use crate::capability::files::FolderScope;
use crate::capability::net::{HttpScope, NetScope, ScopeError};
use crate::capability::sqlite::{SqliteScope, SqliteText};
use crate::capability::{Capability, Scope};
use crate::limit::{MAX_STATE_BYTES, NamedLimits, SizeText};
use crate::param::{ParamError, ParamSpecs};

/// The custom section of a component or module that holds its manifest as TOML.
pub const MANIFEST_SECTION: &str = "wardroom-manifest";
/// Bytes of one reason.
const MAX_REASON: usize = 500;

/// What a program says of itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifest {
    /// Its name, for messages.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Under which licence, as an SPDX expression.
    pub licence: Option<String>,
    /// Network scopes that it asks for.
    pub net: Vec<Wish<NetScope>>,
    /// Folders that it asks to read.
    pub read: Vec<Wish<String>>,
    /// Folders that it asks to write.
    pub write: Vec<Wish<String>>,
    /// Databases that it asks for.
    pub sqlite: Vec<SqliteWish>,
    /// Credentials that it asks for, by name, with the uses that need a word.
    pub credentials: Vec<CredentialScope>,
    /// Environment variables that it asks for.
    pub env: Vec<EnvName>,
    /// Bytes of state that it asks for.
    pub state: Option<SizeText>,
    /// What it asks to call. Never said by a param: whoever fills it would choose
    /// what is started.
    pub call: Vec<CalleeName>,
    /// Limits that it expects of itself.
    pub limits: NamedLimits,
    /// Params that it takes.
    pub params: ParamSpecs,
    /// Why it asks for what it asks for, by the key that asks.
    pub reasons: BTreeMap<Capability, String>,
}

/// A request: a concrete scope, or the param that will say it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String", bound(deserialize = "T: std::str::FromStr, T::Err: std::fmt::Display"))]
pub enum Wish<T> {
    /// Known when it was written.
    Concrete(T),
    /// `{params.NAME}`: known when the program is run or saved.
    Param(String),
}

impl<T> Wish<T> {
    fn param(&self) -> Option<&str> {
        match self {
            Self::Param(name) => Some(name),
            Self::Concrete(_) => None,
        }
    }
}

impl<T: std::fmt::Display> Wish<T> {
    fn text(&self) -> String {
        match self {
            Self::Concrete(scope) => scope.to_string(),
            Self::Param(name) => format!("{{params.{name}}}"),
        }
    }
}

impl<T> TryFrom<String> for Wish<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("{params.").and_then(|rest| rest.strip_suffix('}')) {
            return Ok(Self::Param(name.to_owned()));
        }
        if text.contains("{params.") {
            return Err(format!("`{text}` mixes a param with other text: a param stands alone, as in \"{{params.url}}\""));
        }
        text.parse().map(Self::Concrete).map_err(|error| error.to_string())
    }
}

/// A database that is asked for: `FILE[:write]`, or `{params.NAME}[:write]`. The
/// right stands in the header; a param says the file and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SqliteWish {
    /// Which.
    pub file: Wish<String>,
    /// It is to be written too.
    pub write: bool,
}

impl SqliteWish {
    fn text(&self) -> String {
        format!("{}{}", self.file.text(), if self.write { ":write" } else { "" })
    }
}

impl TryFrom<String> for SqliteWish {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Ok(SqliteText { file, write }) = text.parse::<SqliteText>();
        Ok(Self { file: Wish::try_from(file)?, write })
    }
}

/// A header or manifest that does not hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The block is never closed.
    #[error("the header that opens on line {line} is never closed: expected a line `// ///`")]
    Unclosed {
        /// Where it opens, counted from 1.
        line: usize,
    },
    /// A second block.
    #[error("line {line} opens a second header: expected one at most")]
    Second {
        /// Where it opens, counted from 1.
        line: usize,
    },
    /// A block where none is looked for. To ignore it would be to run a program
    /// without the rules that it wrote down.
    #[error("line {line} opens a header after code: it has to stand before all code, among `//` comments only")]
    AfterCode {
        /// Where it opens, counted from 1.
        line: usize,
    },
    /// A line inside the block that is no comment of the right form.
    #[error("line {line} of the header should be `//` alone or start with `// `")]
    Line {
        /// Which, counted from 1.
        line: usize,
    },
    /// No TOML, an unknown key, or a value that does not fit.
    #[error("line {line} of the header does not hold: {message}")]
    Toml {
        /// Which, counted from 1 in the script.
        line: usize,
        /// What TOML's reader says of it.
        message: String,
    },
    /// The same in a manifest, which is a file of its own.
    #[error("line {line} of the manifest does not hold: {message}")]
    Embedded {
        /// Which, counted from 1.
        line: usize,
        /// What TOML's reader says of it.
        message: String,
    },
    /// A reason for what nothing asks for.
    #[error("a reason is given for `{}`, which nothing asks for", .0.name())]
    IdleReason(Capability),
    /// A reason that nobody would read.
    #[error("the reason for `{}` has more than {MAX_REASON} bytes", .0.name())]
    LongReason(Capability),
    /// A request takes its place from a param that is not declared.
    #[error("a request takes its place from the param `{0}`, which is not declared")]
    UndeclaredParam(String),
    /// The params' declarations contradict themselves.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// More state than anybody may grant.
    #[error("a state of {0} is out of range: expected at most {max}", max = SizeText(MAX_STATE_BYTES))]
    State(SizeText),
}

/// A request that does not become a concrete scope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError<E: std::error::Error + 'static> {
    /// The param that should say it has no text.
    #[error("the param `{0}` names what the program asks for, and has no text")]
    NoText(String),
    /// The param's text is no address.
    #[error("the param `{name}` does not name an address that can be asked for: {source}")]
    Address {
        /// The param.
        name: String,
        /// What is wrong.
        source: ScopeError,
    },
    /// The folder or file cannot be used.
    #[error(transparent)]
    Folder(E),
}

impl Manifest {
    /// The header of a script, where it has one. It stands among the leading
    /// `//` comments; a line that opens one anywhere else, be it in a template
    /// string, is an error.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the line in the script.
    pub fn of_script(source: &str) -> Result<Option<Self>, ManifestError> {
        let Some(block) = Block::find(source)? else { return Ok(None) };
        Self::parse(&block.toml, block.first_line).map(Some)
    }

    /// Reads TOML; `first_line` is the line at which it starts, for messages.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the line.
    pub fn parse(text: &str, first_line: usize) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
            ManifestError::Toml { line: first_line + before.matches('\n').count(), message: error.message().replace('\n', ", ") }
        })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest that a component or module carries.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the line in the manifest.
    pub fn of_plugin(text: &str) -> Result<Self, ManifestError> {
        Self::parse(text, 1).map_err(|error| match error {
            ManifestError::Toml { line, message } => ManifestError::Embedded { line, message },
            other => other,
        })
    }

    fn check(&self) -> Result<(), ManifestError> {
        self.params.check_declarations()?;
        self.check_reasons()?;
        if let Some(size) = self.state.filter(|size| size.0 > MAX_STATE_BYTES) {
            return Err(ManifestError::State(size));
        }
        let places = [Capability::Net, Capability::Read, Capability::Write, Capability::Sqlite];
        let mut used = places.into_iter().flat_map(|capability| self.params_for(capability));
        match used.find(|name| !self.params.0.contains_key(*name)) {
            Some(name) => Err(ManifestError::UndeclaredParam(name.to_owned())),
            None => Ok(()),
        }
    }

    fn check_reasons(&self) -> Result<(), ManifestError> {
        let asked: Vec<Capability> = self.asked().into_iter().map(|(capability, _)| capability).collect();
        for (capability, reason) in &self.reasons {
            if !asked.contains(capability) {
                return Err(ManifestError::IdleReason(*capability));
            }
            if reason.len() > MAX_REASON {
                return Err(ManifestError::LongReason(*capability));
            }
        }
        Ok(())
    }

    /// The requests as they stand in the header or manifest, each with the key
    /// that asks.
    #[must_use]
    pub fn asked(&self) -> Vec<(Capability, String)> {
        let net = self.net.iter().map(|wish| (Capability::Net, wish.text()));
        let read = self.read.iter().map(|wish| (Capability::Read, wish.text()));
        let write = self.write.iter().map(|wish| (Capability::Write, wish.text()));
        let sqlite = self.sqlite.iter().map(|wish| (Capability::Sqlite, wish.text()));
        let env = self.env.iter().map(|name| (Capability::Env, name.to_string()));
        let state = self.state.iter().map(|size| (Capability::State, size.to_string()));
        let credentials = self.credentials.iter().map(|scope| (Capability::Credentials, scope.to_string()));
        let call = self.call.iter().map(|name| (Capability::Call, name.to_string()));
        net.chain(read).chain(write).chain(sqlite).chain(env).chain(state).chain(credentials).chain(call).collect()
    }

    /// The requests as they stand in the header, a text each: `read {params.dir}`.
    #[must_use]
    pub fn request_texts(&self) -> Vec<String> {
        self.asked().into_iter().map(|(capability, text)| format!("{} {text}", capability.name())).collect()
    }

    /// The params that say what of this kind it asks for.
    #[must_use]
    pub fn params_for(&self, capability: Capability) -> Vec<&str> {
        match capability {
            Capability::Net => self.net.iter().filter_map(Wish::param).collect(),
            Capability::Read => self.read.iter().filter_map(Wish::param).collect(),
            Capability::Write => self.write.iter().filter_map(Wish::param).collect(),
            Capability::Sqlite => self.sqlite.iter().filter_map(|wish| wish.file.param()).collect(),
            _ => Vec::new(),
        }
    }

    /// The requests as concrete scopes, with `params` already complete.
    /// `folder` finds out where a folder really is, `database` where a file
    /// is that may be written or not.
    ///
    /// # Errors
    ///
    /// [`RequestError`] where a param does not fill its place, or whatever
    /// `folder` and `database` say.
    pub fn requests<E: std::error::Error + 'static>(
        &self,
        params: &Map<String, Value>,
        folder: impl Fn(&str) -> Result<FolderScope, E>,
        database: impl Fn(&str, bool) -> Result<SqliteScope, E>,
    ) -> Result<Vec<Scope>, RequestError<E>> {
        let net = self.net.iter().map(|wish| match wish {
            Wish::Concrete(scope) => Ok(Some(Scope::Net(scope.clone()))),
            Wish::Param(name) => net_from_param(name, params),
        });
        let path_of = |wish: &Wish<String>| match wish {
            Wish::Concrete(path) => Ok(Some(path.clone())),
            Wish::Param(name) => text_of(name, params).map(|text| text.map(str::to_owned)),
        };
        let folders = |wishes: &[Wish<String>], kind: fn(FolderScope) -> Scope| {
            let found =
                wishes.iter().map(|wish| path_of(wish)?.map(|path| folder(&path).map(kind).map_err(RequestError::Folder)).transpose());
            found.collect::<Vec<_>>()
        };
        let sqlite = self.sqlite.iter().map(|wish| {
            let scope = path_of(&wish.file)?.map(|path| database(&path, wish.write).map(Scope::Sqlite).map_err(RequestError::Folder));
            scope.transpose()
        });
        let read = folders(&self.read, Scope::Read);
        let write = folders(&self.write, Scope::Write);
        let rest = self.env.iter().cloned().map(Scope::Env).chain(self.state.map(|size| Scope::State(size.0)));
        let rest = rest.chain(self.credentials.iter().cloned().map(Scope::Credential));
        let rest = rest.chain(self.call.iter().cloned().map(CallScope::named).map(Scope::Call));
        net.chain(read).chain(write).chain(sqlite).filter_map(Result::transpose).chain(rest.map(Ok)).collect()
    }
}

/// A param that was not given asks for nothing.
fn text_of<'a, E: std::error::Error + 'static>(name: &str, params: &'a Map<String, Value>) -> Result<Option<&'a str>, RequestError<E>> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(RequestError::NoText(name.to_owned())),
    }
}

fn net_from_param<E: std::error::Error + 'static>(name: &str, params: &Map<String, Value>) -> Result<Option<Scope>, RequestError<E>> {
    let Some(text) = text_of(name, params)? else { return Ok(None) };
    let scope = HttpScope::from_param(text).map_err(|source| RequestError::Address { name: name.to_owned(), source })?;
    Ok(Some(Scope::Net(NetScope::Http(scope))))
}

const OPEN: &str = "// /// wardroom";
const CLOSE: &str = "// ///";

/// The comment block of a script, its `//` taken off.
struct Block {
    toml: String,
    /// The line in the script on which `toml` starts, counted from 1.
    first_line: usize,
}

impl Block {
    fn find(source: &str) -> Result<Option<Self>, ManifestError> {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let is_comment = |(index, line): &(usize, &str)| {
            let shebang = *index == 1 && line.starts_with("#!");
            line.is_empty() || line.starts_with("//") || shebang
        };
        let lines = || script_lines(source).map(str::trim_end).enumerate().map(|(index, line)| (index + 1, line));
        if let Some((line, _)) = lines().skip_while(is_comment).find(|(_, line)| line.trim_start() == OPEN) {
            return Err(ManifestError::AfterCode { line });
        }
        let mut comments = lines().take_while(is_comment);
        let Some((open, _)) = comments.by_ref().find(|(_, line)| *line == OPEN) else { return Ok(None) };
        let mut toml = String::new();
        for (line, text) in comments.by_ref() {
            if text == CLOSE {
                return match comments.find(|(_, line)| *line == OPEN) {
                    Some((line, _)) => Err(ManifestError::Second { line }),
                    None => Ok(Some(Self { toml, first_line: open + 1 })),
                };
            }
            let content = if text == "//" { Some("") } else { text.strip_prefix("// ") };
            toml.push_str(content.ok_or(ManifestError::Line { line })?);
            toml.push('\n');
        }
        Err(ManifestError::Unclosed { line: open })
    }
}

/// The lines of a script as JavaScript ends them. A reader that took less for a
/// line's end would see a comment where there is code.
fn script_lines(source: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(source);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(end) = text.find(['\n', '\r', '\u{2028}', '\u{2029}']) else { return Some(text) };
        let (line, tail) = text.split_at(end);
        let ending = if tail.starts_with("\r\n") { 2 } else { tail.chars().next().map_or(0, char::len_utf8) };
        rest = tail.get(ending..);
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn folder(text: &str) -> Result<FolderScope, crate::capability::files::FolderError> {
        FolderScope::new(text, &Path::new("/base").join(text))
    }

    fn database(text: &str, write: bool) -> Result<SqliteScope, crate::capability::files::FolderError> {
        let found = SqliteScope::new(text, &Path::new("/base").join(text), write);
        found.map_err(|_| crate::capability::files::FolderError::NoPath(text.to_owned()))
    }

    #[test]
    fn a_script_says_what_it_asks_for_in_its_leading_comment() {
        let source = "#!/usr/bin/env wardroom\n// A report.\n\n// /// wardroom\n// name = \"r\"\n//\n// net = [\"https://a.example/x/,GET\", \"{params.url}\"]\n// read = [\"data\", \"{params.dir}\"]\n// env = [\"HOME\"]\n// state = \"4KiB\"\n// [params.url]\n// type = \"string\"\n// [params.dir]\n// type = \"string\"\n// ///\nreturn 1;";
        let manifest = Manifest::of_script(source).unwrap().unwrap();
        assert_eq!(manifest.name.as_deref(), Some("r"));
        let params = [Capability::Net, Capability::Read, Capability::Write, Capability::Env].map(|kind| manifest.params_for(kind));
        assert_eq!(params, [vec!["url"], vec!["dir"], vec![], vec![]]);
        let params = json!({"url": "https://b.example/y?z=1", "dir": "more"});
        let scopes = manifest.requests(params.as_object().unwrap(), folder, database).unwrap();
        let texts: Vec<_> = scopes.iter().map(Scope::flag).collect();
        assert_eq!(
            texts,
            [
                "--allow-net=https://a.example/x/,GET",
                "--allow-net=https://b.example/y",
                "--allow-read=data",
                "--allow-read=more",
                "--allow-env=HOME",
                "--state=4KiB"
            ]
        );
    }

    #[test]
    fn a_header_where_none_is_looked_for_is_an_error_and_never_ignored() {
        for (source, line) in [
            ("let a;\n// /// wardroom\n// ///", 2),
            ("'use strict';\r\n// /// wardroom\r\n// ///", 2),
            ("/* licence */\n// /// wardroom\n// ///", 2),
            ("  // /// wardroom\n// ///", 1),
            ("let a;\n\t// /// wardroom  ", 2),
            ("// hi\rlet a;\n// /// wardroom\n// ///", 3),
            ("// hi\u{2028}let a;\n// /// wardroom\n// ///", 3),
            ("// hi\u{2029}let a;\n// /// wardroom\n// ///", 3),
            ("// /// wardroom\n// ///\nlet a;\n// /// wardroom\n// ///", 4),
        ] {
            assert_eq!(Manifest::of_script(source), Err(ManifestError::AfterCode { line }), "{source:?}");
        }
    }

    #[test]
    fn every_line_end_of_javascript_ends_a_line_of_a_header() {
        for end in ["\n", "\r", "\r\n", "\u{2028}", "\u{2029}"] {
            let source = ["// one", "// /// wardroom", "// name = 'x'", "// ///", "code()"].join(end);
            assert_eq!(Manifest::of_script(&source).unwrap().unwrap().name.as_deref(), Some("x"), "{end:?}");
        }
        // Code in what looks like a line of the header.
        assert_eq!(Manifest::of_script("// /// wardroom\n// a = 1\rcode()\n// ///"), Err(ManifestError::Unclosed { line: 1 }));
    }

    #[test]
    fn a_script_without_a_header_has_none() {
        assert_eq!(Manifest::of_script("let a; // /// wardroom"), Ok(None));
        assert_eq!(Manifest::of_script(""), Ok(None));
        assert_eq!(Manifest::of_script("// only a comment"), Ok(None));
    }

    #[test]
    fn a_header_that_does_not_hold_names_its_line() {
        let of = |body: &str| Manifest::of_script(body).unwrap_err();
        assert_eq!(of("// /// wardroom\n// name = 'x'\ncode()"), ManifestError::Unclosed { line: 1 });
        assert_eq!(of("\n// /// wardroom\n//name = 'x'\n// ///"), ManifestError::Line { line: 3 });
        assert_eq!(of("// /// wardroom\n// ///\n// /// wardroom\n// ///"), ManifestError::Second { line: 3 });
        for (body, line) in [
            ("// /// wardroom\n// raed = ['.']\n// ///", 2),
            ("// /// wardroom\n// name = 'x'\n// net = ['ftp://x']\n// ///", 3),
            ("// /// wardroom\n// name = 'x'\n// [limits]\n// timeout = 'soon'\n// ///", 4),
            ("// /// wardroom\n// domains = ['a']\n// ///", 2),
            ("// /// wardroom\n// sqlite = ['{params.a}.db']\n// ///", 2),
            ("// /// wardroom\n// call = ['{params.a}']\n// [params.a]\n// type = 'string'\n// ///", 2),
            ("// /// wardroom\n// call = ['*']\n// ///", 2),
            ("// /// wardroom\n// net = ['https://{params.host}/x']\n// ///", 2),
        ] {
            assert!(matches!(of(body), ManifestError::Toml { line: found, .. } if found == line), "{body}: {:?}", of(body));
        }
        for key in ["read", "sqlite"] {
            let undeclared = of(&format!("// /// wardroom\n// {key} = ['{{params.d}}']\n// ///"));
            assert_eq!(undeclared, ManifestError::UndeclaredParam("d".to_owned()));
        }
        assert!(matches!(of("// /// wardroom\n// state = '1GiB'\n// ///"), ManifestError::State(_)));
    }

    #[test]
    fn a_param_fills_an_address_or_a_folder_never_a_pattern() {
        let manifest =
            Manifest::parse("net = ['{params.u}']\nread = ['{params.d}']\n[params.u]\ntype='json'\n[params.d]\ntype='json'", 1).unwrap();
        let of = |params: Value| manifest.requests(params.as_object().unwrap(), folder, database);
        assert!(of(json!({})).unwrap().is_empty());
        assert!(matches!(of(json!({"u": 1})), Err(RequestError::NoText(_))));
        for pattern in ["https://*.example.org/", "*", "https://a.example,GET", "https://nas.lan=10.0.0.1"] {
            assert!(matches!(of(json!({"u": pattern})), Err(RequestError::Address { .. })), "{pattern}");
        }
        assert!(matches!(of(json!({"d": "a\0"})), Err(RequestError::Folder(_))));
    }

    #[test]
    fn a_reason_stands_beside_a_request_and_alone_is_an_error() {
        let of = |text: &str| Manifest::of_plugin(text);
        let manifest = of("net = ['https://a.example']\n[reasons]\nnet = 'to ask for the weather'").unwrap();
        assert_eq!(manifest.reasons[&Capability::Net], "to ask for the weather");
        assert_eq!(of("[reasons]\nnet = 'x'"), Err(ManifestError::IdleReason(Capability::Net)));
        let long = format!("env = ['A']\n[reasons]\nenv = '{}'", "x".repeat(MAX_REASON + 1));
        assert_eq!(of(&long), Err(ManifestError::LongReason(Capability::Env)));
        for unknown in ["[reasons]\nprocess = 'x'", "name = 'x'\nprocess = true"] {
            assert!(matches!(of(unknown), Err(ManifestError::Embedded { line, .. }) if line >= 1), "{unknown}");
        }
        assert!(matches!(of("name = 'x'\nfiles = ['a']"), Err(ManifestError::Embedded { line: 2, .. })));
    }

    #[test]
    fn a_param_fills_a_database_and_never_its_right() {
        let manifest = Manifest::parse(
            "sqlite = ['a.db:write', '{params.d}', '{params.w}:write']\n[params.d]\ntype='json'\n[params.w]\ntype='json'",
            1,
        );
        let manifest = manifest.unwrap();
        assert_eq!(manifest.request_texts(), ["sqlite a.db:write", "sqlite {params.d}", "sqlite {params.w}:write"]);
        let of = |params: Value| {
            let scopes = manifest.requests(params.as_object().unwrap(), folder, database);
            scopes.map(|scopes| scopes.iter().map(Scope::text).collect::<Vec<_>>())
        };
        assert_eq!(of(json!({})).unwrap(), ["a.db:write"]);
        assert_eq!(of(json!({"d": "d.db", "w": "w.db"})).unwrap(), ["a.db:write", "d.db", "w.db:write"]);
        assert!(matches!(of(json!({"d": "d.db:write"})), Err(RequestError::Folder(_))));
        assert!(matches!(of(json!({"d": 1})), Err(RequestError::NoText(_))));
    }
}
