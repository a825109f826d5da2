//! The arrows of the tree: who may name which crate, and that every test file
//! is wired in. A failure names file and line.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Rust file below a folder, without build products.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort_unstable();
    found
}

/// A line without its comment and without the text of its string literals, in
/// which a crate may well be mentioned.
fn code(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            c if !quoted => code.push(c),
            _ => {}
        }
    }
    code
}

/// The word stands there as a path or crate name, not as part of another word.
fn names(code: &str, word: &str) -> bool {
    let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(part_of_a_name) && !after.is_some_and(part_of_a_name)
    })
}

/// Every place below `engine` that names one of `words` and is not allowed to.
fn trespasses(words: &[&str], allowed: impl Fn(&str) -> bool) -> String {
    let (top, mut found) = (top(), String::new());
    for path in sources(&top.join("engine")) {
        let relative = path.strip_prefix(&top).unwrap().display().to_string();
        if allowed(&relative) {
            continue;
        }
        for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let code = code(line);
            if let Some(word) = words.iter().find(|word| names(&code, word)) {
                writeln!(found, "{relative}:{}: names `{word}`: {}", index + 1, line.trim()).unwrap();
            }
        }
    }
    found
}

#[track_caller]
fn none(trespasses: &str, rule: &str) {
    assert!(trespasses.is_empty(), "{rule}:\n{trespasses}");
}

#[test]
fn the_sandbox_is_named_in_the_host_alone() {
    let words = ["wasmtime", "wasmtime_wasi", "wasmtime_wasi_http", "wit_component", "wasmparser", "swc_common", "swc_ts_fast_strip"];
    none(&trespasses(&words, |path| path.starts_with("engine/host/")), "only engine/host names the sandbox");
}

#[test]
fn the_database_is_named_in_the_db_alone() {
    none(&trespasses(&["rusqlite"], |path| path.starts_with("engine/db/")), "only engine/db names rusqlite");
}

#[test]
fn the_command_line_is_read_and_printed_to_in_the_cli_alone() {
    let words = ["clap", "clap_complete", "anstream", "anstyle", "comfy_table", "println", "eprintln", "print", "eprint", "dbg"];
    // What a crate's own tests and examples print is for whoever runs those.
    let figures = "engine/db/src/million.rs";
    let allowed = |path: &str| path.starts_with("engine/wardroom/src/cli/") || !path.contains("/src/") || path == figures;
    none(&trespasses(&words, allowed), "only engine/wardroom/src/cli names clap, and prints");
}

#[test]
fn one_module_speaks_the_model_context_protocol() {
    let door = |path: &str| path.starts_with("engine/wardroom/src/mcp/") || path.starts_with("engine/wardroom/Cargo.toml");
    none(&trespasses(&["rmcp"], door), "only engine/wardroom/src/mcp names rmcp");
}

#[test]
fn cron_expressions_are_read_in_the_schedule_alone() {
    none(&trespasses(&["croner"], |path| path.starts_with("engine/schedule/")), "only engine/schedule names croner");
}

#[test]
fn folders_are_watched_in_two_places() {
    let watches = |path: &str| ["schedule/watch.rs", "project/watch.rs"].iter().any(|watch| path == format!("engine/wardroom/src/{watch}"));
    // The error of either names what the system said.
    let allowed = |path: &str| watches(path) || path == "engine/wardroom/src/project/mod.rs";
    none(&trespasses(&["notify"], allowed), "only the scheduler's and the projects' watch.rs name notify");
}

#[test]
fn the_session_bus_is_spoken_to_in_one_place() {
    let desktop = "engine/wardroom/src/schedule/desktop.rs";
    none(&trespasses(&["zbus"], |path| path == desktop), "only the scheduler's desktop.rs names zbus");
}

#[test]
fn schedule_knows_task_and_task_knows_execution_and_not_the_other_way() {
    let below = |folder: &'static str, words: &[&str]| {
        let (mut found, top) = (String::new(), top());
        for path in sources(&top.join("engine/wardroom/src").join(folder)) {
            for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
                if words.iter().any(|word| code(line).contains(word)) {
                    writeln!(found, "{}:{}: {}", path.display(), index + 1, line.trim()).unwrap();
                }
            }
        }
        found
    };
    none(&below("task", &["crate::schedule"]), "a task knows nothing of who schedules it");
    none(&below("execution", &["crate::task", "crate::schedule"]), "an execution knows nothing of tasks");
}

#[test]
fn keys_and_their_places_are_named_in_the_vault_alone() {
    let words = [
        "aes_gcm",
        "pbkdf2",
        "ed25519_dalek",
        "keyring_core",
        "zbus_secret_service_keyring_store",
        "aho_corasick",
        "expose_bytes",
        "expose_text",
    ];
    // The audit log's first key goes to the vault to be sealed, and values come
    // from the operator; what is read from a value is its size and its kind.
    let doors = [
        "engine/db/src/audit",
        "engine/wardroom/src/audit/",
        "engine/wardroom/src/cli/secret.rs",
        "engine/wardroom/src/credential/",
        "engine/wardroom/src/vault/",
    ];
    let allowed = |path: &str| path.starts_with("engine/vault/") || doors.iter().any(|door| path.starts_with(door));
    none(&trespasses(&words, allowed), "only engine/vault names what opens a value");
    let ciphers =
        trespasses(&["aes_gcm", "pbkdf2", "ed25519_dalek", "keyring_core", "aho_corasick"], |path| path.starts_with("engine/vault/"));
    none(&ciphers, "only engine/vault names ciphers, keychains and the redactor's scan");
}

#[test]
fn the_vocabulary_opens_nothing() {
    let words = [
        "tokio",
        "wasmtime",
        "rusqlite",
        "hyper",
        "rustix",
        "getrandom",
        "std::fs",
        "std::net::TcpStream",
        "std::net::TcpListener",
        "std::net::UdpSocket",
        "std::net::ToSocketAddrs",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
    ];
    none(&trespasses(&words, |path| !path.starts_with("engine/core/")), "engine/core opens nothing and knows no runtime");
}

#[test]
fn schedules_are_arithmetic() {
    let words = [
        "tokio",
        "rusqlite",
        "getrandom",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
        "SystemTime",
        "SystemClock",
        "Timestamp::now",
        "Zoned::now",
    ];
    // Its tests start an independent reckoner and read the environment.
    let allowed = |path: &str| !path.starts_with("engine/schedule/src/");
    none(&trespasses(&words, allowed), "engine/schedule is arithmetic: no clock, no files, no threads");
}

#[test]
fn unsafe_code_stands_in_one_place() {
    let found = trespasses(&["unsafe"], |path| path == "engine/host/src/load.rs");
    none(&found, "only engine/host/src/load.rs has unsafe code");
    let places = fs::read_to_string(top().join("engine/host/src/load.rs")).unwrap();
    assert_eq!(places.lines().filter(|line| names(&code(line), "unsafe")).count(), 1);
}

/// The crates of ours that a crate depends on, its tests included.
fn dependencies(name: &str) -> Vec<String> {
    let text = fs::read_to_string(top().join("engine").join(name).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let mut found: Vec<String> = ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|section| section.keys().filter(|key| key.starts_with("wardroom")).cloned())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn arrows_between_crates_go_down_only() {
    assert_eq!(dependencies("core"), Vec::<String>::new());
    assert_eq!(dependencies("host"), ["wardroom-core"]);
    assert_eq!(dependencies("db"), ["wardroom-core"]);
    assert_eq!(dependencies("vault"), ["wardroom-core"]);
    assert_eq!(dependencies("schedule"), ["wardroom-core"]);
    let all = ["wardroom-core", "wardroom-db", "wardroom-host", "wardroom-schedule", "wardroom-vault"];
    assert_eq!(dependencies("wardroom"), all);
}

#[test]
fn use_cases_know_no_front_door() {
    let (top, mut found) = (top(), String::new());
    for path in sources(&top.join("engine/wardroom/src")) {
        let relative = path.strip_prefix(&top).unwrap().display().to_string();
        let own_door = ["engine/wardroom/src/cli/", "engine/wardroom/src/lib.rs", "engine/wardroom/src/main.rs"];
        if own_door.iter().any(|door| relative.starts_with(door)) {
            continue;
        }
        for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if code(line).contains("crate::cli") {
                writeln!(found, "{relative}:{}: {}", index + 1, line.trim()).unwrap();
            }
        }
    }
    none(&found, "what happens knows nothing of who asked");
}

/// Modules that a file declares, as the files that they would be.
fn declared(file: &Path) -> Vec<PathBuf> {
    let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("main" | "mod" | "lib") => file.parent().unwrap().to_owned(),
        _ => file.with_extension(""),
    };
    let text = fs::read_to_string(file).unwrap();
    let modules = text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    });
    modules.flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")]).filter(|path| path.is_file()).collect()
}

#[test]
fn every_test_file_is_wired_in() {
    let tests = top().join("tests");
    let mut wired = vec![tests.join("main.rs")];
    let mut next = 0;
    while let Some(file) = wired.get(next).cloned() {
        wired.extend(declared(&file));
        next += 1;
    }
    let own_workspaces = [tests.join("guests"), tests.join("fuzz")];
    let lost: Vec<PathBuf> = sources(&tests)
        .into_iter()
        .filter(|path| !own_workspaces.iter().any(|folder| path.starts_with(folder)) && !wired.contains(path))
        .collect();
    assert!(lost.is_empty(), "declared by no module, and so never run: {lost:?}");
    assert!(wired.len() > 10, "{wired:?}");
}

#[test]
fn every_guest_command_is_used_by_a_test() {
    let tests = top().join("tests");
    let users: String = sources(&tests)
        .into_iter()
        .filter(|path| !path.starts_with(tests.join("guests")))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let idle: Vec<String> = sources(&tests.join("guests/commands/src/bin"))
        .into_iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !users.contains(&format!("\"{name}\"")))
        .collect();
    assert!(idle.is_empty(), "guests that no test runs: {idle:?}");
}
