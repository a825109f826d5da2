//! Signed plugins: what a signature lets in, and what it keeps out. Each thing that
//! is refused is refused before anything of it runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wardroom::Wardroom;

use super::{bad::refused, with_section};
use crate::support::database::{edit, is_here};
use crate::support::guests;
use crate::support::home::{BINARY, Home};
use crate::support::library::RUNTIME;
use crate::support::server::Server;
use crate::support::terminal::{by_code, on_a_terminal};

/// Every byte of a signature, in its section.
const SECTION_BYTES: usize = 118;

impl Home {
    /// A key of one's own, in a file of this name. Answers its public half.
    #[track_caller]
    pub(crate) fn signing_key(&self, name: &str) -> String {
        self.plugin_json(&["key", "new", name])["signer"].as_str().unwrap().to_owned()
    }

    /// A signed copy of a program, of the same ending.
    #[track_caller]
    pub(crate) fn signed(&self, program: &Path, key: &str, name: &str) -> PathBuf {
        let path = self.work().join(name);
        self.plugin(&["sign", program.to_str().unwrap(), "--key", key, "--output", path.to_str().unwrap()]);
        path
    }

    /// Trusts a key past the terminal, as the use case that the terminal leads to.
    pub(crate) fn trust_signer(&self, signer: &str, name: &str) {
        let wardroom = Wardroom::open(&self.path(), BINARY.into(), std::sync::Arc::new(wardroom_host::Silent)).unwrap();
        RUNTIME.block_on(wardroom.trust_signer(signer.parse().unwrap(), name)).unwrap();
    }

    /// Asks for signatures of plugins from files.
    pub(crate) fn require_signed(&self, rule: &str) {
        fs::write(self.path().join("config.toml"), format!("[plugins.require_signed]\nfile = \"{rule}\"\n")).unwrap();
    }
}

/// A home in which plugins from files have to be signed, with a trusted key.
fn strict() -> (Home, String) {
    let home = Home::new();
    let signer = home.signing_key("key");
    home.trust_signer(&signer, "Ada");
    home.require_signed("enforce");
    (home, signer)
}

const ADD: [&str; 4] = ["--param", "a=1", "--param", "b=2"];

#[track_caller]
fn is_stopped(home: &Home, program: &[&str], reason: &str) {
    let before = home.executions().len();
    let ran = home.run(&[&["run"], program].concat());
    assert!(ran.code == Some(1) && ran.stdout.is_empty() && ran.stderr.contains(reason), "expected `{reason}`: {ran}");
    assert_eq!(home.executions().len(), before, "nothing ran");
}

#[test]
fn from_a_fresh_key_to_a_plugin_that_is_known_by_whom_it_is_of() {
    let home = Home::new();
    let made = home.plugin(&["key", "new", "key"]);
    let signer = made.text().trim().to_owned();
    assert!(signer.starts_with("ed25519:") && signer.len() == 72, "{made}");
    let key = home.work().join("key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = fs::read(&key).unwrap();
    let again = home.try_plugin(&["key", "new", "key"]);
    assert!(again.code == Some(1) && again.stderr.contains("no key is ever written over one"), "{again}");
    assert_eq!(fs::read(&key).unwrap(), kept);
    assert_eq!(home.plugin_json(&["key", "show", "key"])["signer"], json!(signer));

    let file = home.file("typed.wasm", fs::read(guests::typed()).unwrap());
    crate::support::home::chmod(&file, 0o640);
    let unsigned = home.read(&["inspect", "typed.wasm", "--json"]);
    assert_eq!(unsigned["signature"], json!({ "state": "unsigned" }));
    let signed = home.plugin_json(&["sign", "typed.wasm", "--key", "key"]);
    assert_eq!(signed["signer"], json!(signer));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640, "it keeps its permissions");
    let bytes = fs::read(&file).unwrap();
    assert_eq!(bytes.len(), fs::read(guests::typed()).unwrap().len() + SECTION_BYTES);
    let twice = home.try_plugin(&["sign", "typed.wasm", "--key", "key"]);
    assert!(twice.code == Some(1) && twice.stderr.contains("carries a signature already") && twice.stderr.contains("--replace"), "{twice}");
    assert_eq!(home.plugin_json(&["sign", "typed.wasm", "--key", "key", "--replace"])["replaced"], json!(signer));
    assert_eq!(fs::read(&file).unwrap(), bytes, "one key makes one signature of the same bytes");
    assert_eq!(home.read(&["inspect", "typed.wasm", "--json"])["signature"], json!({ "state": "unknown_key", "signer": signer }));

    let blind = home.try_plugin(&["trust", &signer, "--name", "Ada"]);
    assert!(blind.code == Some(1) && blind.stderr.contains("a key is trusted by a person, in a terminal"), "{blind}");
    let Some(screen) = by_code(&home, &format!("plugin trust {signer} --name Ada")) else { return };
    assert!(screen.contains("trusted as Ada"), "{screen}");
    let listed = home.plugin_json(&["trusted"]);
    assert_eq!((&listed["trusted"][0]["name"], &listed["altered"], &listed["revoked"]), (&json!("Ada"), &json!(false), &json!([])));
    let installed = home.install(&file, "typed");
    assert_eq!(installed["signature"], json!({ "state": "trusted", "signer": signer, "name": "Ada" }));
    let text = home.plugin(&["list"]).text();
    assert!(text.contains("SIGNED BY") && text.contains("Ada"), "{text}");
    assert!(home.plugin(&["inspect", "typed"]).text().contains("signed by Ada, whose key is trusted"));
    home.require_signed("enforce");
    assert_eq!(home.record(&[&["typed.add"], &ADD[..]].concat()).succeeded().result(), 3);
    home.plugin(&["verify"]);
    assert_eq!(home.plugin_json(&["untrust", "Ada"])["signer"], json!(signer));
    let unknown = home.try_plugin(&["untrust", "Ada"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("nobody is trusted as `Ada`"), "{unknown}");
}

#[test]
fn another_code_trusts_nobody() {
    let home = Home::new();
    let signer = home.signing_key("key");
    let words = format!("plugin trust {signer} --name Ada");
    let screen = crate::support::terminal::on_a_terminal(&home, &words, "anything else to leave it:", Some("yes\n"));
    let Some(screen) = screen else { return };
    assert!(screen.contains("not done"), "{screen}");
    assert_eq!(home.plugin_json(&["trusted"])["trusted"], json!([]));
}

#[test]
fn what_is_no_signer_is_trusted_by_nobody() {
    let home = Home::new();
    let signer = home.signing_key("key");
    let weak = format!("ed25519:{}", "0".repeat(64));
    for (key, name, code, reason) in [
        (weak.as_str(), "Ada", 1, "no key to sign with"),
        (&signer, "", 1, "names no signer"),
        (&signer, " Ada", 1, "names no signer"),
        (&signer, "A\u{202e}da", 1, "names no signer"),
        (&signer, &signer, 1, "names no signer"),
        ("ed25519:00", "Ada", 2, "no signer's key"),
    ] {
        let ended = home.try_plugin(&["trust", key, "--name", name]);
        assert!(ended.code == Some(code) && ended.stderr.contains(reason), "{name:?}: {ended}");
    }
    home.trust_signer(&signer, "Ada");
    let other = home.signing_key("other");
    let taken = home.try_plugin(&["trust", &other, "--name", "Ada"]);
    assert!(taken.code == Some(1) && taken.stderr.contains("another key is trusted as `Ada`"), "{taken}");
    let twice = home.try_plugin(&["trust", &signer, "--name", "Bob"]);
    assert!(twice.code == Some(1) && twice.stderr.contains("trusted already, as `Ada`"), "{twice}");
}

#[test]
fn only_what_a_trusted_key_signed_is_installed_where_that_is_the_rule() {
    let (home, signer) = strict();
    refused(&home, &guests::typed(), "typed", 1, "is not signed: a plugin from a file has to be");
    let other = home.signing_key("other");
    refused(
        &home,
        &home.signed(&guests::typed(), "other", "other.wasm"),
        "typed",
        1,
        &format!("is signed by {other}, which is not trusted"),
    );
    let file = home.signed(&guests::typed(), "key", "typed.wasm");
    home.install(&file, "typed");
    home.install(&home.signed(&home.file("a.ts", "const n: number = 7; return n"), "key", "b.ts"), "script");
    assert_eq!(home.record(&["script"]).succeeded().result(), 7);
    home.install(&home.signed(&guests::preview1(), "key", "module.wasm"), "module");
    assert_eq!(home.run(&["run", "module"]).code, Some(0));
    refused(&home, &home.file("c.js", "return 1;"), "plain", 1, "is not signed");
    // What a task of one's own pins is no plugin, and no file that is named is.
    assert_eq!(home.record(&[home.file("c.js", "return 1;").to_str().unwrap()]).succeeded().result(), 1);
    let upgrade = home.try_plugin(&["upgrade", "typed", guests::task().to_str().unwrap()]);
    assert!(upgrade.code == Some(1) && upgrade.stderr.contains("is not signed"), "{upgrade}");
    assert_eq!(home.plugin_json(&["inspect", "typed"])["signature"]["signer"], json!(signer));
}

#[test]
fn a_rule_that_warns_says_so_and_lets_it_in() {
    let home = Home::new();
    home.require_signed("warn");
    let ended = home.plugin(&["install", guests::typed().to_str().unwrap(), "--name", "typed"]);
    assert!(ended.stderr.contains("warning: it comes from a file, and nobody whom you trust signed it"), "{ended}");
    let listed = home.plugin(&["list"]);
    assert!(listed.stderr.contains("warning: typed: it comes from a file"), "{listed}");
    let ran = home.run(&[&["run", "typed.add"], &ADD[..]].concat());
    assert!(ran.code == Some(0) && ran.stderr.contains("nobody whom you trust signed it"), "{ran}");
    // So does every other way in.
    for words in [
        [&["task", "add", "sum", "typed.add"], &ADD[..]].concat(),
        vec!["task", "run", "sum"],
        vec!["expose", "typed.add"],
        vec!["expose", "sum"],
    ] {
        let ended = home.run(&words);
        assert!(ended.code == Some(0) && ended.stderr.contains("nobody whom you trust signed it"), "{words:?}: {ended}");
    }
    home.require_signed("off");
    let ran = home.run(&[&["run", "typed.add"], &ADD[..]].concat());
    assert!(ran.code == Some(0) && ran.stderr.is_empty(), "{ran}");
    // Installed before the rule: it is not run under it.
    home.require_signed("enforce");
    is_stopped(&home, &["typed.add"], "is not signed");
    let shown = home.plugin_json(&["inspect", "typed"])["signature"].clone();
    assert!(shown["warning"].as_str().unwrap().contains("it is not run"), "{shown}");
    let verified = home.try_plugin(&["verify"]);
    assert!(verified.code == Some(1) && verified.stdout.windows(10).any(|words| words == b"not signed"), "{verified}");
}

#[test]
fn each_kind_of_source_has_its_own_rule() {
    let (home, _) = strict();
    let server = Server::start();
    let pinned = |text: &str| {
        server.answers(200, &[], text);
        let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}/p.js@sha256:{digest}", server.base())
    };
    // Unless somebody says otherwise, what comes from an address is let in with a warning.
    let ended = home.plugin(&["install", &pinned("return 1;"), "--name=one"]);
    assert!(ended.stderr.contains("warning: it comes from an address, and nobody whom you trust signed it"), "{ended}");
    assert_eq!(home.run(&["task", "add", "t", "one"]).code, Some(0));
    let ran = home.run(&["run", "one"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("it comes from an address"), "{ran}");
    fs::write(home.path().join("config.toml"), "[plugins.require_signed]\nurl = 'enforce'\n").unwrap();
    let refused = home.try_plugin(&["install", &pinned("return 2;"), "--name=two"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("a plugin from an address has to be (`require_signed.url`)"), "{refused}");
    is_stopped(&home, &["one"], "is not signed");
    let task = home.run(&["task", "run", "t"]);
    assert!(task.code == Some(1) && task.stderr.contains("is not signed"), "a task knows where its plugin came from: {task}");
    let signed = fs::read_to_string(home.signed(&home.file("a.js", "return 3;"), "key", "s.js")).unwrap();
    home.plugin(&["upgrade", "one", &pinned(&signed)]);
    assert_eq!(home.record(&["one"]).succeeded().result(), 3);
    let back = home.try_plugin(&["rollback", "one"]);
    assert!(back.code == Some(1) && back.stderr.contains("is not signed"), "{back}");
    // A file's rule is another one.
    home.install(&home.file("plain.js", "return 4;"), "plain");
    assert_eq!(home.record(&["plain"]).succeeded().result(), 4);
}

#[test]
fn a_signature_that_does_not_hold_is_refused_under_every_rule() {
    let (home, _) = strict();
    let manifest = home.with_manifest(&guests::typed(), "m.wasm", "description = 'one'");
    let signed = fs::read(home.signed(&manifest, "key", "signed.wasm")).unwrap();
    let other = fs::read(home.signed(&guests::task(), "key", "task.wasm")).unwrap();
    let (program, section) = signed.split_at(signed.len() - SECTION_BYTES);
    let foreign = &other[other.len() - SECTION_BYTES..];
    let replaced = String::from_utf8_lossy(b"description = 'two'").into_owned();
    let at = program.windows(19).position(|words| words == b"description = 'one'").unwrap();
    let mut lying = signed.clone();
    lying[at..at + replaced.len()].copy_from_slice(replaced.as_bytes());
    let mut version = signed.clone();
    let place = version.len() - 97;
    version[place] = 9;
    let cases = [
        ("another component's signature", [program, foreign].concat(), "does not hold"),
        ("a manifest replaced after signing", lying, "does not hold"),
        ("two signatures", [&signed, section].concat(), "not the last thing in it"),
        ("a section behind it", with_section(&signed, "wardroom-manifest", b"net = ['https://a.example']"), "not the last thing in it"),
        ("a byte behind it", [&signed[..], &[0]].concat(), "not the last thing in it"),
        ("a signature in front", [&program[..8], section, &program[8..]].concat(), "not the last thing in it"),
        ("a cut section", signed[..signed.len() - 1].to_vec(), "no valid WebAssembly"),
        ("an unknown version", version, "has the form 9"),
    ];
    for rule in ["enforce", "warn", "off"] {
        home.require_signed(rule);
        for (what, bytes, reason) in &cases {
            println!("{rule}: {what}");
            refused(&home, &home.file("bad.wasm", bytes), "bad", 3, reason);
        }
    }
    let script = String::from_utf8(fs::read(home.signed(&home.file("a.js", "return 1;"), "key", "s.js")).unwrap()).unwrap();
    let line = script.lines().last().unwrap();
    for (text, reason) in [
        (script.replace("return 1", "return 2"), "does not hold"),
        (format!("{script}return 2;\n"), "not the last thing in it"),
        (format!("{script}{line}\n"), "not the last thing in it"),
        (script.trim_end().to_owned(), "not spelled as one"),
    ] {
        refused(&home, &home.file("bad.js", text), "bad", 3, reason);
    }
}

#[test]
fn no_changed_byte_of_a_signed_component_gets_in() {
    let (home, _) = strict();
    let signed = fs::read(home.signed(&guests::command("echo"), "key", "signed.wasm")).unwrap();
    let start = signed.len() - SECTION_BYTES;
    // Every byte of the signature, and every so many of what it covers.
    let places = (start..signed.len()).chain((0..start).step_by(start / 64));
    let mut seen = 0;
    for at in places {
        let mut bad = signed.clone();
        bad[at] ^= 1 << (at % 8);
        let file = home.file("bad.wasm", &bad);
        let ended = home.try_plugin(&["install", file.to_str().unwrap(), "--name", "bad"]);
        assert!(matches!(ended.code, Some(1 | 3)), "byte {at}: {ended}");
        assert!(!ended.stderr.contains("compil"), "byte {at} is seen before anything is compiled: {ended}");
        seen += 1;
    }
    assert!(home.installed().is_empty() && seen >= SECTION_BYTES + 64, "{seen}");
    assert!(!home.path().join("components").exists(), "nothing was stored");
}

#[test]
fn whoever_is_trusted_no_more_stops_what_is_installed() {
    let (home, signer) = strict();
    home.install(&home.signed(&guests::typed(), "key", "typed.wasm"), "typed");
    assert_eq!(home.run(&[&["task", "add", "sum", "typed.add"], &ADD[..]].concat()).code, Some(0));
    assert_eq!(home.run(&["expose", "typed.add"]).code, Some(0));
    let caller = home.file("caller.js", "return tools.typed.add({ a: 1, b: 2 });");
    let caller = [caller.to_str().unwrap(), "--allow-call=typed.add"];
    assert_eq!(home.record(&caller).succeeded().result(), 3);
    home.plugin(&["untrust", &signer]);
    is_stopped(&home, &["typed.add", "--param", "a=1", "--param", "b=2"], "which is not trusted");
    let task = home.run(&["task", "run", "sum"]);
    assert!(task.code == Some(1) && task.stderr.contains("which is not trusted"), "{task}");
    let checked = home.run(&["task", "check", "sum"]);
    assert!(checked.code == Some(1) && checked.text().contains("which is not trusted"), "{checked}");
    let called = home.record(&caller);
    assert_eq!(called.ending().0, "failed", "{}", called.json);
    assert!(home.executions().iter().all(|execution| execution["subject"] != "tool:typed.add" || execution["status"] == "success"));
    home.trust_signer(&signer, "Ada again");
    assert_eq!(home.record(&caller).succeeded().result(), 3);
}

#[test]
fn revoked_bytes_are_not_run_by_any_way() {
    let home = Home::new();
    let (one, two) = (home.file("one.js", "return 1;"), home.file("two.js", "return 2;"));
    let first = home.install(&one, "p")["digest"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&["task", "add", "t", "p"]).code, Some(0));
    assert_eq!(home.run(&["task", "add", "f", one.to_str().unwrap()]).code, Some(0));
    assert_eq!(home.run(&["expose", "p"]).code, Some(0));
    let caller = home.file("caller.js", "return tools.p.run({});");
    let caller = [caller.to_str().unwrap(), "--allow-call=p.run"];
    assert_eq!(home.record(&caller).succeeded().result(), 1);
    let told = home.plugin(&["revoke", &first, "--reason", "it lies"]).text();
    assert!(told.contains("no run of it begins any more: the plugin p, the task f, the task t"), "{told}");
    let exposed = home.run(&["expose", "p"]);
    assert!(exposed.code == Some(1) && exposed.stderr.contains("has bytes that were revoked"), "{exposed}");
    assert_eq!((home.run(&["unexpose", "t"]).code, home.run(&["expose", "t"]).code), (Some(0), Some(1)));
    let again = home.try_plugin(&["revoke", &first]);
    assert!(again.code == Some(1) && again.stderr.contains("revoked already"), "{again}");

    let reason = "has bytes that were revoked";
    is_stopped(&home, &["p"], reason);
    is_stopped(&home, &[one.to_str().unwrap()], reason);
    for task in ["t", "f"] {
        let ended = home.run(&["task", "run", task]);
        assert!(ended.code == Some(1) && ended.stderr.contains(reason) && ended.stderr.contains("it lies"), "{ended}");
    }
    assert_eq!(home.run(&["task", "add", "new", one.to_str().unwrap()]).code, Some(1));
    assert_eq!(home.record(&caller).ending().0, "failed");
    refused(&home, &one, "q", 1, reason);
    let listed = home.plugin_json(&["list"])["plugins"][0]["signature"].clone();
    assert_eq!((&listed["state"], &listed["revoked"]["reason"]), (&json!("unsigned"), &json!("it lies")));
    assert!(home.plugin(&["inspect", "p"]).text().contains("REVOKED since"));

    // Another program: it runs, and there is no way back to the first.
    let two_digest = home.plugin_json(&["upgrade", "p", two.to_str().unwrap()])["plugin"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(home.record(&["p"]).succeeded().result(), 2);
    let nobody = home.plugin(&["revoke", &format!("sha256:{}", "1".repeat(64))]).text();
    assert!(nobody.contains("nothing that is installed or saved here has these bytes"), "{nobody}");
    assert_ne!(first, two_digest);
    for back in [["rollback", "p", ""], ["upgrade", "p", one.to_str().unwrap()]] {
        let args: Vec<&str> = back.iter().copied().filter(|arg| !arg.is_empty()).collect();
        let ended = home.try_plugin(&args);
        assert!(ended.code == Some(1) && ended.stderr.contains(reason), "{ended}");
    }
    assert_eq!(home.record(&["p"]).succeeded().result(), 2);
    let alone = home.try_plugin(&["unrevoke", &first]);
    assert!(alone.code == Some(1) && alone.stderr.contains("by a person, in a terminal"), "{alone}");
    if by_code(&home, &format!("plugin unrevoke {first}")).is_some() {
        home.plugin(&["rollback", "p"]);
        assert_eq!(home.record(&["p"]).succeeded().result(), 1);
        let unknown = home.try_plugin(&["unrevoke", &first]);
        assert!(unknown.code == Some(1) && unknown.stderr.contains("is not revoked"), "{unknown}");
    }
}

#[test]
fn grants_outlive_an_upgrade_by_the_key_that_signed_both() {
    let (home, signer) = strict();
    let text = |name: &str, version: &str, asks: &str, n: u32| {
        format!("// /// wardroom\n// name = '{name}'\n// version = '{version}'\n// env = [{asks}]\n// ///\nreturn {n};")
    };
    let of = |text: String, key: &str, n: u32| home.signed(&home.file("plain.js", text), key, &format!("{n}.js"));
    let program = |n: u32, key: &str| of(text("p", &format!("1.{n}.0"), "'HOME'", n), key, n);
    home.install(&program(1, "key"), "p");
    assert_eq!(home.run(&["expose", "p", "--allow-env=HOME"]).code, Some(0));
    let upgrade = |file: &Path| home.plugin_json(&["upgrade", "p", file.to_str().unwrap()]);
    let kept = |upgraded: &Value| (upgraded["keeps_grants"].clone(), upgraded["consent"].clone(), upgraded["unexposed"].clone());
    assert_eq!(kept(&upgrade(&program(2, "key"))), (json!(true), json!("signer"), json!([])));
    // Another key that is trusted as well is another's word.
    let other = home.signing_key("other");
    home.trust_signer(&other, "Bob");
    assert_eq!(kept(&upgrade(&program(3, "other"))), (json!(false), json!(null), json!(["run"])));
    // More than before is asked for again, whoever signs.
    assert_eq!(home.run(&["expose", "p", "--allow-env=HOME"]).code, Some(0));
    let more = of(text("p", "1.4.0", "'HOME', 'PATH'", 4), "other", 4);
    assert_eq!(kept(&upgrade(&more)), (json!(false), json!("signer"), json!(["run"])));
    // Neither an earlier version nor another program of the same signer, nor what says
    // not which it is, takes over what this one was granted.
    for (n, name, version) in [(30, "p", "1.3.9"), (31, "other", "2.0.0"), (32, "other", "two"), (33, "other", "2.0.0")] {
        assert_eq!(home.run(&["expose", "p", "--allow-env=HOME"]).code, Some(0));
        let asks = if n == 30 { "'HOME', 'PATH'" } else { "'HOME'" };
        let upgraded = upgrade(&of(text(name, version, asks, n), "other", n));
        assert_eq!(kept(&upgraded), (json!(false), json!(null), json!(["run"])), "{n}");
    }
    home.plugin(&["upgrade", "p", program(34, "other").to_str().unwrap()]);
    // A key that is trusted no more says nothing, where unsigned bytes may come in.
    assert_eq!(home.run(&["expose", "p", "--allow-env=HOME"]).code, Some(0));
    home.plugin(&["untrust", "Bob"]);
    home.require_signed("off");
    assert_eq!(kept(&upgrade(&program(5, "other"))), (json!(false), json!(null), json!(["run"])));
    assert_eq!(home.plugin_json(&["inspect", "p"])["signature"]["state"], "unknown_key");
    // Neither does one that signed the new alone, nor one of bytes that were changed.
    assert_eq!(kept(&upgrade(&program(6, "key"))).0, json!(false));
    assert_eq!(home.run(&["expose", "p"]).code, Some(0));
    for entry in fs::read_dir(home.path().join("components")).unwrap().flatten() {
        fs::write(entry.path(), "return 'changed';").unwrap();
    }
    assert_eq!(kept(&upgrade(&program(7, "key"))).0, json!(false), "{signer}");
}

#[test]
fn a_trusted_signature_that_goes_takes_the_grants_with_it_in_a_terminal_too() {
    let (home, _) = strict();
    home.require_signed("off");
    let asks = "// /// wardroom\n// env = ['HOME']\n// ///\n";
    let file = |n: u32| home.file(&format!("{n}.js"), format!("{asks}return {n};"));
    home.install(&home.signed(&file(1), "key", "signed.js"), "p");
    assert_eq!(home.run(&["expose", "p", "--allow-env=HOME"]).code, Some(0));
    let two = file(2);
    let Some(screen) = on_a_terminal(&home, &format!("plugin upgrade p {}", two.display()), "[N]o:", None) else { return };
    assert!(screen.contains("was by Ada") && screen.contains("A signature that you trust is gone"), "{screen}");
    assert_eq!(home.plugin_json(&["inspect", "p"])["exposed"], json!([]));
    // Going back by an upgrade is one like any other: nobody said that it may.
    let upgraded = home.plugin_json(&["upgrade", "p", home.work().join("signed.js").to_str().unwrap()]);
    assert_eq!(upgraded["keeps_grants"], false, "{upgraded}");
    assert_eq!(home.plugin_json(&["inspect", "p"])["exposed"], json!([]), "what these bytes were granted once is asked for again");
}

#[test]
fn a_task_of_a_plugin_that_is_a_script_goes_out_and_comes_back() {
    let home = Home::new();
    home.install(&home.file("s.js", "return 7;"), "s");
    home.task(&["add", "t", "s"]);
    home.task(&["export", "t", "--output", home.work().to_str().unwrap()]);
    assert!(home.work().join("t.js").exists());
    home.task(&["rm", "t"]);
    home.task(&["import", home.work().join("t.toml").to_str().unwrap()]);
    assert_eq!(home.task(&["run", "t"]).stdout.trim_ascii(), b"7");
}

#[test]
fn a_hand_in_the_lists_is_seen_and_stops_everything() {
    if !is_here() {
        return;
    }
    let home = Home::new();
    let (signer, other) = (home.signing_key("key"), home.signing_key("other"));
    home.install(&home.file("one.js", "return 1;"), "p");
    let bad = home.install(&home.file("two.js", "return 2;"), "q")["digest"].as_str().unwrap().to_owned();
    home.trust_signer(&signer, "Ada");
    edit(
        &home.path(),
        "for t in ('trusted_signers', 'revoked_programs', 'trust_head'): db.execute(f'CREATE TABLE older_{t} AS SELECT * FROM {t}')",
    );
    home.plugin(&["revoke", &bad, "--reason", "it lies"]);
    let tables = "('trusted_signers', 'revoked_programs', 'trust_head')";
    edit(&home.path(), &format!("for t in {tables}: db.execute(f'CREATE TABLE kept_{{t}} AS SELECT * FROM {{t}}')"));
    let restore = |from: &str| {
        edit(
            &home.path(),
            &format!("for t in {tables}: db.execute(f'DELETE FROM {{t}}'); db.execute(f'INSERT INTO {{t}} SELECT * FROM {from}_{{t}}')"),
        );
    };
    for change in [
        "DELETE FROM revoked_programs".to_owned(),
        "UPDATE revoked_programs SET digest = 'sha256:' || substr(digest, 9) || '0'".to_owned(),
        "UPDATE revoked_programs SET reason = NULL".to_owned(),
        "UPDATE revoked_programs SET reason = ''".to_owned(),
        "UPDATE revoked_programs SET revoked_ms = revoked_ms + 1".to_owned(),
        format!("INSERT INTO revoked_programs VALUES ('sha256:{}', NULL, 1)", "0".repeat(64)),
        format!("INSERT INTO trusted_signers VALUES ('{other}', 'Mallory', 1)"),
        format!("UPDATE trusted_signers SET signer = '{other}'"),
        "UPDATE trusted_signers SET name = 'Bob'".to_owned(),
        "UPDATE trusted_signers SET trusted_ms = 1".to_owned(),
        "UPDATE trusted_signers SET signer = replace(signer, 'ed25519:', 'x25519::')".to_owned(),
        "DELETE FROM trusted_signers".to_owned(),
        "DELETE FROM trust_head".to_owned(),
        "UPDATE trust_head SET version = version + 1".to_owned(),
        "UPDATE trust_head SET seal = (SELECT seal FROM older_trust_head)".to_owned(),
        "DELETE FROM trust_head; DELETE FROM revoked_programs; DELETE FROM trusted_signers".to_owned(),
    ] {
        println!("{change}");
        edit(&home.path(), &format!("db.executescript(\"\"\"{change}\"\"\")"));
        for program in ["p", "q"] {
            is_stopped(&home, &[program], "changed in the database by somebody else");
        }
        let trusting = home.try_plugin(&["revoke", &format!("sha256:{}", "1".repeat(64))]);
        assert!(trusting.code == Some(1) && trusting.stderr.contains("wardroom plugin reseal"), "{trusting}");
        restore("kept");
        is_stopped(&home, &["q"], "were revoked");
        assert_eq!(home.record(&["p"]).succeeded().result(), 1);
    }
    // A key that is gone is not replaced.
    let key = home.path().join("trust.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let gone = home.run(&["run", "p"]);
    assert!(gone.code == Some(70) && gone.stderr.contains("trust.key"), "{gone}");
    assert!(!key.exists());
    fs::write(&key, kept).unwrap();
    // What does not show: all of an older state. The audit log says so, below.
    restore("older");
    assert_eq!(home.record(&["q"]).succeeded().result(), 2);
}

#[test]
fn lists_that_were_changed_are_sealed_anew_by_a_person() {
    if !is_here() {
        return;
    }
    let home = Home::new();
    let (signer, other) = (home.signing_key("key"), home.signing_key("other"));
    home.trust_signer(&signer, "Ada");
    let bad = home.install(&home.file("two.js", "return 2;"), "q")["digest"].as_str().unwrap().to_owned();
    home.plugin(&["revoke", &bad]);
    let intact = home.try_plugin(&["reseal"]);
    assert!(intact.code == Some(1) && intact.stderr.contains("are as Wardroom left them"), "{intact}");
    edit(&home.path(), &format!("db.execute(\"INSERT INTO trusted_signers VALUES ('{other}', 'Mallory', 1)\")"));
    let doctor = home.run(&["doctor"]);
    assert!(doctor.code == Some(1) && doctor.text().contains("changed in the database by somebody else"), "{doctor}");
    let shown = home.plugin_json(&["trusted"]);
    assert_eq!((&shown["altered"], shown["trusted"].as_array().unwrap().len()), (&json!(true), 2));
    let Some(screen) = by_code(&home, "plugin reseal") else { return };
    assert!(screen.contains("trusted no more") && screen.contains("Mallory") && screen.contains("stays revoked"), "{screen}");
    let shown = home.plugin_json(&["trusted"]);
    assert_eq!((&shown["altered"], &shown["trusted"]), (&json!(false), &json!([])));
    is_stopped(&home, &["q"], "were revoked");
    home.trust_signer(&signer, "Ada");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.text().contains("asked for: file off, url warn, oci warn; keys trusted: 1; bytes revoked: 1"), "{doctor}");
}

#[test]
fn lists_without_their_key_or_that_cannot_be_read_are_sealed_anew_by_a_person() {
    if !is_here() {
        return;
    }
    let home = Home::new();
    home.install(&home.file("one.js", "return 1;"), "p");
    let signer = home.signing_key("key");
    home.trust_signer(&signer, "Ada");
    let reseal = || by_code(&home, "plugin reseal").is_some_and(|screen| screen.contains("what is revoked stays so"));
    fs::remove_file(home.path().join("trust.key")).unwrap();
    assert_eq!(home.run(&["run", "p"]).code, Some(70));
    assert_eq!(home.plugin_json(&["trusted"])["altered"], true);
    if !reseal() {
        return;
    }
    assert_eq!(home.record(&["p"]).succeeded().result(), 1);
    home.trust_signer(&signer, "Ada");
    // A version beyond all that can follow it, too.
    for version in ["-1", "9223372036854775807"] {
        let change = format!(
            "PRAGMA ignore_check_constraints = ON; UPDATE trusted_signers SET signer = 'x'; UPDATE trust_head SET version = {version}"
        );
        edit(&home.path(), &format!("db.executescript(\"{change}\")"));
        is_stopped(&home, &["p"], "changed in the database by somebody else");
        assert!(reseal());
        assert_eq!(home.record(&["p"]).succeeded().result(), 1);
        home.trust_signer(&signer, "Ada");
    }
}

#[test]
fn what_cannot_be_read_of_the_lists_is_told_and_the_rest_is_kept() {
    if !is_here() {
        return;
    }
    let home = Home::new();
    let one = home.install(&home.file("one.js", "return 1;"), "p")["digest"].as_str().unwrap().to_owned();
    let two = home.install(&home.file("two.js", "return 2;"), "q")["digest"].as_str().unwrap().to_owned();
    home.plugin(&["revoke", &one, "--reason", "it lies"]);
    home.plugin(&["revoke", &two, "--reason", "it lies, too"]);
    let changes = "UPDATE revoked_programs SET reason = CAST(x'ff' AS TEXT) WHERE reason = 'it lies';
        PRAGMA ignore_check_constraints = ON; UPDATE revoked_programs SET digest = 'two' WHERE reason = 'it lies, too'";
    edit(&home.path(), &format!("db.executescript(\"\"\"{changes}\"\"\")"));
    let shown = home.plugin_json(&["trusted"]);
    assert_eq!((&shown["unreadable"], &shown["revoked"][0]["digest"]), (&json!(["two"]), &json!(one)));
    let Some(screen) = by_code(&home, "plugin reseal") else { return };
    assert!(screen.contains("a revocation that cannot be read") && screen.contains("two"), "{screen}");
    is_stopped(&home, &["p"], "were revoked");
    assert_eq!(home.record(&["q"]).succeeded().result(), 2);
}

#[test]
fn a_damaged_key_of_the_lists_is_set_aside_by_a_person() {
    let home = Home::new();
    let bad = home.install(&home.file("one.js", "return 1;"), "p")["digest"].as_str().unwrap().to_owned();
    home.install(&home.file("two.js", "return 2;"), "q");
    home.plugin(&["revoke", &bad]);
    fs::write(home.path().join("trust.key"), "short").unwrap();
    let ended = home.run(&["run", "q"]);
    assert!(ended.code == Some(70) && ended.stderr.contains("wardroom plugin reseal"), "{ended}");
    assert_eq!(home.try_plugin(&["revoke", &format!("sha256:{}", "1".repeat(64))]).code, Some(70), "nobody else sets it aside");
    let Some(screen) = by_code(&home, "plugin reseal") else { return };
    assert!(screen.contains("the damaged key lies at") && screen.contains("what is revoked stays so"), "{screen}");
    let aside = fs::read_dir(home.path()).unwrap().flatten().find(|entry| entry.file_name().to_string_lossy().contains(".damaged-"));
    assert_eq!(fs::read(aside.unwrap().path()).unwrap(), b"short");
    is_stopped(&home, &["p"], "were revoked");
    assert_eq!(home.record(&["q"]).succeeded().result(), 2);
}

#[test]
fn changes_of_the_lists_at_once_all_hold() {
    let home = Home::new();
    let digests: Vec<String> = (0..8).map(|n| format!("sha256:{n:064x}")).collect();
    let running: Vec<_> = digests.iter().map(|digest| home.start(&["plugin", "revoke", digest])).collect();
    for running in running {
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    let listed = home.plugin_json(&["trusted"]);
    let revoked: Vec<&str> = listed["revoked"].as_array().unwrap().iter().map(|one| one["digest"].as_str().unwrap()).collect();
    assert_eq!((revoked, &listed["altered"]), (digests.iter().map(String::as_str).collect(), &json!(false)));
}

#[test]
fn an_older_state_of_the_lists_contradicts_the_audit_log() {
    if !is_here() {
        return;
    }
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    let signer = home.signing_key("key");
    home.trust_signer(&signer, "Ada");
    let tables = "('trusted_signers', 'revoked_programs', 'trust_head')";
    edit(&home.path(), &format!("for t in {tables}: db.execute(f'CREATE TABLE older_{{t}} AS SELECT * FROM {{t}}')"));
    home.plugin(&["revoke", &format!("sha256:{}", "1".repeat(64)), "--reason", "it lies"]);
    let events = home.read(&["audit", "list", "--json"])["events"].clone();
    assert_eq!(
        (&events[0]["event"], &events[0]["detail"]["reason"], &events[0]["actor"]),
        (&json!("program-revoked"), &json!("it lies"), &json!("operator"))
    );
    assert_eq!((&events[1]["event"], &events[1]["detail"]["name"]), (&json!("signer-trusted"), &json!("Ada")));
    assert_eq!(home.run(&["audit", "verify"]).code, Some(0));
    edit(
        &home.path(),
        &format!("for t in {tables}: db.execute(f'DELETE FROM {{t}}'); db.execute(f'INSERT INTO {{t}} SELECT * FROM older_{{t}}')"),
    );
    let is_told = || {
        let verified = home.run(&["audit", "verify"]);
        assert!(verified.code == Some(1) && verified.text().contains("older ones were put back"), "{verified}");
        let doctor = home.run(&["doctor"]);
        assert!(doctor.code == Some(1) && doctor.text().contains("the audit log tells of"), "{doctor}");
        assert_eq!(home.plugin_json(&["trusted"])["altered"], true);
    };
    is_told();
    // No plugin and no task of that name hides it.
    home.install(&home.file("one.js", "return 1;"), "trust");
    is_told();
    assert_eq!(home.run(&["task", "add", "trust", "one.js"]).code, Some(0));
    assert_eq!(home.run(&["audit", "list", "--json"]).json()["events"][0]["subject"], json!("trust"));
    is_told();
    // No change seals the older ones anew, whoever makes it.
    for change in [&["revoke", &format!("sha256:{}", "2".repeat(64))][..], &["untrust", "Ada"]] {
        let ended = home.try_plugin(change);
        assert!(ended.code == Some(1) && ended.stderr.contains("put older ones back") && ended.stderr.contains("reseal"), "{ended}");
    }
    is_told();
    let Some(screen) = by_code(&home, "plugin reseal") else { return };
    assert!(screen.contains("what is revoked stays so"), "{screen}");
    assert_eq!((home.run(&["audit", "verify"]).code, home.run(&["doctor"]).code), (Some(0), Some(0)));
    home.plugin(&["revoke", &format!("sha256:{}", "2".repeat(64))]);
    // All of it gone, with the key: it runs, and the log tells.
    edit(&home.path(), &format!("for t in {tables}: db.execute(f'DELETE FROM {{t}}')"));
    fs::remove_file(home.path().join("trust.key")).unwrap();
    is_told();
}

#[test]
fn what_is_no_program_or_no_key_is_not_signed() {
    let home = Home::new();
    home.signing_key("key");
    let sign = |file: &str, key: &str| home.try_plugin(&["sign", file, "--key", key]);
    home.file("text.wasm", "text");
    home.file("cut.wasm", &fs::read(guests::typed()).unwrap()[..100]);
    home.file("a.js", "return 1;");
    for (file, key, code, reason) in [
        ("text.wasm", "key", 3, "no WebAssembly"),
        ("cut.wasm", "key", 3, "no valid WebAssembly"),
        ("none.wasm", "key", 1, "cannot be read"),
        ("a.js", "none", 1, "there is no key file"),
        ("a.js", "a.js", 1, "is open to others"),
        ("log-message", "key", 1, "is a template's name"),
    ] {
        let ended = sign(file, key);
        assert!(ended.code == Some(code) && ended.stderr.contains(reason), "{file}: {ended}");
    }
    assert_eq!(fs::read_to_string(home.work().join("a.js")).unwrap(), "return 1;");
    // Nothing is written over, a key least of all.
    home.file("b.js", "return 2;");
    let key = fs::read(home.work().join("key")).unwrap();
    for (output, reason) in [("b.js", "there is a file"), ("a.js", "there is a file"), ("key", "is the key's own file")] {
        let ended = home.try_plugin(&["sign", "a.js", "--key", "key", "--output", output]);
        assert!(ended.code == Some(1) && ended.stderr.contains(reason), "{output}: {ended}");
    }
    fs::copy(home.work().join("key"), home.work().join("key.js")).unwrap();
    let itself = sign("key.js", "key.js");
    assert!(itself.code == Some(1) && itself.stderr.contains("is the key's own file"), "{itself}");
    assert_eq!((fs::read(home.work().join("key")).unwrap(), fs::read(home.work().join("key.js")).unwrap()), (key.clone(), key));
    assert_eq!(fs::read_to_string(home.work().join("b.js")).unwrap(), "return 2;");
    assert_eq!(home.try_plugin(&["sign", "a.js", "--key", "key", "--output", "none/c.js"]).code, Some(1));
    let left = fs::read_dir(home.work()).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(".wardroom"));
    assert_eq!(left.count(), 0);
}
