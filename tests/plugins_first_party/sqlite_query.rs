//! Databases, made and written to by another process.

use serde_json::{Value, json};

use super::{Function, failure};
use crate::support::database::{ask, hand, is_here};
use crate::support::home::{Home, Running};

const TABLES: &str = "db.execute('CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT \\'nobody\\', born INT, photo BLOB)')\n\
    db.execute('CREATE TABLE visits (who INTEGER REFERENCES people(id), at REAL, PRIMARY KEY (who, at)) WITHOUT ROWID')\n\
    db.execute('CREATE UNIQUE INDEX by_name ON people (name, lower(name))')\n\
    db.execute('CREATE VIEW old AS SELECT name FROM people WHERE born < 1900')\n\
    db.execute(\"INSERT INTO people VALUES (1, 'Ada', 1815, x'00ff'), (2, 'Bo', 1990, NULL)\")\n";

/// A home with `app.db` in its work folder; none without another hand.
fn home(more: &str) -> Option<Home> {
    if !is_here() {
        return None;
    }
    let home = Home::new();
    ask(&home.work().join("app.db"), &format!("{TABLES}{more}"));
    Some(home)
}

const READ: &[&str] = &["--allow-sqlite=app.db"];
const WRITE: &[&str] = &["--allow-sqlite=app.db:write"];

#[test]
fn a_database_is_asked_and_every_type_comes_back() {
    let Some(home) = home("") else { return };
    let query = Function::of(&home, "sqlite-query", "query");
    let sql = "SELECT id, name, born / 10.0 AS decade, photo FROM people WHERE born > ? ORDER BY id";
    let found = query.call(&json!({ "database": "app.db", "sql": sql, "params": [{ "integer": 1800 }] }), READ);
    let rows = json!([
        [{ "integer": 1 }, { "text": "Ada" }, { "real": 181.5 }, { "blob": "AP8=" }],
        [{ "integer": 2 }, { "text": "Bo" }, { "real": 199.0 }, "null"],
    ]);
    let expected = json!({ "columns": ["id", "name", "decade", "photo"], "rows": rows, "truncated": false });
    assert_eq!(found.succeeded().result(), &expected);
    let absolute = home.work().canonicalize().unwrap().join("app.db");
    let counted = query.call(&json!({ "database": absolute, "sql": "SELECT count(*) FROM old" }), READ);
    assert_eq!(counted.succeeded().result()["rows"], json!([[{ "integer": 1 }]]));
}

#[test]
fn tables_views_columns_indexes_and_references_are_described() {
    let Some(home) = home("") else { return };
    let tables = Function::of(&home, "sqlite-query", "tables").call(&json!({ "database": "app.db" }), READ);
    let table = |name: &str, view: bool| json!({ "name": name, "view": view });
    assert_eq!(tables.succeeded().result(), &json!([table("old", true), table("people", false), table("visits", false)]));
    let describe = Function::of(&home, "sqlite-query", "describe");
    let described = |table: &str| describe.call(&json!({ "database": "app.db", "table": table }), READ);
    let people = described("PEOPLE");
    let people = people.succeeded().result();
    let column = |name: &str, declared: &str, not_null: bool, default: Value, key: u32| json!({ "name": name, "declared": declared, "not_null": not_null, "default_value": default, "primary_key": key });
    let columns = json!([
        column("id", "INTEGER", false, json!(null), 1),
        column("name", "TEXT", true, json!("'nobody'"), 0),
        column("born", "INT", false, json!(null), 0),
        column("photo", "BLOB", false, json!(null), 0),
    ]);
    assert_eq!(people["columns"], columns);
    assert_eq!(people["indexes"], json!([{ "name": "by_name", "unique": true, "columns": ["name", null] }]));
    assert!(people["sql"].as_str().unwrap().starts_with("CREATE TABLE people"));
    let visits = described("visits");
    assert_eq!(visits.succeeded().result()["references"], json!([{ "from": "who", "table": "people", "to": "id" }]));
    assert_eq!(
        failure(&described("x'); DROP TABLE people; --")),
        json!({ "sql": "there is no table or view `x'); DROP TABLE people; --`" })
    );
}

#[test]
fn a_database_is_changed_whole_or_not_at_all() {
    let Some(home) = home("") else { return };
    let execute = Function::of(&home, "sqlite-query", "execute");
    let insert = |id: i64, name: &str| json!({ "sql": "INSERT INTO people (id, name) VALUES (?, ?)", "params": [{ "integer": id }, { "text": name }] });
    let done = execute.call(&json!({ "target": "app.db", "statements": [insert(7, "Cy"), insert(8, "Di")] }), WRITE);
    assert_eq!(done.succeeded().result(), &json!([{ "rows": 1, "last_insert_id": 7 }, { "rows": 1, "last_insert_id": 8 }]));
    let half = execute.call(&json!({ "target": "app.db", "statements": [insert(9, "Ed"), insert(7, "Flo")] }), WRITE);
    assert!(failure(&half)["sql"].as_str().unwrap().contains("UNIQUE"), "{}", half.ended);
    assert_eq!(ask(&home.work().join("app.db"), "say(db.execute('SELECT group_concat(id) FROM people').fetchone()[0])"), "1,2,7,8");
}

#[test]
fn a_database_that_another_process_writes_to_is_read_and_copied() {
    let Some(home) = home("db.execute('PRAGMA journal_mode = wal')\n") else { return };
    let file = home.work().join("app.db");
    std::fs::create_dir(home.work().join("copies")).unwrap();
    // A writer that holds an open transaction: what it has not committed is nobody's.
    let writer = "db.execute(\"INSERT INTO people (id, name) VALUES (3, 'Cy')\")\n\
        db.execute('BEGIN IMMEDIATE')\n\
        db.execute(\"INSERT INTO people (id, name) VALUES (4, 'Di')\")\n\
        say('writing')\n\
        sys.stdin.read()\n\
        time.sleep(3600)\n";
    let writing = Running::start(&mut hand(&file, writer), b"");
    writing.until_stdout("writing");
    let query = Function::of(&home, "sqlite-query", "query");
    let counted = query.call(&json!({ "database": "app.db", "sql": "SELECT count(*) FROM people" }), READ);
    assert_eq!(counted.succeeded().result()["rows"], json!([[{ "integer": 3 }]]));
    let snapshot = Function::of(&home, "sqlite-query", "snapshot");
    let params = json!({ "database": "app.db", "folder": "copies", "file": "one.db" });
    let flags = ["--allow-sqlite=app.db", "--allow-write=copies"];
    let bytes = snapshot.call(&params, &flags).succeeded().result().clone();
    let copy = home.work().join("copies/one.db");
    assert_eq!(bytes, std::fs::metadata(&copy).unwrap().len());
    assert_eq!(
        ask(&copy, "say(db.execute('SELECT count(*) FROM people').fetchone()[0], db.execute('PRAGMA integrity_check').fetchone()[0])"),
        "3 ok"
    );
    assert!(failure(&snapshot.call(&params, &flags))["exists"].is_string());
    // Granted as well, and still no file of that folder.
    let outside = json!({ "database": "app.db", "folder": "copies", "file": "../one.db" });
    assert!(failure(&snapshot.call(&outside, &["--allow-sqlite=app.db", "--allow-write=."]))["target"].is_string());
    assert!(!home.work().join("one.db").exists());
}

#[test]
fn nothing_is_read_or_changed_without_its_grant_and_the_flag_is_named() {
    let Some(home) = home("") else { return };
    let refused = Function::of(&home, "sqlite-query", "tables").call(&json!({ "database": "app.db" }), &[]);
    assert!(failure(&refused)["not_granted"].is_string());
    assert!(refused.ended.stderr.contains("Allow it with `--allow-sqlite=app.db`."), "{}", refused.ended);
    let statements = json!([{ "sql": "DELETE FROM people", "params": [] }]);
    let refused = Function::of(&home, "sqlite-query", "execute").call(&json!({ "target": "app.db", "statements": statements }), READ);
    assert!(failure(&refused)["read_only"].is_string());
    assert!(refused.ended.stderr.contains("Allow it with `--allow-sqlite=app.db:write`."), "{}", refused.ended);
    let written = Function::of(&home, "sqlite-query", "query").call(&json!({ "database": "app.db", "sql": "DELETE FROM people" }), WRITE);
    assert!(failure(&written)["read_only"].is_string(), "a query never changes anything");
    assert_eq!(ask(&home.work().join("app.db"), "say(db.execute('SELECT count(*) FROM people').fetchone()[0])"), "2");
}
