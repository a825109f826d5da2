//! Walks past `std`: takes every preopened folder as the interface gives it and
//! tries to open each path below each, raw. In: a list of paths on standard
//! input. Out: the names of the folders, and what could be read.

use std::io::Read;

use serde_json::json;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("standard input is text");
    let paths: Vec<String> = serde_json::from_str(&text).expect("a list of texts");
    let (mut names, mut read) = (Vec::new(), Vec::new());
    for (folder, name) in get_directories() {
        for path in &paths {
            for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
                let Ok(file) = folder.open_at(follow, path, OpenFlags::empty(), DescriptorFlags::READ) else { continue };
                if let Ok((bytes, _)) = file.read(4096, 0) {
                    read.push(json!([name, path, String::from_utf8_lossy(&bytes)]));
                }
            }
        }
        names.push(name);
    }
    println!("{}", json!({ "folders": names, "read": read }));
}
