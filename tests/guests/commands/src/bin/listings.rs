//! Lists its one folder again and again, and answers how often at once, and
//! whether it can once more after closing one.

use wasip2::filesystem::preopens::get_directories;

fn main() {
    let folders = get_directories();
    let (folder, _) = folders.last().expect("a folder is granted");
    let mut open: Vec<_> = (0..400).map_while(|_| folder.read_directory().ok()).collect();
    let count = open.len();
    open.pop();
    println!("{}", serde_json::json!([count, folder.read_directory().is_ok()]));
}
