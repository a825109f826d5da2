//! Opens `a.txt` of its one folder for reading, and changes its time.

use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, NewTimestamp, OpenFlags, PathFlags};

fn main() {
    let folders = get_directories();
    let (folder, _) = folders.last().expect("a folder is granted");
    let file = folder.open_at(PathFlags::empty(), "a.txt", OpenFlags::empty(), DescriptorFlags::READ).expect("it is there");
    let time = NewTimestamp::Timestamp(Datetime { seconds: 1, nanoseconds: 0 });
    println!("{:?}", file.set_times(time, time));
}
