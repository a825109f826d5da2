//! The header of scripts, and the params that it declares.

use std::path::Path;

use serde_json::{Map, Value};
use wardroom_core::capability::files::{FolderError, FolderScope};
use wardroom_core::capability::sqlite::SqliteScope;
use wardroom_core::limit::Limits;
use wardroom_core::manifest::Manifest;
use wardroom_core::param::ParamSpecs;

use crate::line;

/// A script's whole text: reading its header never panics, and its limits only
/// lower.
pub fn header(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let Ok(Some(manifest)) = Manifest::of_script(source) else { return };
    let base = Limits::default();
    let own = manifest.limits.lowering(&base);
    assert!(own.deadline <= base.deadline && own.memory <= base.memory, "a program raised a limit");
    let made = requests(&manifest, &Map::new()).unwrap_or(0);
    assert!(made <= manifest.request_texts().len(), "a request is made and not shown");
    drop(manifest.params.schema());
}

/// How many scopes a manifest asks for, where each of them can be made.
fn requests(manifest: &Manifest, params: &Map<String, Value>) -> Option<usize> {
    let folder = |text: &str| -> Result<FolderScope, FolderError> { FolderScope::new(text, Path::new("/granted")) };
    let database =
        |text: &str, write: bool| SqliteScope::new(text, Path::new("/granted.db"), write).map_err(|_| FolderError::NoPath(text.to_owned()));
    manifest.requests(params, folder, database).ok().map(|scopes| scopes.len())
}

/// A line of JSON (the params given), a line of text (a param's value), then a
/// script whose header declares params. What is complete stays so, and no
/// request that a param fills panics.
pub fn params(bytes: &[u8]) {
    let (given, rest) = line(bytes);
    let (text, rest) = line(rest);
    let Ok(source) = std::str::from_utf8(rest) else { return };
    let Ok(Some(manifest)) = Manifest::of_script(source) else { return };
    let given: Value = serde_json::from_str(given).unwrap_or(Value::Null);
    let specs: &ParamSpecs = &manifest.params;
    for name in given.as_object().into_iter().flat_map(Map::keys) {
        // Whatever it says, it says it without a panic.
        drop(specs.value_of(name, text));
    }
    let Ok(complete) = specs.complete(&given) else { return };
    let again = specs.complete(&Value::Object(complete.clone()));
    assert_eq!(again.ok().as_ref(), Some(&complete), "complete params are not complete");
    let made = requests(&manifest, &complete).unwrap_or(0);
    assert!(made <= manifest.request_texts().len(), "a request is made and not shown");
}
