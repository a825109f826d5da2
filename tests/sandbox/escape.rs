//! Ways out of a granted folder, as a table. None passes: not through a
//! command's `std::fs`, not through the raw interface, not through a script.
//!
//! ```text
//!   top/
//!     outside/secret.txt     the canary
//!     granted/               read and write
//!       inner.txt  sub/deep/  links at every position, a FIFO, a socket
//! ```

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::support::library::Job;

const CANARY: &str = "the canary sings";

/// A way, and what may be done with it without leaving the tree inside.
struct Way {
    path: String,
    end: End,
}

/// What the last part of a path is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Outside, or nothing.
    Outside,
    /// A link of the tree: removing or renaming it is no way out.
    Link,
    /// A FIFO or socket of the tree: so is looking at it.
    Special,
    /// A name like any other: so is making a file of it.
    Plain,
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Link => "link",
            Self::Special => "special",
            Self::Plain => "plain",
        }
    }
}

struct Tree {
    top: tempfile::TempDir,
    /// Held so that its file stays a socket.
    _socket: std::os::unix::net::UnixListener,
}

impl Tree {
    fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        let (outside, granted) = (top.path().join("outside"), top.path().join("granted"));
        fs::create_dir_all(outside.join("folder")).unwrap();
        fs::write(outside.join("secret.txt"), CANARY).unwrap();
        fs::create_dir_all(granted.join("sub/deep")).unwrap();
        fs::write(granted.join("inner.txt"), "inner").unwrap();
        let absolute = outside.canonicalize().unwrap();
        for (target, link) in [
            (Path::new("../outside/secret.txt"), "link-file"),
            (Path::new("../outside"), "link-dir"),
            (&absolute.join("secret.txt"), "link-absolute"),
            (&absolute, "link-absolute-dir"),
            (Path::new("link-file"), "chain"),
            (Path::new("chain"), "longer-chain"),
            (Path::new("../../../outside"), "sub/deep/link"),
            (Path::new("../.."), "sub/up"),
            (Path::new(".."), "up"),
            (Path::new("/"), "root"),
            (Path::new("."), "self"),
            (Path::new("loop-b"), "loop-a"),
            (Path::new("loop-a"), "loop-b"),
            (Path::new("../outside/new.txt"), "dangling"),
            (Path::new("../outside/folder/new.txt"), "dangling-deeper"),
            (Path::new("/proc/self/root"), "proc-root"),
            (Path::new("/proc/self/cwd"), "proc-cwd"),
            (Path::new("/etc/passwd"), "etc"),
            (Path::new("/dev/null"), "dev"),
            (Path::new("sub/../../outside/secret.txt"), "link-mixed"),
            (Path::new("inner.txt/../../outside/secret.txt"), "link-through-file"),
        ] {
            symlink(target, granted.join(link)).unwrap();
        }
        mknodat(CWD, granted.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        symlink("fifo", granted.join("link-fifo")).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(granted.join("socket")).unwrap();
        Self { top, _socket: socket }
    }

    fn granted(&self) -> PathBuf {
        self.top.path().join("granted")
    }

    fn outside(&self) -> PathBuf {
        self.top.path().canonicalize().unwrap().join("outside")
    }

    /// Everything outside of the grant, as it has to stay.
    fn outside_is_untouched(&self) -> bool {
        let names = |path: &Path| {
            let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort_unstable();
            names
        };
        let secret = self.outside().join("secret.txt");
        let modified = fs::metadata(&secret).unwrap().modified().unwrap();
        names(self.top.path()) == ["granted", "outside"]
            && names(&self.outside()) == ["folder", "secret.txt"]
            && names(&self.outside().join("folder")).is_empty()
            && fs::read_to_string(&secret).unwrap() == CANARY
            && modified > std::time::UNIX_EPOCH
            && std::os::unix::fs::MetadataExt::nlink(&fs::metadata(&secret).unwrap()) == 1
    }
}

/// Makes ways of one granted folder, which the guest knows as `name`.
struct Below<'a>(&'a str);

impl Below<'_> {
    fn way(&self, path: &str, end: End) -> Way {
        Way { path: format!("{}/{path}", self.0), end }
    }

    fn outside(&self, path: &str) -> Way {
        self.way(path, End::Outside)
    }
}

/// A way that does not start at the folder.
fn bare(path: impl Into<String>) -> Way {
    Way { path: path.into(), end: End::Outside }
}

fn ways(tree: &Tree, name: &str) -> Vec<Way> {
    let below = Below(name);
    let mut ways = dots(&below);
    ways.extend(absolute(tree));
    ways.extend(links(tree, &below));
    ways.extend(lookalikes(tree, &below));
    // Where `.` is granted, a guest's root is that folder.
    if name != "." {
        ways.extend(["/", "/..", "/.", ""].map(bare));
    }
    ways
}

/// Dots in every mixture, trailing slashes, great lengths.
fn dots(below: &Below<'_>) -> Vec<Way> {
    let long = "d".repeat(300);
    let texts = [
        "../outside/secret.txt",
        "./../outside/secret.txt",
        "sub/../../outside/secret.txt",
        "sub/./.././../outside/secret.txt",
        "sub/deep/../../../outside/secret.txt",
        "..//outside///secret.txt",
        "/../outside/secret.txt",
        "../granted/../outside/secret.txt",
        ".././outside/./secret.txt",
        "../outside/folder/../secret.txt",
        "none/../../outside/secret.txt",
        "inner.txt/../../outside/secret.txt",
        "../../../../../../../../../../../../etc/passwd",
        "..",
        "../",
        "../.",
        "sub/../..",
        "../outside/secret.txt/",
        "../outside/",
        &format!("{}../outside/secret.txt", "sub/../".repeat(400)),
        &format!("{}../outside/secret.txt", "./".repeat(1000)),
        &format!("{}../outside/secret.txt", "sub/deep/../../".repeat(300)),
        &format!("{long}/../../outside/secret.txt"),
    ];
    texts.iter().map(|text| below.outside(text)).collect()
}

/// Absolute paths, and the kernel's own doors.
fn absolute(tree: &Tree) -> Vec<Way> {
    let outside = tree.outside().display().to_string();
    let top = tree.top.path().canonicalize().unwrap().display().to_string();
    let texts = [
        &format!("{outside}/secret.txt"),
        &format!("/{outside}/secret.txt"),
        outside.as_str(),
        &format!("{top}/granted/inner.txt/../../outside/secret.txt"),
        &format!("{top}/granted/../outside/secret.txt"),
        "/etc/passwd",
        "//etc//passwd",
        "/../etc/passwd",
        "/proc/self/environ",
        "/proc/self/fd/0",
        "/proc/self/cwd/../outside/secret.txt",
        &format!("/proc/self/root{outside}/secret.txt"),
        "/proc/1/root/etc/passwd",
        "/dev/stdin",
        "/dev/null",
        "/dev/fd/0",
        "/sys/kernel/version",
    ];
    texts.iter().map(|text| bare(*text)).collect()
}

/// Links at every position, and what is no file.
fn links(tree: &Tree, below: &Below<'_>) -> Vec<Way> {
    let outside = tree.outside().display().to_string();
    let through = [
        "link-dir/secret.txt",
        "link-dir//secret.txt",
        "link-dir/./folder/../secret.txt",
        "link-dir/folder",
        "link-absolute-dir/secret.txt",
        "sub/deep/link/secret.txt",
        "sub/up/outside/secret.txt",
        "up/outside/secret.txt",
        "up/granted/../outside/secret.txt",
        "self/../outside/secret.txt",
        "self/self/self/up/outside/secret.txt",
        &format!("root{outside}/secret.txt"),
        "root/etc/passwd",
        &format!("proc-root{outside}/secret.txt"),
        "proc-cwd/Cargo.toml",
        "loop-a/secret.txt",
    ];
    let last = [
        "link-file",
        "link-file/",
        "link-dir",
        "link-dir/",
        "link-absolute",
        "chain",
        "longer-chain",
        "etc",
        "dev",
        "link-mixed",
        "link-through-file",
        "dangling",
        "dangling-deeper",
        "loop-a",
    ];
    let special = ["fifo", "link-fifo", "socket"];
    let mut ways: Vec<Way> = through.iter().map(|text| below.outside(text)).collect();
    ways.extend(last.iter().map(|text| below.way(text, End::Link)));
    ways.extend(special.iter().map(|text| below.way(text, End::Special)));
    ways
}

/// Names that only look like a way: other scripts, other separators, NUL.
fn lookalikes(tree: &Tree, below: &Below<'_>) -> Vec<Way> {
    let outside = [
        "../OUTSIDE/secret.txt",
        "%2e%2e/outside/secret.txt",
        "\u{ff0e}\u{ff0e}/outside/secret.txt",
        "\u{202e}../outside/secret.txt",
        "..\u{0}/outside/secret.txt",
        "../outside/secret.txt\u{0}",
        "inner.txt\u{0}/../../outside/secret.txt",
        " ../outside/secret.txt",
    ];
    let plain = ["..\\outside\\secret.txt", "..%2foutside%2fsecret.txt", "..\u{2215}outside\u{2215}secret.txt"];
    let mut ways: Vec<Way> = outside.iter().map(|text| below.outside(text)).collect();
    ways.extend(plain.iter().map(|text| below.way(text, End::Plain)));
    ways.extend([bare(format!("file://{}/secret.txt", tree.outside().display())), bare("~/secret.txt")]);
    ways
}

/// What a command tries with one way.
fn attempts(way: &Way, name: &str) -> Vec<Value> {
    let path = &way.path;
    let inner = format!("{name}/inner.txt");
    let loot = format!("{name}/loot");
    let mut all = vec![json!(["read", path]), json!(["list", path]), json!(["copy", path, loot])];
    if way.end != End::Special {
        all.push(json!(["stat", path]));
    }
    if way.end != End::Plain {
        all.extend([
            json!(["write", path, "x"]),
            json!(["append", path, "x"]),
            json!(["truncate", path]),
            json!(["touch", path]),
            json!(["mkdir", path]),
            json!(["copy", inner, path]),
        ]);
    }
    if way.end == End::Outside {
        all.extend([
            json!(["lstat", path]),
            json!(["readlink", path]),
            json!(["remove", path]),
            json!(["rmdir", path]),
            json!(["rename", path, loot]),
            json!(["rename", inner, path]),
            json!(["hardlink", path, loot]),
            json!(["hardlink", inner, path]),
        ]);
    }
    all.push(json!(["symlink", path, loot]));
    all
}

/// Some ways end in the tree again, whose files may be used; nothing of what is
/// outside may show.
fn leaks(answers: &Value) -> bool {
    let text = answers.to_string();
    [CANARY, "secret.txt", "root:", "folder "].iter().any(|word| text.contains(word))
}

#[test]
fn no_command_leaves_its_folder() {
    let mut count = 0;
    for name in [".", "/data", "data"] {
        let tree = Tree::new();
        for way in ways(&tree, name) {
            let operations = attempts(&way, name);
            let finished = Job::command("files").stdin(json!(operations).to_string()).folder(name, &tree.granted(), true).finish();
            let answers = finished.json().as_array().unwrap();
            for (operation, answer) in operations.iter().zip(answers) {
                assert!(answer.get("error").is_some(), "{operation} answered {answer}");
            }
            assert!(!leaks(finished.json()), "{}: {}", way.path, finished.json());
            assert!(tree.outside_is_untouched(), "{}", way.path);
            assert_eq!(fs::read_to_string(tree.granted().join("inner.txt")).unwrap(), "inner", "{}", way.path);
            count += 1;
        }
    }
    println!("{count} ways out of a folder were tried by a command");
    assert!(count >= 3 * 40, "{count}");
}

#[test]
fn what_lies_inside_is_reached_on_any_winding_path() {
    let tree = Tree::new();
    for path in
        ["inner.txt", "./inner.txt", "sub/../inner.txt", "sub/deep/../../inner.txt", "self/inner.txt", "self/self/inner.txt", "//inner.txt"]
    {
        let operations = json!([["read", format!("/data/{path}")]]);
        let finished = Job::command("files").stdin(operations.to_string()).folder("/data", &tree.granted(), false).finish();
        assert_eq!(finished.json(), &json!([{ "ok": "inner" }]), "{path}");
    }
}

#[test]
fn no_path_below_a_raw_folder_leaves_it() {
    let tree = Tree::new();
    let raw: Vec<String> = ways(&tree, ".").into_iter().flat_map(|way| [way.path.trim_start_matches("./").to_owned(), way.path]).collect();
    let finished = Job::command("preopens").stdin(json!(raw).to_string()).folder("/data", &tree.granted(), true).finish();
    assert_eq!(finished.json()["read"], json!([]), "{}", finished.json());
    let inside = json!(["inner.txt"]).to_string();
    let control = Job::command("preopens").stdin(inside).folder("/data", &tree.granted(), true).finish();
    assert_eq!(control.json()["read"], json!([["/data", "inner.txt", "inner"], ["/data", "inner.txt", "inner"]]));
}

/// Tries everything that a script can do with a path; answers what succeeded.
const SCRIPT: &str = r#"
const passed = [];
const attempt = async (what, path, act) => {
  try {
    passed.push([what, path, String(await act())]);
  } catch {}
};
for (const [path, end] of params.ways) {
  await attempt("readFile", path, () => fs.readFile(path, "utf8"));
  await attempt("readdir", path, () => fs.readdir(path));
  await attempt("copyFile", path, () => fs.copyFile(path, `${params.name}/loot`));
  if (end === "special") continue;
  await attempt("stat", path, () => fs.stat(path));
  await attempt("access", path, () => fs.access(path));
  if (end === "plain") continue;
  await attempt("writeFile", path, () => fs.writeFile(path, "x"));
  await attempt("appendFile", path, () => fs.appendFile(path, "x"));
  await attempt("mkdir", path, () => fs.mkdir(path));
  await attempt("copyFile to", path, () => fs.copyFile(`${params.name}/inner.txt`, path));
  if (end === "link") continue;
  await attempt("lstat", path, () => fs.lstat(path));
  await attempt("unlink", path, () => fs.unlink(path));
  await attempt("rmdir", path, () => fs.rmdir(path));
  await attempt("rm", path, () => fs.rm(path, { recursive: true }));
  await attempt("rename", path, () => fs.rename(path, `${params.name}/loot`));
  await attempt("rename to", path, () => fs.rename(`${params.name}/inner.txt`, path));
}
return passed;
"#;

#[test]
fn no_script_leaves_its_folder() {
    let mut count = 0;
    for name in [".", "/data"] {
        let tree = Tree::new();
        let ways = ways(&tree, name);
        let table: Vec<Value> = ways.iter().map(|way| json!([way.path, way.end.word()])).collect();
        let finished = Job::script(SCRIPT).params(json!({ "ways": table, "name": name })).folder(name, &tree.granted(), true).finish();
        assert_eq!(finished.json(), &json!([]));
        assert!(tree.outside_is_untouched());
        count += ways.len();
    }
    println!("{count} ways out of a folder were tried by a script");
    assert!(count >= 2 * 40, "{count}");
}

/// Runs a reader of `/data/<path>` while `disturb` is called again and again;
/// answers all that was ever read.
fn read_while(tree: &Tree, path: &str, disturb: impl Fn() + Send + 'static) -> Vec<String> {
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    let disturber = std::thread::spawn(move || {
        let mut turns = 0_u32;
        while !ended.load(Ordering::Relaxed) {
            disturb();
            turns += 1;
        }
        turns
    });
    let operations: Vec<Value> = (0..20_000).map(|_| json!(["read", path])).collect();
    let finished = Job::command("files").stdin(json!(operations).to_string()).folder("/data", &tree.granted(), false).finish();
    over.store(true, Ordering::Relaxed);
    assert!(disturber.join().unwrap() > 100, "the tree was changed while it was read");
    let mut read: Vec<String> =
        finished.json().as_array().unwrap().iter().filter_map(|answer| answer["ok"].as_str().map(str::to_owned)).collect();
    read.sort_unstable();
    read.dedup();
    read
}

#[test]
fn a_folder_swapped_for_a_link_while_it_is_read_leads_nowhere() {
    let tree = Tree::new();
    let granted = tree.granted();
    fs::create_dir(granted.join("real")).unwrap();
    fs::write(granted.join("real/secret.txt"), "inside").unwrap();
    symlink("../outside", granted.join("fake")).unwrap();
    fs::rename(granted.join("real"), granted.join("swap")).unwrap();
    let folder = granted.clone();
    let read = read_while(&tree, "/data/swap/secret.txt", move || {
        let name = |name: &str| folder.join(name);
        fs::rename(name("swap"), name("real")).unwrap();
        fs::rename(name("fake"), name("swap")).unwrap();
        fs::rename(name("swap"), name("fake")).unwrap();
        fs::rename(name("real"), name("swap")).unwrap();
    });
    assert_eq!(read, ["inside"]);
}

#[test]
fn a_parent_moved_out_while_dots_lead_through_it_leads_nowhere() {
    let tree = Tree::new();
    let (granted, outside) = (tree.granted(), tree.outside());
    fs::create_dir_all(granted.join("a/b")).unwrap();
    fs::write(granted.join("secret.txt"), "inside").unwrap();
    let read = read_while(&tree, "/data/a/b/../../secret.txt", move || {
        // While `b` lies outside, `b/..` is the folder of the secret.
        fs::rename(granted.join("a/b"), outside.join("folder/b")).unwrap();
        fs::rename(outside.join("folder/b"), granted.join("a/b")).unwrap();
        fs::rename(granted.join("a"), outside.join("a")).unwrap();
        fs::rename(outside.join("a"), granted.join("a")).unwrap();
    });
    assert_eq!(read, ["inside"]);
}

#[test]
fn a_hard_link_that_the_operator_made_is_a_file_of_the_folder() {
    let tree = Tree::new();
    fs::hard_link(tree.outside().join("secret.txt"), tree.granted().join("hard.txt")).unwrap();
    let finished = Job::command("files").stdin(r#"[["read", "/data/hard.txt"]]"#).folder("/data", &tree.granted(), false).finish();
    assert_eq!(finished.json(), &json!([{ "ok": CANARY }]), "the operator put it there; no program can");
}

#[test]
fn a_fifo_and_a_socket_are_refused_at_once() {
    let tree = Tree::new();
    let operations = json!([["read", "/data/fifo"], ["read", "/data/link-fifo"], ["read", "/data/socket"], ["write", "/data/fifo", "x"]]);
    let finished = Job::command("files").stdin(operations.to_string()).folder("/data", &tree.granted(), true).finish();
    let refused = &finished.outcome.usage.refusals;
    let about = refused.iter().filter(|refusal| refusal.reason == "it is no regular file or folder" && refusal.scope.is_none());
    assert_eq!(about.count(), 4, "{refused:?}");
}
