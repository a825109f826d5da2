//! A real terminal for the binary: util-linux's `script` makes one.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::home::{BINARY, Home};
use super::parts::needs;

/// What ends every question for a grant.
pub(crate) const GRANT: &str = "[N]o:";

/// Runs the binary on a terminal, and types the answer wherever the question
/// stands. Answers what stood on the screen; nothing where no terminal can be
/// made. The words are joined for a shell as they are.
pub(crate) fn on_a_terminal(home: &Home, words: &str, question: &str, answer: Option<&str>) -> Option<String> {
    on_a_terminal_by(home, words, question, |_| answer.map(str::to_owned))
}

/// Runs the binary on a terminal, and types the code that it shows, as a person
/// does who saw it.
pub(crate) fn by_code(home: &Home, words: &str) -> Option<String> {
    let code = |screen: &str| {
        let after = screen.rsplit_once("Type ")?.1;
        let plain: String = after.chars().skip_while(|char| !char.is_ascii_lowercase()).take_while(char::is_ascii_lowercase).collect();
        Some(format!("{plain}\n"))
    };
    on_a_terminal_by(home, &format!("--color never {words}"), "anything else to leave it:", code)
}

/// The same, with an answer that depends on what stands on the screen.
pub(crate) fn on_a_terminal_by(home: &Home, words: &str, question: &str, answer: impl Fn(&str) -> Option<String>) -> Option<String> {
    let there = Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success());
    if !needs("script", there, "apt-get install bsdutils") {
        return None;
    }
    let mut command = Command::new("script");
    home.prepare(&mut command);
    command.args(["-qefc", &format!("{BINARY} {words}"), "/dev/null"]).env("SHELL", "/bin/sh");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = Vec::new();
    let mut answered = 0;
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = stdout.read(&mut piece) {
        seen.extend_from_slice(&piece[..read]);
        let screen = String::from_utf8_lossy(&seen).into_owned();
        let asked = screen.matches(question).count();
        if asked > answered
            && let Some(answer) = answer(&screen)
        {
            // Whoever has ended meanwhile reads it no more.
            drop(stdin.write_all(answer.as_bytes()));
            answered = asked;
        }
    }
    drop(stdin);
    child.wait().unwrap();
    Some(String::from_utf8_lossy(&seen).into_owned())
}
