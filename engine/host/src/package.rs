//! From what a developer's own compiler made to one file that is the whole
//! plugin: a component that carries its manifest and what its author wrote about
//! its functions.
//!
//! These bytes are the operator's own, made a moment ago on this machine: they are
//! worked on here, and what comes of it is compiled in the preparing child like
//! any other program. Nothing here decides what a program may do.

use std::path::Path;

use wasmparser::{Parser, Payload};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, PackageMetadata, Resolve, WorldId};

use crate::error::HostError;
use crate::prepare;

pub use wardroom_core::manifest::MANIFEST_SECTION;
/// The custom section in which a guest's source declares its params, as TOML.
pub const PARAMS_SECTION: &str = "wardroom-params";
/// The custom section that holds the comments of WIT, written as in
/// `package-docs`. Its own name, because decoders look for the interfaces that
/// `package-docs` names in the component's own package, where those of others are
/// not, and give up.
pub const DOCS_SECTION: &str = "wardroom-docs";

/// A folder of WIT, read.
pub struct Wit {
    resolve: Resolve,
    package: PackageId,
    world: WorldId,
}

impl Wit {
    /// Reads a folder of WIT; `world` where it has several.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`] with the parser's own words.
    pub fn read(folder: &Path, world: Option<&str>) -> Result<Self, HostError> {
        let mut resolve = Resolve::default();
        let failed = |error: &dyn std::fmt::Display| HostError::Wit(error.to_string());
        let (package, _) = resolve.push_dir(folder).map_err(|error| failed(&format!("{error:#}")))?;
        let world = resolve.select_world(&[package], world).map_err(|error| failed(&format!("{error:#}")))?;
        Ok(Self { resolve, package, world })
    }

    /// The comments, as `package-docs` writes them.
    fn docs(&self) -> Result<Vec<u8>, HostError> {
        PackageMetadata::extract(&self.resolve, self.package).encode().map_err(|error| HostError::Host(error.to_string()))
    }
}

/// Makes one plugin of a compiler's output: a component of a core module, with the
/// manifest and the comments of its WIT in it.
///
/// # Errors
///
/// [`HostError::Invalid`] where the bytes are no WebAssembly, do not fit the WIT,
/// or carry a manifest already.
pub fn package(output: Vec<u8>, wit: Option<&Wit>, manifest: &str) -> Result<Vec<u8>, HostError> {
    let component = if Parser::is_component(&output) { output } else { component(output, wit)? };
    if !sections(&component, Depth::Top, |name| name == MANIFEST_SECTION)?.is_empty() {
        return Err(HostError::Invalid(format!("it carries a section `{MANIFEST_SECTION}` already")));
    }
    let mut plugin = component;
    append(&mut plugin, MANIFEST_SECTION, manifest.as_bytes());
    if let Some(wit) = wit {
        append(&mut plugin, DOCS_SECTION, &wit.docs()?);
    }
    Ok(plugin)
}

/// The params that a guest's source declares, as TOML, one after another.
///
/// # Errors
///
/// [`HostError::Invalid`] where the bytes are no WebAssembly, or the section is no
/// text.
pub fn declared_params(output: &[u8]) -> Result<Option<String>, HostError> {
    let found = sections(output, Depth::Any, |name| name == PARAMS_SECTION)?;
    if found.is_empty() {
        return Ok(None);
    }
    String::from_utf8(found.concat()).map(Some).map_err(|_| HostError::Invalid(format!("its section `{PARAMS_SECTION}` is no UTF-8")))
}

/// A bindings generator leaves the component's type in a custom section; where it
/// left none, the WIT says it.
fn component(mut module: Vec<u8>, wit: Option<&Wit>) -> Result<Vec<u8>, HostError> {
    let typed = !sections(&module, Depth::Top, |name| name.starts_with("component-type"))?.is_empty();
    if let (Some(wit), false) = (wit, typed) {
        embed_component_metadata(&mut module, &wit.resolve, wit.world, StringEncoding::UTF8)
            .map_err(|error| HostError::Invalid(format!("{error:#}")))?;
    }
    prepare::componentize(&module)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Of the program itself.
    Top,
    /// Also of the modules and components in it.
    Any,
}

fn sections(bytes: &[u8], depth: Depth, wanted: impl Fn(&str) -> bool) -> Result<Vec<&[u8]>, HostError> {
    let (mut found, mut inside) = (Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| HostError::Invalid(error.to_string()))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => inside += 1,
            Payload::End(_) => inside = inside.saturating_sub(1),
            Payload::CustomSection(section) if (inside == 0 || depth == Depth::Any) && wanted(section.name()) => {
                found.push(section.data());
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A custom section (binary format 5.5.3) at the end: id 0, size, name, bytes.
fn append(program: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut body = Vec::with_capacity(data.len() + name.len() + 5);
    leb128(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    program.push(0);
    leb128(program, body.len());
    program.extend_from_slice(&body);
}

/// An unsigned number in LEB128 (binary format 5.2.2).
fn leb128(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_plugin_carries_its_manifest_once() {
        let text = format!("# {}\n", "x".repeat(300));
        let plugin = package(EMPTY.to_vec(), None, &text).unwrap();
        assert_eq!(sections(&plugin, Depth::Top, |name| name == MANIFEST_SECTION).unwrap(), [text.as_bytes()]);
        assert!(matches!(package(plugin, None, &text), Err(HostError::Invalid(_))));
        assert!(matches!(package(b"nothing".to_vec(), None, ""), Err(HostError::Invalid(_))));
    }

    #[test]
    fn params_are_found_in_what_a_component_holds() {
        let mut inner = b"\0asm\x01\0\0\0".to_vec();
        append(&mut inner, PARAMS_SECTION, b"[params.a]\n");
        let mut outer = EMPTY.to_vec();
        outer.push(1);
        leb128(&mut outer, inner.len());
        outer.extend(&inner);
        assert_eq!(declared_params(&outer).unwrap().as_deref(), Some("[params.a]\n"));
        assert_eq!(declared_params(EMPTY).unwrap(), None);
        append(&mut outer, PARAMS_SECTION, b"\xff");
        assert!(matches!(declared_params(&outer), Err(HostError::Invalid(_))));
    }
}
