//! Plugins: programs that a person installed under a name.
//!
//! ```text
//!  FILE, https://, oci:// ─▶ offer ─▶ examined in a child ─▶ bytes into components/, synced ─▶ one transaction: row, audit
//!  offer.rs, fetch/                   metadata.rs, describe.rs   execution/store.rs              db/plugins.rs
//! ```
//!
//! What is found out at the installation is kept, so that listing, inspecting and
//! publishing tools compile nothing. Each row is sealed (`seal.rs`), and bytes
//! are looked at again on every load. A death between any two steps leaves bytes
//! that nothing pins at most; those are swept.
//!
//! Look next at `program.rs` (names at the command line and in tasks), `tool.rs`
//! (what assistants are shown).

mod change;
mod fetch;
mod inspect;
mod metadata;
mod offer;
mod program;
mod seal;
mod tool;
mod words;

use serde::Serialize;
use serde_json::Value;
use wardroom_core::blame::Blame;
use wardroom_core::capability::Surplus;
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::CredentialName;
use wardroom_core::id::Digest;
use wardroom_core::limit::{MAX_PLUGIN_FUNCTIONS, MAX_PLUGIN_METADATA, MAX_PLUGINS};
use wardroom_core::plugin::{PluginName, PluginNameError, PluginSource};
use wardroom_core::program::Format;
use wardroom_core::text::nearest;
use wardroom_db::{DbError, PluginRecord, Standing};

use crate::execution::grants::GrantError;
use crate::execution::resolve::ResolveError;
use crate::execution::store::{StoreError, StoredProgram};
use crate::seal::{SealError, SealKey};
use crate::trust::{Provenance, SignatureView, TrustError};
use crate::wardroom::{OpenError, Wardroom};
use seal::{details_hash, holds};

pub use change::{Consent, Difference, Upgraded};
pub use fetch::{FETCH_DEADLINE, FetchError, FetchTerms, MAX_REDIRECTS, Told};
pub use inspect::Inspected;
pub use metadata::{Door, PluginFunction, Summary};
pub use offer::Offer;
pub use program::Installed;
pub(crate) use tool::KnownTools;
pub use tool::{Exposed, ExposedTool};
pub(crate) use words::MEANS;
pub use words::RequestView;

/// What a plugin's task, command or script is called among its functions.
pub const TASK_FUNCTION: &str = "run";

/// A plugin that cannot be installed, changed, found or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// Its name.
    #[error(transparent)]
    Name(#[from] PluginNameError),
    /// Neither its manifest nor its file has a name for it.
    #[error("`{from}` gives the plugin no name: {source}")]
    NoName {
        /// Where it comes from.
        from: Box<PluginSource>,
        /// Why not.
        source: PluginNameError,
    },
    /// A template is called so.
    #[error("`{0}` is a template's name: expected another one")]
    Template(PluginName),
    /// There is one of this name.
    #[error("there is a plugin `{0}` already")]
    Exists(PluginName),
    /// There is none of this name.
    #[error("there is no plugin `{name}`{}", near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// The name asked for.
        name: String,
        /// One that is nearly so.
        near: Option<String>,
    },
    /// Another process was faster.
    #[error("the plugin `{0}` was changed meanwhile")]
    Changed(PluginName),
    /// There are as many as there may be.
    #[error("there are {MAX_PLUGINS} plugins already, and no more are kept")]
    Full,
    /// Tasks run it.
    #[error("the plugin `{name}` is used by the tasks {}", tasks.join(", "))]
    InUse {
        /// Which.
        name: PluginName,
        /// By which tasks.
        tasks: Vec<String>,
    },
    /// It was never upgraded.
    #[error("the plugin `{0}` has no earlier version to go back to")]
    NothingBefore(PluginName),
    /// It has these bytes already.
    #[error("the plugin `{name}` has these very bytes already ({digest})")]
    Same {
        /// Which.
        name: PluginName,
        /// The bytes.
        digest: Digest,
    },
    /// It exports nothing that can be called.
    #[error("the program exports nothing that can be called")]
    Nothing,
    /// It exports too much.
    #[error("the program has {0} functions: expected at most {MAX_PLUGIN_FUNCTIONS}")]
    Functions(usize),
    /// Two functions would be one.
    #[error("the functions `{one}` and `{other}` of the program cannot be told apart by their names")]
    Collision {
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// Names, texts and schemas take too much.
    #[error("what the program says of itself takes more than {MAX_PLUGIN_METADATA} bytes")]
    TooMuch,
    /// Its manifest declares params that nothing takes.
    #[error("the program's manifest declares params, which only a task or a script takes")]
    IdleParams,
    /// It has several functions, and none was named.
    #[error("the plugin `{name}` has several functions: expected one of {}", functions.join(", "))]
    Several {
        /// Which.
        name: PluginName,
        /// All of them, dotted.
        functions: Vec<String>,
    },
    /// It has no such function.
    #[error("the plugin `{name}` has no function `{function}`{}", near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    NoFunction {
        /// Which plugin.
        name: PluginName,
        /// What was asked for.
        function: String,
        /// One that is nearly so.
        near: Option<String>,
    },
    /// The function's types have no JSON form.
    #[error("the function `{function}` of the plugin `{name}` cannot be called: {reason}")]
    Uncallable {
        /// Which plugin.
        name: PluginName,
        /// Which function.
        function: String,
        /// Why.
        reason: String,
    },
    /// Nobody exposed it.
    #[error("the function `{0}` is exposed to nobody")]
    NotExposed(String),
    /// Its row is not as it was sealed.
    #[error("the row of the plugin `{0}` was changed in the database by somebody else than Wardroom")]
    Altered(PluginName),
    /// A grant that nothing asks for.
    #[error(transparent)]
    Surplus(#[from] Surplus),
    /// A credential that does not exist.
    #[error("there is no credential `{0}`")]
    NoCredential(CredentialName),
    /// What it is granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// Its bytes are revoked, or not signed as they have to be.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The key of the rows.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It was not fetched.
    #[error(transparent)]
    Fetch(Box<FetchError>),
    /// Its program.
    #[error(transparent)]
    Resolve(Box<ResolveError>),
    /// Its bytes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<FetchError> for PluginError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Box::new(error))
    }
}

impl From<ResolveError> for PluginError {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(Box::new(error))
    }
}

impl PluginError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Resolve(error) => error.blame(),
            Self::Fetch(error) => error.blame(),
            Self::Store(error) => error.blame(),
            Self::Open(error) => error.blame(),
            Self::Db(error) => error.blame(),
            Self::Trust(error) => error.blame(),
            Self::Seal(_) => Blame::Host,
            Self::Nothing | Self::Functions(_) | Self::Collision { .. } | Self::TooMuch | Self::IdleParams => Blame::Guest,
            _ => Blame::Operator,
        }
    }
}

/// An installed plugin, as it was sealed.
#[derive(Debug, Clone)]
pub struct Plugin {
    pub(crate) record: PluginRecord,
    pub(crate) summary: Summary,
}

/// What is shown of a plugin.
#[derive(Debug, Clone, Serialize)]
pub struct PluginView {
    /// Its name.
    pub name: PluginName,
    /// Its bytes' SHA-256.
    pub digest: Digest,
    /// What they are.
    pub format: Format,
    /// How many.
    pub size: u64,
    /// Since when these bytes are installed.
    pub installed_at: Timestamp,
    /// The bytes that `rollback` goes back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// Who signed its bytes, and whether they are revoked.
    pub signature: SignatureView,
    /// What it says of itself.
    #[serde(flatten)]
    pub summary: Value,
    /// Its functions that assistants are shown as tools.
    pub exposed: Vec<String>,
}

impl Plugin {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &PluginName {
        &self.record.name
    }

    /// Its bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.record.digest
    }

    /// What it says of itself.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Where its bytes came from, as it was sealed.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        // What was installed before sources were kept came from a file.
        self.summary.source.as_ref().map_or(Provenance::FILE, Provenance::from)
    }

    fn view(&self, previous: Option<Digest>, exposed: Vec<String>, signature: SignatureView) -> PluginView {
        let record = &self.record;
        let mut summary = serde_json::to_value(&self.summary).unwrap_or_default();
        // Of use to nobody but this module.
        summary.as_object_mut().and_then(|summary| summary.remove("details"));
        // It stands with what is made of it.
        summary.as_object_mut().and_then(|summary| summary.remove("signer"));
        PluginView {
            name: record.name.clone(),
            digest: record.digest,
            format: record.format,
            size: record.size,
            installed_at: record.installed_at,
            previous,
            signature,
            summary,
            exposed,
        }
    }

    /// Its bytes as they are pinned, with one of its functions.
    pub(crate) fn stored(&self, function: &PluginFunction) -> StoredProgram {
        StoredProgram {
            name: self.name().as_str().to_owned(),
            function: (function.door == Door::Function).then(|| function.name.clone()),
            digest: self.digest(),
            format: self.record.format,
            plugin: Some(self.name().clone()),
            source: Some(self.provenance().kind),
            manifest: self.provenance().manifest,
        }
    }
}

impl Wardroom {
    /// All plugins whose rows are as they were sealed, in order of their names,
    /// and the names of the others. Nothing is compiled.
    ///
    /// # Errors
    ///
    /// [`PluginError::Db`], or [`PluginError::Seal`].
    pub fn plugins(&self) -> Result<(Vec<Plugin>, Vec<PluginName>), PluginError> {
        let records = self.db.plugins()?;
        if records.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let key = SealKey::read(&self.home.plugins_key())?;
        let (mut plugins, mut altered) = (Vec::new(), Vec::new());
        for record in records {
            let name = record.name.clone();
            match unsealed(&key, record) {
                Ok(plugin) => plugins.push(plugin),
                Err(_) => altered.push(name),
            }
        }
        Ok((plugins, altered))
    }

    /// The plugin of this name.
    ///
    /// # Errors
    ///
    /// [`PluginError::Unknown`] with a near name, [`PluginError::Altered`],
    /// [`PluginError::Seal`], or [`PluginError::Db`].
    pub fn plugin(&self, name: &str) -> Result<Plugin, PluginError> {
        let found = name.parse::<PluginName>().ok().map(|name| self.plugin_of(&name)).transpose()?.flatten();
        found.map_or_else(|| Err(self.unknown_plugin(name)), Ok)
    }

    pub(crate) fn plugin_of(&self, name: &PluginName) -> Result<Option<Plugin>, PluginError> {
        let Some(record) = self.db.plugin(name, Standing::Current)? else { return Ok(None) };
        unsealed(&SealKey::read(&self.home.plugins_key())?, record).map(Some)
    }

    pub(crate) fn unknown_plugin(&self, name: &str) -> PluginError {
        let names: Vec<String> = self.db.plugins().unwrap_or_default().iter().map(|plugin| plugin.name.to_string()).collect();
        let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
        PluginError::Unknown { name: name.to_owned(), near }
    }

    /// A plugin's functions, with their schemas, and its WIT.
    ///
    /// # Errors
    ///
    /// [`PluginError::Altered`], or [`PluginError::Db`].
    pub fn plugin_functions(&self, plugin: &Plugin) -> Result<(Vec<PluginFunction>, Option<String>), PluginError> {
        let altered = || PluginError::Altered(plugin.name().clone());
        let details = self.db.plugin_details(plugin.name(), plugin.digest())?;
        let details = details.filter(|details| details_hash(details) == plugin.summary.details).ok_or_else(altered)?;
        Ok((serde_json::from_str(&details.functions).map_err(|_| altered())?, details.wit))
    }

    /// What is shown of a plugin.
    ///
    /// # Errors
    ///
    /// [`PluginError::Trust`] where nobody can tell who is trusted, [`PluginError::Db`].
    pub fn plugin_view(&self, plugin: &Plugin) -> Result<PluginView, PluginError> {
        let views = self.plugin_views(std::slice::from_ref(plugin))?;
        views.into_iter().next().ok_or_else(|| self.unknown_plugin(plugin.name().as_str()))
    }

    /// The same of all of them.
    ///
    /// # Errors
    ///
    /// As [`plugin_view`](Self::plugin_view).
    pub fn plugin_views(&self, plugins: &[Plugin]) -> Result<Vec<PluginView>, PluginError> {
        let (exposed, previous, lists) = (self.db.exposed_functions()?, self.db.previous_plugins()?, self.trust_lists()?);
        let of = |plugin: &Plugin| {
            let own = exposed.iter().filter(|found| found.plugin == *plugin.name()).map(|found| found.function.clone());
            let before = previous.iter().find(|(name, _)| name == plugin.name()).map(|(_, digest)| *digest);
            let signature = self.signer_view(&lists, plugin.digest(), plugin.summary.signer, plugin.provenance());
            plugin.view(before, own.collect(), signature)
        };
        Ok(plugins.iter().map(of).collect())
    }

    /// Looks at a plugin's row, bytes and functions again: what is kept of it is
    /// what its bytes say. It is prepared anew where the cache does not have it.
    ///
    /// # Errors
    ///
    /// [`PluginError`] says what is not as it was installed.
    pub async fn verify_plugin(&self, name: &PluginName) -> Result<(), PluginError> {
        let plugin = self.plugin(name.as_str())?;
        let (functions, _) = self.plugin_functions(&plugin)?;
        let Some(first) = functions.first() else { return Err(PluginError::Altered(name.clone())) };
        let program = self.components().load(&plugin.stored(first))?;
        let (admitted, signer) = self.admit_plugin(program, plugin.provenance())?;
        let program = admitted.program();
        let (summary, _) = self.describe_plugin(name, program).await?;
        // Another build may word what it found in another way; what counts is
        // what can be called and what is asked for.
        let same = summary.requests == plugin.summary.requests && summary.functions == plugin.summary.functions;
        let same = same && signer == plugin.summary.signer;
        if same && program.bytes.len() as u64 == plugin.record.size { Ok(()) } else { Err(PluginError::Altered(name.clone())) }
    }
}

fn unsealed(key: &SealKey, record: PluginRecord) -> Result<Plugin, PluginError> {
    let altered = || PluginError::Altered(record.name.clone());
    let summary: Summary = serde_json::from_str(&record.summary).map_err(|_| altered())?;
    if !holds(key, &record, &summary.details) {
        return Err(altered());
    }
    Ok(Plugin { record, summary })
}
