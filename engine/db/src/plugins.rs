//! Plugins: what a person installed under a name, what it was before the last
//! upgrade, and which of its functions are exposed.
//!
//! What a summary or a function says is for the use cases to read; here they are
//! texts. A change names the bytes that it was made from, so that of two at once
//! one is told. Grants and state of a plugin's functions hang on subjects that
//! begin with its name and a dot; they go with it.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use wardroom_core::clock::Timestamp;
use wardroom_core::id::Digest;
use wardroom_core::limit::MAX_PLUGINS;
use wardroom_core::plugin::PluginName;
use wardroom_core::program::Format;

use crate::column::{count, integer, parsed, plain, time, word};
use crate::executions::is_unique_violation;
use crate::grants::insert_grants;
use crate::writer::{Answer, Effect};
use crate::{AuditEvent, Database, DbError, NewGrant};

/// What a plugin is, without its functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRecord {
    /// Its name.
    pub name: PluginName,
    /// Its bytes.
    pub digest: Digest,
    /// What they are.
    pub format: Format,
    /// How many.
    pub size: u64,
    /// Since when these bytes are installed.
    pub installed_at: Timestamp,
    /// What is shown of it in lists, as JSON.
    pub summary: String,
    /// The keyed hash over the row.
    pub seal: String,
}

/// What is kept of a plugin beside that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginDetails {
    /// Its functions with their schemas, as JSON.
    pub functions: String,
    /// Its world in WIT.
    pub wit: Option<String>,
}

/// Which of a plugin's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The one that runs.
    Current,
    /// The one before it.
    Previous,
}

impl Standing {
    const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// A function that assistants are shown as a tool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposedFunction {
    /// Whose.
    pub plugin: PluginName,
    /// Which.
    pub function: String,
}

/// How a change of a plugin ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PluginChange {
    /// It is done.
    Done,
    /// There is no such plugin, or nothing to go back to.
    Missing,
    /// There is one of that name.
    NameTaken,
    /// The plugin is not as it was read.
    Changed,
    /// There are as many as there may be.
    Full,
}

impl Effect for PluginChange {
    fn is_change(&self) -> bool {
        *self == Self::Done
    }
}

/// What other bytes under the same name keep of what the old ones had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// Nothing: it is asked for again.
    Nothing,
    /// The grants, and of what was exposed these functions.
    Grants(Vec<String>),
}

impl Database {
    /// All plugins, in order of their names.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn plugins(&self) -> Result<Vec<PluginRecord>, DbError> {
        const PLUGINS: &str = "
            SELECT name, digest, format, size, installed_ms, seal, summary
            FROM plugins WHERE standing = 'current' ORDER BY name";
        self.read(|connection| connection.prepare_cached(PLUGINS)?.query_and_then([], record)?.collect())
    }

    /// One version of a plugin.
    ///
    /// # Errors
    ///
    /// As [`plugins`](Self::plugins).
    pub fn plugin(&self, name: &PluginName, standing: Standing) -> Result<Option<PluginRecord>, DbError> {
        self.read(|connection| found(connection, name, standing))
    }

    /// A plugin's functions and WIT, of the version with these bytes.
    ///
    /// # Errors
    ///
    /// As [`plugins`](Self::plugins).
    pub fn plugin_details(&self, name: &PluginName, digest: Digest) -> Result<Option<PluginDetails>, DbError> {
        const DETAILS: &str = "
            SELECT functions, wit FROM plugins WHERE name = ? AND digest = ?";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(DETAILS)?;
            let mut rows = statement.query_and_then(params![name.as_str(), digest.to_string()], |row| {
                Ok(PluginDetails { functions: plain(row, "functions")?, wit: plain(row, "wit")? })
            })?;
            rows.next().transpose()
        })
    }

    /// The bytes that plugins had before their last upgrade.
    ///
    /// # Errors
    ///
    /// As [`plugins`](Self::plugins).
    pub fn previous_plugins(&self) -> Result<Vec<(PluginName, Digest)>, DbError> {
        const PREVIOUS: &str = "
            SELECT name, digest FROM plugins WHERE standing = 'previous'";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(PREVIOUS)?;
            statement.query_and_then([], |row| Ok((parsed(row, "name")?, parsed(row, "digest")?)))?.collect()
        })
    }

    /// The bytes that plugins pin, those before the last upgrade too.
    ///
    /// # Errors
    ///
    /// As [`plugins`](Self::plugins).
    pub fn plugin_bytes(&self) -> Result<Vec<(Digest, Format)>, DbError> {
        const BYTES: &str = "
            SELECT digest, format FROM plugins";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(BYTES)?;
            statement.query_and_then([], |row| Ok((parsed(row, "digest")?, word(row, "format")?)))?.collect()
        })
    }

    /// The functions that are exposed with the bytes that they have now, in order
    /// of their names.
    ///
    /// # Errors
    ///
    /// As [`plugins`](Self::plugins).
    pub fn exposed_functions(&self) -> Result<Vec<ExposedFunction>, DbError> {
        const EXPOSED: &str = "
            SELECT exposed_functions.plugin, exposed_functions.function
            FROM exposed_functions JOIN plugins
                ON plugins.name = exposed_functions.plugin AND plugins.standing = 'current'
                    AND plugins.digest = exposed_functions.digest
            ORDER BY exposed_functions.plugin, exposed_functions.function";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(EXPOSED)?;
            let rows = statement
                .query_and_then([], |row| Ok(ExposedFunction { plugin: parsed(row, "plugin")?, function: plain(row, "function")? }))?;
            rows.collect()
        })
    }

    /// The functions of one plugin that are exposed with the bytes that it has now,
    /// and the seal of its row.
    ///
    /// # Errors
    ///
    /// As [`plugins`](Self::plugins).
    pub fn exposed_of(&self, plugin: &PluginName) -> Result<Arc<[(String, String)]>, DbError> {
        const EXPOSED: &str = "
            SELECT exposed_functions.function, plugins.seal
            FROM exposed_functions JOIN plugins
                ON plugins.name = exposed_functions.plugin AND plugins.standing = 'current'
                    AND plugins.digest = exposed_functions.digest
            WHERE exposed_functions.plugin = ?
            ORDER BY exposed_functions.function";
        self.remembered(&self.known.exposed, plugin.as_str().to_owned(), || {
            self.read(|connection| {
                let mut statement = connection.prepare_cached(EXPOSED)?;
                statement.query_and_then([plugin.as_str()], |row| Ok((plain(row, "function")?, plain(row, "seal")?)))?.collect()
            })
        })
    }

    /// Installs a plugin under a name that nothing has. The events are recorded
    /// with it.
    pub fn install_plugin(&self, record: PluginRecord, details: PluginDetails, events: Vec<AuditEvent>) -> Answer<PluginChange> {
        const COUNT: &str = "
            SELECT COUNT(*) AS plugins FROM plugins WHERE standing = 'current'";
        self.write_audited(events, move |connection| {
            let installed: i64 = connection.prepare_cached(COUNT)?.query_row([], |row| row.get(0))?;
            if installed.unsigned_abs() >= MAX_PLUGINS {
                return Ok(PluginChange::Full);
            }
            match insert(connection, &record, &details) {
                Ok(()) => Ok(PluginChange::Done),
                Err(error) if is_unique_violation(&error) => Ok(PluginChange::NameTaken),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Gives a plugin other bytes; those that it had become those before, and
    /// what was before them is forgotten with its grants. The events are recorded
    /// with it.
    pub fn replace_plugin(
        &self,
        seen: Digest,
        record: PluginRecord,
        details: PluginDetails,
        keeping: Keeping,
        events: Vec<AuditEvent>,
    ) -> Answer<PluginChange> {
        self.write_audited(events, move |connection| {
            let name = &record.name;
            let standing = standing(connection, name, seen)?;
            if standing != PluginChange::Done {
                return Ok(standing);
            }
            move_on(connection, name)?;
            insert(connection, &record, &details)?;
            match &keeping {
                // What the new bytes were granted once, too.
                Keeping::Nothing => forget_others(connection, name, &[seen])?,
                Keeping::Grants(functions) => {
                    forget_others(connection, name, &[seen, record.digest])?;
                    keep(connection, &record, seen, functions)?;
                }
            }
            Ok(PluginChange::Done)
        })
    }

    /// Gives a plugin back the bytes that it had before, with what those had; a
    /// second time undoes the first. The events are recorded with it.
    pub fn roll_back_plugin(&self, name: &PluginName, seen: Digest, events: Vec<AuditEvent>) -> Answer<PluginChange> {
        const SWAP: [&str; 3] = [
            "UPDATE plugins SET name = '-' || name WHERE name = ? AND standing = 'previous'",
            "UPDATE plugins SET standing = 'previous' WHERE name = ? AND standing = 'current'",
            "UPDATE plugins SET name = ?1, standing = 'current' WHERE name = '-' || ?1 AND standing = 'previous'",
        ];
        let name = name.clone();
        self.write_audited(events, move |connection| {
            let standing = standing(connection, &name, seen)?;
            if standing != PluginChange::Done {
                return Ok(standing);
            }
            if found(connection, &name, Standing::Previous)?.is_none() {
                return Ok(PluginChange::Missing);
            }
            for step in SWAP {
                connection.prepare_cached(step)?.execute([name.as_str()])?;
            }
            Ok(PluginChange::Done)
        })
    }

    /// Removes a plugin with all that hangs on its functions. The events are
    /// recorded with it.
    pub fn remove_plugin(&self, name: &PluginName, events: Vec<AuditEvent>) -> Answer<PluginChange> {
        const REMOVE: &str = "
            DELETE FROM plugins WHERE name = ?";
        let name = name.clone();
        self.write_audited(events, move |connection| {
            if connection.prepare_cached(REMOVE)?.execute([name.as_str()])? == 0 {
                return Ok(PluginChange::Missing);
            }
            forget_others(connection, &name, &[])?;
            for [from, until] in subjects(&name) {
                connection.prepare_cached("DELETE FROM state WHERE subject > ? AND subject < ?")?.execute([&from, &until])?;
                // Whoever may call them may not call what is installed under this name next.
                connection.prepare_cached("DELETE FROM grants WHERE callee > ? AND callee < ?")?.execute([&from, &until])?;
            }
            Ok(PluginChange::Done)
        })
    }

    /// Exposes functions of a plugin as it is, each with what it is granted from
    /// now on beside what it was. The events are recorded with it.
    pub fn expose_functions(
        &self,
        plugin: &PluginName,
        seen: Digest,
        functions: Vec<(String, Vec<NewGrant>)>,
        now: Timestamp,
        events: Vec<AuditEvent>,
    ) -> Answer<PluginChange> {
        const EXPOSE: &str = "
            INSERT INTO exposed_functions (plugin, function, digest, exposed_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let plugin = plugin.clone();
        self.write_audited(events, move |connection| {
            let standing = standing(connection, &plugin, seen)?;
            if standing != PluginChange::Done {
                return Ok(standing);
            }
            for (function, grants) in &functions {
                connection.prepare_cached(EXPOSE)?.execute(params![plugin.as_str(), function, seen.to_string(), now.ms()])?;
                insert_grants(connection, &plugin.tool_subject(function), seen, grants, now)?;
            }
            Ok(PluginChange::Done)
        })
    }

    /// Exposes functions of a plugin no more, and takes from their tools what
    /// they were granted. The events are recorded with it.
    pub fn unexpose_functions(&self, plugin: &PluginName, functions: Vec<String>, events: Vec<AuditEvent>) -> Answer<PluginChange> {
        let plugin = plugin.clone();
        self.write_audited(events, move |connection| {
            let mut was_exposed = false;
            for function in &functions {
                let removed = connection
                    .prepare_cached("DELETE FROM exposed_functions WHERE plugin = ? AND function = ?")?
                    .execute(params![plugin.as_str(), function])?;
                connection.prepare_cached("DELETE FROM grants WHERE subject = ?")?.execute([plugin.tool_subject(function)])?;
                was_exposed |= removed > 0;
            }
            Ok(if was_exposed { PluginChange::Done } else { PluginChange::Missing })
        })
    }
}

fn record(row: &Row<'_>) -> Result<PluginRecord, DbError> {
    Ok(PluginRecord {
        name: parsed(row, "name")?,
        digest: parsed(row, "digest")?,
        format: word(row, "format")?,
        size: count(row, "size")?,
        installed_at: time(row, "installed_ms")?,
        summary: plain(row, "summary")?,
        seal: plain(row, "seal")?,
    })
}

fn found(connection: &Connection, name: &PluginName, standing: Standing) -> Result<Option<PluginRecord>, DbError> {
    const PLUGIN: &str = "
        SELECT name, digest, format, size, installed_ms, seal, summary FROM plugins WHERE name = ? AND standing = ?";
    connection.prepare_cached(PLUGIN)?.query_and_then([name.as_str(), standing.name()], record)?.next().transpose()
}

/// Whether a plugin still has the bytes that it was read with.
fn standing(connection: &Connection, name: &PluginName, seen: Digest) -> Result<PluginChange, DbError> {
    Ok(match found(connection, name, Standing::Current)? {
        None => PluginChange::Missing,
        Some(found) if found.digest != seen => PluginChange::Changed,
        Some(_) => PluginChange::Done,
    })
}

fn insert(connection: &Connection, record: &PluginRecord, details: &PluginDetails) -> Result<(), rusqlite::Error> {
    const INSERT: &str = "
        INSERT INTO plugins (name, standing, digest, format, size, installed_ms, seal, summary, functions, wit)
        VALUES (?, 'current', ?, ?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(INSERT)?.execute(params![
        record.name.as_str(),
        record.digest.to_string(),
        record.format.name(),
        integer(record.size),
        record.installed_at.ms(),
        record.seal,
        record.summary,
        details.functions,
        details.wit,
    ])?;
    Ok(())
}

/// What is current becomes what was before.
fn move_on(connection: &Connection, name: &PluginName) -> Result<(), DbError> {
    for step in [
        "DELETE FROM plugins WHERE name = ? AND standing = 'previous'",
        "UPDATE plugins SET standing = 'previous' WHERE name = ? AND standing = 'current'",
    ] {
        connection.prepare_cached(step)?.execute([name.as_str()])?;
    }
    Ok(())
}

/// The subjects of a plugin's functions: after the first and before the second
/// text. The character after the dot is the slash.
fn subjects(name: &PluginName) -> [[String; 2]; 2] {
    let range = |subject: String| {
        let until = format!("{}/", subject.trim_end_matches('.'));
        [subject, until]
    };
    [range(name.subject("")), range(name.tool_subject(""))]
}

/// Forgets what was granted to and exposed of bytes that are not among these.
fn forget_others(connection: &Connection, name: &PluginName, kept: &[Digest]) -> Result<(), DbError> {
    const GRANTS: &str = "
        DELETE FROM grants WHERE subject > ? AND subject < ? AND digest NOT IN (?, ?)";
    const EXPOSED: &str = "
        DELETE FROM exposed_functions WHERE plugin = ? AND digest NOT IN (?, ?)";
    let digest = |index: usize| kept.get(index).map(ToString::to_string).unwrap_or_default();
    let (first, second) = (digest(0), digest(1));
    for [from, until] in subjects(name) {
        connection.prepare_cached(GRANTS)?.execute(params![from, until, first, second])?;
    }
    connection.prepare_cached(EXPOSED)?.execute(params![name.as_str(), first, second])?;
    Ok(())
}

/// The new bytes keep what the old ones were granted, and of what was exposed
/// these functions.
fn keep(connection: &Connection, record: &PluginRecord, old: Digest, functions: &[String]) -> Result<(), DbError> {
    const GRANTS: &str = "
        INSERT INTO grants (subject, digest, capability, scope, callee, created_ms)
        SELECT subject, ?1, capability, scope, callee, ?2 FROM grants WHERE subject > ?3 AND subject < ?4 AND digest = ?5
        ON CONFLICT DO NOTHING";
    const EXPOSED: &str = "
        INSERT INTO exposed_functions (plugin, function, digest, exposed_ms)
        SELECT plugin, function, ?1, ?2 FROM exposed_functions WHERE plugin = ?3 AND function = ?4 AND digest = ?5
        ON CONFLICT DO NOTHING";
    let (digest, now, old) = (record.digest.to_string(), record.installed_at.ms(), old.to_string());
    for [from, until] in subjects(&record.name) {
        connection.prepare_cached(GRANTS)?.execute(params![digest, now, from, until, old])?;
    }
    for function in functions {
        connection.prepare_cached(EXPOSED)?.execute(params![digest, now, record.name.as_str(), function, old])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wardroom_core::capability::Capability;

    use super::*;
    use crate::testing::{Home, at};

    fn digest(n: u8) -> Digest {
        Digest::from_bytes([n; 32])
    }

    fn name(text: &str) -> PluginName {
        text.parse().unwrap()
    }

    fn row(text: &str, n: u8) -> (PluginRecord, PluginDetails) {
        let record = PluginRecord {
            name: name(text),
            digest: digest(n),
            format: Format::Component,
            size: 7,
            installed_at: at(i64::from(n)),
            summary: format!("summary {n}"),
            seal: "0".repeat(64),
        };
        (record, PluginDetails { functions: format!("functions {n}"), wit: Some("wit".to_owned()) })
    }

    #[tokio::test]
    async fn a_plugin_that_is_removed_takes_the_grants_to_call_it_along() {
        let home = Home::new();
        let database = home.open();
        let call =
            |callee: &str| NewGrant { capability: Capability::Call, scope: callee.replace("tool:", ""), callee: Some(callee.to_owned()) };
        assert_eq!(install(&database, "text", 1).await, PluginChange::Done);
        database.add_grants("task:1", digest(9), vec![call("tool:text.diff"), call("tool:texts.diff")], at(1)).await.unwrap();
        assert_eq!(database.remove_plugin(&name("text"), Vec::new()).await.unwrap(), PluginChange::Done);
        let left = database.grants("task:1", None).unwrap();
        assert_eq!(left.iter().map(|grant| grant.scope.as_str()).collect::<Vec<_>>(), ["texts.diff"]);
    }

    async fn install(database: &Database, text: &str, n: u8) -> PluginChange {
        let (record, details) = row(text, n);
        database.install_plugin(record, details, Vec::new()).await.unwrap()
    }

    async fn replace(database: &Database, text: &str, seen: u8, n: u8, keeping: Keeping) -> PluginChange {
        let (record, details) = row(text, n);
        database.replace_plugin(digest(seen), record, details, keeping, Vec::new()).await.unwrap()
    }

    fn net() -> Vec<NewGrant> {
        vec![NewGrant { capability: Capability::Net, scope: "https://a.example".to_owned(), callee: None }]
    }

    async fn expose(database: &Database, text: &str, n: u8, function: &str) -> PluginChange {
        database.expose_functions(&name(text), digest(n), vec![(function.to_owned(), net())], at(1), Vec::new()).await.unwrap()
    }

    fn exposed(database: &Database) -> Vec<String> {
        database.exposed_functions().unwrap().iter().map(|found| found.plugin.subject(&found.function)).collect()
    }

    fn granted(database: &Database, subject: &str, n: u8) -> usize {
        database.grants(subject, Some(digest(n))).unwrap().len()
    }

    #[tokio::test]
    async fn every_format_is_read_back() {
        let home = Home::new();
        let database = home.open();
        for (n, format) in [Format::Component, Format::Module, Format::JavaScript, Format::TypeScript].into_iter().enumerate() {
            let (record, details) = row(&format!("p{n}"), u8::try_from(n).unwrap());
            let record = PluginRecord { format, ..record };
            assert_eq!(database.install_plugin(record.clone(), details.clone(), Vec::new()).await.unwrap(), PluginChange::Done);
            assert_eq!(database.plugin(&record.name, Standing::Current).unwrap(), Some(record.clone()));
            assert_eq!(database.plugin_details(&record.name, record.digest).unwrap(), Some(details));
        }
        assert_eq!((database.plugins().unwrap().len(), database.plugin_bytes().unwrap().len()), (4, 4));
    }

    #[tokio::test]
    async fn a_name_has_one_plugin_and_the_folder_so_many() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(install(&database, "a", 1).await, PluginChange::Done);
        assert_eq!(install(&database, "a", 2).await, PluginChange::NameTaken);
        home.tamper(&format!(
            "INSERT INTO plugins SELECT 'b' || value, 'current', digest, format, size, installed_ms, seal, summary, functions, wit
             FROM plugins, (WITH RECURSIVE n(value) AS (SELECT 2 UNION ALL SELECT value + 1 FROM n WHERE value < {MAX_PLUGINS}) SELECT value FROM n)"
        ));
        assert_eq!(install(&database, "z", 3).await, PluginChange::Full);
    }

    #[tokio::test]
    async fn other_bytes_keep_grants_only_where_that_is_said() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(install(&database, "a", 1).await, PluginChange::Done);
        assert_eq!(install(&database, "ab", 9).await, PluginChange::Done);
        assert_eq!(expose(&database, "a", 1, "f").await, PluginChange::Done);
        assert_eq!(expose(&database, "ab", 9, "f").await, PluginChange::Done);
        assert_eq!(expose(&database, "a", 2, "f").await, PluginChange::Changed, "those bytes are not there");
        database.add_grants("a.f", digest(1), net(), at(1)).await.unwrap();

        assert_eq!(replace(&database, "a", 1, 2, Keeping::Nothing).await, PluginChange::Done);
        assert_eq!(exposed(&database), ["ab.f"]);
        assert_eq!((granted(&database, "tool:a.f", 2), granted(&database, "tool:a.f", 1)), (0, 1));

        assert_eq!(database.roll_back_plugin(&name("a"), digest(2), Vec::new()).await.unwrap(), PluginChange::Done);
        assert_eq!(exposed(&database), ["a.f", "ab.f"], "those bytes were exposed");
        assert_eq!(database.plugin(&name("a"), Standing::Previous).unwrap().unwrap().digest, digest(2));

        assert_eq!(replace(&database, "a", 1, 3, Keeping::Grants(vec!["f".to_owned()])).await, PluginChange::Done);
        assert_eq!(exposed(&database), ["a.f", "ab.f"]);
        assert_eq!((granted(&database, "tool:a.f", 3), granted(&database, "a.f", 3)), (1, 1));
        assert_eq!(replace(&database, "a", 3, 4, Keeping::Grants(Vec::new())).await, PluginChange::Done);
        assert_eq!((granted(&database, "a.f", 1), granted(&database, "a.f", 3), granted(&database, "a.f", 4)), (0, 1, 1));
        assert_eq!(exposed(&database), ["ab.f"], "a function that is gone is exposed no more");
        assert_eq!(granted(&database, "tool:ab.f", 9), 1, "a namesake's beginning is another plugin");
    }

    #[tokio::test]
    async fn a_kept_grant_to_call_keeps_what_it_meant() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(install(&database, "a", 1).await, PluginChange::Done);
        let call = NewGrant { capability: Capability::Call, scope: "t".to_owned(), callee: Some("task:x".to_owned()) };
        database.add_grants("a.f", digest(1), vec![call], at(1)).await.unwrap();
        assert_eq!(replace(&database, "a", 1, 2, Keeping::Grants(Vec::new())).await, PluginChange::Done);
        assert_eq!(database.grants("a.f", Some(digest(2))).unwrap()[0].callee.as_deref(), Some("task:x"));
    }

    #[tokio::test]
    async fn of_two_changes_at_once_one_is_told() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(install(&database, "a", 1).await, PluginChange::Done);
        assert_eq!(database.roll_back_plugin(&name("a"), digest(1), Vec::new()).await.unwrap(), PluginChange::Missing);
        assert_eq!(replace(&database, "a", 1, 2, Keeping::Nothing).await, PluginChange::Done);
        assert_eq!(replace(&database, "a", 1, 3, Keeping::Nothing).await, PluginChange::Changed);
        assert_eq!(database.roll_back_plugin(&name("a"), digest(1), Vec::new()).await.unwrap(), PluginChange::Changed);
        assert_eq!(replace(&database, "b", 1, 3, Keeping::Nothing).await, PluginChange::Missing);
    }

    #[tokio::test]
    async fn a_plugin_goes_with_all_that_hangs_on_it() {
        let home = Home::new();
        let database = home.open();
        for plugin in ["a", "ab"] {
            assert_eq!(install(&database, plugin, 1).await, PluginChange::Done);
            assert_eq!(expose(&database, plugin, 1, "f").await, PluginChange::Done);
            database.add_grants(&format!("{plugin}.f"), digest(1), net(), at(1)).await.unwrap();
            home.tamper(&format!("INSERT INTO state (subject, key, value) VALUES ('{plugin}.f', 'k', 'v'), ('tool:{plugin}.f', 'k', 'v')"));
        }
        assert_eq!(database.remove_plugin(&name("a"), Vec::new()).await.unwrap(), PluginChange::Done);
        assert_eq!(database.remove_plugin(&name("a"), Vec::new()).await.unwrap(), PluginChange::Missing);
        for subject in ["a.f", "tool:a.f"] {
            assert_eq!((granted(&database, subject, 1), database.state(subject).unwrap().len()), (0, 0), "{subject}");
        }
        for subject in ["ab.f", "tool:ab.f"] {
            assert_eq!((granted(&database, subject, 1), database.state(subject).unwrap().len()), (1, 1), "{subject}");
        }
        assert_eq!(exposed(&database), ["ab.f"]);
        assert_eq!(database.unexpose_functions(&name("ab"), vec!["f".to_owned()], Vec::new()).await.unwrap(), PluginChange::Done);
        assert_eq!((exposed(&database).len(), granted(&database, "tool:ab.f", 1), granted(&database, "ab.f", 1)), (0, 0, 1));
    }
}
