//! Asks for paths of a megabyte that it may not have.

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::PathFlags;

fn main() {
    let folders = get_directories();
    let (fence, _) = folders.first().expect("there is always one");
    let long = format!("{}/a", "\u{1}".repeat(1 << 20));
    for number in 0..3 {
        println!("{:?}", fence.stat_at(PathFlags::empty(), &format!("{number}{long}")).map(|_| ()));
    }
}
