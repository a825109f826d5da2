//! Panics.

fn main() {
    println!("kept");
    panic!("this is the end");
}
