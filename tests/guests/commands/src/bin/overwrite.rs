//! Writes a megabyte to a file's stream that had said it takes less.

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

fn main() {
    let folders = get_directories();
    let (folder, _) = folders.last().expect("a folder is granted");
    let file = folder.open_at(PathFlags::empty(), "new", OpenFlags::CREATE, DescriptorFlags::WRITE).expect("it is made");
    let stream = file.write_via_stream(0).expect("it is written");
    println!("{:?}", stream.write(&vec![0; 1 << 20]));
}
