//! Asking for missing grants, on a real terminal (util-linux's `script` makes
//! one), and silence where there is none.

use crate::support::home::Home;
use crate::support::terminal;

const WANTS: &str = "// /// wardroom\n// read = [\".\"]\n// ///\nreturn (await fs.readFile(\"data.txt\", \"utf8\")).trim();\n";

fn home() -> Home {
    let home = Home::new();
    home.file("data.txt", "the data\n");
    home.file("wants.js", WANTS);
    home
}

fn on_a_terminal(home: &Home, answer: Option<&str>) -> Option<String> {
    terminal::on_a_terminal(home, "run wants.js", terminal::GRANT, answer)
}

#[test]
fn once_allows_this_run_and_asks_again_the_next_time() {
    let home = home();
    for _ in 0..2 {
        let Some(seen) = on_a_terminal(&home, Some("o\n")) else { return };
        assert!(seen.contains("asks for") && seen.contains("the data"), "{seen}");
    }
}

#[test]
fn always_is_remembered_for_these_bytes_and_no_others() {
    let home = home();
    let Some(seen) = on_a_terminal(&home, Some("a\n")) else { return };
    assert!(seen.contains("the data"), "{seen}");
    assert_eq!(home.record(&["wants.js"]).succeeded().result(), "the data");
    home.file("wants.js", format!("{WANTS}\n// changed"));
    assert_eq!(home.record(&["wants.js"]).ending(), ("failed", "denied", "operator", Some(1)));
}

#[test]
fn always_is_for_the_folder_that_was_shown_and_not_for_what_takes_its_name() {
    let home = home();
    home.file("granted/data.txt", "the data\n");
    home.file("secret/data.txt", "the secret\n");
    home.file("wants.js", WANTS.replace("[\".\"]", "[\"granted\"]").replace("\"data.txt\"", "\"granted/data.txt\""));
    let Some(seen) = on_a_terminal(&home, Some("a\n")) else { return };
    assert!(seen.contains("the data"), "{seen}");
    assert_eq!(home.record(&["wants.js"]).succeeded().result(), "the data");
    std::fs::rename(home.work().join("granted"), home.work().join("moved")).unwrap();
    std::os::unix::fs::symlink("secret", home.work().join("granted")).unwrap();
    assert_eq!(home.record(&["wants.js"]).ending(), ("failed", "denied", "operator", Some(1)));
}

#[test]
fn no_and_a_bare_return_deny() {
    let home = home();
    for answer in ["n\n", "\n", "yes please\n"] {
        let Some(seen) = on_a_terminal(&home, Some(answer)) else { return };
        assert!(!seen.contains("the data") && seen.contains("denied"), "{seen}");
    }
}

#[test]
fn nobody_is_asked_where_no_terminal_is() {
    let home = home();
    let ended = home.feed(&["run", "wants.js"], "o\no\no\n");
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(!ended.stderr.contains("asks for:"), "{ended}");
}
