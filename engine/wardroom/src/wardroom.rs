//! Everything assembled: one data folder, its database, its sandbox.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use wardroom_core::blame::Blame;
use wardroom_core::clock::{Clock, SystemClock, Timestamp};
use wardroom_db::{Database, DbError};
use wardroom_host::wire::{Wire, WireConfigError};
use wardroom_host::{Host, HostConfig, HostError, Notice};
use wardroom_vault::source::{NoPassphrases, Passphrases};

use crate::config::{Config, ConfigError};
use crate::execution::child::Turns;
use crate::execution::session::{Session, SessionError};
use crate::execution::store::Kept;
use crate::home::{Home, HomeError};
use crate::plugin::KnownTools;
use crate::task::follow::GivenUp;
use crate::trust::Trust;
use crate::vault::Opened;
use crate::vault::mirror::Mirrored;

/// One process's Wardroom on one data folder.
pub struct Wardroom {
    pub(crate) home: Home,
    pub(crate) config: Config,
    pub(crate) db: Arc<Database>,
    pub(crate) clock: Arc<dyn Clock>,
    notice: Arc<dyn Notice>,
    /// This same binary, for work that belongs into a process of its own.
    pub(crate) preparer: PathBuf,
    host: OnceLock<Host>,
    session: tokio::sync::OnceCell<Arc<Session>>,
    /// Whom to ask for the vault's passphrase, where it has one.
    pub(crate) passphrases: Arc<dyn Passphrases + Send + Sync>,
    pub(crate) opened: Opened,
    pub(crate) mirrored: Mirrored,
    pub(crate) given_up: GivenUp,
    pub(crate) kept: Kept,
    pub(crate) known_tools: KnownTools,
    pub(crate) trust: Trust,
    /// Callees that run for a call, and not beside themselves.
    pub(crate) turns: Turns,
    /// When this process last looked whether old executions are to be forgotten.
    pub(crate) looked_tidy: Mutex<Option<Instant>>,
    /// An end in this process was not followed, because that failed.
    pub(crate) unfollowed: AtomicBool,
}

/// Something is wrong with the data folder or what is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The sandbox.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A certificate among the settings.
    #[error("the settings' network does not hold: {0}")]
    Wire(#[from] WireConfigError),
    /// The lock and socket of this process.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl OpenError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Home(error) => error.blame(),
            Self::Config(_) | Self::Wire(_) => Blame::Operator,
            Self::Db(error) => error.blame(),
            Self::Host(error) => error.blame(),
            Self::Session(_) => Blame::Host,
        }
    }
}

impl Wardroom {
    /// Opens a data folder, making what is missing. Nothing is compiled, and
    /// the sandbox is made with its first use: lists are quick.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for the folder, its settings or its database.
    pub fn open(home: &Path, preparer: PathBuf, notice: Arc<dyn Notice>) -> Result<Self, OpenError> {
        let home = Home::open(home)?;
        let config = Config::read(&home.config_file())?;
        let db = Arc::new(Database::open(home.path(), config.database())?);
        Ok(Self {
            home,
            config,
            db,
            clock: Arc::new(SystemClock),
            notice,
            preparer,
            host: OnceLock::new(),
            session: tokio::sync::OnceCell::new(),
            passphrases: Arc::new(NoPassphrases),
            opened: Opened::default(),
            mirrored: Mirrored::default(),
            given_up: GivenUp::default(),
            kept: Kept::default(),
            known_tools: KnownTools::default(),
            looked_tidy: Mutex::default(),
            trust: Trust::default(),
            turns: Turns::default(),
            unfollowed: AtomicBool::new(false),
        })
    }

    /// The same, with somebody to ask for the vault's passphrase.
    #[must_use]
    pub fn asking(self, passphrases: Arc<dyn Passphrases + Send + Sync>) -> Self {
        Self { passphrases, ..self }
    }

    /// The data folder.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// The sandbox.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the settings or the cache folder do not let it be
    /// made.
    pub fn host(&self) -> Result<&Host, OpenError> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let wire = Wire::new(self.config.wire(&self.home.config_file())?)?;
        let host = Host::new(HostConfig {
            cache: self.home.cache(),
            preparer: self.preparer.clone(),
            wire: Arc::new(wire),
            clock: self.clock.clone(),
            notice: self.notice.clone(),
        })?;
        Ok(self.host.get_or_init(|| host))
    }

    /// This process's lock and socket, where it has them.
    pub(crate) fn own_session(&self) -> Option<&Arc<Session>> {
        self.session.get()
    }

    /// This process's lock and socket, made with its first execution.
    pub(crate) async fn session(&self) -> Result<&Arc<Session>, SessionError> {
        self.session.get_or_try_init(|| async { Session::begin(&self.home).map(Arc::new) }).await
    }
}
