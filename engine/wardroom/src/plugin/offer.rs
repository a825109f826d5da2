//! What is offered as a plugin: a program, and where it comes from.

use std::path::Path;

use wardroom_core::plugin::PluginSource;
use wardroom_core::program::{Program, ProgramName};

use super::PluginError;
use crate::execution::resolve::read_program;
use crate::wardroom::Wardroom;

/// A program that may become a plugin. Nothing of it has been looked at yet but
/// what it is.
#[derive(Debug)]
pub struct Offer {
    pub(super) program: Program,
    pub(super) source: PluginSource,
}

impl Wardroom {
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
