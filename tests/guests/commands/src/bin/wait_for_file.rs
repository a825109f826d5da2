//! Logs lines until a file of the given name is there: `wait_for_file PATH`.

fn main() {
    let path = std::env::args().nth(1).unwrap_or_default();
    let mut line = 0_u64;
    while !std::path::Path::new(&path).exists() {
        if line < 1000 {
            eprintln!("line {line}");
            line += 1;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    eprintln!("done after {line} lines");
    println!("{line}");
}
