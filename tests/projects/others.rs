//! What others' toolchains make of others' programs, run as it is: nothing of it
//! knows Wardroom, and nothing is changed for it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use super::{has, toolchains, with_tools};
use crate::support::home::Home;

/// A well-known converter of Markdown with a command line of its own.
const PROGRAM: &str = "pulldown-cmark";
const VERSION: &str = "0.13.4";

const MARKDOWN: &str = "# Ward\n\n| a | b |\n|---|---|\n| 1 | ~~2~~ |\n";
const HTML: &str = "<h1>Ward</h1>\n<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>\n<tr><td>1</td><td><del>2</del></td></tr>\n</tbody></table>\n";

/// Installs it for a target, by the command that anybody would type.
fn installed(target: &str) -> PathBuf {
    let root = toolchains().join("programs").join(format!("{PROGRAM}-{VERSION}-{target}"));
    let program = root.join("bin").join(format!("{PROGRAM}.wasm"));
    fs::create_dir_all(&root).unwrap();
    let lock = File::create(root.join("lock")).unwrap();
    lock.lock().unwrap();
    if !program.is_file() {
        let mut cargo = Command::new("cargo");
        with_tools(&mut cargo);
        cargo.args(["install", PROGRAM, "--version", VERSION, "--locked", "--quiet", "--target", target, "--root"]).arg(&root);
        let ended = cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    program
}

fn converts(target: &str) {
    let program = installed(target);
    let home = Home::new();
    let args = [program.to_str().unwrap(), "--", "--enable-tables", "--enable-strikethrough"];
    let all: Vec<&str> = std::iter::once("run").chain(args).collect();
    let ended = home.feed(&all, MARKDOWN);
    assert_eq!((ended.code, ended.text().as_str()), (Some(0), HTML), "{ended}");
    // Its own usage, by its own option.
    let usage = home.run(&["run", program.to_str().unwrap(), "--", "--help"]);
    assert!(usage.text().contains("--enable-footnotes") || usage.stderr.contains("--enable-footnotes"), "{usage}");
}

#[test]
fn a_command_line_program_of_others_runs_as_a_component_that_nobody_changed() {
    converts("wasm32-wasip2");
}

#[test]
fn a_command_line_program_of_others_runs_as_a_preview_1_module_that_nobody_changed() {
    converts("wasm32-wasip1");
}

#[test]
fn a_command_that_gos_own_toolchain_made_runs_with_its_arguments_and_fails_for_what_was_not_granted() {
    const SOURCE: &str = r#"package main

import ("bufio"; "fmt"; "os"; "sort"; "strings")

func main() {
	var lines []string
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		lines = append(lines, strings.ToUpper(in.Text()))
	}
	sort.Strings(lines)
	fmt.Println(strings.Join(os.Args[1:], "+"), lines)
	if _, err := os.ReadFile("/etc/hostname"); err != nil { os.Exit(7) }
}
"#;
    if !has("go") {
        return;
    }
    let home = Home::new();
    home.file("sorter/go.mod", "module sorter\n\ngo 1.25\n");
    let folder = home.file("sorter/main.go", SOURCE).parent().unwrap().to_owned();
    let mut go = Command::new(toolchains().join("venv/bin/go"));
    with_tools(&mut go);
    let built = go.args(["build", "-o", "sorter.wasm", "."]).env("GOOS", "wasip1").env("GOARCH", "wasm").current_dir(&folder).output();
    let built = built.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let args = ["sorter/sorter.wasm", "--", "a", "b c"];
    let ended = home.feed(&[&["run"], &args[..]].concat(), "two\none\n");
    // Preview 1's exit codes become 0 and 1 on the way into a component.
    assert_eq!((ended.code, ended.text().as_str()), (Some(1), "a+b c [ONE TWO]\n"), "{ended}");
    let granted = home.feed(&[&["run", "--allow-read=/etc"], &args[..]].concat(), "");
    assert_eq!((granted.code, granted.text().as_str()), (Some(0), "a+b c []\n"), "{granted}");
}
