//! Installing, upgrading, going back and removing: everything that can be judged
//! is judged first, then bytes are stored, then one transaction says so.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use wardroom_core::id::Digest;
use wardroom_core::manifest::Manifest;
use wardroom_core::plugin::{PluginName, PluginSource};
use wardroom_db::{Keeping, PluginChange, PluginRecord, Standing};

use super::metadata::Examined;
use super::offer::{Accepted, Offer};
use super::seal::seal;
use super::{Plugin, PluginError, PluginFunction, RequestView, Summary, unsealed};
use crate::audit::{self, event};
use crate::execution::changed::Changed;
use crate::seal::SealKey;
use crate::task::definition::Task;
use crate::template;
use crate::trust::{Provenance, SignatureState};
use crate::wardroom::Wardroom;

/// How two versions of a plugin differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Functions that the new one has and the old did not.
    pub added: Vec<String>,
    /// Functions that are gone.
    pub removed: Vec<String>,
    /// Functions that take or give something else.
    pub changed: Vec<String>,
    /// What the new one asks for and the old did not.
    pub requested: Vec<RequestView>,
    /// What it asks for no more.
    pub dropped: Vec<RequestView>,
    /// The old one had a manifest, and the new one has none.
    pub is_undeclared_now: bool,
    /// Whose trusted signature the old one had, where the new one has it not.
    pub signer_gone: Option<String>,
    /// Where the old one came from, where that was another kind of place.
    pub source_before: Option<PluginSource>,
}

impl Difference {
    /// The new one asks for more: without a manifest it asks for whatever is
    /// granted.
    #[must_use]
    pub fn asks_for_more(&self) -> bool {
        !self.requested.is_empty() || self.is_undeclared_now
    }
}

/// Who said that other bytes may keep what the old ones were granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// A person, by putting them there at a terminal.
    Operator,
    /// The key that signed the old ones, which is trusted.
    Signer,
}

/// A plugin that has other bytes now.
#[derive(Debug)]
pub struct Upgraded {
    /// As it is now.
    pub plugin: Plugin,
    /// The bytes that it had.
    pub before: Digest,
    /// How it differs from what it was.
    pub difference: Difference,
    /// It keeps its grants and stays exposed.
    pub keeps_grants: bool,
    /// Who said that it may, whether or not that was enough.
    pub consent: Option<Consent>,
    /// Functions that were exposed before and are no more.
    pub unexposed: Vec<String>,
}

impl Wardroom {
    /// Installs a program under a name: that which is said, or its manifest's, or
    /// its file's.
    ///
    /// # Errors
    ///
    /// [`PluginError`] says why it cannot be installed; nothing is changed then.
    pub async fn install_plugin(&self, offer: Offer, name: Option<&str>) -> Result<Plugin, PluginError> {
        let offer = self.accept(offer)?;
        let manifest = self.manifest(offer.program()).await?;
        let own = manifest.and_then(|manifest| manifest.name);
        let name = plugin_name(&offer.source, name, own.as_deref())?;
        if template::of_path(Path::new(name.as_str())).is_some() {
            return Err(PluginError::Template(name));
        }
        if self.db.plugin(&name, Standing::Current)?.is_some() {
            return Err(PluginError::Exists(name));
        }
        let examined = self.examine(&name, &offer).await?;
        let record = self.stage(&name, &offer, &examined)?;
        let detail = json!({ "digest": record.digest.to_string(), "size": record.size, "from": offer.source.kind().name() });
        let events = self.audited(|| audit::by_asker(record.installed_at, event::PLUGIN_INSTALLED, name.as_str(), detail))?;
        let changed = self.db.install_plugin(record.clone(), examined.details, events).await?;
        done(changed, &name)?;
        // What an installation left that did not come to its end.
        drop(self.sweep_components());
        Ok(Plugin { record, summary: examined.summary })
    }

    /// Gives a plugin other bytes. Its grants and what is exposed of it stay
    /// only where a person said so at a terminal, or the trusted key that signed the
    /// old bytes signed the next version; where nothing more is asked for, and no
    /// trusted signature is gone.
    ///
    /// # Errors
    ///
    /// [`PluginError`] says why it cannot be; nothing is changed then.
    pub async fn upgrade_plugin(&self, name: &str, offer: Offer, is_at_terminal: bool) -> Result<Upgraded, PluginError> {
        let old = self.plugin(name)?;
        let name = old.name().clone();
        if offer.program.digest == old.digest() {
            return Err(PluginError::Same { name, digest: offer.program.digest });
        }
        let offer = self.accept(offer)?;
        let examined = self.examine(&name, &offer).await?;
        let record = self.stage(&name, &offer, &examined)?;
        let (old_functions, _) = self.plugin_functions(&old)?;
        let new_functions: Vec<PluginFunction> =
            serde_json::from_str(&examined.details.functions).map_err(|_| PluginError::Altered(name.clone()))?;
        let mut difference = difference((&old.summary, &old_functions), (&examined.summary, &new_functions));
        difference.signer_gone = self.signer_gone(&old, &offer)?;
        let consent = if is_at_terminal { Some(Consent::Operator) } else { self.signers_consent(&old, &offer).await? };
        let keeps_grants = consent.is_some() && !difference.asks_for_more() && difference.signer_gone.is_none();
        let callable = new_functions.iter().filter(|function| function.unsupported.is_none()).map(|function| function.name.clone());
        let keeping = if keeps_grants { Keeping::Grants(callable.collect()) } else { Keeping::Nothing };
        let exposed = self.exposed_of(&name)?;
        let detail = json!({
            "digest": record.digest.to_string(), "before": old.digest().to_string(), "keeps_grants": keeps_grants,
            "from": offer.source.kind().name(), "consent": consent,
        });
        let events = self.audited(|| audit::by_asker(record.installed_at, event::PLUGIN_UPGRADED, name.as_str(), detail))?;
        let changed = self.db.replace_plugin(old.digest(), record.clone(), examined.details, keeping, events).await?;
        done(changed, &name)?;
        drop(self.sweep_components());
        self.tell_changed(&[Changed::Tools]).await;
        let now = self.exposed_of(&name)?;
        let unexposed = exposed.into_iter().filter(|function| !now.contains(function)).collect();
        let plugin = Plugin { record, summary: examined.summary };
        Ok(Upgraded { plugin, before: old.digest(), difference, keeps_grants, consent, unexposed })
    }

    /// Gives a plugin back the bytes that it had before its last upgrade, with
    /// what those were granted.
    ///
    /// # Errors
    ///
    /// [`PluginError::NothingBefore`], [`PluginError::Store`] where those bytes
    /// are gone, and what finding it says.
    pub async fn roll_back_plugin(&self, name: &str) -> Result<Plugin, PluginError> {
        let plugin = self.plugin(name)?;
        let name = plugin.name().clone();
        let before = self.db.plugin(&name, Standing::Previous)?.ok_or_else(|| PluginError::NothingBefore(name.clone()))?;
        let before = unsealed(&SealKey::read(&self.home.plugins_key())?, before)?;
        let (functions, _) = self.plugin_functions(&before)?;
        if let Some(function) = functions.first() {
            let program = self.components().load(&before.stored(function))?;
            drop(self.admit_plugin(program, before.provenance())?);
        }
        let detail = json!({ "digest": before.digest().to_string(), "before": plugin.digest().to_string() });
        let events = self.audited(|| audit::by_asker(self.clock.now(), event::PLUGIN_ROLLED_BACK, name.as_str(), detail))?;
        let changed = self.db.roll_back_plugin(&name, plugin.digest(), events).await?;
        done(changed, &name)?;
        self.tell_changed(&[Changed::Tools]).await;
        Ok(before)
    }

    /// Removes a plugin with its grants and its state, unless tasks run it. Also
    /// one whose row is altered.
    ///
    /// # Errors
    ///
    /// [`PluginError::Unknown`], [`PluginError::InUse`] with the tasks, or
    /// [`PluginError::Db`].
    pub async fn remove_plugin(&self, name: &str) -> Result<(), PluginError> {
        let parsed = name.parse::<PluginName>().map_err(|_| self.unknown_plugin(name))?;
        let uses = |task: &Task| task.definition.program.plugin.as_ref() == Some(&parsed);
        let tasks = self.db.tasks()?.into_iter().filter_map(|record| Task::read(record).ok());
        let tasks: Vec<String> = tasks.filter(uses).map(|task| task.name().to_string()).collect();
        if !tasks.is_empty() {
            return Err(PluginError::InUse { name: parsed, tasks });
        }
        let events = self.audited(|| audit::by_asker(self.clock.now(), event::PLUGIN_REMOVED, name, json!({})))?;
        match self.db.remove_plugin(&parsed, events).await? {
            PluginChange::Missing => Err(self.unknown_plugin(name)),
            changed => {
                drop(self.sweep_components());
                self.tell_changed(&[Changed::Tools]).await;
                done(changed, &parsed)
            }
        }
    }

    /// The key that signed the old bytes signed the new, and is trusted, and the new
    /// are the next version of the same program: a key says nothing for whatever else
    /// it ever signed. Bytes that are not there any more, or are others, were signed by
    /// nobody; of what is revoked nothing is taken over.
    async fn signers_consent(&self, old: &Plugin, new: &Accepted) -> Result<Option<Consent>, PluginError> {
        let (functions, _) = self.plugin_functions(old)?;
        let Some(Ok(before)) = functions.first().map(|function| self.components().load(&old.stored(function))) else { return Ok(None) };
        let is_revoked = self.plugin_view(old)?.signature.revoked.is_some();
        if is_revoked || !self.has_same_signer(&before, new.program())? {
            return Ok(None);
        }
        let (was, is) = (self.manifest(&before).await?, self.manifest(new.program()).await?);
        Ok(was.zip(is).is_some_and(|(was, is)| follows(&was, &is)).then_some(Consent::Signer))
    }

    /// Whose trusted signature the old bytes had, where the new have none by that key.
    fn signer_gone(&self, old: &Plugin, new: &Accepted) -> Result<Option<String>, PluginError> {
        let SignatureState::Trusted { signer, name } = self.plugin_view(old)?.signature.signature else { return Ok(None) };
        let now = self.signature_view(new.program(), Provenance::from(&new.source))?.signature;
        let is_same = matches!(now, SignatureState::Trusted { signer: now, .. } if now == signer);
        Ok((!is_same).then_some(name))
    }

    /// Stores the bytes, and answers the row that will say so.
    fn stage(&self, name: &PluginName, offer: &Accepted, examined: &Examined) -> Result<PluginRecord, PluginError> {
        let key = SealKey::read_or_make(&self.home.plugins_key())?;
        let program = offer.program();
        self.components().put(program)?;
        let record = PluginRecord {
            name: name.clone(),
            digest: program.digest,
            format: program.format,
            size: program.bytes.len() as u64,
            installed_at: self.clock.now(),
            summary: serde_json::to_string(&examined.summary).map_err(|_| PluginError::TooMuch)?,
            seal: String::new(),
        };
        Ok(PluginRecord { seal: seal(&key, &record, &examined.summary.details), ..record })
    }
}

fn done(change: PluginChange, name: &PluginName) -> Result<(), PluginError> {
    match change {
        PluginChange::Done => Ok(()),
        PluginChange::NameTaken => Err(PluginError::Exists(name.clone())),
        PluginChange::Full => Err(PluginError::Full),
        PluginChange::Missing | PluginChange::Changed => Err(PluginError::Changed(name.clone())),
    }
}

/// The same program by its name, in a version that is not lower. Of what names
/// neither nobody can tell.
fn follows(was: &Manifest, is: &Manifest) -> bool {
    let version = |manifest: &Manifest| manifest.version.as_deref().and_then(|text| semver::Version::parse(text).ok());
    let rises = version(was).zip(version(is)).is_some_and(|(was, is)| is >= was);
    rises && was.name.is_some() && was.name == is.name
}

/// That which is said, or the manifest's, or its file's without the ending.
fn plugin_name(source: &PluginSource, said: Option<&str>, own: Option<&str>) -> Result<PluginName, PluginError> {
    if let Some(said) = said {
        return Ok(said.parse()?);
    }
    let stem = source.file_name().file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    own.unwrap_or(&stem).parse().map_err(|why| PluginError::NoName { from: Box::new(source.clone()), source: why })
}

fn difference(old: (&Summary, &[PluginFunction]), new: (&Summary, &[PluginFunction])) -> Difference {
    let find = |functions: &[PluginFunction], name: &str| functions.iter().find(|function| function.name == name).cloned();
    let names = |from: &[PluginFunction], other: &[PluginFunction]| {
        let missing = from.iter().filter(|function| find(other, &function.name).is_none());
        missing.map(|function| function.name.clone()).collect()
    };
    let requests = |from: &Summary, other: &Summary| {
        let asks =
            |request: &RequestView| other.requests.iter().any(|own| own.capability == request.capability && own.scope == request.scope);
        from.requests.iter().filter(|request| !asks(request)).cloned().collect()
    };
    let is_changed = |function: &&PluginFunction| {
        find(old.1, &function.name).is_some_and(|old| (&old.params, &old.result) != (&function.params, &function.result))
    };
    Difference {
        added: names(new.1, old.1),
        removed: names(old.1, new.1),
        changed: new.1.iter().filter(is_changed).map(|function| function.name.clone()).collect(),
        requested: requests(new.0, old.0),
        dropped: requests(old.0, new.0),
        is_undeclared_now: old.0.is_declared && !new.0.is_declared,
        signer_gone: None,
        source_before: old.0.source.clone().filter(|before| new.0.source.as_ref().is_some_and(|now| now.kind() != before.kind())),
    }
}
