//! `wardroom mcp`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;

use super::error::{CommandError, show_hint};
use super::show;
use super::task::here;
use crate::mcp::client::Client;
use crate::mcp::{Profile, ServerOptions, serve_stdio};
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
}

impl McpArguments {
    pub(super) async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        let unknown = || CommandError::usage(format!("`{}` is no profile", self.profile));
        let profile = Profile::ALL.into_iter().find(|profile| profile.name() == self.profile).ok_or_else(unknown)?;
        if let Some(client) = self.print_config.and_then(|name| Client::ALL.into_iter().find(|client| client.name() == name)) {
            let program =
                std::env::current_exe().map_err(|error| CommandError::host(format!("this program cannot find itself: {error}")))?;
            show::json(&client.config(&program, wardroom.home().path(), profile, self.elicitation.is_some()))?;
            show_hint(&format!("Put it into {}.", client.place()));
            return Ok(ExitCode::SUCCESS);
        }
        let elicitation = self.elicitation.is_some();
        serve_stdio(wardroom.clone(), ServerOptions { profile, base: here()?, elicitation }).await?;
        Ok(ExitCode::SUCCESS)
    }
}
