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
