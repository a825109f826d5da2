//! Puts out as many mebibytes as it is told, then ends well.

use std::io::Write;

fn main() {
    let mebibytes: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(4);
    let piece = vec![b'x'; 1 << 20];
    let mut out = std::io::stdout().lock();
    for _ in 0..mebibytes {
        out.write_all(&piece).expect("standard output takes it");
    }
}
