//! A hand in the data folder: whatever it changes of a plugin is seen before
//! anything of it runs; and a kill at any moment leaves what was there.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::with_section;
use crate::support::database::{edit, is_here};
use crate::support::guests;
use crate::support::home::Home;
use crate::support::registry::{WASM, digest};
use crate::support::stranger::{Reply, Stranger, head};

fn bytes_of(home: &Home) -> PathBuf {
    fs::read_dir(home.path().join("components")).unwrap().next().unwrap().unwrap().path()
}

#[track_caller]
fn is_seen(home: &Home, what: &str) {
    let ran = home.run(&["run", "typed.add", "--param", "a=1", "--param", "b=2"]);
    assert!(ran.code == Some(1) && ran.stdout.is_empty(), "{what}: {ran}");
    assert!(ran.stderr.contains("was changed"), "{what}: {ran}");
    let verified = home.try_plugin(&["verify", "typed"]);
    assert_eq!(verified.code, Some(1), "{what}: {verified}");
    assert!(home.executions().is_empty(), "{what}: nothing ran");
}

#[test]
fn a_changed_byte_of_the_program_is_seen() {
    let home = Home::new();
    // The manifest lies in the last bytes.
    let file = home.with_manifest(&guests::typed(), "typed.wasm", "description = 'Adds'");
    home.install(&file, "typed");
    home.plugin(&["verify"]);
    let path = bytes_of(&home);
    let good = fs::read(&path).unwrap();
    for at in [0, 9, good.len() / 2, good.len() - 20, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        is_seen(&home, &format!("byte {at}"));
    }
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    is_seen(&home, "a byte less");
    fs::remove_file(&path).unwrap();
    let gone = home.run(&["run", "typed.nothing"]);
    assert!(gone.code == Some(1) && gone.stderr.contains("is gone"), "{gone}");
    fs::write(&path, &good).unwrap();
    home.plugin(&["verify"]);
}

#[test]
fn a_changed_field_of_the_row_is_seen() {
    if !is_here() {
        return;
    }
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    // Bytes that are there, too: another plugin's.
    home.install(&guests::task(), "worker");
    edit(&home.path(), "db.execute('CREATE TABLE kept AS SELECT * FROM plugins')");
    for change in [
        "digest = (SELECT digest FROM kept WHERE name = \"worker\")",
        "format = \"module\"",
        "size = size + 1",
        "installed_ms = installed_ms + 1",
        "summary = replace(summary, \"add\", \"sub\")",
        "functions = replace(functions, \"minimum\", \"maximum\")",
        "functions = \"[]\"",
        "wit = \"\"",
        "wit = NULL",
        "seal = \"0000000000000000000000000000000000000000000000000000000000000000\"",
        "(digest, format, size, seal, summary, functions) = \
            (SELECT digest, format, size, seal, summary, functions FROM kept WHERE name = \"worker\")",
    ] {
        edit(&home.path(), &format!("db.execute('UPDATE plugins SET {change} WHERE name = \"typed\"')"));
        is_seen(&home, change);
        edit(&home.path(), "db.execute('DELETE FROM plugins')\ndb.execute('INSERT INTO plugins SELECT * FROM kept')");
        home.plugin(&["verify"]);
    }
    edit(&home.path(), "db.execute('UPDATE plugins SET size = 1 WHERE name = \"typed\"')");
    let listed = home.plugin_json(&["list"]);
    assert_eq!((&listed["altered"][0], listed["plugins"].as_array().unwrap().len()), (&"typed".into(), 1));
    home.plugin(&["remove", "typed"]);
    home.install(&guests::typed(), "typed");
    home.plugin(&["verify"]);
}

#[test]
fn a_changed_cache_is_made_anew() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    let cache = home.path().join("cache");
    for entry in fs::read_dir(&cache).unwrap().flatten().filter(|entry| entry.file_name() != "key" && entry.path().is_file()) {
        // Not in place: other homes share the file.
        let mut bytes = fs::read(entry.path()).unwrap();
        bytes[40] ^= 1;
        fs::remove_file(entry.path()).unwrap();
        fs::write(entry.path(), bytes).unwrap();
    }
    assert_eq!(home.record(&["typed.add", "--param", "a=1", "--param", "b=2"]).succeeded().result(), 3);
}

#[test]
fn a_key_that_is_gone_is_told_and_not_replaced() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    let key = home.path().join("plugins.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let listed = home.try_plugin(&["list"]);
    assert!(listed.code == Some(70) && listed.stderr.contains("Put the key's file back"), "{listed}");
    assert!(!key.exists());
    fs::write(&key, kept).unwrap();
    home.plugin(&["verify"]);
}

/// Rounds of installing and killing; `.ci/long install-kills` does more.
const ROUNDS: u32 = 24;
/// Between the pieces of what is fetched: a kill may fall between any two.
const PAUSE: Duration = Duration::from_millis(4);

/// The four ways in which a plugin gets its bytes, one after another.
struct Ways {
    home: Home,
    server: Stranger,
}

/// A program that is another one in each round.
fn wasm(round: u32) -> Vec<u8> {
    with_section(&fs::read(guests::command("say")).unwrap(), "round", &round.to_le_bytes())
}

fn manifest(round: u32) -> String {
    let blob = wasm(round);
    json!({ "schemaVersion": 2, "layers": [{ "mediaType": WASM, "digest": digest(&blob), "size": blob.len() }] }).to_string()
}

/// In small pieces, the head for itself.
fn slowly(body: &[u8]) -> Reply {
    let pieces = body.chunks(body.len().div_ceil(8)).map(<[u8]>::to_vec);
    Reply::Pieces([head(200, &[], body.len())].into_iter().chain(pieces).collect(), PAUSE)
}

impl Ways {
    fn new() -> Self {
        // `/ROUND.js`, and `/v2/rROUND/…` of a registry.
        let server = Stranger::start(|asked, _| {
            let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
            let parts: Vec<&str> = asked.target().trim_start_matches('/').split('/').collect();
            match parts.as_slice() {
                ["v2", name, "manifests", _] => slowly(manifest(number(name)).as_bytes()),
                ["v2", name, "blobs", _] => slowly(&wasm(number(name))),
                _ => slowly(format!("return {};", number(asked.target())).as_bytes()),
            }
        });
        Self { home: Home::new(), server }
    }

    /// What is typed in this round: a file, a file, an address, an artifact; every
    /// other one an upgrade.
    fn arguments(&self, round: u32) -> Vec<String> {
        let script = format!("return {round};");
        let from = match round % 4 {
            0 | 1 => self.home.file("other.js", &script).display().to_string(),
            2 => format!("{}/{round}.js@{}", self.server.base(), digest(script.as_bytes())),
            _ => format!("oci://{}/r{round}@{}", self.server.host(), digest(manifest(round).as_bytes())),
        };
        let words =
            if upgrades(round) { ["upgrade".to_owned(), "first".to_owned()] } else { ["install".to_owned(), format!("--name=p{round}")] };
        ["plugin".to_owned()].into_iter().chain(words).chain([from]).collect()
    }

    /// How long each takes when nobody kills it.
    fn measured(&self) -> [Duration; 4] {
        [0, 1, 2, 3].map(|way| {
            let begin = Instant::now();
            let ended = self.home.run(&self.arguments(1_000_000 + way));
            assert_eq!(ended.code, Some(0), "{ended}");
            begin.elapsed() + Duration::from_millis(5)
        })
    }
}

const fn upgrades(round: u32) -> bool {
    round % 2 == 1
}

#[test]
fn a_kill_at_any_moment_of_an_installation_leaves_no_half_plugin() {
    let rounds = std::env::var("WARDROOM_INSTALL_KILLS").map_or(ROUNDS, |text| text.parse().unwrap());
    let ways = Ways::new();
    let home = &ways.home;
    let file = home.file("p.js", "return 1;");
    home.install(&file, "first");
    // The same bytes under another name: neither is touched by what follows.
    home.install(&file, "begun");
    let whole = ways.measured();
    let digest_of = |name: &str| home.plugin_json(&["inspect", name])["digest"].as_str().unwrap().to_owned();
    let (mut installed, mut digest) = (home.installed().len(), digest_of("first"));
    let (mut done, mut untouched, mut fetching) = (0, 0, 0);
    for round in 0..rounds {
        let asked = ways.server.asked().len();
        let running = home.start(&ways.arguments(round));
        // Spread over the time that it takes: a moment is what is tested here.
        std::thread::sleep(whole[round as usize % 4] * (round / 4) / rounds.div_ceil(4));
        running.signal(Signal::KILL);
        drop(running.wait());
        let listed = home.installed();
        assert!(listed.len() == installed || (!upgrades(round) && listed.len() == installed + 1), "{listed:?}");
        let now = digest_of("first");
        if listed.len() > installed || now != digest {
            done += 1;
        } else {
            untouched += 1;
            fetching += u32::from(ways.server.asked().len() > asked);
        }
        (installed, digest) = (listed.len(), now);
        home.plugin(&["verify"]);
        assert_eq!(home.run(&["run", "first"]).code, Some(0));
    }
    println!("{rounds} kills: {done} were done, {untouched} left it as it was, {fetching} of those after something had been asked for");
    // What was left is old by now, and the next installation clears it.
    let components = home.path().join("components");
    let old = std::time::SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    for entry in fs::read_dir(&components).unwrap().flatten() {
        fs::File::open(entry.path()).unwrap().set_modified(old).unwrap();
    }
    home.install(&home.file("last.js", "return 'last';"), "last");
    let listed = home.plugin_json(&["list"]);
    let bytes = |plugin: &Value| [plugin["digest"].clone(), plugin["previous"].clone()];
    let pinned = listed["plugins"].as_array().unwrap().iter().flat_map(bytes);
    let pinned = pinned.filter_map(|digest| digest.as_str().map(str::to_owned)).collect::<BTreeSet<_>>().len();
    assert_eq!(fs::read_dir(&components).unwrap().count(), pinned, "no bytes that nothing pins");
}
