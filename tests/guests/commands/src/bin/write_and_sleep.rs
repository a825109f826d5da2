//! Writes the file that it is told, says so, then sleeps in the host.

fn main() {
    let path = std::env::args().nth(1).unwrap_or_default();
    std::fs::write(path, "written").expect("the file can be written");
    println!("kept");
    eprintln!("written");
    std::thread::sleep(std::time::Duration::from_secs(100 * 365 * 86_400));
}
