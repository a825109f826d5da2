//! Tests of several processes on one database: this test binary starts itself.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;

use crate::testing::{Home, ending, line, start, succeeded};
use crate::{Answer, Database, DbConfig, DbError, Filter};

/// In a child: the folder of the database to write to.
const CHILD: &str = "WARDROOM_DB_TEST_CHILD";
/// Writes in flight at once.
const FLIGHT: usize = 16;
/// Lines of every execution; some of it is torn if one is missing.
const LINES: usize = 5;

fn child(test: &str, home: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(CHILD, home).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn record(database: &Database) -> (ExecutionId, Answer<()>) {
    let row = start("child");
    let mut outcome = succeeded();
    outcome.state_changes = vec![(row.id.to_string(), Some("kept".to_owned()))];
    let mut end = ending(&outcome);
    end.lines = (0..LINES).map(|number| line(&number.to_string())).collect();
    (row.id, database.record(&row, end))
}

/// Writes so many groups, and says on standard output what is durable.
async fn write(home: &Path, groups: usize) {
    let database = Database::open(home, DbConfig::default()).unwrap();
    for _ in 0..groups {
        let group: Vec<_> = (0..FLIGHT).map(|_| record(&database)).collect();
        for (id, answer) in group {
            answer.await.unwrap();
            writeln!(std::io::stdout(), "durable {id}").unwrap();
        }
    }
}

fn durable(line: &str) -> Option<ExecutionId> {
    // The test harness writes its own lines, and may be in the middle of one.
    line.rsplit_once("durable ").and_then(|(_, id)| id.parse().ok())
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_acknowledged_and_tears_nothing() {
    if let Some(home) = env::var_os(CHILD) {
        return write(Path::new(&home), usize::MAX).await;
    }
    let home = Home::new();
    let mut child = child("processes::a_killed_process_loses_nothing_it_acknowledged_and_tears_nothing", home.0.path());
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged: BTreeSet<ExecutionId> = said.by_ref().filter_map(|line| durable(&line)).take(500).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(said.filter_map(|line| durable(&line)));
    assert!(acknowledged.len() >= 500);

    let database = home.open();
    let rows = database.list(&Filter { limit: u64::MAX, ..Filter::default() }).unwrap();
    let kept: BTreeSet<ExecutionId> = rows.iter().map(|row| row.id).collect();
    assert!(acknowledged.is_subset(&kept));
    assert_eq!(database.state("child").unwrap().len(), rows.len());
    for row in rows {
        assert_eq!(row.status, Status::Success);
        assert_eq!(database.lines(row.id, 1, 0, 100).unwrap().len(), LINES);
    }
    let check = database.read(|connection| Ok(connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?));
    assert_eq!(check.unwrap(), "ok");
}

#[tokio::test]
async fn processes_that_write_at_once_lose_nothing() {
    const GROUPS: usize = 10;
    if let Some(home) = env::var_os(CHILD) {
        return write(Path::new(&home), GROUPS).await;
    }
    let home = Home::new();
    let start = || child("processes::processes_that_write_at_once_lose_nothing", home.0.path());
    // None of them is first: they also race to make the database.
    let children: Vec<Child> = std::iter::repeat_with(start).take(4).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let rows = home.open().list(&Filter { limit: u64::MAX, ..Filter::default() }).unwrap();
    assert_eq!(rows.len(), 4 * GROUPS * FLIGHT);
}

#[tokio::test]
async fn a_database_that_another_process_keeps_locked_is_busy() {
    let home = Home::new();
    let (one, other) = (home.open(), home.open());
    let impatient = other.write(|connection| Ok(connection.busy_timeout(std::time::Duration::ZERO)?));
    impatient.await.unwrap();
    let (locked, wait_locked) = std::sync::mpsc::channel();
    let (release, wait_release) = std::sync::mpsc::channel::<()>();
    let wait_release = std::sync::Mutex::new(wait_release);
    let holding = one.write(move |_| {
        locked.send(()).ok();
        wait_release.lock().unwrap().recv().ok();
        Ok(())
    });
    wait_locked.recv().unwrap();
    let refused = other.record(&start("s"), ending(&succeeded())).await;
    assert!(matches!(refused, Err(DbError::Busy(_))));
    // A reader is not held up.
    assert_eq!(other.list(&Filter::default()).unwrap(), []);
    release.send(()).unwrap();
    holding.await.unwrap();
    other.record(&start("s"), ending(&succeeded())).await.unwrap();
    assert_eq!(one.list(&Filter::default()).unwrap().len(), 1);
}
