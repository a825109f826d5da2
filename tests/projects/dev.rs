//! `plugin dev`: builds and runs again after a change, shows what came out
//! differently, and ends on Ctrl-C.

use std::fs;

use rustix::process::Signal;

use super::{edit, has, made, start};
use crate::support::home::Home;

#[test]
fn dev_builds_again_after_a_change_and_shows_what_came_out_differently() {
    if !has("python-zig") {
        return;
    }
    let home = Home::new();
    let folder = made(&home, "c");
    let running = start(&home, &["dev", "made", "--case", "counts"]);
    running.until_stderr("passed counts");
    running.until_stderr("waiting for changes");
    let source = folder.join("src/words.c");
    edit(&source, "counts->words++", "counts->words += 2");
    running.until_stderr("failed counts");
    running.until_stderr("-     \"words\": 2");
    running.until_stderr("+     \"words\": 4");
    // What does not compile, and what does not hold, is said and waited out.
    edit(&source, "counts->words += 2", "counts->words +=");
    running.until_stderr("nothing was built");
    fs::write(folder.join("project.toml"), "language = \"cobol\"\n").unwrap();
    running.until_stderr("unknown variant `cobol`");
    running.signal(Signal::INT);
    assert_eq!(running.wait().code, Some(0));
}
