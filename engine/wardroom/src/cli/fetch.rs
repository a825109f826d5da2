//! Where `wardroom plugin install` and `upgrade` take a plugin from, and what is
//! granted for getting it there.

use std::ffi::OsString;
use std::path::PathBuf;

use wardroom_core::capability::net::NetScope;
use wardroom_core::limit::{DurationText, LimitError, MAX_DEADLINE};
use wardroom_core::plugin::{PluginSource, SourceError, SourceKind};

use super::error::CommandError;
use super::grants;
use super::live::Fetching;
use super::run::{end_on_signal, stop_signal};
use crate::plugin::{FetchTerms, Offer};
use crate::wardroom::Wardroom;

/// What a source is, at the command line.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArguments {
    /// A file (`.js`, `.ts`, `.wasm`), `https://…@sha256:…`, or `oci://REGISTRY/REPOSITORY[:TAG]@sha256:…`
    #[arg(value_name = "FILE|URL")]
    source: OsString,
    /// Allow being sent on to another origin: `https://HOST[:PORT][/PATH],GET`; may be repeated
    #[arg(long, value_name = "SCOPE", require_equals = true, help_heading = "Fetching (what is typed allows its own origin)")]
    allow_net: Vec<NetScope>,
    /// Who it is, for a registry that asks: a credential `USER:PASSWORD`, as `NAME[@HOST[:PORT]]`
    #[arg(long, value_name = "NAME", require_equals = true, help_heading = "Fetching (what is typed allows its own origin)")]
    credential: Option<String>,
    /// How long fetching may take (default: 5m)
    #[arg(long, value_name = "TIME", require_equals = true, help_heading = "Fetching (what is typed allows its own origin)")]
    timeout: Option<DurationText>,
}

impl SourceArguments {
    /// What is offered there; nothing where the operator stopped it.
    pub(super) async fn offer(&self, wardroom: &Wardroom) -> Result<Option<Offer>, CommandError> {
        let (source, terms) = (self.source()?, self.terms()?);
        if source.kind() == SourceKind::File {
            return Ok(Some(wardroom.offer(&source, terms, &|_, _| ()).await?));
        }
        let fetching = Fetching::new(&source.file_name().to_string_lossy());
        let told = |done, total| fetching.told(done, total);
        let offered = tokio::select! {
            offered = wardroom.offer(&source, terms, &told) => Some(offered),
            () = stop_signal() => None,
        };
        fetching.finish();
        // Whatever follows ends at a signal, as it would if nobody had listened.
        drop(tokio::spawn(end_on_signal()));
        Ok(offered.transpose()?)
    }

    fn source(&self) -> Result<PluginSource, CommandError> {
        // A name that is no text can only be a file's.
        let Some(text) = self.source.to_str() else { return Ok(PluginSource::File(PathBuf::from(&self.source))) };
        text.parse().map_err(|error: SourceError| {
            let command = CommandError::usage(error.to_string());
            match error {
                SourceError::NoDigest { kind: SourceKind::Oci, .. } => command.hint(
                    "The digest is the manifest's: whoever publishes it names it, `oras resolve REGISTRY/REPOSITORY:TAG` and `crane digest` ask the registry.",
                ),
                SourceError::NoDigest { .. } => command.hint(
                    "Whoever publishes it names it (a file of checksums beside it); or look at the file first: `sha256sum FILE` says it of what you downloaded.",
                ),
                _ => command,
            }
        })
    }

    fn terms(&self) -> Result<FetchTerms, CommandError> {
        if let Some(tcp) = self.allow_net.iter().find(|scope| matches!(scope, NetScope::Tcp(_))) {
            return Err(CommandError::usage(format!("`{tcp}` allows a connection: expected an origin of http or https")));
        }
        let credential = self.credential.as_deref().map(grants::credential).transpose()?;
        if credential.as_ref().is_some_and(|scope| !scope.uses.is_empty()) {
            return Err(CommandError::usage("a registry is told who it is in a header: expected `--credential=NAME` or `NAME@HOST`"));
        }
        let deadline = self.timeout.map(|DurationText(deadline)| deadline);
        if let Some(wrong) = deadline.filter(|deadline| deadline.is_zero() || *deadline > MAX_DEADLINE) {
            return Err(CommandError::usage(LimitError::Deadline(DurationText(wrong)).to_string()));
        }
        Ok(FetchTerms { allow: self.allow_net.clone(), credential, deadline })
    }
}
