//! Tests of several processes on one database: this test binary starts itself.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;

use crate::testing::{Home, ending, event, line, start, succeeded};
use crate::{Answer, AuditFilter, Database, DbConfig, DbError, Filter, KeyStanding, Sequel};

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

fn record(database: &Database) -> (ExecutionId, Answer<Sequel>) {
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

/// Records what nothing follows from, and says on standard output what is durable.
async fn record_shortly(home: &Path) {
    let database = Database::open(home, DbConfig::default()).unwrap();
    loop {
        let row = start("child");
        database.record(&row, ending(&succeeded())).await.unwrap();
        writeln!(std::io::stdout(), "durable {}", row.id).unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_leaves_a_journal_that_the_next_one_files() {
    if let Some(home) = env::var_os(CHILD) {
        return record_shortly(Path::new(&home)).await;
    }
    let mut unfiled = 0;
    for round in 0..5 {
        let home = Home::new();
        let mut child = child("processes::a_killed_process_leaves_a_journal_that_the_next_one_files", home.0.path());
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut acknowledged: BTreeSet<ExecutionId> = said.by_ref().filter_map(|line| durable(&line)).take(200 + round * 37).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(said.filter_map(|line| durable(&line)));
        let left = |home: &Home| {
            let files = std::fs::read_dir(home.0.path().join("journal")).unwrap();
            files.map(|file| std::fs::read(file.unwrap().path()).unwrap())
        };
        // An emptied one holds zeros.
        unfiled += left(&home).filter(|bytes| bytes.iter().any(|byte| *byte != 0)).count();
        let database = home.open();
        let rows = database.list(&Filter { limit: u64::MAX, ..Filter::default() }).unwrap();
        let kept: BTreeSet<ExecutionId> = rows.iter().map(|row| row.id).collect();
        assert!(acknowledged.is_subset(&kept));
        assert_eq!((kept.len(), left(&home).count()), (rows.len(), 0));
    }
    assert!(unfiled > 0, "no kill came while something waited");
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
    let refused = other.start(&start("s")).await;
    assert!(matches!(refused, Err(DbError::Busy(_))));
    // A reader is not held up.
    assert_eq!(other.list(&Filter::default()).unwrap(), []);
    // What is over can wait to be written, and is safe all the same; whoever recorded
    // it is not told that there is nothing, and others see it nowhere yet.
    other.record(&start("s"), ending(&succeeded())).await.unwrap();
    assert!(matches!(other.list(&Filter::default()), Err(DbError::Busy(_))));
    release.send(()).unwrap();
    holding.await.unwrap();
    assert_eq!(other.list(&Filter::default()).unwrap().len(), 1);
    assert_eq!(one.list(&Filter::default()).unwrap().len(), 1);
}

/// Appends so many groups of events, and says on standard output what is durable.
async fn append(home: &Path, groups: usize) {
    let database = Database::open(home, DbConfig::default()).unwrap();
    for _ in 0..groups {
        let group: Vec<_> = (0..4).map(|_| event(&ExecutionId::fresh().to_string())).collect();
        let subjects: Vec<_> = group.iter().map(|event| event.subject.clone()).collect();
        let answers: Vec<_> = group.into_iter().map(|event| database.append_audit(vec![event])).collect();
        for (subject, answer) in subjects.into_iter().zip(answers) {
            answer.await.unwrap();
            writeln!(std::io::stdout(), "durable {subject}").unwrap();
        }
    }
}

#[tokio::test]
async fn processes_that_append_at_once_keep_one_chain() {
    const GROUPS: usize = 10;
    if let Some(home) = env::var_os(CHILD) {
        return append(Path::new(&home), GROUPS).await;
    }
    let home = Home::new();
    let database = home.open();
    let root = database.begin_audit().unwrap().unwrap();
    let start = || child("processes::processes_that_append_at_once_keep_one_chain", home.0.path());
    let children: Vec<Child> = std::iter::repeat_with(start).take(3).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let report = database.verify_audit(&[root]).unwrap();
    assert!(report.is_intact() && report.key == KeyStanding::Current, "{report:?}");
    assert_eq!((report.rows, report.proven), (3 * 4 * GROUPS as u64, 3 * 4 * GROUPS as u64));
}

#[tokio::test]
async fn a_process_killed_while_it_appends_leaves_a_log_that_holds_and_goes_on() {
    if let Some(home) = env::var_os(CHILD) {
        return append(Path::new(&home), usize::MAX).await;
    }
    let home = Home::new();
    let database = home.open();
    let roots = [database.begin_audit().unwrap().unwrap()];
    let mut acknowledged = BTreeSet::new();
    for round in 0..6 {
        let mut child = child("processes::a_process_killed_while_it_appends_leaves_a_log_that_holds_and_goes_on", home.0.path());
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        acknowledged.extend(said.by_ref().filter_map(|line| durable(&line)).take(5 + 7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(said.filter_map(|line| durable(&line)));
        let report = database.verify_audit(&roots).unwrap();
        assert!(report.is_intact() && report.proven == report.rows, "{report:?}");
    }
    database.append_audit(vec![event("after")]).await.unwrap();
    let report = database.verify_audit(&roots).unwrap();
    assert!(report.is_intact() && report.key == KeyStanding::Current, "{report:?}");
    let mut kept = BTreeSet::new();
    let mut filter = AuditFilter { limit: u64::MAX, ..AuditFilter::default() };
    loop {
        let rows = database.audit(&filter).unwrap();
        let Some(last) = rows.last() else { break };
        filter.before = Some(last.seq);
        kept.extend(rows.iter().filter_map(|row| row.subject.parse::<ExecutionId>().ok()));
    }
    assert!(acknowledged.is_subset(&kept) && acknowledged.len() >= 100);
}
