//! Opens handles and keeps every one, for ever.

fn main() {
    println!("kept");
    let mut held = Vec::new();
    loop {
        held.push(wasip2::clocks::monotonic_clock::subscribe_duration(u64::MAX));
    }
}
