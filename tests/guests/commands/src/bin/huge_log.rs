//! Logs as many mebibytes as it is told, then ends well.

fn main() {
    let mebibytes: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(4);
    let line = "log ".repeat(255);
    for _ in 0..mebibytes * 1024 {
        eprintln!("{line}");
    }
    println!("kept");
}
