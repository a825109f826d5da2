//! Calls the host as fast as it can, for ever.

use std::sync::atomic::{AtomicU64, Ordering};

static SEEN: AtomicU64 = AtomicU64::new(0);

fn main() {
    println!("kept");
    eprintln!("calling");
    loop {
        SEEN.fetch_max(wasip2::clocks::monotonic_clock::now(), Ordering::Relaxed);
    }
}
