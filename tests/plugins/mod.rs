//! Plugins: installed under names, run by them, upgraded and removed, and shown
//! to assistants, with real guests of every shape.

mod bad;
mod calls;
mod registry;
mod signed;
mod tampered;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::home::{Ended, Home};

impl Home {
    /// `wardroom plugin …`, which has to succeed.
    #[track_caller]
    pub(crate) fn plugin(&self, args: &[&str]) -> Ended {
        let ended = self.try_plugin(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended}");
        ended
    }

    pub(crate) fn try_plugin(&self, args: &[&str]) -> Ended {
        let all: Vec<&str> = ["plugin"].iter().chain(args).copied().collect();
        self.run(&all)
    }

    /// What `wardroom plugin … --json` prints.
    #[track_caller]
    pub(crate) fn plugin_json(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = args.iter().chain(&["--json"]).copied().collect();
        self.plugin(&all).json()
    }

    /// Installs a file under a name.
    #[track_caller]
    pub(crate) fn install(&self, file: &Path, name: &str) -> Value {
        self.plugin_json(&["install", file.to_str().unwrap(), "--name", name])["plugin"].clone()
    }

    /// The names of what is installed.
    pub(crate) fn installed(&self) -> Vec<String> {
        let listed = self.plugin_json(&["list"]);
        listed["plugins"].as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A copy of a program that carries a manifest.
    pub(crate) fn with_manifest(&self, program: &Path, file: &str, manifest: &str) -> PathBuf {
        self.file(file, with_section(&fs::read(program).unwrap(), "wardroom-manifest", manifest.as_bytes()))
    }
}

/// A program with one more custom section.
pub(crate) fn with_section(program: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let leb = |mut number: usize| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap());
        bytes
    };
    let body = [leb(name.len()), name.as_bytes().to_vec(), data.to_vec()].concat();
    [program, &[0], &leb(body.len()), &body].concat()
}

/// The section in which tools keep the comments of WIT.
pub(crate) fn docs_section() -> Vec<u8> {
    let json = serde_json::json!({
        "worlds": { "typed": { "func_exports": { "add": { "docs": "Adds two numbers.\u{1b}[2J" } } } },
        "interfaces": { "shapes": { "funcs": { "area": { "docs": "The area of a shape." } } } },
    });
    [&[1], json.to_string().as_bytes()].concat()
}
