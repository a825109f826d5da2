//! The command line: parses what was typed, calls a use case, shows what came
//! of it. The only module that names clap, and the only one that prints.

mod approval;
mod ask;
mod audit;
mod client;
mod credential;
mod doctor;
mod error;
mod exec;
mod expose;
mod fetch;
mod grants;
mod init;
mod inspect;
mod live;
mod mcp;
mod plugin;
mod project;
mod run;
mod secret;
mod serve;
mod show;
mod stats;
mod task;
mod task_file;
mod template;
mod trust;
mod vault;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};

use crate::wardroom::Wardroom;
use error::CommandError;
use live::Compiling;

/// Threads for blocking file work of guests. A guest may block one for ever
/// (a file on a dead network disk), so there is a ceiling, and nothing waits
/// for them at the end.
const BLOCKING_THREADS: usize = 64;

/// Runs automations in a sandbox that holds only the keys it was handed.
#[derive(Debug, Parser)]
#[command(name = "wardroom", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    /// The data folder
    #[arg(long, global = true, env = "WARDROOM_HOME", value_name = "DIR", hide_env_values = true)]
    home: Option<PathBuf>,
    /// When to use colours (NO_COLOR is obeyed)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", value_enum)]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program: a script, a component, or one function of it
    Run(Box<run::RunArguments>),
    /// Show what a program is and what it asks for
    Inspect(inspect::InspectArguments),
    /// Make the vault that keeps credentials
    Init(init::InitArguments),
    /// Store credentials, and say what they are for
    #[command(subcommand)]
    Credential(credential::CredentialCommand),
    /// Look at the vault, and give it another key
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Decide what assistants asked for
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Look at what was done with credentials, and check that nothing is missing
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Look at executions, follow and cancel them
    #[command(subcommand)]
    Exec(exec::ExecCommand),
    /// Save automations that run by themselves
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Look at programs that come with Wardroom, to be run by their names
    #[command(subcommand)]
    Template(template::TemplateCommand),
    /// Install programs under names, and make, build and test your own
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Show a task, or functions of a plugin, to assistants as tools of their own
    Expose(Box<expose::ExposeArguments>),
    /// Show it to them as a tool no more
    Unexpose(expose::UnexposeArguments),
    /// Run tasks when they are due, until told to stop
    Serve(serve::ServeArguments),
    /// Serve an assistant over the Model Context Protocol, on standard input and output or HTTP on this machine
    Mcp(mcp::McpArguments),
    /// How often tasks ran, how it went, and how long it took
    Stats(stats::StatsArguments),
    /// Check the data folder and show everything a person may want to verify
    Doctor(doctor::DoctorArguments),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    fn wants_json(&self) -> bool {
        match self {
            Self::Run(run) => run.json,
            Self::Inspect(inspect) => inspect.json,
            Self::Exec(exec) => exec.wants_json(),
            Self::Init(init) => init.json,
            Self::Credential(credential) => credential.wants_json(),
            Self::Vault(vault) => vault.wants_json(),
            Self::Approval(approval) => approval.wants_json(),
            Self::Audit(audit) => audit.wants_json(),
            Self::Task(task) => task.wants_json(),
            Self::Plugin(plugin) => plugin.wants_json(),
            Self::Expose(of) => of.json,
            Self::Unexpose(of) => of.json,
            Self::Template(template) => template.wants_json(),
            Self::Serve(serve) => serve.json,
            Self::Mcp(_) => false,
            Self::Stats(stats) => stats.json,
            Self::Doctor(doctor) => doctor.json,
            Self::Completions { .. } => false,
        }
    }
}

/// Parses the process's arguments and runs the command. Exit codes: 0 done,
/// 1 the operator has to act, 2 usage, 3 the program is at fault, 70 Wardroom
/// or the machine is, 130 cancelled; a command that ended by itself passes its
/// own through.
#[must_use]
pub fn main() -> ExitCode {
    // What a crash would leave on the disk may hold values and keys.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none).ok();
    let arguments = Arguments::try_parse().unwrap_or_else(|error| error::exit_unparsed(&error, &Arguments::command()));
    arguments.color.apply();
    let json = arguments.command.wants_json();
    let done = match &arguments.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "wardroom", &mut script);
            show::print(&String::from_utf8_lossy(&script)).map(|()| ExitCode::SUCCESS)
        }
        _ => on_runtime(arguments),
    };
    done.unwrap_or_else(|error| error::show_error(&error, json))
}

fn on_runtime(arguments: Arguments) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|error| CommandError::host(format!("no threads can be started: {error}")))?;
    let done = runtime.block_on(dispatch(arguments));
    // Whatever blocks a thread now blocks it without us.
    runtime.shutdown_background();
    done
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, CommandError> {
    let home = home(arguments.home)?;
    if let Command::Doctor(doctor) = arguments.command {
        return doctor.execute(&home).await;
    }
    let wardroom = Arc::new(open(&home)?);
    let done = match arguments.command {
        Command::Run(run) => run.execute(&wardroom).await,
        Command::Inspect(inspect) => inspect.execute(&wardroom).await,
        Command::Exec(exec) => exec.execute(&wardroom).await,
        Command::Init(init) => init.execute(&wardroom).await,
        Command::Credential(credential) => credential.execute(&wardroom).await,
        Command::Vault(vault) => vault.execute(&wardroom).await,
        Command::Approval(approval) => approval.execute(&wardroom).await,
        Command::Audit(audit) => audit.execute(&wardroom).await,
        Command::Task(task) => task.execute(&wardroom).await,
        Command::Plugin(plugin) => plugin.execute(&wardroom).await,
        Command::Expose(of) => of.execute(&wardroom).await,
        Command::Unexpose(of) => expose::unexpose(&wardroom, &of).await,
        Command::Template(template) => template.execute(),
        Command::Serve(serve) => serve.execute(&wardroom).await,
        Command::Mcp(mcp) => mcp.execute(&wardroom).await,
        Command::Stats(stats) => stats.execute(&wardroom),
        Command::Doctor(_) | Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    };
    // A keychain that does not answer is seen by `audit verify`; what was asked
    // for is done.
    drop(wardroom.mirror_audit(true).await);
    done
}

fn home(named: Option<PathBuf>) -> Result<PathBuf, CommandError> {
    let own = || std::env::home_dir().map(|home| home.join(".wardroom"));
    named.or_else(own).ok_or_else(|| {
        CommandError::operator("there is no home folder to keep data in")
            .hint("Name a data folder: set WARDROOM_HOME, or add `--home=DIR`.")
    })
}

fn open(home: &std::path::Path) -> Result<Wardroom, CommandError> {
    let preparer = std::env::current_exe().map_err(|error| CommandError::host(format!("this program cannot find itself: {error}")))?;
    Ok(Wardroom::open(home, preparer, Arc::new(Compiling::default()))?.asking(Arc::new(secret::FromOperator)))
}

impl Color {
    fn apply(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_themselves() {
        Arguments::command().debug_assert();
    }
}
