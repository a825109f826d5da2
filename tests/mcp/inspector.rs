//! The official inspector finds nothing to complain of in what is listed, under
//! each profile, in both eras and through both doors.
//!
//! It is installed by `tests/clients/install`; without it the test says so.

use std::path::PathBuf;
use std::process::Command;

use super::http::Door;
use crate::support::home::{BINARY, Home, Running};
use crate::support::parts::needs;

/// The Node that it needs, and the inspector itself.
fn inspector() -> Option<[PathBuf; 2]> {
    let modules = super::clients::folder().join("inspector/node_modules");
    let parts = [modules.join("node/bin/node"), modules.join("@modelcontextprotocol/inspector/clients/launcher/build/index.js")];
    let present = parts.iter().all(|part| part.exists());
    needs("the official MCP inspector", present, "tests/clients/install").then_some(parts)
}

/// What it says of the tools that are listed.
fn inspect(home: &Home, [node, inspector]: &[PathBuf; 2], server: &[&str], era: &str) -> String {
    let mut command = Command::new(node);
    home.prepare(&mut command);
    command.arg(inspector).arg("--cli").args(server).args(["--protocol-era", era, "--method", "tools/list", "--strict"]);
    let ended = Running::start(&mut command, b"").wait();
    assert_eq!(ended.code, Some(0), "{server:?} {era}: {ended}");
    format!("{}{}", ended.text(), ended.stderr)
}

#[test]
fn the_inspector_finds_the_tools_of_each_profile_sound() {
    let Some(parts) = inspector() else { return };
    let home = Home::new();
    let file = home.file("t.js", "// /// wardroom\n// [params.n]\n// type = \"integer\"\n// ///\nreturn params.n;");
    assert_eq!(home.run(&["task", "add", "t", file.to_str().unwrap(), "--param=n=1"]).code, Some(0));
    assert_eq!(home.run(&["expose", "t"]).code, Some(0));
    for profile in ["read", "operate", "author"] {
        let place = home.path();
        let server = [BINARY, "--home", place.to_str().unwrap(), "mcp", "--profile", profile];
        for era in ["modern", "legacy"] {
            let said = inspect(&home, &parts, &server, era);
            assert!(said.contains("get_status") && said.contains("task__t") == (profile != "read"), "{profile} {era}: {said}");
            assert!(!said.contains("Warning:") && !said.contains("Error:"), "{profile} {era}: {said}");
        }
    }
    let door = Door::start(&home, &["--profile=operate"]);
    let (url, header) = (door.url(), format!("Authorization: Bearer {}", door.token()));
    for era in ["modern", "legacy"] {
        let said = inspect(&home, &parts, &[&url, "--transport", "http", "--header", &header], era);
        assert!(said.contains("task__t") && !said.contains("Warning:"), "{era}: {said}");
    }
}
