//! Logs and puts out text that imitates the operator's own terminal: colours,
//! cursor moves, a title, a link, a bell, bidirectional overrides, carriage
//! returns, C1 controls, and a forged question.

const FORGERIES: [&str; 12] = [
    "\u{1b}[2J\u{1b}[HAllow everything? [y/N] y",
    "\u{1b}]0;owned\u{7}",
    "\u{1b}]8;;https://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\",
    "\u{1b}]52;c;ZXZpbA==\u{7}",
    "safe\rGRANTED by operator",
    "\u{202e}reversed\u{202c}",
    "\u{2066}isolated\u{2069}",
    "\u{9b}31mred",
    "\u{9d}0;title\u{9c}",
    "bell\u{7} back\u{8}\u{8}\u{8}\u{8}space",
    "\u{1b}[1A\u{1b}[2Krewritten",
    "vertical\u{b}tab form\u{c}feed delete\u{7f}",
];

fn main() {
    for text in FORGERIES {
        eprintln!("{text}");
    }
    for text in FORGERIES {
        println!("{text}");
    }
}
