//! Asks the host for four gigabytes of random bytes at once.

fn main() {
    println!("kept");
    println!("{}", wasip2::random::random::get_random_bytes(u64::from(u32::MAX)).len());
}
