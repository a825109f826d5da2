//! Answers its arguments and its standard input as JSON.

use std::io::Read;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut stdin = Vec::new();
    std::io::stdin().read_to_end(&mut stdin).expect("standard input is readable");
    println!("{}", serde_json::json!({ "args": args, "stdin": String::from_utf8_lossy(&stdin) }));
}
