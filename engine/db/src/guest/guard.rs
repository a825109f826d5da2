//! What a program's SQL may do to a database that it was granted, and nothing
//! else: a list of what is allowed, asked for each action as SQLite compiles a
//! statement, inside triggers and views too.
//!
//! Not allowed to anybody:
//!
//! - other files: `ATTACH` (and `VACUUM`, which attaches), `DETACH`,
//!   `load_extension`, virtual tables of the program's own making;
//! - what outlives the statement or waits for another one: transactions and
//!   savepoints (a call is one), temporary tables, which would go with the call;
//! - settings: all but a few `PRAGMA`s, which only tell.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A query, or a copy.
    Reading,
    /// A transaction.
    Writing,
}

/// `PRAGMA`s that tell about a table, an index or the whole database. With an
/// argument they tell about it; none of them has an effect.
const TELLING: [&str; 13] = [
    "collation_list",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];
/// `PRAGMA`s that tell when they stand alone; with a value they set something.
const ALONE: [&str; 12] = [
    "application_id",
    "auto_vacuum",
    "data_version",
    "encoding",
    "foreign_keys",
    "freelist_count",
    "journal_mode",
    "max_page_count",
    "page_count",
    "page_size",
    "schema_version",
    "user_version",
];
/// Of these, those that whoever may write may set: numbers that mean nothing to
/// SQLite, in which applications keep the version of their tables.
const SETTABLE: [&str; 2] = ["application_id", "user_version"];
/// Functions that reach out of the database, or into its own machinery.
const FORBIDDEN: [&str; 2] = ["load_extension", "fts3_tokenizer"];

/// What was refused first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// A change, where the connection is for reading.
    Change,
    /// Something that nobody may do; what.
    Never(String),
}

/// Remembers why a statement was refused: SQLite says only that it was.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard(Arc<Mutex<Option<Refused>>>);

impl Guard {
    /// Judges one action.
    pub(super) fn judge(&self, purpose: Use, context: &AuthContext<'_>) -> Authorization {
        match refused(purpose, &context.action) {
            None => Authorization::Allow,
            Some(refused) => {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(refused);
                Authorization::Deny
            }
        }
    }

    /// What was refused since it was asked last.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Why not; none: it may.
fn refused(purpose: Use, action: &AuthAction<'_>) -> Option<Refused> {
    let never = |what: &str| Some(Refused::Never(what.to_owned()));
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => None,
        AuthAction::Function { function_name } => {
            let forbidden = FORBIDDEN.iter().any(|name| function_name.eq_ignore_ascii_case(name));
            if forbidden { never(&format!("call {function_name}()")) } else { None }
        }
        AuthAction::Pragma { pragma_name, pragma_value } => pragma(purpose, pragma_name, pragma_value.is_some()),
        AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropView { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Analyze { .. } => (purpose == Use::Reading).then_some(Refused::Change),
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => never("reach another database file"),
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => never("begin or end a transaction: each call is one"),
        AuthAction::CreateVtable { .. } | AuthAction::DropVtable { .. } => never("make or drop a virtual table"),
        AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempView { .. }
        | AuthAction::DropTempTrigger { .. } => never("make anything temporary: it would go with the call"),
        _ => never("do that"),
    }
}

fn pragma(purpose: Use, name: &str, valued: bool) -> Option<Refused> {
    let is = |list: &[&str]| list.iter().any(|known| name.eq_ignore_ascii_case(known));
    if is(&TELLING) || (is(&ALONE) && !valued) {
        return None;
    }
    if is(&SETTABLE) {
        return (purpose == Use::Reading).then_some(Refused::Change);
    }
    Some(Refused::Never(format!("use PRAGMA {}", name.to_ascii_lowercase())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never(action: &AuthAction<'_>) -> bool {
        [Use::Reading, Use::Writing].into_iter().all(|purpose| matches!(refused(purpose, action), Some(Refused::Never(_))))
    }

    #[test]
    fn what_is_not_on_the_list_is_refused_to_everybody() {
        assert!(never(&AuthAction::Attach { filename: "/x" }) && never(&AuthAction::Detach { database_name: "x" }));
        assert!(never(&AuthAction::Function { function_name: "LOAD_extension" }));
        assert!(never(&AuthAction::CreateVtable { table_name: "t", module_name: "fts5" }));
        assert!(never(&AuthAction::CreateTempTable { table_name: "t" }));
        assert!(never(&AuthAction::Unknown { code: 99, arg1: None, arg2: None }));
        for name in ["writable_schema", "temp_store_directory", "journal_size_limit", "mmap_size", "hard_heap_limit", "wal_checkpoint", ""]
        {
            assert!(never(&AuthAction::Pragma { pragma_name: name, pragma_value: None }), "{name}");
            assert!(never(&AuthAction::Pragma { pragma_name: name, pragma_value: Some("1") }), "{name}");
        }
        assert!(never(&AuthAction::Pragma { pragma_name: "journal_mode", pragma_value: Some("DELETE") }));
    }

    #[test]
    fn a_change_is_for_those_who_may_write() {
        for action in [
            AuthAction::Insert { table_name: "t" },
            AuthAction::DropTable { table_name: "t" },
            AuthAction::Pragma { pragma_name: "USER_version", pragma_value: Some("3") },
        ] {
            assert_eq!((refused(Use::Reading, &action), refused(Use::Writing, &action)), (Some(Refused::Change), None), "{action:?}");
        }
        for action in [
            AuthAction::Select,
            AuthAction::Function { function_name: "count" },
            AuthAction::Pragma { pragma_name: "user_version", pragma_value: None },
            AuthAction::Pragma { pragma_name: "table_info", pragma_value: Some("t") },
        ] {
            assert_eq!((refused(Use::Reading, &action), refused(Use::Writing, &action)), (None, None), "{action:?}");
        }
    }
}
