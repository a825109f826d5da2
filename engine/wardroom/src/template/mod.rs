//! Templates: programs that are found by a name instead of a path, and tasks
//! can be made of by giving params.
//!
//! Those here are part of this binary: a program cannot change behind a name.
//! A file of the same name is reached with `./`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use sha2::Digest as _;
use wardroom_core::id::Digest;
use wardroom_core::manifest::Manifest;
use wardroom_core::program::{Format, Program};
use wardroom_core::text::nearest;

/// One template's place in this binary.
#[derive(Debug)]
pub struct Template {
    /// What it is called.
    pub name: &'static str,
    /// What it is for, in a word: see [`CATEGORIES`].
    pub category: &'static str,
    /// When tasks of it mostly run, as a cron expression.
    pub suggested_cron: Option<&'static str>,
    /// Its text, in JavaScript.
    pub source: &'static str,
}

/// The categories of templates.
pub const CATEGORIES: [&str; 4] = ["monitoring", "notification", "integration", "maintenance"];

macro_rules! template {
    ($name:literal, $category:literal, $cron:expr) => {
        Template {
            name: $name,
            category: $category,
            suggested_cron: $cron,
            source: include_str!(concat!("../../../../plugins/scripts/", $name, ".js")),
        }
    };
}

/// All templates, in order of their names.
pub const TEMPLATES: [Template; 10] = [
    template!("database-backup", "maintenance", Some("0 2 * * *")),
    template!("dependency-report", "maintenance", None),
    template!("discord-notification", "notification", None),
    template!("file-watcher", "monitoring", Some("*/30 * * * *")),
    template!("github-pr-creation", "integration", None),
    template!("http-health-check", "monitoring", Some("*/5 * * * *")),
    template!("json-api-request", "integration", None),
    template!("log-message", "maintenance", None),
    template!("slack-notification", "notification", None),
    template!("webhook-trigger", "integration", None),
];

/// What a person or an assistant chooses by.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateView {
    /// What it is called.
    pub name: &'static str,
    /// What it is for, in a word.
    pub category: &'static str,
    /// What it does.
    pub description: String,
    /// What it asks for, as its header says it.
    pub requests: Vec<String>,
    /// JSON Schema (2020-12) of its params.
    pub params: Value,
    /// When tasks of it mostly run, as a cron expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggested_cron: Option<&'static str>,
    /// Its bytes' SHA-256.
    pub digest: Digest,
}

/// There is no template of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no template `{name}`{}", near.map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
pub struct UnknownTemplate {
    name: String,
    near: Option<&'static str>,
}

/// The template that a PROGRAM's path stands for, where it is just a name.
#[must_use]
pub fn of_path(path: &Path) -> Option<&'static Template> {
    // Compared as text: `./log-message` is the same path, and means the file.
    TEMPLATES.iter().find(|template| path.as_os_str() == template.name)
}

/// A PROGRAM's path as it is meant from `base`: names stay names.
#[must_use]
pub fn located(base: &Path, path: &Path) -> PathBuf {
    if of_path(path).is_some() { path.to_owned() } else { base.join(path) }
}

/// The template of this name.
///
/// # Errors
///
/// [`UnknownTemplate`], with one that is nearly called so.
pub fn named(name: &str) -> Result<&'static Template, UnknownTemplate> {
    let unknown = || UnknownTemplate { name: name.to_owned(), near: nearest(name, TEMPLATES.iter().map(|template| template.name)) };
    of_path(Path::new(name)).ok_or_else(unknown)
}

impl Template {
    /// Its bytes, to be run.
    #[must_use]
    pub fn program(&self) -> Program {
        let bytes = self.source.as_bytes();
        Program {
            name: format!("{}.js", self.name),
            digest: Digest::from_bytes(sha2::Sha256::digest(bytes).into()),
            format: Format::JavaScript,
            bytes: bytes.into(),
        }
    }

    /// What a person or an assistant chooses by.
    #[must_use]
    pub fn view(&self) -> TemplateView {
        // A header that did not hold would fail a test of this module.
        let manifest = Manifest::of_script(self.source).ok().flatten().unwrap_or_default();
        TemplateView {
            name: self.name,
            category: self.category,
            description: manifest.description.clone().unwrap_or_default(),
            requests: manifest.request_texts(),
            params: manifest.params.schema(),
            suggested_cron: self.suggested_cron,
            digest: self.program().digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_says_what_it_is() {
        for template in &TEMPLATES {
            let manifest = Manifest::of_script(template.source).unwrap().unwrap();
            assert_eq!(manifest.name.as_deref(), Some(template.name));
            assert!(CATEGORIES.contains(&template.category), "{}", template.category);
            let view = template.view();
            assert!(!view.description.is_empty() && view.params["type"] == "object");
        }
        assert!(TEMPLATES.is_sorted_by_key(|template| template.name));
    }

    #[test]
    fn all_shipped_scripts_are_templates() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/scripts");
        let mut shipped: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        shipped.sort();
        let known: Vec<String> = TEMPLATES.iter().map(|template| format!("{}.js", template.name)).collect();
        assert_eq!(shipped, known);
    }

    #[test]
    fn a_name_is_a_template_and_a_path_is_a_file() {
        assert!(of_path(Path::new("log-message")).is_some());
        for path in ["./log-message", "a/log-message", "log-message.js", "/log-message", "Log-message", ""] {
            assert!(of_path(Path::new(path)).is_none(), "{path}");
        }
        assert_eq!(located(Path::new("/base"), Path::new("log-message")), Path::new("log-message"));
        assert_eq!(located(Path::new("/base"), Path::new("a.js")), Path::new("/base/a.js"));
        assert!(named("log-mesage").unwrap_err().to_string().ends_with("did you mean `log-message`?"));
    }
}
