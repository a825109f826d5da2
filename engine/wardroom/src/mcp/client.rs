//! What a client's own settings say to start this server.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Profile;

/// What a server in a client's settings is started with.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    /// What its client may do.
    pub profile: Profile,
    /// Whether approvals are given in the client, too.
    pub elicitation: bool,
    /// Whether it runs tasks when they are due.
    pub schedule: bool,
}

/// A client whose settings we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Claude Desktop, and Claude Code's `.mcp.json`.
    Claude,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    Vscode,
    /// Windsurf.
    Windsurf,
    /// Zed.
    Zed,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Claude, Self::Cursor, Self::Vscode, Self::Windsurf, Self::Zed];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
            Self::Windsurf => "windsurf",
            Self::Zed => "zed",
        }
    }

    /// Where its settings lie.
    #[must_use]
    pub const fn place(self) -> &'static str {
        match self {
            Self::Claude => "claude_desktop_config.json (Claude Desktop), or .mcp.json in a project (Claude Code)",
            Self::Cursor => "~/.cursor/mcp.json, or .cursor/mcp.json in a project",
            Self::Vscode => ".vscode/mcp.json in a project",
            Self::Windsurf => "~/.codeium/windsurf/mcp_config.json",
            Self::Zed => "~/.config/zed/settings.json",
        }
    }

    /// The file of a person's own settings, below the home folder, or where this
    /// system keeps settings of applications.
    #[must_use]
    pub fn file(self, home: &Path, applications: &Path) -> PathBuf {
        match self {
            Self::Claude => applications.join("Claude/claude_desktop_config.json"),
            Self::Cursor => home.join(".cursor/mcp.json"),
            Self::Vscode => applications.join("Code/User/mcp.json"),
            Self::Windsurf => home.join(".codeium/windsurf/mcp_config.json"),
            Self::Zed => home.join(".config/zed/settings.json"),
        }
    }

    /// What to put there for a server that listens at `url`. A token stands in no
    /// settings: clients that can take it from the environment do.
    #[must_use]
    pub fn http_config(self, url: &str) -> Value {
        let token = match self {
            Self::Claude => "Bearer ${WARDROOM_MCP_TOKEN}",
            Self::Cursor | Self::Windsurf => "Bearer ${env:WARDROOM_MCP_TOKEN}",
            // Asked for when it starts.
            Self::Vscode => "Bearer ${input:WARDROOM_MCP_TOKEN}",
            Self::Zed => "Bearer TOKEN",
        };
        let headers = json!({ "Authorization": token });
        match self {
            Self::Claude => json!({ "mcpServers": { "wardroom": { "type": "http", "url": url, "headers": headers } } }),
            Self::Cursor => json!({ "mcpServers": { "wardroom": { "url": url, "headers": headers } } }),
            Self::Windsurf => json!({ "mcpServers": { "wardroom": { "serverUrl": url, "headers": headers } } }),
            Self::Vscode => {
                let input =
                    json!({ "type": "promptString", "id": "WARDROOM_MCP_TOKEN", "description": "Wardroom's token", "password": true });
                json!({ "inputs": [input], "servers": { "wardroom": { "type": "http", "url": url, "headers": headers } } })
            }
            Self::Zed => json!({ "context_servers": { "wardroom": { "url": url, "headers": headers } } }),
        }
    }

    /// What to put there. Clients start a server without any variable of ours,
    /// so the data folder is an argument.
    #[must_use]
    pub fn config(self, program: &Path, home: &Path, started: Started) -> Value {
        let Started { profile, elicitation, schedule } = started;
        let mut args =
            vec!["--home".to_owned(), home.display().to_string(), "mcp".to_owned(), "--profile".to_owned(), profile.name().to_owned()];
        for (flag, is_set) in [("--elicitation=trusted", elicitation), ("--schedule", schedule)] {
            args.extend(is_set.then(|| flag.to_owned()));
        }
        let command = program.display().to_string();
        match self {
            Self::Claude | Self::Cursor | Self::Windsurf => json!({ "mcpServers": { "wardroom": { "command": command, "args": args } } }),
            Self::Vscode => json!({ "servers": { "wardroom": { "type": "stdio", "command": command, "args": args } } }),
            Self::Zed => json!({ "context_servers": { "wardroom": { "source": "custom", "command": command, "args": args } } }),
        }
    }
}
