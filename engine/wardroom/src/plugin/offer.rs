//! What is offered as a plugin: a program, and where it comes from.

use std::path::Path;

use wardroom_core::plugin::PluginSource;
use wardroom_core::program::{Program, ProgramName};
use wardroom_core::signature::SignerKey;

use super::PluginError;
use crate::execution::resolve::read_program;
use crate::trust::{Admitted, Provenance};
use crate::wardroom::Wardroom;

/// A program that may become a plugin. Nothing of it has been looked at yet but
/// what it is.
#[derive(Debug)]
pub struct Offer {
    pub(super) program: Program,
    pub(super) source: PluginSource,
}

/// An offer whose bytes may become a plugin: they are not revoked, and signed as
/// the settings ask for where they come from. Made by [`Wardroom::accept`] alone.
#[derive(Debug)]
#[must_use]
pub(super) struct Accepted {
    admitted: Admitted,
    pub(super) source: PluginSource,
    pub(super) signer: Option<SignerKey>,
}

impl Accepted {
    pub(super) const fn program(&self) -> &Program {
        self.admitted.program()
    }
}

impl Wardroom {
    /// Judges bytes before anything of them is looked at.
    pub(super) fn accept(&self, offer: Offer) -> Result<Accepted, PluginError> {
        let (admitted, signer) = self.admit_plugin(offer.program, Provenance::from(&offer.source))?;
        Ok(Accepted { admitted, source: offer.source, signer })
    }

    /// Reads a file as an offer.
    ///
    /// # Errors
    ///
    /// [`PluginError::Resolve`] where it cannot be read, or is no program.
    pub fn offer_of_file(&self, file: &Path) -> Result<Offer, PluginError> {
        let (program, _) = read_program(&ProgramName { path: file.to_owned(), function: None })?;
        // Whoever asks later where it came from stands in another folder.
        let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Ok(Offer { program, source: PluginSource::File(path) })
    }
}
