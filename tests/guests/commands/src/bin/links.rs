//! Makes and moves links in its one folder. Answers what came of each.

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::PathFlags;

fn main() {
    let folders = get_directories();
    let (folder, _) = folders.last().expect("a folder is granted");
    let answer = serde_json::json!({
        "hard": folder.link_at(PathFlags::empty(), "a.txt", folder, "hard.txt").is_ok(),
        "symbolic": folder.symlink_at("a.txt", "symbolic.txt").is_ok(),
        "moved": folder.rename_at("link", folder, "moved").is_ok(),
        "moved with a slash": folder.rename_at("link/", folder, "moved").is_ok(),
        "a file": folder.rename_at("a.txt", folder, "b.txt").is_ok(),
    });
    println!("{answer}");
}
