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

/// Another process with a database of a test's own: `db` is the connection, in
/// which each statement commits by itself; `say(…)` prints a line.
pub(crate) fn hand(file: &Path, statements: &str) -> Command {
    let before = "import sqlite3, sys, time\n\
        db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n\
        say = lambda *values: print(*values, flush=True)\n";
    let mut command = Command::new("python3");
    command.arg("-c").arg(format!("{before}{statements}")).arg(file);
    command
}

/// What such a process prints until it ends.
#[track_caller]
pub(crate) fn ask(file: &Path, statements: &str) -> String {
    let ended = hand(file, statements).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap().trim_end().to_owned()
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
