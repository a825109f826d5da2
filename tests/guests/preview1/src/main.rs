//! Answers its arguments and its standard input as JSON, and ends with the exit
//! code that the first argument names.

use std::io::Read;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut stdin = String::new();
    let read = std::io::stdin().read_to_string(&mut stdin).is_ok();
    println!("{}", serde_json::json!({ "args": args, "stdin": stdin, "read": read }));
    if let Some(code) = args.first().and_then(|text| text.parse().ok()) {
        std::process::exit(code);
    }
}
