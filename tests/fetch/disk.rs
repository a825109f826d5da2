//! A real disk that fills while what was fetched is written to it: a small one in
//! memory, in a mount namespace of its own.

use std::fs;
use std::process::Command;

use crate::plugins::with_section;
use crate::support::guests;
use crate::support::home::{BINARY, Home, Running};
use crate::support::parts::needs;
use crate::support::registry::digest;
use crate::support::stranger::{Reply, Stranger};

/// Enough for what is installed first, and not for what comes then.
const DISK: &str = "24m";
const LARGE: usize = 40 << 20;

const STEPS: &str = r#"
mount -t tmpfs -o size=$DISK,mode=700 tmpfs "$WARDROOM_HOME" || exit 99
"$WARDROOM" plugin install "$SMALL" --name small >&2 || exit 98
ls "$WARDROOM_HOME/components" >&2; echo "-- full" >&2
"$WARDROOM" plugin install "$LARGE_URL" --name large; echo "install: $?"
"$WARDROOM" plugin upgrade small "$LARGE_URL"; echo "upgrade: $?"
ls "$WARDROOM_HOME/components" | wc -l
"$WARDROOM" plugin list --json
"$WARDROOM" plugin verify && "$WARDROOM" run small
"$WARDROOM" plugin install "$OTHER" --name other && "$WARDROOM" run other
"#;

#[test]
fn a_disk_that_fills_half_way_leaves_what_was_there_and_says_who_has_to_act() {
    let there = Command::new("unshare").args(["-Urm", "true"]).output().is_ok_and(|output| output.status.success());
    if !needs("user and mount namespaces", there, "util-linux, and a kernel that lets a user make them") {
        return;
    }
    let home = Home::new();
    let large = with_section(&fs::read(guests::typed()).unwrap(), "padding", &vec![7; LARGE]);
    let named = digest(&large);
    let server = Stranger::start(move |_, _| Reply::answer(200, &[], &large));
    let mut command = Command::new("unshare");
    home.prepare(&mut command);
    command
        .args(["-Urm", "/bin/sh", "-c", STEPS])
        .env("DISK", DISK)
        .env("WARDROOM", BINARY)
        .env("SMALL", home.file("small.js", "return 'small';"))
        .env("OTHER", home.file("other.js", "return 'other';"))
        .env("LARGE_URL", format!("{}/large.wasm@{named}", server.base()));
    let ended = Running::start(&mut command, b"").wait();
    assert_eq!(ended.code, Some(0), "{ended}");
    let said = ended.text();
    assert!(said.contains("install: 70\n") && said.contains("upgrade: 70\n"), "{ended}");
    let full = ended.stderr.split("-- full").nth(1).unwrap();
    assert_eq!(full.matches("No space left on device").count(), 2, "{ended}");
    assert_eq!(full.matches("Free some space on the disk of the data folder").count(), 2, "{ended}");
    let rest: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("upgrade")).skip(1).collect();
    assert_eq!(rest[0], "1", "only what was there: {ended}");
    assert!(said.contains("\nsmall\n") && said.contains("\nother\n"), "both run: {ended}");
    assert!(!said.contains("\"large\""), "{ended}");
}
