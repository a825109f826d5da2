//! `wardroom stats`.

use std::process::ExitCode;

use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;
use wardroom_core::limit::DurationText;
use wardroom_db::TaskStats;

use super::error::CommandError;
use super::show::{self, DIM};
use crate::wardroom::Wardroom;

/// Runs that the plot of a task shows.
const PLOTTED: usize = 24;

#[derive(Debug, clap::Args)]
pub(super) struct StatsArguments {
    /// Only this task
    task: Option<String>,
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "30d")]
    within: DurationText,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl StatsArguments {
    pub(super) fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        if let Some(task) = &self.task {
            wardroom.task(task)?;
        }
        let back = i64::try_from(self.within.0.as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp::from_ms(wardroom.now().ms().saturating_sub(back));
        let stats = wardroom.database().stats(self.task.as_deref(), since, PLOTTED as u64)?;
        if self.json {
            show::json(&serde_json::json!({"since": since, "tasks": stats}))?;
            return Ok(ExitCode::SUCCESS);
        }
        if stats.is_empty() {
            show::print("no executions\n")?;
            return Ok(ExitCode::SUCCESS);
        }
        show::table(&["task", "runs", "success", "median", "95%", "missed", "last runs"], stats.iter().map(row))?;
        show::line(&format!("{DIM}A bar is a run, its height how long it took; x failed, - was skipped or missed.{DIM:#}"));
        Ok(ExitCode::SUCCESS)
    }
}

fn row(stats: &TaskStats) -> Vec<String> {
    let duration = |ms: Option<u64>| ms.map_or_else(String::new, show::duration);
    vec![
        stats.task.clone().unwrap_or_else(|| "(no task)".to_owned()),
        stats.runs.to_string(),
        percent(stats.successes, stats.runs),
        duration(stats.median_ms),
        duration(stats.p95_ms),
        stats.missed.to_string(),
        sparkline(&stats.last),
    ]
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    // Rounded down: 99.9 % is not all.
    let tenths = part.saturating_mul(1000) / whole;
    if tenths.is_multiple_of(10) { format!("{}%", tenths / 10) } else { format!("{}.{}%", tenths / 10, tenths % 10) }
}

/// Runs as bars, oldest first, the longest one a whole block.
fn sparkline(last: &[(Status, Option<u64>)]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let longest = last.iter().filter_map(|(_, ms)| *ms).max().unwrap_or(0).max(1);
    let bar = |ms: u64| {
        let step = usize::try_from(ms.saturating_mul(7) / longest).unwrap_or(7);
        BARS.get(step).copied().unwrap_or('█')
    };
    last.iter()
        .map(|(status, ms)| match status {
            Status::Success => bar(ms.unwrap_or(0)),
            Status::Skipped | Status::Cancelled => '-',
            Status::Queued | Status::Running | Status::AwaitingApproval => '.',
            Status::Failed | Status::Timeout | Status::Interrupted => 'x',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_shows_how_long_and_how_it_went() {
        let last = [(Status::Success, Some(0)), (Status::Success, Some(70)), (Status::Failed, Some(9)), (Status::Skipped, None)];
        assert_eq!(sparkline(&last), "▁█x-");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn a_success_rate_is_never_rounded_up_to_all() {
        assert_eq!(percent(9999, 10_000), "99.9%");
        assert_eq!((percent(1, 2), percent(0, 0), percent(3, 3)), ("50%".to_owned(), String::new(), "100%".to_owned()));
    }
}
