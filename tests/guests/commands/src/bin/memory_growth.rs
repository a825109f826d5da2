//! Takes memory and uses it, a megabyte at a time, until there is no more.

fn main() {
    println!("kept");
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(vec![held.len() as u8; 1 << 20]);
    }
}
