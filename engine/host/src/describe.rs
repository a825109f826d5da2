//! What a program's own bytes say of it beside its code: the manifest, its WIT,
//! and what its author wrote about each function.
//!
//! All of it is a stranger's. It is read in the preparing child, never in a
//! process that serves, and kept with the compiled code that it came with.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use wardroom_core::limit::MAX_MANIFEST_BYTES;
use wardroom_core::manifest::MANIFEST_SECTION;
use wardroom_core::text::truncated;
use wasmtime::Engine;
use wit_component::{DecodedWasm, WitPrinter};
use wit_parser::{Resolve, WorldId, WorldItem, WorldKey};

use crate::error::HostError;
use crate::inspect::{self, Inspection};
use crate::{load, package};

/// The custom section in which tools keep the comments of WIT.
const DOCS_SECTION: &str = "package-docs";
/// The same with another name, under which nobody looks for it.
const HIDDEN_SECTION: &str = "-hidden-docs";
/// Bytes of a component's WIT that are kept.
const MAX_WIT: usize = 256 << 10;
/// Bytes of what is said of one function.
const MAX_DOCS: usize = 4 << 10;

/// What a program says of itself, and what its type says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Described {
    /// Its shape, functions and imports.
    pub inspection: Inspection,
    /// Its manifest's text, where it carries one.
    pub manifest: Option<String>,
    /// Its world in WIT, where that can be told.
    pub wit: Option<String>,
}

/// Describes a component that was compiled by this process just now; `original`
/// are the bytes that it came as, in which the manifest lies.
pub(crate) fn describe(engine: &Engine, original: &[u8], component: &[u8], compiled: &[u8]) -> Result<Described, HostError> {
    let manifest = manifest(original)?;
    let docs = Docs::read(component);
    let loaded = load::deserialize(engine, compiled).map_err(|error| HostError::Invalid(format!("{error:#}")))?;
    let inspection = inspect::inspect(&loaded, engine, &|interface, function| docs.of(interface, function));
    // A parser that gives up takes the text with it, and nothing else.
    let wit = std::panic::catch_unwind(|| wit(component, &docs)).ok().flatten();
    Ok(Described { inspection, manifest, wit })
}

/// The custom sections of a name at the top of a program, not in what it holds.
fn sections<'a>(bytes: &'a [u8], name: &str) -> Result<Vec<&'a [u8]>, HostError> {
    let invalid = |error: wasmparser::BinaryReaderError| HostError::Invalid(error.to_string());
    let (mut found, mut depth) = (Vec::new(), 0_usize);
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            wasmparser::Payload::ModuleSection { .. } | wasmparser::Payload::ComponentSection { .. } => depth += 1,
            wasmparser::Payload::End(_) => depth = depth.saturating_sub(1),
            wasmparser::Payload::CustomSection(section) if depth == 0 && section.name() == name => found.push(section.data()),
            _ => {}
        }
    }
    Ok(found)
}

fn manifest(bytes: &[u8]) -> Result<Option<String>, HostError> {
    let wrong = |why: &str| HostError::Invalid(format!("its manifest cannot be read: {why}"));
    match sections(bytes, MANIFEST_SECTION)?.as_slice() {
        [] => Ok(None),
        [text] if text.len() > MAX_MANIFEST_BYTES => Err(wrong(&format!("it has more than {MAX_MANIFEST_BYTES} bytes"))),
        [text] => std::str::from_utf8(text).map(|text| Some(text.to_owned())).map_err(|_| wrong("it is no UTF-8")),
        // Which of them holds would be for each reader to say.
        _ => Err(wrong("there are several")),
    }
}

/// What an author wrote about functions, by interface and name.
#[derive(Debug, Default)]
struct Docs {
    /// By the interface's own last name.
    interfaces: HashMap<String, HashMap<String, String>>,
    /// Of functions of the world itself.
    functions: HashMap<String, String>,
}

/// The section as tools write it, as far as it is of interest here. Its names
/// are those of the package that it was written from, which a component does not
/// know any more: so it is not put back by wit-parser, which looks for them.
#[derive(Deserialize)]
struct DocsSection {
    #[serde(default)]
    worlds: HashMap<String, WorldDocs>,
    #[serde(default)]
    interfaces: HashMap<String, InterfaceDocs>,
}

#[derive(Deserialize)]
struct WorldDocs {
    #[serde(default)]
    interfaces: HashMap<String, InterfaceDocs>,
    #[serde(default)]
    interface_exports: HashMap<String, InterfaceDocs>,
    #[serde(default)]
    funcs: HashMap<String, FunctionDocs>,
    #[serde(default)]
    func_exports: HashMap<String, FunctionDocs>,
}

#[derive(Deserialize)]
struct InterfaceDocs {
    #[serde(default)]
    funcs: HashMap<String, FunctionDocs>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FunctionDocs {
    Text(Option<String>),
    Fields { docs: Option<String> },
}

impl FunctionDocs {
    fn text(self) -> Option<String> {
        let text = match self {
            Self::Text(text) | Self::Fields { docs: text } => text?,
        };
        let text = truncated(text.trim(), MAX_DOCS).to_owned();
        (!text.is_empty()).then_some(text)
    }
}

impl Docs {
    /// What cannot be read says nothing: comments are no part of what runs.
    fn read(component: &[u8]) -> Self {
        // Our own packaging keeps those of the whole source, under a name of its own.
        let found = [package::DOCS_SECTION, DOCS_SECTION].map(|name| sections(component, name).unwrap_or_default());
        let Some(section) = found.iter().find_map(|found| found.first()) else { return Self::default() };
        // A version byte (0 or 1 by now), then JSON.
        let Some((0 | 1, json)) = section.split_first() else { return Self::default() };
        let Ok(section) = serde_json::from_slice::<DocsSection>(json) else { return Self::default() };
        let mut docs = Self::default();
        for (name, interface) in section.interfaces {
            docs.add_interface(&name, interface);
        }
        for (_, world) in section.worlds {
            for (name, interface) in world.interfaces.into_iter().chain(world.interface_exports) {
                docs.add_interface(&name, interface);
            }
            let own = world.funcs.into_iter().chain(world.func_exports);
            docs.functions.extend(own.filter_map(|(name, said)| Some((name, said.text()?))));
        }
        docs
    }

    fn add_interface(&mut self, name: &str, interface: InterfaceDocs) {
        let said = interface.funcs.into_iter().filter_map(|(name, said)| Some((name, said.text()?)));
        self.interfaces.entry(inspect::short(name).to_owned()).or_default().extend(said);
    }

    fn of(&self, interface: Option<&str>, function: &str) -> Option<String> {
        let functions = match interface {
            Some(interface) => self.interfaces.get(inspect::short(interface))?,
            None => &self.functions,
        };
        functions.get(function).cloned()
    }
}

/// The component's world in WIT, with the comments put back.
fn wit(component: &[u8], docs: &Docs) -> Option<String> {
    let DecodedWasm::Component(mut resolve, world) = wit_component::decode(&without_docs(component)).ok()? else { return None };
    comment(&mut resolve, world, docs);
    let package = resolve.worlds.get(world)?.package?;
    let exported = resolve.worlds.get(world)?.exports.values().filter_map(|item| match item {
        WorldItem::Interface { id, .. } => resolve.interfaces.get(*id)?.package,
        _ => None,
    });
    let mut beside: Vec<_> = exported.filter(|other| *other != package).collect();
    beside.sort_unstable();
    beside.dedup();
    let mut printer = WitPrinter::default();
    printer.print_package(&resolve, package, true).ok()?;
    for other in beside {
        printer.print_package(&resolve, other, false).ok()?;
    }
    Some(truncated(&printer.output.to_string(), MAX_WIT).to_owned())
}

/// A copy in which nobody finds the comments: a decoder that cannot place them
/// gives up.
fn without_docs(component: &[u8]) -> Vec<u8> {
    let mut copy = component.to_vec();
    let begin = component.as_ptr() as usize;
    let places = sections(component, DOCS_SECTION).unwrap_or_default();
    for place in places.iter().map(|section| section.as_ptr() as usize - begin) {
        if let Some(name) = place.checked_sub(DOCS_SECTION.len()).and_then(|from| copy.get_mut(from..place)) {
            name.copy_from_slice(HIDDEN_SECTION.as_bytes());
        }
    }
    copy
}

fn comment(resolve: &mut Resolve, world: WorldId, docs: &Docs) {
    let Some(exports) = resolve.worlds.get(world).map(|world| world.exports.clone()) else { return };
    for (key, item) in exports {
        if let WorldItem::Interface { id, .. } = item {
            let name = match &key {
                WorldKey::Name(name) => name.clone(),
                WorldKey::Interface(id) => resolve.interfaces.get(*id).and_then(|interface| interface.name.clone()).unwrap_or_default(),
            };
            if let Some(interface) = resolve.interfaces.get_mut(id) {
                for (function, item) in &mut interface.functions {
                    item.docs.contents = docs.of(Some(&name), function);
                }
            }
        }
    }
    if let Some(world) = resolve.worlds.get_mut(world) {
        for (_, item) in &mut world.exports {
            if let WorldItem::Function(function) = item {
                function.docs.contents = docs.of(None, &function.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component of nothing but custom sections.
    fn with_sections(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for (name, data) in sections {
            let body = [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), data].concat();
            bytes.push(0);
            let mut length = body.len();
            while length >= 0x80 {
                bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            bytes.push(u8::try_from(length).unwrap());
            bytes.extend(body);
        }
        bytes
    }

    #[test]
    fn a_manifest_is_one_text_at_the_top() {
        let one = with_sections(&[("other", b"x"), (MANIFEST_SECTION, b"name = 'a'")]);
        assert_eq!(manifest(&one).unwrap().as_deref(), Some("name = 'a'"));
        assert_eq!(manifest(&with_sections(&[])).unwrap(), None);
        for bad in [
            with_sections(&[(MANIFEST_SECTION, b"a"), (MANIFEST_SECTION, b"b")]),
            with_sections(&[(MANIFEST_SECTION, b"\xff")]),
            with_sections(&[(MANIFEST_SECTION, &vec![b' '; MAX_MANIFEST_BYTES + 1])]),
            one[..one.len() - 1].to_vec(),
        ] {
            assert!(matches!(manifest(&bad), Err(HostError::Invalid(_))));
        }
    }

    #[test]
    fn the_manifest_of_what_a_component_holds_is_not_its_own() {
        let inner = with_sections(&[(MANIFEST_SECTION, b"name = 'inner'")]);
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        outer.push(u8::try_from(inner.len()).unwrap());
        outer.extend(&inner);
        assert_eq!(manifest(&outer).unwrap(), None);
    }

    #[test]
    fn comments_are_found_by_interface_and_function_in_both_versions_of_the_section() {
        let json = r#"{"worlds":{"any":{"func_exports":{"add":{"docs":" Adds. "}},"funcs":{"old":"Was there."}}},
            "interfaces":{"shapes":{"funcs":{"area":{"docs":"Its area.","stability":{}}}}}}"#;
        for version in [0, 1] {
            let bytes = with_sections(&[(DOCS_SECTION, &[&[version], json.as_bytes()].concat())]);
            let docs = Docs::read(&bytes);
            assert_eq!(docs.of(None, "add").as_deref(), Some("Adds."));
            assert_eq!(docs.of(None, "old").as_deref(), Some("Was there."));
            assert_eq!(docs.of(Some("test:typed/shapes@1.0.0"), "area").as_deref(), Some("Its area."));
            assert_eq!(docs.of(Some("shapes"), "add"), None);
            assert!(sections(&without_docs(&bytes), DOCS_SECTION).unwrap().is_empty());
        }
        for nonsense in [&b""[..], b"\x02{}", b"\x01[]", b"\x01{\"worlds\":1}"] {
            assert!(Docs::read(&with_sections(&[(DOCS_SECTION, nonsense)])).of(None, "add").is_none());
        }
    }
}
