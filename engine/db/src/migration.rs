//! The schema's versions: `user_version` counts the migrations applied.
//!
//! Migrations are append-only. One that was ever released is never edited:
//! databases in the field have it behind them.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::DbError;

/// All migrations, oldest first.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_executions.sql"),
    include_str!("../migrations/0002_grants.sql"),
    include_str!("../migrations/0003_state.sql"),
    include_str!("../migrations/0004_credentials.sql"),
    include_str!("../migrations/0005_audit.sql"),
    include_str!("../migrations/0006_tasks.sql"),
    include_str!("../migrations/0007_approvals.sql"),
    include_str!("../migrations/0008_recovery.sql"),
    include_str!("../migrations/0009_exposed.sql"),
    include_str!("../migrations/0010_calls.sql"),
    include_str!("../migrations/0011_plugins.sql"),
    include_str!("../migrations/0012_trust.sql"),
];

/// Brings a database to the version of these migrations, all or nothing.
///
/// The version is read again inside the transaction, because another process
/// may have done the work while this one waited for the lock.
pub(crate) fn migrate(connection: &Connection, migrations: &[&str]) -> Result<(), DbError> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(DbError::Newer { found, known });
    }
    for migration in migrations.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

/// How many migrations a database has behind it.
pub(crate) fn version(connection: &Connection) -> Result<u32, DbError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_migrations_are_applied() {
        let connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x)"];
        migrate(&connection, &steps[..1]).unwrap();
        migrate(&connection, &steps).unwrap();
        migrate(&connection, &steps).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
        connection.execute_batch("INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)").unwrap();
    }

    #[test]
    fn a_failing_migration_changes_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        let failed = migrate(&connection, &["CREATE TABLE a (x)", "CREATE TABLE a (x)"]);
        assert!(matches!(failed, Err(DbError::Sqlite(_))));
        assert_eq!(version(&connection).unwrap(), 0);
        assert!(connection.execute_batch("SELECT * FROM a").is_err());
    }

    #[test]
    fn a_newer_database_is_left_alone() {
        let connection = Connection::open_in_memory().unwrap();
        let known_here = u32::try_from(MIGRATIONS.len()).unwrap();
        connection.pragma_update(None, "user_version", known_here + 1).unwrap();
        let refused = migrate(&connection, MIGRATIONS);
        assert!(matches!(refused, Err(DbError::Newer { found, known }) if (found, known) == (known_here + 1, known_here)));
        assert_eq!(version(&connection).unwrap(), known_here + 1);
    }
}
