//! Plugins from elsewhere: addresses, registries, and strangers that give
//! something else than they should.

mod address;
mod artifacts;
mod disk;
mod logins;
mod strangers;

use std::fs;

use crate::support::home::{Ended, Home};
use crate::support::registry::digest;

/// What is fetched where it does not matter what.
pub(crate) const SCRIPT: &str = "return 42;";

/// `BASE/p.js@sha256:…` of the script.
pub(crate) fn pinned(base: &str) -> String {
    format!("{base}/p.js@{}", digest(SCRIPT.as_bytes()))
}

impl Home {
    /// `wardroom plugin install SOURCE --name=p …`.
    pub(crate) fn fetch(&self, source: &str, more: &[&str]) -> Ended {
        let args: Vec<&str> = ["install", source, "--name=p"].into_iter().chain(more.iter().copied()).collect();
        self.try_plugin(&args)
    }

    /// The same, which has to be refused with this reason, and has to leave
    /// nothing behind.
    #[track_caller]
    pub(crate) fn refused(&self, source: &str, more: &[&str], reason: &str) -> Ended {
        let ended = self.fetch(source, more);
        assert_eq!(ended.code, Some(1), "{source}: {ended}");
        assert!(ended.stderr.contains(reason), "expected `{reason}`: {ended}");
        self.is_untouched();
        ended
    }

    /// Nothing was installed, and no byte of it is in the data folder.
    #[track_caller]
    pub(crate) fn is_untouched(&self) {
        assert!(self.installed().is_empty());
        let stored = fs::read_dir(self.path().join("components")).into_iter().flatten().count();
        assert_eq!(stored, 0, "nothing is stored before it is known what it is");
    }

    /// Whose certificate is trusted beside the well-known ones.
    pub(crate) fn trust_server(&self, pem: &str) {
        let file = self.file("trusted.pem", pem);
        self.configure(&format!("[network]\nextra_roots = [{:?}]\n", file.display().to_string()));
    }

    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.path().join("config.toml"), config).unwrap();
    }
}
