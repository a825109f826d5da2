//! Says that it lives, then spins for ever.

use std::sync::atomic::{AtomicU64, Ordering};

static TURNS: AtomicU64 = AtomicU64::new(0);

fn main() {
    println!("kept");
    eprintln!("spinning");
    loop {
        TURNS.fetch_add(1, Ordering::Relaxed);
    }
}
