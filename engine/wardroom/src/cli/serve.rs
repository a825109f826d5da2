//! `wardroom serve`.

use std::process::ExitCode;
use std::sync::Arc;

use wardroom_core::limit::DurationText;

use super::error::CommandError;
use super::show::{self, BOLD, DIM, WARN, status_style};
use crate::schedule::{News, ServeOptions, Told, unit};
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// Do what is due now, wait for its end, and end
    #[arg(long)]
    once: bool,
    /// How long running work may go on after SIGTERM or Ctrl-C
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    grace: DurationText,
    /// Print a unit for a service manager instead
    #[arg(long, value_name = "MANAGER", value_enum, num_args = 0..=1, default_missing_value = native())]
    print_unit: Option<Manager>,
    /// Print what happens as JSON, an object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Manager {
    Systemd,
    Launchd,
}

const fn native() -> &'static str {
    if cfg!(target_os = "macos") { "launchd" } else { "systemd" }
}

impl ServeArguments {
    pub(super) async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        if let Some(manager) = self.print_unit {
            return print_unit(wardroom, manager).map(|()| ExitCode::SUCCESS);
        }
        let options = ServeOptions { once: self.once, grace: self.grace.0 };
        let told: Arc<dyn Told> = Arc::new(Journal { json: self.json });
        wardroom.serve(options, told, Box::pin(super::run::stop_signal())).await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print_unit(wardroom: &Wardroom, manager: Manager) -> Result<(), CommandError> {
    let program = std::env::current_exe().map_err(|error| CommandError::host(format!("this program cannot find itself: {error}")))?;
    let home = wardroom.home().path();
    match manager {
        Manager::Systemd => {
            show::print(&unit::systemd(&program, home))?;
            super::error::show_hint(
                "Save it: `wardroom serve --print-unit > ~/.config/systemd/user/wardroom.service`, then `systemctl --user enable --now wardroom`.",
            );
        }
        Manager::Launchd => {
            show::print(&unit::launchd(&program, home))?;
            super::error::show_hint(
                "Save it: `wardroom serve --print-unit=launchd > ~/Library/LaunchAgents/wardroom.plist`, then `launchctl load ~/Library/LaunchAgents/wardroom.plist`.",
            );
        }
    }
    Ok(())
}

/// A line for each thing that happens; the service manager's journal has the
/// time.
pub(super) struct Journal {
    pub(super) json: bool,
}

impl Told for Journal {
    fn news(&self, news: &News<'_>) {
        let text = if self.json { Some(show::harmless_json(&as_json(news).to_string())) } else { words(news) };
        text.iter().for_each(|text| show::line(text));
    }
}

/// Nothing, where an earlier line has said it.
fn words(news: &News<'_>) -> Option<String> {
    Some(match news {
        News::Waiting { holder } => {
            let holder = holder.as_deref().unwrap_or("another process");
            format!("waiting: {holder} serves this data folder; this one takes over when that ends")
        }
        News::Serving { next: Some(next) } => format!("{BOLD}serving{BOLD:#}: next slot at {next}"),
        News::Serving { next: None } => format!("{BOLD}serving{BOLD:#}: no task has a slot ahead"),
        News::Started { task, id, attempt, scheduled_for } => {
            let slot = scheduled_for.map_or_else(String::new, |at| format!(", slot {at}"));
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("{task}: started {DIM}({id}{slot}{again}){DIM:#}")
        }
        News::Ended { task, id, status, took, message } => {
            let (style, took) = (status_style(*status), took.map_or_else(String::new, |ms| format!(" in {}", show::duration(ms))));
            let message = message.as_ref().map_or_else(String::new, |message| format!(": {}", show::quoted_lines(message)));
            format!("{task}: {style}{status}{style:#}{took} {DIM}({id}){DIM:#}{message}")
        }
        News::GaveUp { task, paused: Some(why), .. } => format!("{task}: {WARN}paused{WARN:#}: {}", show::quoted_lines(why)),
        News::GaveUp { paused: None, .. } => return None,
        News::Missed { task, first, count: 1 } => format!("{task}: {WARN}missed{WARN:#} its slot at {first}"),
        News::Missed { task, first, count } => format!("{task}: {WARN}missed{WARN:#} {count} slots from {first} on"),
        News::Skipped { task, count } => format!("{task}: {WARN}skipped{WARN:#} {count}, an earlier run goes on"),
        News::Interrupted { count } => format!("{WARN}interrupted{WARN:#}: {count} executions of a process that ended"),
        News::ClockSet => format!("{WARN}the clock was set{WARN:#}: slots are looked for from its time on"),
        News::Trouble { message } => format!("{WARN}trouble{WARN:#}: {}", show::quoted_lines(message)),
        News::Stopping { running: 0 } => "stopping".to_owned(),
        News::Stopping { running } => format!("stopping: {running} executions may finish"),
    })
}

fn as_json(news: &News<'_>) -> serde_json::Value {
    use serde_json::json;
    match news {
        News::Waiting { holder } => json!({"event": "waiting", "holder": holder}),
        News::Serving { next } => json!({"event": "serving", "next": next}),
        News::Started { task, id, attempt, scheduled_for } => {
            json!({"event": "started", "task": task, "id": id, "attempt": attempt, "scheduled_for": scheduled_for})
        }
        News::Ended { task, id, status, took, message } => {
            json!({"event": "ended", "task": task, "id": id, "status": status, "duration_ms": took, "error": message})
        }
        News::GaveUp { task, attempts, message, paused } => {
            json!({"event": "gave-up", "task": task, "attempts": attempts, "error": message, "paused": paused})
        }
        News::Missed { task, first, count } => json!({"event": "missed", "task": task, "first": first, "count": count}),
        News::Skipped { task, count } => json!({"event": "skipped", "task": task, "count": count}),
        News::Interrupted { count } => json!({"event": "interrupted", "count": count}),
        News::ClockSet => json!({"event": "clock-set"}),
        News::Trouble { message } => json!({"event": "trouble", "message": message}),
        News::Stopping { running } => json!({"event": "stopping", "running": running}),
    }
}
