//! The one place that words errors for people: whose fault, what happened, and
//! what to do next, with the exact command.

use wardroom_core::blame::Blame;
use wardroom_core::capability::Surplus;
use wardroom_db::DbError;

use crate::approval::ApprovalError;
use crate::credential::CredentialUseError;
use crate::execution::ExecuteError;
use crate::execution::databases::DatabaseUseError;
use crate::execution::grants::GrantError;
use crate::execution::manage::ManageError;
use crate::execution::resolve::{FolderUseError, PlaceUseError, ResolveError};
use crate::execution::store::StoreError;
use crate::home::HomeError;
use crate::mcp::McpError;
use crate::mcp::http::TokenError;
use crate::plugin::{FetchError, PluginError};
use crate::project::ProjectError;
use crate::schedule::ServeError;
use crate::task::TaskError;
use crate::template::UnknownTemplate;
use crate::trust::{SignError, TrustError};
use crate::vault::PASSPHRASE_FILE;
use crate::vault::VaultUseError;
use crate::wardroom::OpenError;
use wardroom_core::manifest::RequestError;
use wardroom_core::signature::SignatureFormError;
use wardroom_host::wire::WireError;
use wardroom_vault::{KeyFileError, KeychainError, PassphraseError, SigningKeyError, Source, VaultError};

/// The operator has to act.
const OPERATOR: u8 = 1;
/// The command line does not hold.
const USAGE: u8 = 2;
/// Whoever wrote the program has to act.
const GUEST: u8 = 3;
/// We, or the machine (sysexits.h: EX_SOFTWARE).
const HOST: u8 = 70;

/// Nobody but whoever owns the disk can help.
const FULL: &str = "Free some space on the disk of the data folder; `wardroom doctor` names it.";

/// A command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The exit code.
    pub(crate) code: u8,
    /// What happened.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hints: Vec<String>,
}

impl CommandError {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    pub(crate) fn operator(message: impl Into<String>) -> Self {
        Self::new(OPERATOR, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    pub(crate) fn host(message: impl Into<String>) -> Self {
        Self::new(HOST, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    fn blamed(blame: Blame, error: &dyn std::error::Error) -> Self {
        Self::new(exit_code(blame), with_sources(error))
    }
}

/// The exit code for whoever has to act.
pub(crate) const fn exit_code(blame: Blame) -> u8 {
    match blame {
        Blame::Operator => OPERATOR,
        Blame::Guest => GUEST,
        Blame::Host => HOST,
    }
}

/// `what: why: why`, without saying the same twice.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let why = source.to_string();
        if !text.contains(&why) {
            text = format!("{text}: {why}");
        }
        next = source.source();
    }
    text
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        let command = Self::blamed(error.blame(), &error);
        match &error {
            OpenError::Home(HomeError::Loose { path, .. }) => command.hint(format!("Close it with `chmod 700 {}`.", path.display())),
            OpenError::Home(HomeError::Io { .. } | HomeError::Foreign(_) | HomeError::NotAFolder(_)) => {
                command.hint("Name another data folder: set WARDROOM_HOME, or add `--home=DIR`.")
            }
            OpenError::Db(error) => command.with_db_hint(error),
            _ => command,
        }
    }
}

impl CommandError {
    fn with_db_hint(self, error: &DbError) -> Self {
        match error {
            DbError::Permissions { path, .. } => self.hint(format!("Close it with `chmod 600 {}`.", path.display())),
            DbError::Newer { .. } => self.hint("A newer Wardroom wrote it: use that one, or another data folder with `--home=DIR`."),
            DbError::Full(_) => self.hint(FULL),
            DbError::Busy(_) => self.hint("Try again; `wardroom doctor` lists the processes that use the data folder."),
            DbError::NotADatabase(_) | DbError::Corrupt(_) | DbError::Foreign { .. } => {
                self.hint("Move the file `wardroom.db` away, or use another data folder with `--home=DIR`; nothing was changed.")
            }
            _ => self,
        }
    }
}

impl From<DbError> for CommandError {
    fn from(error: DbError) -> Self {
        Self::blamed(error.blame(), &error).with_db_hint(&error)
    }
}

impl From<ResolveError> for CommandError {
    fn from(error: ResolveError) -> Self {
        let blame = error.blame();
        match error {
            ResolveError::Surplus(surplus) => surplus_error(&surplus),
            ResolveError::Limit(error) => Self::usage(error.to_string()),
            ResolveError::Open(error) => error.into(),
            ResolveError::Db(error) => error.into(),
            ResolveError::Store(error) => stored_error(&error),
            ResolveError::Trust(error) => error.into(),
            ResolveError::Folder(error) | ResolveError::Request(RequestError::Folder(PlaceUseError::Folder(error))) => folder_error(&error),
            ResolveError::Database(error) | ResolveError::Request(RequestError::Folder(PlaceUseError::Database(error))) => {
                database_error(&error)
            }
            error => Self::blamed(blame, &error),
        }
    }
}

/// A flag outside of what the program declares, with the line that would
/// declare it.
fn surplus_error(surplus: &Surplus) -> CommandError {
    let lines: Vec<String> = surplus.0.iter().map(|scope| format!("`{}`", scope.manifest_line())).collect();
    CommandError::usage(surplus.to_string()).hint(format!("Add {} to the program's header, or leave the flag away.", lines.join(" and ")))
}

fn folder_error(error: &FolderUseError) -> CommandError {
    let command = CommandError::operator(with_sources(error));
    match error {
        FolderUseError::NotAFolder(text) => {
            let parent = std::path::Path::new(text).parent().and_then(std::path::Path::to_str);
            let parent = parent.filter(|parent| !parent.is_empty()).unwrap_or(".");
            command.hint(format!("Grant the folder it lies in: `--allow-read={parent}`."))
        }
        FolderUseError::OwnData { .. } => command.hint("Grant a narrower folder, or move the data folder with WARDROOM_HOME."),
        _ => command,
    }
}

fn database_error(error: &DatabaseUseError) -> CommandError {
    let command = CommandError::operator(with_sources(error));
    match error {
        DatabaseUseError::NotAFile(_) => {
            command.hint("Name the file of one database; a folder is granted with `--allow-read=DIR` or `--allow-write=DIR`.")
        }
        _ => command,
    }
}

impl From<ManageError> for CommandError {
    fn from(error: ManageError) -> Self {
        let command = Self::blamed(error.blame(), &error);
        match &error {
            ManageError::Unknown(_) | ManageError::Ambiguous { .. } => command.hint("`wardroom exec list` shows the ids."),
            ManageError::OtherBytes { task: Some(task), .. } => {
                command.hint(format!("Run what it is now with `wardroom task run {task}`."))
            }
            ManageError::OtherBytes { program, .. } => command.hint(format!("Run what it is now with `wardroom run {program}`.")),
            ManageError::NotKept { .. } => command.hint("Give the params: `wardroom exec rerun ID --param NAME=VALUE`."),
            ManageError::Arguments { program, .. } => command.hint(format!("Give them again: `wardroom run {program} -- ARGS`.")),
            ManageError::Db(error) => command.with_db_hint(error),
            _ => command,
        }
    }
}

impl From<GrantError> for CommandError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Folder(error) => folder_error(&error),
            GrantError::Database(error) => database_error(&error),
            GrantError::State(_) => Self::usage(error.to_string()),
            GrantError::Callee(error) => Self::blamed(error.blame(), &error).hint("`wardroom task list` shows what there is to call."),
            error => Self::operator(with_sources(&error)),
        }
    }
}

impl From<TaskError> for CommandError {
    fn from(error: TaskError) -> Self {
        let blame = error.blame();
        match error {
            TaskError::Store(error) => stored_error(&error),
            TaskError::Resolve(error) => error.into(),
            TaskError::Grant(error) => error.into(),
            TaskError::Manage(error) => error.into(),
            TaskError::Plugin(error) => error.into(),
            TaskError::Db(error) => error.into(),
            error => {
                let hint = task_hint(&error);
                let command = Self::blamed(blame, &error);
                hint.into_iter().fold(command, Self::hint)
            }
        }
    }
}

impl From<PluginError> for CommandError {
    fn from(error: PluginError) -> Self {
        let blame = error.blame();
        match error {
            PluginError::Resolve(error) => (*error).into(),
            PluginError::Fetch(error) => (*error).into(),
            PluginError::Surplus(surplus) => surplus_error(&surplus),
            PluginError::Grant(error) => error.into(),
            PluginError::Open(error) => error.into(),
            PluginError::Db(error) => error.into(),
            PluginError::Trust(error) => error.into(),
            error => {
                let hint = plugin_hint(&error);
                let command = Self::blamed(blame, &error);
                hint.into_iter().fold(command, Self::hint)
            }
        }
    }
}

fn plugin_hint(error: &PluginError) -> Option<String> {
    Some(match error {
        PluginError::NoName { from, .. } => format!("Give it one: `wardroom plugin install {from} --name=NAME`."),
        PluginError::Exists(name) => {
            format!("`wardroom plugin upgrade {name} FILE` gives it other bytes; `--name=NAME` installs it beside that one.")
        }
        PluginError::Template(_) => "Give it another one: `--name=NAME`.".to_owned(),
        PluginError::Unknown { .. } => "`wardroom plugin list` shows them.".to_owned(),
        PluginError::Changed(_) => "Try again.".to_owned(),
        PluginError::Full => "`wardroom plugin remove NAME` makes room.".to_owned(),
        PluginError::InUse { .. } => {
            "Remove those first with `wardroom task rm TASK`, or give them another program with `wardroom task upgrade TASK PROGRAM`.".to_owned()
        }
        PluginError::NoFunction { name, .. } | PluginError::Several { name, .. } => {
            format!("`wardroom plugin inspect {name}` shows them.")
        }
        PluginError::NotExposed(dotted) => format!("The operator exposes it with `wardroom expose {dotted}`."),
        PluginError::Altered(name) => format!(
            "Find out who writes into the data folder; `wardroom plugin remove {name}` and `wardroom plugin install FILE` put it right."
        ),
        PluginError::NoCredential(name) => format!("`wardroom credential add {name} --host=HOST` stores it."),
        PluginError::Seal(_) => {
            "Put the key's file back from a backup; without it, remove the plugins with `wardroom plugin remove NAME` and install them again."
                .to_owned()
        }
        PluginError::Store(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull => FULL.to_owned(),
        PluginError::Store(StoreError::Io { .. }) => "`wardroom doctor` checks the data folder.".to_owned(),
        PluginError::Store(StoreError::Missing { .. } | StoreError::Altered { .. }) => {
            "`wardroom plugin remove NAME` and `wardroom plugin install FILE` put it right.".to_owned()
        }
        _ => return None,
    })
}

impl From<FetchError> for CommandError {
    fn from(error: FetchError) -> Self {
        let usage = matches!(error, FetchError::File(_) | FetchError::UrlCredential(_));
        let command = if usage { Self::usage(error.to_string()) } else { Self::blamed(error.blame(), &error) };
        match fetch_hint(&error) {
            Some(hint) => command.hint(hint),
            None => match error {
                FetchError::Vault(error) => error.into(),
                _ => command,
            },
        }
    }
}

fn fetch_hint(error: &FetchError) -> Option<String> {
    Some(match error {
        FetchError::Refused { refusal, from } => {
            let flag = refusal.flag()?;
            let sent = if from.is_some() { "If you know who that is and want to be sent on there" } else { "If that is where it should come from" };
            format!("{sent}, allow it: add `{flag}`.")
        }
        FetchError::Credential { refusal, port } => {
            let name = refusal.wanted.split(' ').next().unwrap_or_default();
            let (said, port) = match port {
                443 => (String::new(), String::new()),
                port => (format!(", each at one port: 443 where none is named, and here it is {port}"), format!(":{port}")),
            };
            format!("`wardroom credential show {name}` says which hosts it is for{said}; `wardroom credential set {name} --host=HOST{port}` names them anew, all of them.")
        }
        FetchError::Login(registry) => format!(
            "Store who you are there, as `USER:PASSWORD`, with `wardroom credential add REGISTRY_LOGIN --host={registry}`; then add `--credential=REGISTRY_LOGIN`."
        ),
        FetchError::LoginFailed(_) => {
            "Its value is `USER:PASSWORD`, and that user has to be allowed to pull: `wardroom credential set NAME` gives it another value.".to_owned()
        }
        FetchError::Digest { .. } | FetchError::Size { .. } => {
            "Nothing was kept. Ask whoever publishes it: either the digest is of something else, or the place gives other bytes than it did.".to_owned()
        }
        FetchError::TagMoved { tag, found, .. } => format!(
            "Leave `:{tag}` away to have what the digest names all the same; or look at what is new, and name {found} if that is what you want."
        ),
        FetchError::Index { .. } => "An index is not chosen from: name one artifact's own digest behind the `@`.".to_owned(),
        FetchError::Deadline(_) => "Give it more time: `--timeout=30m`.".to_owned(),
        FetchError::Status { status: 429 | 500..=599, .. } => "Try again later: it is the server's to answer.".to_owned(),
        FetchError::Status { status: 401 | 403, .. } => {
            "It is not for everybody: a registry takes `--credential=NAME`; an address is fetched without saying who you are.".to_owned()
        }
        FetchError::Status { .. } => "Look at the address: it is asked for as it was typed.".to_owned(),
        FetchError::Wire { source: WireError::Certificate { .. }, .. } => {
            "If it is a server of your own, name the file of its certificate in `config.toml`: `[network]`, `extra_roots = [\"FILE\"]`.".to_owned()
        }
        FetchError::Wire { source: WireError::Connect { .. } | WireError::NameNotFound { .. } | WireError::Incomplete, .. } => "Try again; nothing was kept.".to_owned(),
        FetchError::Packed { .. } => "Whoever serves it has to serve the bytes as they are.".to_owned(),
        _ => return None,
    })
}

impl From<TrustError> for CommandError {
    fn from(error: TrustError) -> Self {
        let blame = error.blame();
        match error {
            TrustError::Db(error) => error.into(),
            error => {
                let hint = trust_hint(&error);
                let command = Self::blamed(blame, &error);
                hint.into_iter().fold(command, Self::hint)
            }
        }
    }
}

fn trust_hint(error: &TrustError) -> Option<String> {
    Some(match error {
        TrustError::Revoked { digest, .. } => {
            format!("Get other bytes from its author; `wardroom plugin unrevoke {digest}` in a terminal lets these be run again.")
        }
        TrustError::Unsigned { kind, .. } => format!(
            "Ask its author for signed bytes, or sign them yourself: `wardroom plugin sign FILE --key=KEYFILE`. The rule stands in `config.toml`, `[plugins.require_signed] {kind}`."
        ),
        TrustError::Unknown { signer, .. } => {
            format!("If you know whose key that is, trust it in a terminal: `wardroom plugin trust {signer} --name=WHO`.")
        }
        TrustError::Signature { .. } => "Get it from its author again; whoever signed it signed other bytes.".to_owned(),
        TrustError::Altered | TrustError::PutBack => {
            "Find out who writes into the data folder. `wardroom plugin trusted` shows what stands there, and `wardroom plugin reseal` in a terminal forgets every trusted key and keeps what is revoked.".to_owned()
        }
        TrustError::NameTaken { .. } => "Give it another name, or take the other key away with `wardroom plugin untrust NAME`.".to_owned(),
        TrustError::NotTrusted(_) | TrustError::NotRevoked(_) => "`wardroom plugin trusted` shows both lists.".to_owned(),
        TrustError::Full(_) => "`wardroom plugin untrust` and `wardroom plugin unrevoke` make room.".to_owned(),
        TrustError::Changed => "Try again.".to_owned(),
        TrustError::Seal(_) => {
            "Put the key's file back from a backup; without one, `wardroom plugin reseal` in a terminal begins anew: it forgets every trusted key and keeps what is revoked.".to_owned()
        }
        _ => return None,
    })
}

impl From<SignError> for CommandError {
    fn from(error: SignError) -> Self {
        let blame = error.blame();
        match error {
            SignError::Resolve(error) => (*error).into(),
            SignError::Key(error) => error.into(),
            error => {
                let command = Self::blamed(blame, &error);
                match error {
                    SignError::Exists(_) => {
                        command.hint("Name a file that is not there yet; without `--output` the file itself is signed.")
                    }
                    SignError::Form { source: SignatureFormError::Signed(_), .. } => {
                        command.hint("`--replace` takes that signature away and puts yours in its place.")
                    }
                    _ => command,
                }
            }
        }
    }
}

impl From<SigningKeyError> for CommandError {
    fn from(error: SigningKeyError) -> Self {
        let command = Self::blamed(error.blame(), &error);
        match &error {
            SigningKeyError::Missing(path) => command.hint(format!("`wardroom plugin key new {}` makes one.", path.display())),
            SigningKeyError::Exists(_) => command.hint("Name another file; what is there stays as it is."),
            _ => command,
        }
    }
}

fn task_hint(error: &TaskError) -> Option<String> {
    Some(match error {
        TaskError::Unknown { .. } => "`wardroom task list` shows them.".to_owned(),
        TaskError::Exists(name) => {
            format!("`wardroom task edit {name}` changes it; `wardroom task upgrade {name} PROGRAM` gives it another program.")
        }
        TaskError::Changed(_) => "Try again.".to_owned(),
        TaskError::Damaged { name, .. } => format!("`wardroom task rm {name}` removes it; `wardroom task add` saves it anew."),
        TaskError::Schedules => "`--no-schedule` takes the one away that it has.".to_owned(),
        TaskError::Loop(_) => "Leave one of these links, or of these grants to call, away.".to_owned(),
        TaskError::Unwatchable(folder) => format!("Allow it to read the folder: `--allow-read={folder}`."),
        TaskError::SelfTriggered(_) => "Let it write elsewhere, or watch another folder.".to_owned(),
        TaskError::Moved(place) => format!("Take it away with `--revoke='{place}'`, and grant what is there now if that is what you want."),
        TaskError::NoCredential(name) => format!("`wardroom credential add {name} --host=HOST` stores it."),
        TaskError::Running(name) => {
            format!("`wardroom exec list --task={name}` shows what runs; `wardroom task rm {name} --force` cancels it.")
        }
        TaskError::InUse { name, .. } => format!("Change those first, or take it from them with `wardroom task rm {name} --force`."),
        _ => return None,
    })
}

/// Stored bytes that are gone or others: where they come from is the task's to
/// say.
fn stored_error(error: &StoreError) -> CommandError {
    let command = CommandError::blamed(error.blame(), error);
    match error {
        StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => command.hint(FULL),
        StoreError::Io { .. } => command.hint("`wardroom doctor` checks the data folder."),
        _ => command.hint("`wardroom task upgrade NAME` reads the program again; `wardroom task show NAME` says from where."),
    }
}

impl From<ApprovalError> for CommandError {
    fn from(error: ApprovalError) -> Self {
        let command = Self::blamed(error.blame(), &error);
        match error {
            ApprovalError::Task(error) => error.into(),
            ApprovalError::Credential(error) => error.into(),
            ApprovalError::Db(error) => error.into(),
            ApprovalError::Unknown(_) | ApprovalError::Ambiguous(_) => command.hint("`wardroom approval list --all` shows the ids."),
            ApprovalError::Stale(id) | ApprovalError::Moved { id, .. } => {
                command.hint(format!("`wardroom approval reject {id}` puts it away; it can be asked for again."))
            }
            ApprovalError::Expired(_) => command.hint("It can be asked for again."),
            ApprovalError::TooMuch(..) => command.hint("Ask for less at once: a folder instead of its files, a host instead of its paths."),
            ApprovalError::Full => command.hint("`wardroom approval list` shows them; approve or reject some."),
            _ => command,
        }
    }
}

impl From<McpError> for CommandError {
    fn from(error: McpError) -> Self {
        match error {
            McpError::Begin(_) => Self::operator(error.to_string())
                .hint("An MCP client starts this: `wardroom mcp --print-config claude` prints what goes into its settings."),
            McpError::Address { .. } => {
                Self::operator(error.to_string()).hint("With `--http 127.0.0.1:0`, the system chooses a free port.")
            }
            _ => Self::host(error.to_string()),
        }
    }
}

impl From<TokenError> for CommandError {
    fn from(error: TokenError) -> Self {
        match &error {
            TokenError::Open(path) => Self::operator(error.to_string()).hint(format!("`chmod 600 {}` keeps it to you.", path.display())),
            TokenError::Form(path) => Self::operator(error.to_string()).hint(format!("Remove {}: a fresh one is made.", path.display())),
            TokenError::File { .. } => Self::operator(error.to_string()),
            TokenError::Random(_) => Self::host(error.to_string()),
        }
    }
}

impl From<UnknownTemplate> for CommandError {
    fn from(error: UnknownTemplate) -> Self {
        Self::operator(error.to_string()).hint("`wardroom template list` shows them.")
    }
}

impl From<ServeError> for CommandError {
    fn from(error: ServeError) -> Self {
        let blame = error.blame();
        match error {
            ServeError::Open(error) => error.into(),
            ServeError::Task(error) => error.into(),
            error => Self::blamed(blame, &error),
        }
    }
}

impl From<VaultUseError> for CommandError {
    fn from(error: VaultUseError) -> Self {
        let command = Self::blamed(error.blame(), &error);
        match &error {
            VaultUseError::None => command.hint("`wardroom init` makes one."),
            VaultUseError::Exists(_) => {
                command.hint("`wardroom vault status` shows it; `wardroom vault change-source` puts its key elsewhere.")
            }
            VaultUseError::MemoryOnly => command.hint("`wardroom init` chooses one of these."),
            VaultUseError::Rotating | VaultUseError::Changed => {
                command.hint("Try again when it is done; `wardroom vault status` shows it.")
            }
            VaultUseError::Sealed { name, .. } => command.damaged(name),
            VaultUseError::Vault(error) => command.with_vault_hint(error),
            VaultUseError::Record(_) => command.hint("The vault's row is damaged: put `wardroom.db` back from a backup."),
            VaultUseError::Db(error) => command.with_db_hint(error),
            _ => command,
        }
    }
}

impl CommandError {
    fn with_vault_hint(self, error: &VaultError) -> Self {
        match error {
            VaultError::KeyMissing { place: Source::KeyFile { path }, .. } => self.hint(format!(
                "Put the key file back to `{}`: without it, nothing in this vault opens. With nothing to lose, start over in another data folder: `--home=DIR`.",
                path.display()
            )),
            VaultError::KeyMissing { .. } | VaultError::WrongKey { .. } => self.hint(
                "The data folder was copied without its key, or the key was removed. Use it where the key is, or start over in another data folder: `--home=DIR`.",
            ),
            VaultError::WrongPassphrase => self.hint("Try again; nothing was changed."),
            VaultError::Passphrase(PassphraseError::NobodyToAsk) => {
                self.hint(format!("Run it in a terminal, or name a file that holds the passphrase: `{PASSPHRASE_FILE}=FILE`."))
            }
            VaultError::Damaged { name } => self.damaged(name),
            VaultError::KeyVersion { name, .. } => self.hint(format!(
                "Try again: another process may have given the vault its key just now. If that does not help, the row is damaged: `wardroom credential set {name}` gives it its value again."
            )),
            VaultError::Keychain(KeychainError::Locked) => self.hint("Unlock the keychain (log in, or open its own program), then try again."),
            VaultError::Keychain(_) => self.hint(
                "Try again once the keychain answers (`wardroom doctor` asks it), or, while it does, put the key elsewhere: `wardroom vault change-source passphrase`.",
            ),
            VaultError::KeyFile(KeyFileError::Permissions { path, .. }) => self.hint(format!("Close it with `chmod 600 {}`.", path.display())),
            VaultError::RotationUnfinished => self.hint("`wardroom vault rotate-master-key` brings it to an end."),
            _ => self,
        }
    }

    fn damaged(self, name: &str) -> Self {
        self.hint(format!("Every other credential still opens; `wardroom credential set {name}` gives this one its value again."))
    }
}

impl From<CredentialUseError> for CommandError {
    fn from(error: CredentialUseError) -> Self {
        let command = Self::blamed(error.blame(), &error);
        match error {
            CredentialUseError::Vault(error) => error.into(),
            CredentialUseError::Unknown { name, .. } => {
                command.hint(format!("`wardroom credential list` shows them; `wardroom credential add {name} --host=HOST` stores it."))
            }
            CredentialUseError::Exists(name) => command.hint(format!("`wardroom credential set {name}` gives it another value.")),
            CredentialUseError::NoValue(name) => command.hint(format!("`wardroom credential set {name}` gives it one.")),
            CredentialUseError::InUse { name, .. } => command.hint(format!("`wardroom credential rm {name} --force` takes it from them.")),
            CredentialUseError::Kind(name, _) => command.hint(format!("`wardroom credential clear {name}` takes the value away first.")),
            CredentialUseError::Changed(_) => command.hint("Try again."),
            CredentialUseError::Db(error) => command.with_db_hint(&error),
            _ => command,
        }
    }
}

impl From<ExecuteError> for CommandError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Open(error) => error.into(),
            ExecuteError::Credential(error) => error.into(),
            ExecuteError::Record(error) => Self::blamed(error.source.blame(), &error).with_db_hint(&error.source),
        }
    }
}

impl From<ProjectError> for CommandError {
    fn from(error: ProjectError) -> Self {
        let blame = error.blame();
        match error {
            ProjectError::Resolve(error) => error.into(),
            ProjectError::Execute(error) => error.into(),
            ProjectError::Open(error) => error.into(),
            ProjectError::Db(error) => error.into(),
            error => {
                let hint = project_hint(&error);
                let command = Self::blamed(blame, &error);
                hint.into_iter().fold(command, Self::hint)
            }
        }
    }
}

fn project_hint(error: &ProjectError) -> Option<String> {
    Some(match error {
        ProjectError::Exists(_) => "Choose another name, or move it away.".to_owned(),
        ProjectError::None(_) => "`wardroom plugin new NAME --lang=rust` makes one; in a folder of its own, run it there.".to_owned(),
        ProjectError::Unnamed => "Add a line `name = \"…\"` to `wardroom.toml`.".to_owned(),
        ProjectError::TwiceDeclared => "Take the `[params.…]` tables out of `wardroom.toml`.".to_owned(),
        ProjectError::Missing { install, .. } => install.clone(),
        ProjectError::Compiler { .. } => "What the compiler says stands above; nothing was built.".to_owned(),
        ProjectError::NoCases(folder) => {
            format!(r#"Write one: `{}/first.json` with {{"function": "…", "params": {{}}, "result": null}}."#, folder.display())
        }
        ProjectError::UnknownCase(_) => "A case is named like its file, without `.json`.".to_owned(),
        ProjectError::Grant(_) => "Its `[grants]` are written as after the flags of `wardroom run`, in lists.".to_owned(),
        _ => return None,
    })
}
