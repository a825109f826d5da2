//! What is here of bytes that are to be revoked: whom a revocation stops.

use serde::Serialize;
use wardroom_core::id::Digest;
use wardroom_db::{DbError, PluginRecord, Standing};

use super::Provenance;
use crate::plugin::Summary;
use crate::task::definition::Task;
use crate::wardroom::Wardroom;

/// What has bytes, by their own digest or that of a registry's manifest.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Uses {
    /// Plugins that have them now, in order of their names.
    pub plugins: Vec<String>,
    /// Plugins that had them before their last upgrade, and would by `rollback`.
    pub previous: Vec<String>,
    /// Tasks that pin them, in order of their names.
    pub tasks: Vec<String>,
}

impl Uses {
    /// As a list in a sentence; none where there is nothing.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let plugins = self.plugins.iter().map(|name| format!("the plugin {name}"));
        let previous = self.previous.iter().map(|name| format!("the plugin {name} as it was before its last upgrade"));
        let tasks = self.tasks.iter().map(|name| format!("the task {name}"));
        let all: Vec<String> = plugins.chain(previous).chain(tasks).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

impl Wardroom {
    /// What a revocation of this digest stops. Rows are taken as they stand: this is
    /// to be told, and decides nothing.
    ///
    /// # Errors
    ///
    /// Those of reading the database.
    pub fn uses_of(&self, digest: Digest) -> Result<Uses, DbError> {
        let mut uses = Uses::default();
        for record in self.db.plugins()? {
            if let Some(before) = self.db.plugin(&record.name, Standing::Previous)?.filter(|before| is_known_by(before, digest)) {
                uses.previous.push(before.name.to_string());
            }
            if is_known_by(&record, digest) {
                uses.plugins.push(record.name.to_string());
            }
        }
        let tasks = self.db.tasks()?.into_iter().filter_map(|record| Task::read(record).ok());
        let pins = |task: &Task| task.definition.program.digest == digest || task.definition.program.manifest == Some(digest);
        uses.tasks = tasks.filter(pins).map(|task| task.name().to_string()).collect();
        uses.tasks.sort_unstable();
        Ok(uses)
    }
}

fn is_known_by(record: &PluginRecord, digest: Digest) -> bool {
    let source = || serde_json::from_str::<Summary>(&record.summary).ok()?.source;
    record.digest == digest || source().is_some_and(|source| Provenance::from(&source).manifest == Some(digest))
}
