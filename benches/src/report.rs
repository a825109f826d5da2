//! Rows, as an aligned table or as JSON.

use serde::Serialize;

use crate::measure::{Pair, Samples, time};
use crate::rows::Effort;

/// One line of the report.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The bench that it belongs to.
    pub(crate) bench: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// In words, with units.
    pub(crate) measured: String,
    /// The figure that the budget is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<f64>,
    /// The middle half of the rounds, for that figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spread: Option<(f64, f64)>,
    /// What the figure is counted in: `x` for ratios, `ms`, `s`, `MiB`.
    pub(crate) unit: &'static str,
    /// What it should be at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<f64>,
    /// Measurements behind the figure.
    pub(crate) samples: usize,
}

impl Row {
    /// Ours against a yardstick.
    pub(crate) fn ratio(bench: &'static str, what: impl Into<String>, pair: &Pair, yardstick: &str, budget: Option<f64>) -> Self {
        let measured = format!("{} : {} {yardstick}", time(pair.ours.median()), time(pair.yardstick.median()));
        Self::figure(bench, what, measured, &pair.ratio, ("x", budget))
    }

    /// The median of something.
    pub(crate) fn figure(
        bench: &'static str,
        what: impl Into<String>,
        measured: impl Into<String>,
        samples: &Samples,
        (unit, budget): (&'static str, Option<f64>),
    ) -> Self {
        let (value, spread) = (Some(samples.median()), Some(samples.spread()));
        Self { bench, what: what.into(), measured: measured.into(), value, spread, unit, budget, samples: samples.len() }
    }

    /// Words only: skipped, or failed.
    pub(crate) fn note(bench: &'static str, what: impl Into<String>, words: impl Into<String>) -> Self {
        Self { bench, what: what.into(), measured: words.into(), value: None, spread: None, unit: "", budget: None, samples: 0 }
    }

    fn verdict(&self) -> &'static str {
        match (self.value, self.budget) {
            (Some(value), Some(budget)) if value <= budget => "met",
            (Some(_), Some(_)) => "MISSED",
            _ => "",
        }
    }

    fn cells(&self) -> [String; 6] {
        let number = |value: f64| format!("{value:.2}");
        [
            format!("{}: {}", self.bench, self.what),
            self.measured.clone(),
            self.value.map_or_else(String::new, |value| format!("{} {}", number(value), self.unit)),
            self.spread.map_or_else(String::new, |(low, high)| format!("{}–{}", number(low), number(high))),
            self.budget.map_or_else(String::new, |budget| format!("≤ {} {}", number(budget), self.unit)),
            self.verdict().to_owned(),
        ]
    }
}

/// Aligned, with the machine's state above it.
pub(crate) fn table(rows: &[Row], effort: Effort) -> String {
    let head = ["what", "medians", "figure", "middle half", "budget", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut text = format!("{}\n\n", machine(effort));
    for cells in &lines {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The same as JSON.
pub(crate) fn json(rows: &[Row], effort: Effort) -> String {
    serde_json::json!({ "machine": machine(effort), "rows": rows }).to_string()
}

/// A figure is worth what the machine was doing meanwhile.
fn machine(effort: Effort) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown");
    let rounds = if effort == Effort::Quick { "quick: few rounds" } else { "all rounds" };
    format!("{cores} cores, load average {load} at the end, {rounds}")
}
