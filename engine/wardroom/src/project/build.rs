//! Building: the language's own compiler, then manifest and comments into what it
//! made, then a look at what that asks for and what it could use.

use std::process::Stdio;

use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use wardroom_core::capability::Capability;
use wardroom_core::manifest::Manifest;
use wardroom_core::program::ProgramName;
use wardroom_host::package::{Wit, declared_params, package};

use super::language::{Output, Recipe, Step};
use super::{BUILD, Project, ProjectError};
use crate::plugin::{Inspected, MEANS};
use crate::wardroom::Wardroom;

/// A plugin that was built.
#[derive(Debug, Serialize)]
pub struct Built {
    /// Its file.
    pub file: String,
    /// What it is.
    #[serde(flatten)]
    pub inspected: Inspected,
    /// What its manifest asks for.
    pub asks_for: Vec<String>,
    /// What it could use and does not ask for, by the imports that say so.
    pub imported_not_requested: Vec<Surplus>,
    /// What it asks for and could not use.
    pub requested_not_imported: Vec<Capability>,
}

/// A capability that nothing asks for, although its interfaces are imported.
#[derive(Debug, Serialize)]
pub struct Surplus {
    /// One of the capabilities that these are for.
    pub capability: Capability,
    /// The imports.
    pub imports: Vec<String>,
}

/// Builds a project; the compiler speaks on our own standard error.
///
/// # Errors
///
/// [`ProjectError`] for a compiler that is missing or fails, and for what it made.
pub async fn build(wardroom: &Wardroom, project: &Project) -> Result<Built, ProjectError> {
    let recipe = project.settings.language.recipe(project)?;
    let folder = project.folder.join(BUILD);
    std::fs::create_dir_all(&folder).map_err(ProjectError::io(&folder, "written"))?;
    let bytes = compile(project, &recipe).await?;
    let (manifest, text) = with_params(project, &bytes)?;
    let wit = project.settings.wit.as_ref().map(|wit| Wit::read(&project.folder.join(wit), project.settings.world.as_deref()));
    let plugin = package(bytes, wit.transpose()?.as_ref(), &text)?;
    let path = project.plugin();
    // Whoever looks finds the old one or the new one.
    let staged = path.with_extension("wasm.part");
    std::fs::write(&staged, plugin).and_then(|()| std::fs::rename(&staged, &path)).map_err(ProjectError::io(&path, "written"))?;
    let inspected = wardroom.inspect(&ProgramName { path: path.clone(), function: None }).await?;
    Ok(Built {
        file: path.display().to_string(),
        asks_for: manifest.request_texts(),
        imported_not_requested: imported_not_requested(&manifest, &inspected.inspection.imports),
        requested_not_imported: requested_not_imported(&manifest, &inspected.inspection.imports),
        inspected,
    })
}

/// The manifest, with the params that the source declares.
fn with_params(project: &Project, bytes: &[u8]) -> Result<(Manifest, String), ProjectError> {
    let Some(params) = declared_params(bytes)? else { return Ok((project.manifest.clone(), project.manifest_text.clone())) };
    if !project.manifest.params.0.is_empty() {
        return Err(ProjectError::TwiceDeclared);
    }
    let text = format!("{}\n{params}", project.manifest_text);
    Ok((Manifest::parse(&text, 1)?, text))
}

async fn compile(project: &Project, recipe: &Recipe) -> Result<Vec<u8>, ProjectError> {
    let (mut said, mut last) = (Vec::new(), String::new());
    for step in &recipe.steps {
        said = run(project, step).await?;
        last = step.text();
    }
    let path = match &recipe.output {
        Output::File(path) => project.folder.join(path),
        Output::CargoMessages => artifact(&said).ok_or(ProjectError::NoOutput { command: last })?,
    };
    std::fs::read(&path).map_err(ProjectError::io(&path, "read"))
}

/// What it writes to its standard output is answered; the rest is for the
/// developer's eyes.
async fn run(project: &Project, step: &Step) -> Result<Vec<u8>, ProjectError> {
    let ended = tokio::process::Command::new(&step.program)
        .args(&step.args)
        .envs(step.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&project.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Not captured, as `output` would: a build may take minutes.
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn();
    let started = |source| ProjectError::Start { command: step.text(), source };
    let ended = ended.map_err(started)?.wait_with_output().await.map_err(started)?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    // Some compilers complain there.
    drop(tokio::io::stderr().write_all(&ended.stdout).await);
    Err(ProjectError::Compiler { command: step.text(), status: ended.status })
}

/// The last `.wasm` that cargo says it made: dependencies come first.
fn artifact(messages: &[u8]) -> Option<std::path::PathBuf> {
    let text = String::from_utf8_lossy(messages);
    let mut made = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).filter_map(|message| {
        let files = message.get("filenames")?.as_array()?;
        files.iter().filter_map(|file| file.as_str()).find(|file| file.ends_with(".wasm")).map(std::path::PathBuf::from)
    });
    made.next_back()
}

fn imports_of(capability: Capability, imports: &[String]) -> Vec<&String> {
    let used = MEANS.iter().find(|(of, _)| *of == capability).map_or(&[] as &[&str], |(_, interfaces)| interfaces);
    imports.iter().filter(|import| used.iter().any(|interface| import.starts_with(interface))).collect()
}

fn asks(manifest: &Manifest, capability: Capability) -> bool {
    let texts = manifest.request_texts();
    texts.iter().any(|text| text.split(' ').next() == Some(capability.name()))
}

fn imported_not_requested(manifest: &Manifest, imports: &[String]) -> Vec<Surplus> {
    let files = asks(manifest, Capability::Read) || asks(manifest, Capability::Write);
    let told = |capability: &Capability| match capability {
        // Told once, as reading; standard libraries bring the environment along
        // whether anybody reads it or not.
        Capability::Write | Capability::Env => false,
        Capability::Read => !files,
        other => !asks(manifest, *other),
    };
    let unasked = MEANS.iter().map(|(capability, _)| *capability).filter(told);
    let surplus = unasked.map(|capability| Surplus { capability, imports: imports_of(capability, imports).into_iter().cloned().collect() });
    surplus.filter(|surplus| !surplus.imports.is_empty()).collect()
}

fn requested_not_imported(manifest: &Manifest, imports: &[String]) -> Vec<Capability> {
    let all = MEANS.iter().map(|(capability, _)| *capability);
    all.filter(|capability| asks(manifest, *capability) && imports_of(*capability, imports).is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        Manifest::parse(text, 1).unwrap()
    }

    #[test]
    fn what_is_imported_and_what_is_asked_for_are_held_together() {
        let imports = ["wasi:http/outgoing-handler@0.2.6", "wasi:filesystem/preopens@0.2.6", "wasi:cli/environment@0.2.6"];
        let imports = imports.map(str::to_owned);
        let unasked = |text: &str| -> Vec<Capability> {
            imported_not_requested(&manifest(text), &imports).into_iter().map(|surplus| surplus.capability).collect()
        };
        assert_eq!(unasked(""), [Capability::Net, Capability::Read]);
        assert_eq!(unasked("net = ['https://a.example']\nwrite = ['out']"), []);
        let unused = |text: &str| requested_not_imported(&manifest(text), &imports);
        assert_eq!(unused("net = ['https://a.example']\nwrite = ['out']\nenv = ['A']"), []);
        assert_eq!(
            unused("state = '4KiB'\ncredentials = ['TOKEN']\nsqlite = ['a.db']"),
            [Capability::Sqlite, Capability::State, Capability::Credentials]
        );
    }

    #[test]
    fn cargo_says_which_file_it_made() {
        let messages = b"{\"reason\":\"compiler-artifact\",\"filenames\":[\"/t/libserde.rlib\"]}\nnonsense\n{\"filenames\":[\"/t/a.wasm\"]}\n{\"reason\":\"build-finished\"}";
        assert_eq!(artifact(messages), Some("/t/a.wasm".into()));
        assert_eq!(artifact(b""), None);
    }
}
