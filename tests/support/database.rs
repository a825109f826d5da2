//! Another hand in the database: Python's `sqlite3`, which knows nothing of what
//! the engine promises about its rows.

use std::path::Path;
use std::process::Command;

use super::parts::needs;

/// Whether there is such a hand.
pub(crate) fn is_here() -> bool {
    let there = Command::new("python3").args(["-c", "import sqlite3"]).output().is_ok_and(|output| output.status.success());
    needs("python3", there, "apt-get install python3")
}

/// Runs statements of Python on the database of a data folder: `db` is the
/// connection, `one(sql, …)` the first column of the first row.
#[track_caller]
pub(crate) fn edit(home: &Path, statements: &str) {
    let before = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
        one = lambda sql, *values: db.execute(sql, values).fetchone()[0]\n";
    let database = home.join("wardroom.db");
    assert!(database.is_file());
    let ended = Command::new("python3").arg("-c").arg(format!("{before}{statements}")).arg(database).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
