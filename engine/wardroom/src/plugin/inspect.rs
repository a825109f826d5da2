//! Looking at a program that is not installed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use wardroom_core::capability::Capability;
use wardroom_core::id::Digest;
use wardroom_core::manifest::Manifest;
use wardroom_core::program::{ProgramName, Shape};

use super::words;
use crate::execution::resolve::{ResolveError, read_program};
use crate::trust::{Provenance, SignatureView};
use crate::wardroom::Wardroom;

/// What a program is and asks for, as shown before anybody runs it.
#[derive(Debug, Serialize)]
pub struct Inspected {
    /// Its file's name.
    pub name: String,
    /// Its bytes' SHA-256.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: usize,
    /// Who signed it, and whether it is revoked.
    pub signature: SignatureView,
    /// Shape, functions, imports.
    #[serde(flatten)]
    pub inspection: wardroom_host::Inspection,
    /// What its header or manifest asks for, as it stands there; none: it has
    /// neither.
    pub requests: Option<Vec<String>>,
    /// Why, by the key that asks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<Capability, String>,
    /// Where its manifest and its imports say different things.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What its header or manifest calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it does, as its header or manifest says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// JSON Schema of its declared params.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

impl Wardroom {
    /// What a program is and asks for.
    ///
    /// # Errors
    ///
    /// [`ResolveError`] where it is no program that can be run here.
    pub async fn inspect(&self, name: &ProgramName) -> Result<Inspected, ResolveError> {
        let (program, _) = read_program(name)?;
        let manifest = self.manifest(&program).await?;
        let inspection = self.host()?.inspect(&program).await?;
        let compared = manifest.as_ref().filter(|_| inspection.shape != Shape::Script);
        Ok(Inspected {
            name: program.name.clone(),
            digest: program.digest,
            size: program.bytes.len(),
            signature: self.signature_view(&program, Provenance::FILE)?,
            requests: manifest.as_ref().map(Manifest::request_texts),
            reasons: manifest.as_ref().map(|manifest| manifest.reasons.clone()).unwrap_or_default(),
            notes: compared.map(|manifest| words::differences(manifest, &inspection.imports)).unwrap_or_default(),
            title: manifest.as_ref().and_then(|manifest| manifest.name.clone()),
            version: manifest.as_ref().and_then(|manifest| manifest.version.clone()),
            description: manifest.as_ref().and_then(|manifest| manifest.description.clone()),
            licence: manifest.as_ref().and_then(|manifest| manifest.licence.clone()),
            params: manifest.map(|manifest| manifest.params.schema()),
            inspection,
        })
    }
}
