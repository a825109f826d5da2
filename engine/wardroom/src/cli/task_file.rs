//! Tasks as files: in an editor, out to a folder that a person keeps in git, and
//! back in.

use std::path::{Path, PathBuf};

use super::error::{CommandError, show_hint};
use super::show;
use super::task::{grant_on_terminal, here, saved_words};
use crate::execution::grants::GrantTexts;
use crate::execution::store::ending;
use crate::task::definition::Task;
use crate::task::draft::{MAX_TASK_FILE, TaskDraft};
use crate::task::{Bytes, Saved, Saving};
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Args)]
pub(super) struct ExportArguments {
    /// The tasks; all, where none is named
    names: Vec<String>,
    /// The folder to write NAME.toml and the program to
    #[arg(long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    /// The file, as `task export` writes it
    file: PathBuf,
    /// Save it under this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl ExportArguments {
    pub(super) fn execute(self, wardroom: &Wardroom) -> Result<(), CommandError> {
        let tasks = match self.names.as_slice() {
            [] => wardroom.tasks()?,
            names => names.iter().map(|name| wardroom.task(name)).collect::<Result<_, _>>()?,
        };
        std::fs::create_dir_all(&self.output).map_err(|error| unwritable(&self.output, &error))?;
        let mut written = Vec::new();
        for task in &tasks {
            written.extend(self.export(wardroom, task)?);
        }
        let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        if self.json {
            return show::json(&serde_json::json!({"written": written}));
        }
        show::print(&if written.is_empty() { "no tasks\n".to_owned() } else { format!("{}\n", written.join("\n")) })
    }

    fn export(&self, wardroom: &Wardroom, task: &Task) -> Result<Vec<PathBuf>, CommandError> {
        let program = wardroom.stored_program(task)?;
        let file = format!("{}.{}", task.name(), ending(task.definition.program.format));
        let mut draft = wardroom.draft_of(task)?;
        // Beside the file, wherever that is put.
        let function = task.definition.program.function.as_ref().map(|function| format!("#{function}")).unwrap_or_default();
        draft.program = format!("{file}{function}");
        let (text, program_path) = (self.output.join(format!("{}.toml", task.name())), self.output.join(file));
        self.write(&program_path, &program.bytes)?;
        self.write(&text, draft.render()?.as_bytes())?;
        Ok(vec![text, program_path])
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true);
        if self.force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let written = options.open(path).and_then(|mut file| std::io::Write::write_all(&mut file, bytes));
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(CommandError::operator(format!("`{}` is there already", path.display()))
                    .hint("`--force` replaces it; `--output=DIR` writes elsewhere."))
            }
            written => written.map_err(|error| unwritable(path, &error)),
        }
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::operator(format!("`{}` cannot be written: {error}", path.display()))
}

fn read(path: &Path) -> Result<String, CommandError> {
    let failed = |error| CommandError::operator(format!("`{}` cannot be read: {error}", path.display()));
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() || meta.len() > MAX_TASK_FILE as u64 {
        return Err(CommandError::operator(format!("`{}` is no task's file", path.display())));
    }
    std::fs::read_to_string(path).map_err(failed)
}

impl ImportArguments {
    /// What the file says of grants is what somebody else granted: it is shown,
    /// and granted here by whoever imports, or not at all.
    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<(), CommandError> {
        let mut draft = TaskDraft::parse(&read(&self.file)?)?;
        if let Some(name) = self.name {
            draft.name = name;
        }
        let theirs = std::mem::take(&mut draft.grants);
        let file = here()?.join(&self.file);
        let base = file.parent().unwrap_or(Path::new("/")).to_owned();
        let linked = Linked {
            on_files: std::mem::take(&mut draft.on_files),
            after: std::mem::take(&mut draft.after),
            on_failure: draft.on_failure.take(),
            on_recovery: draft.on_recovery.take(),
        };
        let saved = wardroom
            .save_task(Saving { draft, seen: None, base: &base, text_params: Vec::new(), bytes: Bytes::Read, paused_for: None })
            .await?;
        let saved = grant_on_terminal(wardroom, saved, self.json).await?;
        let dropped = flags(&theirs, &linked);
        if self.json {
            let name = saved.task.name();
            let missing: Vec<String> = saved.missing.iter().map(wardroom_core::capability::Scope::flag).collect();
            return show::json(&serde_json::json!({"task": name, "missing": missing, "dropped": dropped, "warnings": saved.warnings}));
        }
        saved_words(wardroom, &saved, "imported", false)?;
        if !dropped.is_empty() {
            show_hint(&format!(
                "The file says what it was granted and tied to elsewhere. Nothing of it holds here; to have it so: `wardroom task edit {} {}`.",
                saved.task.name(),
                dropped.join(" ")
            ));
        }
        Ok(())
    }
}

/// What ties a task to others and to folders: for whoever imports it to say.
struct Linked {
    on_files: Vec<String>,
    after: Vec<String>,
    on_failure: Option<String>,
    on_recovery: Option<String>,
}

/// The flags that would give what the file's author had given.
fn flags(theirs: &GrantTexts, linked: &Linked) -> Vec<String> {
    let quoted = |flag: &str, text: &String| super::run::for_shell(&format!("{flag}={text}"));
    let of = |flag: &'static str, list: &[String]| list.iter().filter_map(|text| quoted(flag, text)).collect::<Vec<_>>();
    let mut flags = of("--allow-net", &theirs.net);
    flags.extend(of("--allow-read", &theirs.read));
    flags.extend(of("--allow-write", &theirs.write));
    flags.extend(of("--allow-sqlite", &theirs.sqlite));
    flags.extend(of("--allow-env", &theirs.env));
    flags.extend(of("--credential", &theirs.credentials));
    flags.extend(of("--allow-call", &theirs.call));
    flags.extend(theirs.state.map(|size| format!("--state={size}")));
    flags.extend(of("--on-files", &linked.on_files));
    flags.extend(of("--after", &linked.after));
    flags.extend(of("--on-failure", linked.on_failure.as_slice()));
    flags.extend(of("--on-recovery", linked.on_recovery.as_slice()));
    flags
}

/// Opens an editor on a task's file until what it holds can be saved; `None`:
/// nothing was changed.
pub(super) async fn edit(wardroom: &Wardroom, task: &Task, draft: &TaskDraft) -> Result<Option<Saved>, CommandError> {
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR")).ok().filter(|editor| !editor.trim().is_empty());
    let Some(editor) = editor else {
        return Err(CommandError::operator("no editor is named").hint(format!(
            "Set EDITOR, or change the task with flags: `wardroom task edit {} --every=1h` (see `wardroom task edit --help`).",
            task.name()
        )));
    };
    // In our own folder: nobody else can put something in its place.
    let path = wardroom.home().run().join(format!("edit-{}-{}.toml", task.name(), std::process::id()));
    let before = draft.render()?;
    std::fs::write(&path, &before).map_err(|error| unwritable(&path, &error))?;
    let saved = edited(wardroom, task, &editor, &path, &before).await;
    match &saved {
        // What was written is not lost with the mistake in it.
        Err(_) => show_hint(&format!("What you wrote is in `{}`.", path.display())),
        Ok(_) => drop(std::fs::remove_file(&path)),
    }
    saved
}

async fn edited(wardroom: &Wardroom, task: &Task, editor: &str, path: &Path, before: &str) -> Result<Option<Saved>, CommandError> {
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or(editor);
    let status = tokio::process::Command::new(program).args(words).arg(path).status().await;
    let status = status.map_err(|error| CommandError::operator(format!("the editor `{editor}` cannot be started: {error}")))?;
    if !status.success() {
        return Err(CommandError::operator(format!("the editor `{editor}` ended with {status}; nothing was changed")));
    }
    let text = read(path)?;
    if text == before {
        return Ok(None);
    }
    let draft = TaskDraft::parse(&text)?;
    let base = task.definition.base.clone();
    let saving = Saving { draft, seen: Some(task), base: &base, text_params: Vec::new(), bytes: Bytes::Pinned, paused_for: None };
    Ok(Some(wardroom.save_task(saving).await?))
}
