//! `wardroom mcp`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::PossibleValuesParser;

use super::client::Installing;
use super::error::{CommandError, show_hint};
use super::serve::Journal;
use super::show;
use super::task::here;
use crate::mcp::client::{Client, Started};
use crate::mcp::http::{Door, Token, loopback};
use crate::mcp::{Profile, ServerOptions, interrupt, serve_stdio};
use crate::schedule::ServeOptions;
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Args)]
pub(super) struct McpArguments {
    /// What the assistant may do: look; also run and schedule what is installed; also write programs, which start with nothing
    #[arg(long, value_name = "PROFILE", default_value = Profile::Author.name(), value_parser = PossibleValuesParser::new(Profile::ALL.map(Profile::name)))]
    profile: String,
    /// Let approvals be given in the client, too: `trusted` says that this client shows its user what it is asked to show, and never answers by itself
    #[arg(long, value_name = "TRUST", value_parser = PossibleValuesParser::new(["trusted"]))]
    elicitation: Option<String>,
    /// Print what to put into a client's settings, and serve nothing
    #[arg(long, value_name = "CLIENT", value_parser = PossibleValuesParser::new(Client::ALL.map(Client::name)))]
    print_config: Option<String>,
    /// Put it into a client's settings, beside what is there, and serve nothing
    #[arg(long, value_name = "CLIENT", conflicts_with_all = ["print_config", "http"], value_parser = PossibleValuesParser::new(Client::ALL.map(Client::name)))]
    install_config: Option<String>,
    /// The settings' file, where it is not the client's own in your home folder: a project's
    #[arg(long, value_name = "FILE", requires = "install_config")]
    config_file: Option<PathBuf>,
    /// Also where those settings have another server of that name: it is replaced
    #[arg(long, requires = "install_config")]
    force: bool,
    /// Listen for clients on this machine over HTTP, instead of standard input: `127.0.0.1:PORT`; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Run tasks when they are due for as long as the client is here, where nobody else does
    #[arg(long)]
    schedule: bool,
    /// The file with the token that clients need; made where it is missing. Without, a fresh token is shown once at the start
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
}

impl McpArguments {
    pub(super) async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        let unknown = || CommandError::usage(format!("`{}` is no profile", self.profile));
        let profile = Profile::ALL.into_iter().find(|profile| profile.name() == self.profile).ok_or_else(unknown)?;
        let address = self.http.as_deref().map(|text| {
            loopback(text).ok_or_else(|| {
                CommandError::usage(format!(
                    "`{text}` is no address of this machine alone: expected 127.0.0.1:PORT, [::1]:PORT or localhost:PORT"
                ))
            })
        });
        let address = address.transpose()?;
        let started = Started { profile, elicitation: self.elicitation.is_some(), schedule: self.schedule };
        let known = |name: &str| Client::ALL.into_iter().find(|client| client.name() == name);
        if let Some(client) = self.install_config.as_deref().and_then(known) {
            let config = client.config(&own_program()?, wardroom.home().path(), started);
            return Installing { client, config, file: self.config_file, force: self.force }.install();
        }
        if let Some(client) = self.print_config.as_deref().and_then(known) {
            if let Some(address) = address {
                if self.schedule {
                    return Err(CommandError::usage(
                        "settings for HTTP start no server: give `--schedule` to the `wardroom mcp --http` that listens",
                    ));
                }
                show::json(&client.http_config(&format!("http://{address}/mcp")))?;
                show_hint(&format!("Put it into {}; the token is not in it.", client.place()));
                return Ok(ExitCode::SUCCESS);
            }
            show::json(&client.config(&own_program()?, wardroom.home().path(), started))?;
            show_hint(&format!("Put it into {}.", client.place()));
            return Ok(ExitCode::SUCCESS);
        }
        let options = ServerOptions { profile, base: here()?, elicitation: started.elicitation };
        let served = async {
            match address {
                Some(address) => serve_http(wardroom, options, address, self.token_file).await,
                None => Ok(serve_stdio(wardroom.clone(), options).await?),
            }
        };
        if self.schedule {
            schedule_beside(wardroom, served).await?;
        } else {
            served.await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Schedules for as long as a client is served. What runs when that ends is
/// interrupted; whoever schedules next goes on with it.
async fn schedule_beside(wardroom: &Arc<Wardroom>, served: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let scheduling = async {
        let options = ServeOptions { once: false, grace: Duration::ZERO };
        if let Err(error) = wardroom.serve(options, Arc::new(Journal { json: false }), Box::pin(std::future::pending())).await {
            // The client is served all the same.
            show::line(&format!("nothing is scheduled any more: {error}"));
        }
        std::future::pending::<()>().await;
    };
    let served = tokio::select! {
        served = served => served,
        () = scheduling => Ok(()),
    };
    // It starts nothing any more; what it started last is settled as well.
    interrupt(wardroom).await;
    served
}

fn own_program() -> Result<PathBuf, CommandError> {
    std::env::current_exe().map_err(|error| CommandError::host(format!("this program cannot find itself: {error}")))
}

async fn serve_http(
    wardroom: &Arc<Wardroom>,
    options: ServerOptions,
    address: SocketAddr,
    file: Option<PathBuf>,
) -> Result<(), CommandError> {
    let token = match &file {
        Some(path) => Token::in_file(path)?,
        None => Token::fresh()?,
    };
    let door = Door::open(address, token).await?;
    // Standard error, and nothing else: it is the operator's.
    if file.is_none() {
        show::line(&format!("token: {}", door.token().shown()));
    }
    show::line(&format!("serving MCP at {}", door.url()));
    Ok(door.serve(wardroom.clone(), options).await?)
}
