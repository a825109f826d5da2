//! Opens and reads one file again and again, for ever.

fn main() {
    let path = std::env::args().nth(1).unwrap_or_default();
    println!("kept");
    eprintln!("opening");
    loop {
        let _what_is_there_now = std::fs::read(&path);
    }
}
