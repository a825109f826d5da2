//! Credentials: what there are, never what they hold.

use serde::Deserialize;
use serde_json::json;
use wardroom_core::capability::credentials::BoundHost;
use wardroom_core::credential::{CredentialKind, CredentialName};
use wardroom_db::Note;
use wardroom_vault::Secret;

use super::super::Profile;
use super::super::answer::{Answer, Refused, fitting};
use super::super::schema;
use super::super::tool::{ADDS, Call, Done, LOOKS, SETS, Tool};
use crate::credential::{Addition, CredentialView};

pub(in super::super) const TOOLS: &[Tool] = &[
    Tool {
        name: "list_credentials",
        title: "List credentials",
        about: "Lists credentials by name, with their kinds, the hosts that they are for, and whether they have a value; never a value.",
        least: Profile::Read,
        hints: LOOKS,
        input: || {
            let offset = schema::whole("How many to leave out: `next_offset` of the answer before", 0, 1_000_000, 0);
            schema::object(json!({ "offset": offset }), &[])
        },
        output: || {
            schema::answer(json!({
                "credentials": { "type": "array", "items": { "type": "object" } },
                "next_offset": { "type": ["integer", "null"] },
            }))
        },
        call: list_credentials,
    },
    Tool {
        name: "add_credential",
        title: "Add a credential",
        about: "Makes a credential's entry: its name, its kind and its hosts. The value comes from a person, by the command that the answer \
                names; do not ask for it in the conversation.",
        least: Profile::Author,
        hints: ADDS,
        input: || {
            let kinds: Vec<&str> = CredentialKind::ALL.iter().map(|kind| kind.name()).collect();
            let properties = json!({
                "name": schema::bounded_text("Its name, such as GITHUB_TOKEN", 64),
                "type": { "enum": kinds, "default": "api_key", "description": "What it is" },
                "hosts": schema::list_of_texts("The hosts that it may be sent to: `HOST[:PORT]`"),
                "description": schema::bounded_text("A note about it", 1024),
                "value": schema::bounded_text("Its value: refused unless the operator's settings accept values here", 65_536),
            });
            schema::object(properties, &["name"])
        },
        output: || {
            schema::answer(json!({
                "name": { "type": "string" }, "has_value": { "type": "boolean" },
                "command": { "type": ["string", "null"] }, "warnings": { "type": "array", "items": { "type": "string" } },
            }))
        },
        call: add_credential,
    },
    Tool {
        name: "delete_credential",
        title: "Ask to delete a credential",
        about: "Asks a person to remove a credential: it makes an approval, and removes nothing by itself.",
        least: Profile::Author,
        hints: SETS,
        input: || {
            let properties = json!({
                "name": schema::bounded_text("Its name", 64),
                "force": schema::flag("Also where tasks may use it", false),
            });
            schema::object(properties, &["name"])
        },
        output: || {
            schema::answer(json!({
                "approval": { "type": "object" }, "command": { "type": "string" },
            }))
        },
        call: delete_credential,
    },
];

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    offset: usize,
}

fn list_credentials(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let Page { offset } = call.read()?;
        let views: Vec<CredentialView> = call.server.wardroom.credentials()?.into_iter().skip(offset).collect();
        let lines: Vec<String> = views
            .iter()
            .map(|view| format!("{} ({}){}", view.record.name, view.record.kind.name(), if view.has_value { "" } else { ", no value yet" }))
            .collect();
        let (credentials, more) = fitting(&views);
        let next = more.then_some(offset + credentials.len());
        let text = if lines.is_empty() { "no credentials".to_owned() } else { lines.join("\n") };
        Ok(Answer::new(json!({ "credentials": credentials, "next_offset": next }), text))
    })
}

#[derive(Deserialize)]
struct New {
    name: String,
    #[serde(rename = "type")]
    kind: Option<CredentialKind>,
    #[serde(default)]
    hosts: Vec<String>,
    description: Option<String>,
    value: Option<String>,
}

fn name(text: &str) -> Result<CredentialName, Refused> {
    text.parse().map_err(|error: wardroom_core::credential::CredentialNameError| Refused::arguments(error.to_string()))
}

fn add_credential(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let New { name: text, kind, hosts, description, value } = call.read()?;
        let name = name(&text)?;
        let wardroom = &call.server.wardroom;
        let command = format!("wardroom credential set {name}");
        if value.is_some() && !wardroom.config().mcp.accept_secret_values {
            call.server.note_refused("add_credential:value").await;
            let message = "values do not pass through here: leave `value` away, and let a person give it".to_owned();
            let hint = format!(
                "Add it without a value; then a person runs `{command}`. (`[mcp] accept_secret_values = true` in config.toml would accept them.)"
            );
            return Err(Refused { code: "secret_refused", message, hint: Some(hint) });
        }
        let most = wardroom.config().mcp.max_credentials();
        if wardroom.database().credentials()?.len() as u64 >= most {
            return Err(Refused::full("credentials", most, "max_credentials"));
        }
        let mut bound: Vec<BoundHost> = Vec::new();
        for host in &hosts {
            bound.push(
                host.parse()
                    .map_err(|error: wardroom_core::capability::credentials::BoundHostError| Refused::arguments(error.to_string()))?,
            );
        }
        let note: Option<Note> =
            description.map(|text| text.parse()).transpose().map_err(|error: wardroom_db::NoNote| Refused::arguments(error.to_string()))?;
        let has_value = value.is_some();
        let value = value.map(|value| Secret::new(value.into_bytes()));
        let kind = kind.unwrap_or(CredentialKind::ApiKey);
        let warnings = wardroom.add_credential(Addition { name: name.clone(), kind, hosts: bound, note, value }).await?;
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let command = (!has_value).then_some(command);
        let mut lines = vec![format!("{name} is added")];
        if let Some(command) = &command {
            lines.push(format!("it has no value yet: a person gives it with `{command}`"));
        }
        lines.extend(warnings.iter().map(|warning| format!("warning: {warning}")));
        Ok(Answer::new(json!({ "name": name, "has_value": has_value, "command": command, "warnings": warnings }), lines.join("\n")))
    })
}

#[derive(Deserialize)]
struct Removal {
    name: String,
    #[serde(default)]
    force: bool,
}

fn delete_credential(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let Removal { name: text, force } = call.read()?;
        let name = name(&text)?;
        let wardroom = &call.server.wardroom;
        let id = wardroom.ask_removal(&name, force, "an assistant asked to delete it").await?;
        let command = format!("wardroom approval approve {id}");
        let text = format!("nothing is removed yet: a person approves it in a terminal with `{command}`");
        Ok(Answer::new(json!({ "approval": wardroom.approval(&id.to_string())?, "command": command }), text).asking(Some(id)))
    })
}
