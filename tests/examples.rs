//! The script that the README runs first, on real input, against an oracle.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::home::Home;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn script(name: &str) -> String {
    format!("{ROOT}/plugins/scripts/{name}.js")
}

/// The same report, by TOML's own reader.
fn oracle(lock: &str) -> Value {
    let lock: toml::Table = toml::from_str(lock).unwrap();
    let packages: Vec<&toml::Table> = lock["package"].as_array().unwrap().iter().filter_map(toml::Value::as_table).collect();
    let text = |package: &toml::Table, key: &str| package[key].as_str().unwrap().to_owned();
    let own: Vec<String> = packages.iter().filter(|package| !package.contains_key("source")).map(|package| text(package, "name")).collect();
    let mut versions = BTreeMap::<String, Vec<String>>::new();
    let mut needed = BTreeMap::<String, usize>::new();
    for package in &packages {
        versions.entry(text(package, "name")).or_default().push(text(package, "version"));
        for dependency in package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten() {
            let name = dependency.as_str().unwrap().split(' ').next().unwrap();
            *needed.entry(name.to_owned()).or_default() += 1;
        }
    }
    versions.retain(|_, all| all.len() > 1);
    let mut needed: Vec<(String, usize)> = needed.into_iter().collect();
    needed.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let most: serde_json::Map<String, Value> = needed.into_iter().take(5).map(|(name, count)| (name, json!(count))).collect();
    json!({"packages": packages.len(), "own": own, "in_several_versions": versions, "most_needed": most})
}

#[test]
fn the_dependency_report_is_what_a_toml_reader_finds() {
    let home = Home::new();
    let lock = std::fs::read_to_string(format!("{ROOT}/Cargo.lock")).unwrap();
    home.file("project/Cargo.lock", &lock);
    let record = home.record(&[&script("dependency-report"), "--param", "directory=project", "--allow-read=project"]);
    assert_eq!(record.succeeded().result(), &oracle(&lock));
    let listed = home.executions();
    assert_eq!((listed.len(), listed[0]["id"].as_str()), (1, Some(record.id())));
}

#[test]
fn the_dependency_report_is_denied_without_its_grant_and_the_flag_is_named() {
    let home = Home::new();
    home.file("Cargo.lock", "");
    let ended = home.run(&["run", &script("dependency-report")]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("Allow what the program asks for with `--allow-read=.`."), "{ended}");
    assert_eq!(home.executions()[0]["failure_kind"], "denied");
}

/// Backs `app.db` up into `backups`, and answers the record.
fn back_up(home: &Home, more: &[&str]) -> crate::support::home::Record {
    let script = script("database-backup");
    let params = [script.as_str(), "--param", "sourcePath=app.db", "--param", "backupDir=backups"];
    home.record(&[&params, more].concat())
}

const BACKUP_GRANTS: [&str; 2] = ["--allow-sqlite=app.db", "--allow-write=backups"];

#[test]
fn a_backup_keeps_the_newest_copies_and_every_file_of_others() {
    if !crate::support::database::is_here() {
        return;
    }
    let home = Home::new();
    let folder = home.work().join("backups");
    home.file("backups/app-notes.db", "mine");
    home.file("backups/app-20200101-000000.db", "old");
    home.file("backups/app-20200101-000000-2.db", "older than none but the first");
    home.file("backups/other-20200101-000000.db", "mine");
    crate::support::database::ask(&home.work().join("app.db"), "db.execute('CREATE TABLE t (x)'); db.execute('INSERT INTO t VALUES (7)')");
    let mut made = Vec::new();
    for round in 0..4 {
        let record = back_up(&home, &[&BACKUP_GRANTS[..], &["--param", "maxBackups=3"]].concat());
        let result = record.succeeded().result().clone();
        let file = result["file"].as_str().unwrap().to_owned();
        assert_eq!(result["bytes"], std::fs::metadata(folder.join(&file)).unwrap().len());
        assert_eq!(result["kept"], 3.min(3 + round), "{result}");
        made.push(file);
    }
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    let mut expected = vec!["app-notes.db".to_owned(), "other-20200101-000000.db".to_owned()];
    expected.extend(made.split_off(1));
    expected.sort_unstable();
    assert_eq!(names, expected, "each of its own name, also within a second");
    let newest = names.iter().find(|name| name.starts_with("app-2") && !name.contains("2020")).unwrap();
    let copy = crate::support::database::ask(&folder.join(newest), "say(db.execute('SELECT x FROM t').fetchone()[0])");
    assert_eq!(copy, "7");
}

#[test]
fn a_backup_is_denied_without_its_grants_and_the_flags_are_named() {
    let home = Home::new();
    home.file("app.db", "");
    std::fs::create_dir(home.work().join("backups")).unwrap();
    let refused = back_up(&home, &[]);
    assert_eq!(refused.ending(), ("failed", "denied", "operator", Some(1)), "{}", refused.ended);
    assert!(refused.ended.stderr.contains("Allow what the program asks for with `--allow-sqlite=app.db`."), "{}", refused.ended);
    let refused = back_up(&home, &BACKUP_GRANTS[..1]);
    assert!(refused.ended.stderr.contains("Allow what the program asks for with `--allow-write=backups`."), "{}", refused.ended);
    assert_eq!(std::fs::read_dir(home.work().join("backups")).unwrap().count(), 0);
}

#[test]
fn a_damaged_database_pushes_no_good_copy_out() {
    let home = Home::new();
    home.file("app.db", "this is no database, but it has some length ".repeat(200));
    home.file("backups/app-20200101-000000.db", "good");
    let failed = back_up(&home, &[&BACKUP_GRANTS[..], &["--param", "maxBackups=1"]].concat());
    assert_eq!(failed.ending(), ("failed", "failed", "guest", Some(3)), "{}", failed.ended);
    assert_eq!(std::fs::read_dir(home.work().join("backups")).unwrap().count(), 1);
}
