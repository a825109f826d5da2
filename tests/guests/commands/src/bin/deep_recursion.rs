//! Calls itself without end; the result of each call is needed by its caller.

use std::sync::atomic::{AtomicU64, Ordering};

static STOP: AtomicU64 = AtomicU64::new(u64::MAX);

#[inline(never)]
fn down(depth: u64) -> u64 {
    if STOP.load(Ordering::Relaxed) == depth {
        return 1;
    }
    // Neither a loop nor a tail call can be made of this.
    (down(depth + 1) ^ depth).wrapping_mul(31).rotate_left(7)
}

fn main() {
    println!("kept");
    println!("{}", down(0));
}
