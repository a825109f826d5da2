//! `wardroom plugin`.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use wardroom_core::limit::SizeText;
use wardroom_core::plugin::PluginName;
use wardroom_core::text::for_terminal_line;

use super::ask;
use super::error::{CommandError, show_hint};
use super::fetch::SourceArguments;
use super::inspect::{InspectArguments, brief, shape_words};
use super::project::ProjectCommand;
use super::run::CANCELLED;
use super::show::{self, BOLD, DIM, ERROR, GOOD, WARN};
use super::trust::TrustCommand;
use crate::plugin::{Consent, Difference, Plugin, PluginFunction, PluginView, RequestView, Upgraded};
use crate::trust::SignatureView;
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Subcommand)]
pub(super) enum PluginCommand {
    /// Install a program under a name, to be run and exposed by it
    Install {
        #[command(flatten)]
        from: SourceArguments,
        /// Its name (default: its manifest's, else its file's)
        #[arg(long)]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List what is installed
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a plugin or a file is, what it can be called with and what it asks for
    Inspect(InspectArguments),
    /// Give a plugin other bytes; it keeps its grants if you say so in a terminal, or a key that you trust signed both, and it asks for nothing more
    Upgrade {
        /// The plugin
        name: String,
        #[command(flatten)]
        from: SourceArguments,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a plugin back the bytes that it had before its last upgrade
    Rollback(NamedPlugin),
    /// Remove a plugin with its grants and state, unless tasks run it
    Remove(NamedPlugin),
    /// Check that plugins are as they were installed: rows, bytes and functions
    Verify {
        /// The plugin (default: all)
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Trust(TrustCommand),
    #[command(flatten)]
    Project(ProjectCommand),
}

#[derive(Debug, clap::Args)]
pub(super) struct NamedPlugin {
    /// The plugin
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PluginCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::Install { json, .. } | Self::List { json } | Self::Upgrade { json, .. } | Self::Verify { json, .. } => *json,
            Self::Inspect(inspect) => inspect.json,
            Self::Rollback(of) | Self::Remove(of) => of.json,
            Self::Trust(trust) => trust.wants_json(),
            Self::Project(project) => project.wants_json(),
        }
    }

    pub(super) async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        match self {
            Self::Install { from, name, json } => {
                let Some(offer) = from.offer(wardroom).await? else { return Ok(cancelled()) };
                let plugin = wardroom.install_plugin(offer, name.as_deref()).await?;
                installed(wardroom, &plugin, json)?;
            }
            Self::List { json } => list(wardroom, json)?,
            Self::Inspect(of) => return of.execute(wardroom).await,
            Self::Upgrade { name, from, json } => {
                // Before anything is fetched for it.
                drop(wardroom.plugin(&name)?);
                let Some(offer) = from.offer(wardroom).await? else { return Ok(cancelled()) };
                let upgraded = wardroom.upgrade_plugin(&name, offer, ask::possible()).await?;
                show_upgraded(wardroom, &upgraded, json)?;
            }
            Self::Rollback(of) => {
                let plugin = wardroom.roll_back_plugin(&of.name).await?;
                if of.json {
                    show::json(&json!({ "plugin": wardroom.plugin_view(&plugin)? }))?;
                } else {
                    show::print(&format!("{}: it has {} again\n", plugin.name(), plugin.digest()))?;
                }
            }
            Self::Remove(of) => {
                wardroom.remove_plugin(&of.name).await?;
                if of.json {
                    show::json(&json!({ "plugin": of.name, "done": "removed" }))?;
                } else {
                    show::print(&format!("{}: removed\n", of.name))?;
                }
            }
            Self::Trust(trust) => return trust.execute(wardroom).await,
            Self::Project(project) => return project.execute(wardroom).await,
            Self::Verify { name, json } => return verify(wardroom, name.as_deref(), json).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn cancelled() -> ExitCode {
    show::line(&format!("{WARN}cancelled{WARN:#}: nothing was installed"));
    ExitCode::from(CANCELLED)
}

fn installed(wardroom: &Wardroom, plugin: &Plugin, json: bool) -> Result<(), CommandError> {
    if json {
        return show::json(&json!({ "plugin": wardroom.plugin_view(plugin)? }));
    }
    let (name, summary, view) = (plugin.name(), plugin.summary(), wardroom.plugin_view(plugin)?);
    show::print(&format!("installed {BOLD}{name}{BOLD:#} ({})\n", plugin.digest()))?;
    let mut pairs = vec![("functions", dotted(name, &summary.functions))];
    pairs.push(("signature", view.signature.lines()));
    pairs.push(("asks for", requests(plugin)));
    show::pairs(pairs)?;
    notes(&summary.notes);
    warning(&view.signature);
    show_hint(&format!("`wardroom run {name}` runs it; `wardroom expose {name}` shows its functions to assistants."));
    Ok(())
}

fn dotted(name: &PluginName, functions: &[String]) -> String {
    let lines: Vec<String> = functions.iter().map(|function| for_terminal_line(&name.subject(function))).collect();
    lines.join("\n")
}

fn requests(plugin: &Plugin) -> String {
    let summary = plugin.summary();
    if !summary.is_declared {
        return "has no manifest: asks for exactly what you grant".to_owned();
    }
    if summary.requests.is_empty() {
        return "nothing".to_owned();
    }
    summary.requests.iter().map(request).collect::<Vec<_>>().join("\n")
}

fn request(request: &RequestView) -> String {
    let reason = request.reason.as_ref().map_or_else(String::new, |reason| format!(" (it says: {reason})"));
    for_terminal_line(&format!("{}{reason}", request.words))
}

fn warning(signature: &SignatureView) {
    if let Some(warning) = &signature.warning {
        show::line(&format!("{WARN}warning{WARN:#}: {warning}"));
    }
}

fn notes(notes: &[String]) {
    for note in notes {
        show::line(&format!("{WARN}note{WARN:#}: {}", show::quoted_lines(note)));
    }
}

fn list(wardroom: &Wardroom, json: bool) -> Result<(), CommandError> {
    let (plugins, altered) = wardroom.plugins()?;
    if json {
        return show::json(&json!({ "plugins": wardroom.plugin_views(&plugins)?, "altered": altered }));
    }
    altered.iter().for_each(show_altered);
    if plugins.is_empty() && altered.is_empty() {
        show::print("no plugins\n")?;
        show_hint("`wardroom plugin install FILE` installs one.");
        return Ok(());
    }
    let views = wardroom.plugin_views(&plugins)?;
    let row = |(plugin, view): (&Plugin, &PluginView)| {
        let summary = plugin.summary();
        vec![
            plugin.name().to_string(),
            summary.version.clone().unwrap_or_default(),
            summary.source.as_ref().map(|source| source.kind().to_string()).unwrap_or_default(),
            summary.functions.len().to_string(),
            SizeText(plugin.record.size).to_string(),
            view.signature.words(),
            summary.description.clone().unwrap_or_default(),
        ]
    };
    show::table(&["plugin", "version", "from", "functions", "size", "signed by", "what it does"], plugins.iter().zip(&views).map(row))?;
    plugins.iter().zip(&views).filter_map(|(plugin, view)| Some((plugin, view.signature.warning.as_ref()?))).for_each(
        |(plugin, warning)| {
            show::line(&format!("{WARN}warning{WARN:#}: {}: {warning}", plugin.name()));
        },
    );
    Ok(())
}

/// One installed plugin, from what is kept of it.
pub(super) fn inspect(wardroom: &Wardroom, name: &PluginName, json: bool) -> Result<(), CommandError> {
    let plugin = wardroom.plugin(name.as_str())?;
    let view = wardroom.plugin_view(&plugin)?;
    if json { show::json(&inspected(wardroom, &plugin, view)?) } else { show_inspected(wardroom, &plugin, &view) }
}

/// All of them, in one process: nothing is compiled, and no bytes are read.
pub(super) fn inspect_all(wardroom: &Wardroom, json: bool) -> Result<ExitCode, CommandError> {
    let (plugins, altered) = wardroom.plugins()?;
    let pairs = plugins.iter().zip(wardroom.plugin_views(&plugins)?);
    if json {
        let shown = pairs.map(|(plugin, view)| inspected(wardroom, plugin, view)).collect::<Result<Vec<_>, _>>()?;
        show::json(&json!({ "plugins": shown, "altered": altered }))?;
    } else {
        for (index, (plugin, view)) in pairs.enumerate() {
            if index > 0 {
                show::print("\n")?;
            }
            show_inspected(wardroom, plugin, &view)?;
        }
        altered.iter().for_each(show_altered);
    }
    Ok(if altered.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show_altered(name: &PluginName) {
    show::line(&format!("{ERROR}altered{ERROR:#}: {name}: its row was changed by somebody else than Wardroom"));
}

fn inspected(wardroom: &Wardroom, plugin: &Plugin, view: PluginView) -> Result<Value, CommandError> {
    let (functions, wit) = wardroom.plugin_functions(plugin)?;
    let mut view = serde_json::to_value(view).unwrap_or_default();
    if let Some(view) = view.as_object_mut() {
        view.extend([("functions".to_owned(), json!(functions)), ("wit".to_owned(), json!(wit))]);
    }
    Ok(view)
}

fn show_inspected(wardroom: &Wardroom, plugin: &Plugin, view: &PluginView) -> Result<(), CommandError> {
    let (functions, _) = wardroom.plugin_functions(plugin)?;
    let (name, summary) = (plugin.name(), plugin.summary());
    let list = |list: &[String]| if list.is_empty() { "nothing".to_owned() } else { list.join("\n") };
    let mut pairs = vec![("plugin", format!("{name} ({} bytes, {})", view.size, view.digest))];
    pairs.extend(summary.source.as_ref().map(|source| ("from", source.to_string())));
    pairs.extend(summary.version.clone().map(|version| ("version", version)));
    pairs.extend(summary.description.clone().map(|description| ("about", description)));
    pairs.extend(summary.licence.clone().map(|licence| ("licence", licence)));
    pairs.extend([("installed", view.installed_at.to_string()), ("shape", shape_words(summary.shape).to_owned())]);
    pairs.push(("signature", view.signature.lines()));
    pairs.extend(view.previous.map(|previous| ("before", previous.to_string())));
    pairs.push(("asks for", requests(plugin)));
    pairs.push(("imports", list(&summary.imports)));
    pairs.push(("exposed", list(&view.exposed)));
    show::pairs(pairs)?;
    notes(&summary.notes);
    warning(&view.signature);
    functions.iter().try_for_each(|function| show_function(name, function))
}

fn show_function(name: &PluginName, function: &PluginFunction) -> Result<(), CommandError> {
    let text = match (&function.params, &function.result, &function.unsupported) {
        (Some(params), Some(result), None) => format!("{DIM}takes{DIM:#} {}\n    {DIM}gives{DIM:#} {}", brief(params), brief(result)),
        (_, _, why) => format!("cannot be called: {}", why.as_deref().unwrap_or("unknown types")),
    };
    let about = function.about.as_deref().map(|about| format!("\n    {}", show::quoted_lines(about))).unwrap_or_default();
    show::print(&format!("\n{BOLD}{}{BOLD:#}{about}\n    {text}\n", for_terminal_line(&name.subject(&function.name))))
}

fn show_upgraded(wardroom: &Wardroom, upgraded: &Upgraded, json: bool) -> Result<(), CommandError> {
    let (plugin, difference, view) = (&upgraded.plugin, &upgraded.difference, wardroom.plugin_view(&upgraded.plugin)?);
    let name = plugin.name();
    if json {
        return show::json(&json!({
            "plugin": view, "before": upgraded.before, "difference": difference,
            "keeps_grants": upgraded.keeps_grants, "consent": upgraded.consent, "unexposed": upgraded.unexposed,
        }));
    }
    show::print(&format!("upgraded {BOLD}{name}{BOLD:#} from {} to {}\n", upgraded.before, plugin.digest()))?;
    show_difference(name, difference)?;
    show::pairs([("signature", view.signature.lines())])?;
    notes(&plugin.summary().notes);
    warning(&view.signature);
    let what = match (upgraded.keeps_grants, upgraded.consent) {
        (true, Some(Consent::Signer)) => "A key that you trust signed both: it keeps what it was granted.",
        (true, _) => "It keeps what it was granted.",
        (false, _) if difference.signer_gone.is_some() => "A signature that you trust is gone: what it was granted is asked for again.",
        (false, _) if difference.asks_for_more() => "It asks for more than before: what it was granted is asked for again.",
        (false, _) => {
            "Nobody sat at a terminal, and no key that you trust signed both as versions of one program: what it was granted is asked for again."
        }
    };
    show::print(&format!("{what}\n"))?;
    for function in &upgraded.unexposed {
        let dotted = name.subject(function);
        show_hint(&format!("`{dotted}` is exposed no more; `wardroom expose {dotted}` exposes it with these bytes."));
    }
    show_hint(&format!("`wardroom plugin rollback {name}` goes back."));
    Ok(())
}

fn show_difference(name: &PluginName, difference: &Difference) -> Result<(), CommandError> {
    let functions = [("new", &difference.added), ("gone", &difference.removed), ("changed", &difference.changed)];
    for (what, functions) in functions.into_iter().filter(|(_, functions)| !functions.is_empty()) {
        show::pairs([(what, dotted(name, functions))])?;
    }
    let lines = |requests: &[RequestView]| requests.iter().map(request).collect::<Vec<_>>().join("\n");
    for (what, requests) in [("asks now", &difference.requested), ("no more", &difference.dropped)] {
        if !requests.is_empty() {
            show::pairs([(what, lines(requests))])?;
        }
    }
    if let Some(signer) = &difference.signer_gone {
        show::pairs([("signature", format!("was by {}, whose key is trusted, and is not any more", for_terminal_line(signer)))])?;
    }
    if let Some(before) = &difference.source_before {
        show::pairs([("was from", before.to_string())])?;
    }
    if difference.is_undeclared_now {
        show::pairs([("asks now", "has no manifest any more: asks for exactly what you grant".to_owned())])?;
    }
    Ok(())
}

async fn verify(wardroom: &Wardroom, name: Option<&str>, json: bool) -> Result<ExitCode, CommandError> {
    let names: Vec<PluginName> = match name {
        Some(name) => vec![wardroom.plugin(name)?.name().clone()],
        None => wardroom.database().plugins()?.into_iter().map(|plugin| plugin.name).collect(),
    };
    let mut found = Vec::new();
    for name in names {
        let wrong = wardroom.verify_plugin(&name).await.err().map(CommandError::from);
        found.push((name, wrong));
    }
    let is_good = found.iter().all(|(_, wrong)| wrong.is_none());
    if json {
        let rows = found.iter().map(|(name, wrong)| json!({ "plugin": name, "fault": wrong.as_ref().map(|wrong| &wrong.message) }));
        show::json(&json!({ "plugins": rows.collect::<Vec<_>>(), "good": is_good }))?;
    } else {
        for (name, wrong) in &found {
            match wrong {
                None => show::print(&format!("{GOOD}ok {GOOD:#} {name}\n"))?,
                Some(wrong) => show::print(&format!("{ERROR}no {ERROR:#} {name}: {}\n", show::quoted_lines(&wrong.message)))?,
            }
            wrong.iter().flat_map(|wrong| &wrong.hints).for_each(|hint| show_hint(hint));
        }
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
