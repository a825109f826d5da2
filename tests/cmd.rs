//! What the command line answers, word by word: `cmd/*.trycmd`.
//!
//! `TRYCMD=overwrite` writes down what it says now; look at the difference.

use std::path::Path;

use crate::support::home::{BINARY, Home};

#[test]
fn the_command_line_answers_as_written_down() {
    let home = Home::new();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cmd/*.trycmd");
    let tests = trycmd::TestCases::new();
    tests.register_bin("wardroom", Path::new(BINARY));
    tests.env("WARDROOM_HOME", home.path().to_str().unwrap());
    tests.env("COLUMNS", "100");
    tests.case(cases);
}

/// The commands below one, from its own help.
fn below(home: &Home, command: &[String]) -> Vec<Vec<String>> {
    let args: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let help = home.run(&args).text();
    let list = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let names =
        list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty() && *name != "help"));
    names
        .flat_map(|name| {
            let next: Vec<String> = command.iter().cloned().chain([name.to_owned()]).collect();
            let deeper = below(home, &next);
            std::iter::once(next).chain(deeper)
        })
        .collect()
}

#[test]
fn the_help_of_every_command_is_written_down() {
    let home = Home::new();
    let written = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cmd/help.trycmd")).unwrap();
    let commands = below(&home, &[]);
    assert!(commands.len() >= 25, "{commands:?}");
    for command in commands {
        let line = format!("\n$ wardroom {} --help\n", command.join(" "));
        assert!(written.contains(&line), "tests/cmd/help.trycmd has no `{}`", line.trim());
    }
}
