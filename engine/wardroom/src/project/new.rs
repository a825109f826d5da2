//! A new project from its language's template. Everything that it needs is in
//! this binary: nothing is fetched.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use wardroom_core::task::TaskName;

use super::ProjectError;
use super::language::Language;

/// A template's file: its path in the project, and its text or bytes.
pub(crate) type File = (&'static str, &'static [u8]);

/// What stands for the plugin's name in a template's text.
const NAME: &str = "{{name}}";

/// `^[a-z][a-z0-9-]{0,47}$`, and not `task`.
pub(crate) fn check_name(name: &str) -> Result<(), ProjectError> {
    // Plugins and tasks are named alike.
    name.parse::<TaskName>().map(drop).map_err(|_| ProjectError::Name(name.to_owned()))
}

/// Makes the folder `name` below `base`, and the project in it.
///
/// # Errors
///
/// [`ProjectError::Exists`] where there is something of that name.
pub fn make(base: &Path, name: &str, language: Language) -> Result<PathBuf, ProjectError> {
    check_name(name)?;
    let folder = base.join(name);
    // Made rather than looked for: what comes between is not overwritten either.
    std::fs::create_dir(&folder).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => ProjectError::Exists(folder.clone()),
        _ => ProjectError::Io { path: folder.clone(), verb: "written", source },
    })?;
    for (path, bytes) in language.template() {
        let path = folder.join(path);
        write(&path, &filled(bytes, name)).map_err(ProjectError::io(&path, "written"))?;
    }
    Ok(folder)
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(bytes)
}

/// Text with the plugin's name in it; what is no text stays as it is.
fn filled(bytes: &[u8], name: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.replace(NAME, name).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;

    #[test]
    fn every_template_is_a_project_and_overwrites_nothing() {
        let base = tempfile::tempdir().unwrap();
        for language in Language::ALL {
            let name = format!("a-{}", language.name());
            let folder = make(base.path(), &name, language).unwrap();
            let project = Project::read(&folder).unwrap();
            assert_eq!((project.name.as_str(), project.settings.language), (name.as_str(), language));
            assert!(folder.join("README.md").is_file() && folder.join("cases/counts.json").is_file(), "{name}");
            assert!(matches!(make(base.path(), &name, language), Err(ProjectError::Exists(_))));
            let left = std::fs::read_to_string(folder.join("README.md")).unwrap();
            assert!(!left.contains(NAME) && left.contains(&name), "{left}");
        }
    }

    #[test]
    fn a_folder_is_named_like_a_plugin() {
        let base = tempfile::tempdir().unwrap();
        for name in ["", "../x", "A", "task", "a/b", "a b", &"a".repeat(49)] {
            assert!(matches!(make(base.path(), name, Language::Rust), Err(ProjectError::Name(_))), "{name}");
        }
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
