//! Databases: read, changed and copied where that was granted, and beside whoever
//! else has them open.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use wardroom_core::capability::Capability;
use wardroom_core::failure::FailureKind;

use super::refusal;
use crate::support::database::{ask, hand, is_here};
use crate::support::guests;
use crate::support::home::{Home, Running};
use crate::support::library::{Finished, Job};

const TABLE: &str = "db.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)')\n\
    db.execute(\"INSERT INTO t VALUES (1, 'one'), (2, 'two')\")\n";

/// A folder with `app.db` in it and a folder `out`; none without another hand.
pub(super) fn folder(statements: &str) -> Option<tempfile::TempDir> {
    if !is_here() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    ask(&folder.path().join("app.db"), &format!("{TABLE}{statements}"));
    Some(folder)
}

/// A script that has the database as `db`.
pub(super) fn script(folder: &Path, write: bool, body: &str) -> Job {
    Job::script(&format!("const db = sqlite.open('app.db');\n{body}")).sqlite("app.db", &folder.join("app.db"), write)
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// How often each row is there, by another hand.
pub(super) fn rows(folder: &Path) -> String {
    ask(&folder.join("app.db"), "say(db.execute('SELECT group_concat(name) FROM t').fetchone()[0])")
}

/// The name of the error that ended a script, and the failure's kind.
pub(super) fn thrown(finished: &Finished) -> (FailureKind, String) {
    let (kind, message) = finished.failure();
    (kind, message.split(':').next().unwrap().to_owned())
}

#[test]
fn a_granted_database_is_read() {
    let Some(folder) = folder("") else { return };
    let found = script(folder.path(), false, "return db.query('SELECT * FROM t WHERE id >= ? ORDER BY id', [1])").finish();
    assert_eq!(found.json(), &json!([{ "id": 1, "name": "one" }, { "id": 2, "name": "two" }]));
    assert_eq!((found.outcome.usage.refusals.len(), found.seen.effects), (0, 0), "reading is no effect");
    assert_eq!(names(folder.path()), ["app.db", "out"], "and leaves nothing behind");
}

#[test]
fn a_granted_database_is_read_denied() {
    let Some(folder) = folder("") else { return };
    let absolute = folder.path().join("app.db");
    let finished = Job::script(&format!("sqlite.open({absolute:?}).query('SELECT 1')")).finish();
    assert_eq!(thrown(&finished), (FailureKind::Denied, "NotGrantedError".to_owned()));
    let refusal = refusal(&finished);
    assert_eq!((refusal.capability, refusal.reason.as_str()), (Capability::Sqlite, "no grant covers it"));
    assert_eq!(refusal.flag(), Some(format!("--allow-sqlite={}", absolute.display())));
}

#[test]
fn a_component_reads_a_database_by_its_absolute_path_too() {
    let Some(folder) = folder("") else { return };
    let absolute = folder.path().canonicalize().unwrap().join("app.db");
    let job = |name: &str| Job::file(&guests::task()).params(json!({ "query": [name, "SELECT name FROM t"] }));
    for name in ["data/app.db", "./data/app.db", absolute.to_str().unwrap()] {
        let finished = job(name).sqlite("data/app.db", &absolute, false).finish();
        let expected = json!({ "columns": ["name"], "rows": "[[Value::Text(\"one\")], [Value::Text(\"two\")]]", "truncated": false });
        assert_eq!(finished.json()["found"], expected, "{name}");
    }
    let other = job("app.db").sqlite("data/app.db", &absolute, false).finish();
    assert!(other.json()["found"]["error"].as_str().unwrap().contains("no grant covers it"), "{}", other.json());
}

#[test]
fn every_type_of_value_goes_in_and_comes_out_as_it_is() {
    let Some(folder) = folder("db.execute('INSERT INTO t VALUES (3, CAST(x\\'ff41\\' AS TEXT))')") else { return };
    let body = "const values = [null, 1, -1.5, 2n ** 62n, 'a\\u20ac\\0b', new Uint8Array([0, 255]), true, -0];\n\
        const [row] = db.query('SELECT ' + values.map((_, i) => `? AS v${i}, typeof(?${2 * i + 1}) AS t${i}`.replace('? ', `?${2 * i + 1} `)).join(), values.flatMap((v) => [v, 0]).slice(0, -1));\n\
        const shown = (v) => typeof v === 'bigint' ? `${v}n` : v instanceof Uint8Array ? [...v] : v;\n\
        const [odd] = db.query('SELECT name FROM t WHERE id = 3');\n\
        return [Object.values(row).map(shown), shown(odd.name)]";
    let found = script(folder.path(), false, body).finish();
    let expected = json!([
        null,
        "null",
        1,
        "integer",
        -1.5,
        "real",
        "4611686018427387904n",
        "integer",
        "a\u{20ac}\0b",
        "text",
        [0, 255],
        "blob",
        1,
        "integer",
        0,
        "real"
    ]);
    assert_eq!(found.json()[0], expected);
    assert_eq!(found.json()[1], json!([255, 65]), "text that is no UTF-8 comes as bytes");
}

#[test]
fn a_database_granted_for_writing_is_changed() {
    let Some(folder) = folder("") else { return };
    let body = "const one = db.execute('INSERT INTO t (name) VALUES (?)', ['three']);\n\
        const more = db.transaction([['UPDATE t SET name = upper(name)'], ['CREATE TABLE u (x)'], ['INSERT INTO u VALUES (?), (?)', [1, 2]]]);\n\
        return { one, more, seen: db.query('SELECT count(*) AS n FROM u')[0].n }";
    let finished = script(folder.path(), true, body).finish();
    let counts = |rows: u64, id: u64| json!({ "rows": rows, "lastInsertId": id });
    assert_eq!(finished.json(), &json!({ "one": counts(1, 3), "more": [counts(3, 0), counts(0, 0), counts(2, 2)], "seen": 2 }));
    assert_eq!(rows(folder.path()), "ONE,TWO,THREE");
    assert!(finished.seen.effects >= 1, "the start row comes before the first change");
    assert_eq!(names(folder.path()), ["app.db", "out"], "no journal is left");
}

#[test]
fn a_database_granted_for_writing_is_changed_denied() {
    let Some(folder) = folder("") else { return };
    let finished = script(folder.path(), false, "db.execute('DELETE FROM t')").finish();
    assert_eq!(thrown(&finished), (FailureKind::Denied, "ReadOnlyError".to_owned()));
    let refusal = refusal(&finished);
    assert_eq!((refusal.capability, refusal.reason.as_str()), (Capability::Sqlite, "the database was granted for reading only"));
    assert_eq!((refusal.flag().as_deref(), finished.seen.effects), (Some("--allow-sqlite=app.db:write"), 0));
    assert_eq!(rows(folder.path()), "one,two");
}

#[test]
fn a_transaction_is_done_whole_or_not_at_all() {
    let Some(folder) = folder("") else { return };
    for last in ["'INSERT INTO t VALUES (1, 1)'", "'SELECT nope'", "'SELECT hex(randomblob(16000000))'", "'COMMIT'", "'ROLLBACK'"] {
        let finished = script(folder.path(), true, &format!("db.transaction([['DELETE FROM t WHERE id = 2'], [{last}]])")).finish();
        assert!(matches!(finished.failure().0, FailureKind::Failed | FailureKind::Permanent), "{last}: {:?}", finished.failure());
        assert_eq!(rows(folder.path()), "one,two", "{last}");
    }
}

#[test]
fn a_database_is_copied_into_a_granted_folder() {
    let Some(folder) = folder("") else { return };
    let body = "const bytes = db.snapshot('out/copy.db'); return [bytes, (await fs.stat('out/copy.db')).size]";
    let finished = script(folder.path(), false, body).folder("out", &folder.path().join("out"), true).finish();
    assert_eq!(finished.json()[0], finished.json()[1]);
    let copy = folder.path().join("out/copy.db");
    let dump = |file: &Path| ask(file, "say(*db.iterdump())");
    assert_eq!(dump(&copy), dump(&folder.path().join("app.db")));
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600, "for its owner alone");
    assert_eq!((names(&folder.path().join("out")), finished.seen.effects), (vec!["copy.db".to_owned()], 1));
}

#[test]
fn a_database_is_copied_into_a_granted_folder_denied() {
    let Some(folder) = folder("") else { return };
    let out = folder.path().join("out");
    let finished = script(folder.path(), true, "db.snapshot('out/copy.db')").finish();
    assert_eq!(thrown(&finished), (FailureKind::Denied, "NotGrantedError".to_owned()));
    assert_eq!(refusal(&finished).flag().as_deref(), Some("--allow-write=out"));
    let finished = script(folder.path(), true, "db.snapshot('out/copy.db')").folder("out", &out, false).finish();
    assert_eq!(refusal(&finished).reason, "the folder was granted for reading only");
    assert_eq!(refusal(&finished).flag().as_deref(), Some("--allow-write=out"));
    let finished = Job::script("sqlite.open('app.db').snapshot('out/copy.db')").folder("out", &out, true).finish();
    assert_eq!((refusal(&finished).capability, finished.seen.effects), (Capability::Sqlite, 0));
    assert!(names(&out).is_empty());
}

#[test]
fn what_is_there_is_never_replaced_by_a_copy() {
    let Some(folder) = folder("") else { return };
    let out = folder.path().join("out");
    fs::write(out.join("kept.db"), "kept").unwrap();
    fs::create_dir(out.join("folder")).unwrap();
    for target in ["out/kept.db", "out/folder"] {
        let finished = script(folder.path(), false, &format!("db.snapshot('{target}')")).folder("out", &out, true).finish();
        assert_eq!(thrown(&finished), (FailureKind::Failed, "ExistsError".to_owned()), "{target}");
    }
    assert_eq!((names(&out), fs::read(out.join("kept.db")).unwrap()), (vec!["folder".to_owned(), "kept.db".to_owned()], b"kept".to_vec()));
}

/// A writer that hardly rests: each commit adds the next number to two tables.
const WRITER: &str = "db.execute('CREATE TABLE a (n INTEGER)'); db.execute('CREATE TABLE b (n INTEGER, pad BLOB)')\n\
    n = 0\n\
    while True:\n\
    \x20   n += 1\n\
    \x20   db.execute('BEGIN IMMEDIATE')\n\
    \x20   db.execute('INSERT INTO a VALUES (?)', (n,)); db.execute('INSERT INTO b VALUES (?, randomblob(3000))', (n,))\n\
    \x20   db.execute('COMMIT'); time.sleep(0.001)\n\
    \x20   if n == 50: say('under way')\n";

/// What a copy is, by another hand: integrity, and the numbers in it.
const LOOK: &str = "say(db.execute('PRAGMA integrity_check').fetchone()[0])\n\
    for t in 'ab': say(*db.execute(f'SELECT count(*), min(n), max(n), count(DISTINCT n) FROM {t}').fetchone())\n";

fn a_live_database_is_copied_whole(journal: &str) {
    let Some(folder) = folder(&format!("db.execute('PRAGMA journal_mode = {journal}')")) else { return };
    let writer = Running::start(&mut hand(&folder.path().join("app.db"), WRITER), b"");
    writer.until_stdout("under way");
    let body = "for (let i = 0; i < 8; i++) db.snapshot(`out/${i}.db`);";
    let finished = script(folder.path(), false, body).folder("out", &folder.path().join("out"), true).finish();
    assert_eq!(finished.json(), &Value::Null);
    drop(writer);
    let mut last = 0;
    for number in 0..8 {
        let looked = ask(&folder.path().join(format!("out/{number}.db")), LOOK);
        let lines: Vec<&str> = looked.lines().collect();
        let [verdict, a, b] = lines.as_slice() else { panic!("{looked}") };
        let count: u64 = a.split(' ').next().unwrap().parse().unwrap();
        assert_eq!((*verdict, *a, *b), ("ok", format!("{count} 1 {count} {count}").as_str(), *a), "a prefix of the commits");
        assert!(count >= 50 && count >= last, "{count} after {last}");
        last = count;
    }
    assert!(last > 50, "nothing was written meanwhile");
}

#[test]
fn a_live_database_with_a_write_ahead_log_is_copied_whole() {
    a_live_database_is_copied_whole("WAL");
}

#[test]
fn a_live_database_with_a_rollback_journal_is_copied_whole() {
    a_live_database_is_copied_whole("DELETE");
}

#[test]
fn a_long_answer_is_cut_and_says_so() {
    let Some(folder) = folder("") else { return };
    let numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000)";
    let body = format!(
        "const many = db.query(`{numbers} SELECT n FROM c`), large = db.query(`{numbers} SELECT hex(zeroblob(100000)) FROM c`), few = db.query('SELECT 1');\n\
         return [many.length, many.at(-1).n, many.truncated, large.length, large.truncated, few.truncated]"
    );
    assert_eq!(script(folder.path(), false, &body).finish().json(), &json!([10_000, 10_000, true, 20, true, false]));
}

#[test]
fn the_operator_is_told_the_flag_that_would_help_and_it_does() {
    let Some(folder) = folder("") else { return };
    let home = Home::new();
    fs::copy(folder.path().join("app.db"), home.work().join("app.db")).unwrap();
    home.file(
        "s.js",
        "const db = sqlite.open('app.db');\ndb.execute('DELETE FROM t WHERE id = 1');\nreturn db.query('SELECT name FROM t');",
    );
    let refused = home.record(&["s.js"]);
    assert_eq!(refused.ending(), ("failed", "denied", "operator", Some(1)), "{}", refused.ended);
    assert!(refused.ended.stderr.contains("Allow it with `--allow-sqlite=app.db`."), "{}", refused.ended);
    let refused = home.record(&["s.js", "--allow-sqlite=app.db"]);
    assert!(refused.ended.stderr.contains("Allow it with `--allow-sqlite=app.db:write`."), "{}", refused.ended);
    let done = home.record(&["s.js", "--allow-sqlite=app.db:write"]);
    assert_eq!(done.succeeded().result(), &json!([{ "name": "two" }]));
    let shown = home.run(&["run", "--dry-run", "s.js", "--allow-sqlite=./app.db:write"]);
    assert!(shown.text().contains("reading and writing the database app.db ("), "{shown}");
}

#[test]
fn a_write_grant_does_not_widen_what_a_header_asks_to_read() {
    let Some(folder) = folder("") else { return };
    let home = Home::new();
    fs::copy(folder.path().join("app.db"), home.work().join("app.db")).unwrap();
    home.file("s.js", "// /// wardroom\n// sqlite = [\"app.db\"]\n// ///\nsqlite.open('app.db').execute('DELETE FROM t'); return 1");
    let refused = home.record(&["s.js", "--allow-sqlite=app.db:write"]);
    assert_eq!(refused.ending(), ("failed", "denied", "operator", Some(1)), "{}", refused.ended);
    assert_eq!(rows(&home.work()), "one,two");
}
