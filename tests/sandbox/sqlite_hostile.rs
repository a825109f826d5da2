//! Databases in hostile hands: what SQL, paths and time may try, and what it
//! meets.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use wardroom_core::failure::FailureKind;

use super::sqlite::{folder, names, rows, script, thrown};
use super::{refusal, refusals};
use crate::support::PATIENCE;
use crate::support::database::{ask, hand};
use crate::support::home::{Home, Running};

/// What each statement answers, as `query` and, with a grant for it, `execute`.
fn said(folder: &Path, statements: &[String]) -> Vec<String> {
    let body = format!(
        "const tried = (run) => {{ try {{ return 'did: ' + JSON.stringify(run()) }} catch (e) {{ return String(e) }} }};\n\
         return {}.flatMap((sql) => [tried(() => db.query(sql)), tried(() => db.execute(sql))])",
        json!(statements)
    );
    let finished = script(folder, true, &body).finish();
    finished.json().as_array().unwrap().iter().map(|said| said.as_str().unwrap().to_owned()).collect()
}

#[test]
fn sql_reaches_no_other_file_and_no_setting() {
    let Some(folder) = folder("") else { return };
    let home = Home::new();
    home.read(&["exec", "list", "--json"]);
    let (own, made) = (home.path().join("wardroom.db"), folder.path().join("made.db"));
    assert!(own.is_file());
    let statements = [
        format!("ATTACH '{}' AS w", own.display()),
        format!("ATTACH 'file:{}?mode=ro' AS w", own.display()),
        format!("ATTACH '{}' AS w", made.display()),
        "ATTACH ':memory:' AS w".to_owned(),
        "DETACH main".to_owned(),
        "VACUUM".to_owned(),
        format!("VACUUM INTO '{}'", made.display()),
        "SELECT load_extension('/lib/x.so')".to_owned(),
        "SELECT fts3_tokenizer('simple')".to_owned(),
        "PRAGMA writable_schema = ON".to_owned(),
        "PRAGMA writable_schema = RESET".to_owned(),
        "PRAGMA trusted_schema = ON".to_owned(),
        "PRAGMA journal_mode = WAL".to_owned(),
        "PRAGMA temp_store_directory = '/tmp'".to_owned(),
        "PRAGMA mmap_size = 1000000000".to_owned(),
        "PRAGMA locking_mode = EXCLUSIVE".to_owned(),
        "PRAGMA wal_checkpoint(TRUNCATE)".to_owned(),
        "PRAGMA hard_heap_limit = 1".to_owned(),
        "SELECT * FROM pragma_hard_heap_limit(1)".to_owned(),
        "CREATE TEMP TABLE x (y)".to_owned(),
        "CREATE VIRTUAL TABLE x USING fts5(y)".to_owned(),
        "CREATE VIRTUAL TABLE temp.x USING csv(filename='/etc/passwd')".to_owned(),
        "BEGIN".to_owned(),
        "COMMIT".to_owned(),
        "SAVEPOINT s".to_owned(),
        "UPDATE sqlite_schema SET sql = 'x'".to_owned(),
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, 'x')".to_owned(),
        "DELETE FROM t; DELETE FROM t".to_owned(),
    ];
    let answers = said(folder.path(), &statements);
    for (sql, said) in statements.iter().flat_map(|sql| [sql, sql]).zip(&answers) {
        assert!(["SqlError: ", "ReadOnlyError: "].iter().any(|refused| said.starts_with(refused)), "{sql}: {said}");
    }
    assert!(answers[0].contains("a program may not reach another database file"), "{}", answers[0]);
    assert_eq!((names(folder.path()), rows(folder.path())), (vec!["app.db".to_owned(), "out".to_owned()], "one,two".to_owned()));
}

#[test]
fn a_query_never_changes_anything_whatever_was_granted() {
    let Some(folder) = folder("db.execute('CREATE INDEX i ON t (name)')") else { return };
    let before = fs::read(folder.path().join("app.db")).unwrap();
    for sql in [
        "DELETE FROM t",
        "INSERT INTO t VALUES (9, 'x') RETURNING id",
        "WITH c AS (SELECT 1) UPDATE t SET name = 'x'",
        "CREATE TABLE x (y)",
        "DROP TABLE t",
        "PRAGMA user_version = 7",
        "REINDEX",
        "ANALYZE",
    ] {
        let finished = script(folder.path(), true, &format!("db.query({})", json!(sql))).finish();
        assert_eq!(thrown(&finished), (FailureKind::Denied, "ReadOnlyError".to_owned()), "{sql}: {:?}", finished.failure());
        assert_eq!(fs::read(folder.path().join("app.db")).unwrap(), before, "{sql}");
    }
}

#[test]
fn a_view_or_trigger_of_the_database_may_do_no_more_than_the_program() {
    let Some(folder) = folder(
        "db.execute(\"CREATE VIEW v AS SELECT load_extension('/x') AS x\")\n\
         db.execute(\"CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT load_extension('/x'); END\")\n",
    ) else {
        return;
    };
    let answers = said(folder.path(), &["SELECT * FROM v".to_owned(), "INSERT INTO t VALUES (9, 'x')".to_owned()]);
    assert!(answers[0].contains("unsafe use of load_extension()"), "a schema is not trusted with it: {answers:?}");
    assert!(answers[3].contains("a program may not call load_extension()"), "{answers:?}");
    assert_eq!(rows(folder.path()), "one,two");
}

/// Somebody of ours has the file open.
fn is_open(file: &Path) -> bool {
    let file = file.canonicalize().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read_dir(entry.path().join("fd")).ok());
    processes.flatten().flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == file))
}

/// It is let go, at once or very soon.
fn is_let_go(file: &Path) -> bool {
    let start = Instant::now();
    while is_open(file) {
        if start.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

const FOR_EVER: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c";

#[test]
fn a_statement_that_never_ends_is_gone_at_the_deadline() {
    let Some(folder) = folder("") else { return };
    let database = folder.path().join("app.db");
    // The interpreter is there already, so that only the statement is timed.
    script(folder.path(), false, "return 1").finish();
    for body in [
        format!("db.query('{FOR_EVER}')"),
        "db.execute('INSERT INTO t SELECT n, n FROM (WITH RECURSIVE c(n) AS (SELECT 9 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c)')"
            .to_owned(),
        // Each row takes its time within one step of SQLite's machine.
        "db.query(\"SELECT length(replace(hex(zeroblob(7000000 + t.id)), '00', j.id)) FROM t, t b, t c, t d, t e, t f, t g, t h, t i, t j\")"
            .to_owned(),
    ] {
        let start = Instant::now();
        let finished = script(folder.path(), true, &body).deadline_ms(300).finish();
        let took = start.elapsed();
        assert_eq!(finished.failure().0, FailureKind::Deadline, "{body}: {:?}", finished.failure());
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(is_let_go(&database), "{body}");
    }
    // A write that was killed is undone by whoever may write next, of ours or not.
    assert_eq!(script(folder.path(), true, "return db.query('SELECT count(*) AS n FROM t')[0].n").finish().json(), &json!(2));
    assert_eq!(rows(folder.path()), "one,two", "and nothing of it stays");
    assert_eq!(script(folder.path(), false, "return db.query('SELECT 1 AS x')[0].x").finish().json(), &json!(1));
}

#[test]
fn a_statement_that_needs_too_much_is_refused_and_the_next_one_works() {
    let Some(folder) = folder("") else { return };
    let many = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000)";
    let blobs = vec!["randomblob(16000000)"; 100].join(", ");
    for sql in [
        "SELECT zeroblob(2000000000)".to_owned(),
        "SELECT randomblob(2000000000)".to_owned(),
        "SELECT zeroblob(16000000)".to_owned(),
        format!("SELECT length(x) FROM (SELECT randomblob(1000000) AS x FROM ({many} SELECT n FROM c) ORDER BY x)"),
        format!("SELECT {blobs}"),
        format!("SELECT '{}'", "x".repeat(300_000)),
    ] {
        let body =
            format!("try {{ db.query({}); return 'did' }} catch (e) {{ return [e.name, db.query('SELECT 1 AS x')[0].x] }}", json!(sql));
        let finished = script(folder.path(), false, &body).finish();
        assert_eq!(finished.json(), &json!(["TooLargeError", 1]), "{}", &sql[..sql.len().min(80)]);
    }
}

#[test]
fn a_lock_of_somebody_else_is_waited_for_no_longer_than_the_deadline() {
    let Some(folder) = folder("") else { return };
    let database = folder.path().join("app.db");
    let holder = Running::start(&mut hand(&database, "db.execute('BEGIN EXCLUSIVE'); say('held'); time.sleep(600)"), b"");
    holder.until_stdout("held");
    let start = Instant::now();
    for (write, body) in [(false, "db.query('SELECT 1 FROM t')"), (true, "db.execute('DELETE FROM t')"), (false, "db.snapshot('out/x.db')")]
    {
        let job = script(folder.path(), write, body).folder("out", &folder.path().join("out"), true);
        assert_eq!(job.deadline_ms(300).finish().failure().0, FailureKind::Deadline, "{body}");
    }
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(names(&folder.path().join("out")).is_empty(), "no half copy stays");
    let told = script(folder.path(), false, "db.query('SELECT 1 FROM t')").finish();
    assert_eq!(thrown(&told), (FailureKind::Unavailable, "BusyError".to_owned()), "the program is told, where it has the time");
    drop(holder);
    assert_eq!(script(folder.path(), false, "return db.query('SELECT count(*) AS n FROM t')[0].n").finish().json(), &json!(2));
}

#[test]
fn what_took_the_place_of_a_granted_database_is_not_opened() {
    let Some(folder) = folder("") else { return };
    let (database, secret) = (folder.path().join("app.db"), folder.path().join("secret.db"));
    ask(&secret, "db.execute('CREATE TABLE s (x)')");
    let swaps: [(&str, &dyn Fn()); 4] = [
        ("a link", &|| symlink(&secret, &database).unwrap()),
        ("a folder", &|| fs::create_dir(&database).unwrap()),
        ("nothing", &|| {}),
        ("other bytes", &|| fs::write(&database, "no database at all, but text of some length".repeat(100)).unwrap()),
    ];
    for (what, swap) in swaps {
        let job = script(folder.path(), true, "db.query('SELECT * FROM sqlite_schema')");
        fs::rename(&database, folder.path().join("away.db")).unwrap();
        swap();
        let finished = job.finish();
        assert_eq!(thrown(&finished), (FailureKind::Failed, "GoneError".to_owned()), "{what}: {:?}", finished.failure());
        if database.is_dir() {
            fs::remove_dir(&database).unwrap();
        } else if what != "nothing" {
            fs::remove_file(&database).unwrap();
        }
        fs::rename(folder.path().join("away.db"), &database).unwrap();
    }
}

#[test]
fn a_link_above_a_granted_database_is_not_followed_either() {
    let Some(folder) = folder("") else { return };
    let (real, moved) = (folder.path().join("real"), folder.path().join("moved"));
    fs::create_dir(&real).unwrap();
    fs::copy(folder.path().join("app.db"), real.join("app.db")).unwrap();
    let job = script(&real, false, "db.query('SELECT 1')");
    fs::rename(&real, &moved).unwrap();
    symlink(&moved, &real).unwrap();
    assert_eq!(thrown(&job.finish()), (FailureKind::Failed, "GoneError".to_owned()));
}

#[test]
fn a_database_of_wardrooms_own_is_never_granted() {
    let home = Home::new();
    home.read(&["exec", "list", "--json"]);
    home.file("s.js", "return 1");
    symlink(home.path().join("wardroom.db"), home.work().join("link.db")).unwrap();
    fs::hard_link(home.path().join("wardroom.db"), home.work().join("hard.db")).unwrap();
    let own = home.path().join("wardroom.db");
    for file in [own.to_str().unwrap(), "../home/wardroom.db", "link.db", "hard.db"] {
        let refused = home.run(&["run", "s.js", &format!("--allow-sqlite={file}")]);
        assert_eq!(refused.code, Some(1), "{refused}");
        assert!(refused.stderr.contains("Wardroom's own data folder"), "{refused}");
    }
}

#[test]
fn a_copy_goes_nowhere_but_below_its_folder() {
    let Some(folder) = folder("") else { return };
    let out = folder.path().join("out");
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    symlink("../elsewhere", out.join("link")).unwrap();
    symlink("../elsewhere/new.db", out.join("dangling.db")).unwrap();
    let absolute = folder.path().join("elsewhere/x.db");
    for target in [
        "out/../elsewhere/x.db",
        "../x.db",
        "/x.db",
        "x.db",
        absolute.to_str().unwrap(),
        "out/link/x.db",
        "out/dangling.db",
        "out/missing/x.db",
        "out",
        "out/",
        "out/.",
        "",
        "out/a\0b",
    ] {
        let finished = script(folder.path(), false, &format!("db.snapshot({})", json!(target))).folder("out", &out, true).finish();
        let (kind, name) = thrown(&finished);
        assert!(matches!(kind, FailureKind::Denied | FailureKind::Failed), "{target}: {:?}", finished.failure());
        assert!(["NotGrantedError", "TargetError", "ExistsError"].contains(&name.as_str()), "{target}: {:?}", finished.failure());
    }
    assert_eq!((names(&out), names(&folder.path().join("elsewhere"))), (vec!["dangling.db".to_owned(), "link".to_owned()], Vec::new()));
}

#[test]
fn a_database_beside_which_the_program_may_write_is_refused() {
    let Some(folder) = folder("") else { return };
    for (place, write) in [(folder.path(), false), (folder.path().parent().unwrap(), true)] {
        let finished = script(folder.path(), write, "db.query('SELECT 1')").folder("/data", place, true).finish();
        assert_eq!(thrown(&finished), (FailureKind::Denied, "NotGrantedError".to_owned()));
        assert!(refusal(&finished).reason.contains("its journal could be forged"), "{:?}", refusals(&finished));
        assert_eq!(refusal(&finished).flag(), None, "no grant would help");
    }
    let reading = script(folder.path(), true, "db.execute('DELETE FROM t WHERE id = 1')").folder("/data", folder.path(), false).finish();
    assert_eq!(reading.json(), &serde_json::Value::Null);
}

#[test]
fn a_forged_journal_does_not_make_wardroom_delete_a_file() {
    let Some(folder) = folder("") else { return };
    let victim = folder.path().join("victim.txt");
    fs::write(&victim, "precious").unwrap();
    // The end of a journal that names another file of its transaction.
    let name = victim.to_str().unwrap().as_bytes();
    let sum: u32 = name.iter().map(|byte| u32::from(*byte)).sum();
    let mut journal = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    for number in [0, 1, 2, 512, 4096_u32] {
        journal.extend_from_slice(&number.to_be_bytes());
    }
    journal.resize(512, 0);
    journal.extend_from_slice(&[0, 0x40, 0, 1]);
    journal.extend_from_slice(name);
    journal.extend_from_slice(&u32::try_from(name.len()).unwrap().to_be_bytes());
    journal.extend_from_slice(&sum.to_be_bytes());
    journal.extend_from_slice(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    for body in ["db.execute('DELETE FROM t')", "db.query('SELECT * FROM t')", "db.snapshot('out/x.db')"] {
        fs::write(folder.path().join("app.db-journal"), &journal).unwrap();
        let finished = script(folder.path(), true, body).folder("out", &folder.path().join("out"), true).finish();
        assert_eq!(thrown(&finished), (FailureKind::Failed, "GoneError".to_owned()), "{body}: {:?}", finished.failure());
        assert_eq!(fs::read(&victim).unwrap(), b"precious", "{body}");
    }
}
