//! Says that it lives, then sleeps in the host for a hundred years.

fn main() {
    println!("kept");
    eprintln!("sleeping");
    std::thread::sleep(std::time::Duration::from_secs(100 * 365 * 86_400));
}
