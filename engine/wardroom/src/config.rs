//! `config.toml`: what the operator settled once. Unknown keys are errors,
//! because a rule that is read and not enforced is worse than none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use wardroom_core::limit::{LimitError, Limits, NamedLimits};
use wardroom_core::plugin::SourceKind;
use wardroom_db::{DbConfig, Durability, Retention};
use wardroom_host::wire::{ProxyConfig, WireConfig, WireConfigError};
use wardroom_schedule::rate::RateLimit;

/// Bytes of a configuration that is read.
const MAX_BYTES: u64 = 1 << 20;

/// What stands in `config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What records survive.
    pub durability: DurabilityConfig,
    /// The way to the network.
    pub network: NetworkConfig,
    /// Limits of every run that names none.
    pub limits: NamedLimits,
    /// How long executions are kept.
    pub retention: RetentionConfig,
    /// What runs by itself.
    pub schedule: ScheduleConfig,
    /// Who is told what went wrong.
    #[serde(rename = "notify")]
    pub notifications: NotifyConfig,
    /// What assistants may do.
    pub mcp: McpConfig,
    /// What plugins have to be.
    pub plugins: PluginsConfig,
}

/// What plugins have to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Whether they have to be signed by a key that is trusted.
    pub require_signed: RequireSigned,
}

/// Whether plugins have to be signed, by where they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequireSigned {
    /// From a file of this machine.
    pub file: Option<SignedRule>,
    /// From an address.
    pub url: Option<SignedRule>,
    /// From a registry.
    pub oci: Option<SignedRule>,
}

/// What becomes of a plugin that nobody who is trusted signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignedRule {
    /// It is installed and run.
    Off,
    /// So it is, and whoever installs, lists, inspects or runs it is told.
    Warn,
    /// It is neither installed nor run.
    Enforce,
}

impl SignedRule {
    /// The word in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

impl PluginsConfig {
    /// The rule for plugins from such a place. A file is usually the operator's own;
    /// what comes over a network has passed other hands.
    #[must_use]
    pub fn rule(&self, kind: SourceKind) -> SignedRule {
        let RequireSigned { file, url, oci } = &self.require_signed;
        match kind {
            SourceKind::File => file.unwrap_or(SignedRule::Off),
            SourceKind::Url => url.unwrap_or(SignedRule::Warn),
            SourceKind::Oci => oci.unwrap_or(SignedRule::Warn),
        }
    }
}

/// What assistants may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpConfig {
    /// Whether a credential's value may come from an assistant. It has then been
    /// through the assistant's conversation, and whatever keeps that.
    pub accept_secret_values: bool,
    /// An assistant adds tasks while there are fewer than so many.
    pub max_tasks: Option<u64>,
    /// The same for credentials.
    pub max_credentials: Option<u64>,
}

/// Tasks up to which assistants add some, unless the settings say otherwise.
pub const DEFAULT_MAX_TASKS: u64 = 200;
/// Credentials up to which assistants add some, unless the settings say otherwise.
pub const DEFAULT_MAX_CREDENTIALS: u64 = 100;

impl McpConfig {
    /// Tasks up to which assistants add some.
    #[must_use]
    pub fn max_tasks(&self) -> u64 {
        self.max_tasks.unwrap_or(DEFAULT_MAX_TASKS)
    }

    /// Credentials up to which assistants add some.
    #[must_use]
    pub fn max_credentials(&self) -> u64 {
        self.max_credentials.unwrap_or(DEFAULT_MAX_CREDENTIALS)
    }
}

/// Desktop notifications, unless the settings say otherwise.
pub const DEFAULT_DESKTOP: bool = true;
/// In this time the desktop is told of a task's failures once, and of missed
/// slots once; what comes meanwhile is counted. A pause is always told: it comes
/// once, and ends only by hand.
pub const NOTIFY_AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// Notifications of all tasks together in that time.
pub const MAX_NOTIFICATIONS: usize = 30;

/// Who is told what went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// The desktop, where there is one.
    pub desktop: Option<bool>,
}

impl NotifyConfig {
    /// Whether the desktop is told.
    #[must_use]
    pub fn desktop(&self) -> bool {
        self.desktop.unwrap_or(DEFAULT_DESKTOP)
    }
}

/// Runs at once of what runs by itself, unless the settings say otherwise.
pub const DEFAULT_CONCURRENCY: usize = 3;
/// The most that anybody may ask for.
pub const MAX_CONCURRENCY: usize = 64;

/// What runs by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// How many at once, 1 to [`MAX_CONCURRENCY`].
    #[serde(deserialize_with = "concurrency")]
    pub concurrency: Option<usize>,
    /// How many starts of all tasks together in which time.
    pub rate: Option<RateLimit>,
}

fn concurrency<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let most = usize::deserialize(deserializer)?;
    if (1..=MAX_CONCURRENCY).contains(&most) {
        return Ok(Some(most));
    }
    Err(serde::de::Error::custom(format!("a concurrency of {most} is out of range: expected 1 to {MAX_CONCURRENCY}")))
}

impl ScheduleConfig {
    /// How many at once.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.concurrency.unwrap_or(DEFAULT_CONCURRENCY)
    }
}

/// What execution records survive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityConfig {
    /// The death of the process.
    #[default]
    Process,
    /// The death of the machine as well.
    Full,
}

/// The way to the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// PEM files of certificates to trust beside the well-known ones.
    pub extra_roots: Vec<PathBuf>,
    /// `http://HOST:PORT` that requests go through.
    pub proxy: Option<String>,
}

/// How long executions are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Days.
    pub max_age_days: Option<u32>,
    /// Executions of each task; runs without a task count together as one.
    pub per_task: Option<u64>,
}

/// A configuration that does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file, or one that it names, cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is longer than any configuration.
    #[error("`{}` has more than {MAX_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// No TOML, an unknown key, or a value that does not fit.
    #[error("`{}` does not hold, line {line}: {message}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
        /// What TOML's reader says.
        message: String,
    },
    /// A limit out of its range.
    #[error("`{}` does not hold: {source}", path.display())]
    Limit {
        /// Which file.
        path: PathBuf,
        /// Which limit.
        source: LimitError,
    },
    /// The proxy or a certificate.
    #[error("`{}` does not hold: {source}", path.display())]
    Wire {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: WireConfigError,
    },
}

impl Config {
    /// Reads the file; a missing one says nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the file and, where known, the line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Io { path: path.to_owned(), source };
        let text = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
            Ok(meta) if meta.len() > MAX_BYTES => return Err(ConfigError::TooLarge(path.to_owned())),
            Ok(_) => std::fs::read_to_string(path).map_err(failed)?,
        };
        let config: Self = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
            let message = error.message().replace('\n', ", ");
            ConfigError::Toml { path: path.to_owned(), line: before.matches('\n').count() + 1, message }
        })?;
        // Said when it is written, not at the first run that needs it.
        config.limits().map_err(|source| ConfigError::Limit { path: path.to_owned(), source })?;
        Ok(config)
    }

    /// The limits of a run that names none.
    ///
    /// # Errors
    ///
    /// [`LimitError`] out of range.
    pub fn limits(&self) -> Result<Limits, LimitError> {
        self.limits.over(&Limits::default())
    }

    /// What the database needs to know.
    #[must_use]
    pub fn database(&self) -> DbConfig {
        let durability = match self.durability {
            DurabilityConfig::Process => Durability::Process,
            DurabilityConfig::Full => Durability::Machine,
        };
        DbConfig { durability }
    }

    /// How long executions are kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let default = Retention::default();
        Retention {
            max_age_days: self.retention.max_age_days.unwrap_or(default.max_age_days),
            per_task: self.retention.per_task.unwrap_or(default.per_task),
        }
    }

    /// What the network needs to know; reads the certificates.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Io`] for a certificate, [`ConfigError::Wire`] for a
    /// proxy that does not parse.
    pub fn wire(&self, path: &Path) -> Result<WireConfig, ConfigError> {
        let read = |root: &PathBuf| std::fs::read(root).map_err(|source| ConfigError::Io { path: root.clone(), source });
        let extra_roots = self.network.extra_roots.iter().map(read).collect::<Result<_, _>>()?;
        let proxy = self.network.proxy.as_deref().map(ProxyConfig::parse).transpose();
        let proxy = proxy.map_err(|source| ConfigError::Wire { path: path.to_owned(), source })?;
        Ok(WireConfig { extra_roots, proxy, ..WireConfig::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn settings_are_read_and_missing_ones_are_defaults() {
        assert_eq!(Config::read(Path::new("/nowhere/config.toml")).unwrap(), Config::default());
        let config = read("durability = 'full'\n[limits]\nmemory = '128MiB'\n[retention]\nper_task = 5").unwrap();
        assert_eq!(config.limits().unwrap().memory, 128 << 20);
        assert_eq!(config.retention().per_task, 5);
        assert_eq!(config.database().durability, Durability::Machine);
        assert!(config.notifications.desktop());
        assert!(!read("[notify]\ndesktop = false").unwrap().notifications.desktop());
    }

    #[test]
    fn plugins_have_to_be_signed_as_the_settings_say_for_their_source() {
        let rules = |config: &Config| [SourceKind::File, SourceKind::Url, SourceKind::Oci].map(|kind| config.plugins.rule(kind).name());
        assert_eq!(rules(&Config::default()), ["off", "warn", "warn"]);
        let config = read("[plugins.require_signed]\nfile = 'enforce'\noci = 'off'").unwrap();
        assert_eq!(rules(&config), ["enforce", "warn", "off"]);
        for wrong in
            ["[plugins]\nrequire_signed = 'enforce'", "[plugins.require_signed]\nftp = 'off'", "[plugins.require_signed]\nurl = 'Enforce'"]
        {
            assert!(matches!(read(wrong), Err(ConfigError::Toml { .. })), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        for (text, line) in
            [("[network]\nproxxy = ''", 2), ("durabilty = 'full'", 1), ("[notify]\ndesktp = true", 2), ("[limits]\nmemory = 'much'", 2)]
        {
            assert!(matches!(read(text), Err(ConfigError::Toml { line: found, .. }) if found == line), "{text}");
        }
        assert!(matches!(read("[limits]\ntimeout = '2h'"), Err(ConfigError::Limit { .. })));
        for (most, holds) in [("0", false), ("1", true), ("64", true), ("65", false), ("-1", false)] {
            assert_eq!(read(&format!("[schedule]\nconcurrency = {most}")).is_ok(), holds, "{most}");
        }
    }
}
