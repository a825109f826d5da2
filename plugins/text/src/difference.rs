//! Differences between two texts, line by line.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::bindings::Difference;
use crate::bounded;

/// Lines around each change.
const USUAL_CONTEXT: u32 = 3;
const MAX_CONTEXT: u32 = 1_000;
/// For how long the shortest difference is looked for; a right, if longer one is
/// found in any case.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn unified(
    old: &str,
    new: &str,
    context: Option<u32>,
    (old_name, new_name): (Option<String>, Option<String>),
) -> Result<Difference, String> {
    let context = context.unwrap_or(USUAL_CONTEXT);
    if context > MAX_CONTEXT {
        return Err(format!("`context` is {context}: expected 0 to {MAX_CONTEXT}"));
    }
    let names = [name("old_name", old_name, "old")?, name("new_name", new_name, "new")?];
    let [old_name, new_name] = &names;
    let found = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let count = |tag| found.iter_all_changes().filter(|change| change.tag() == tag).count();
    let lines = |tag| u32::try_from(count(tag)).unwrap_or(u32::MAX);
    let (added, removed) = (lines(ChangeTag::Insert), lines(ChangeTag::Delete));
    let context = usize::try_from(context).unwrap_or_default();
    let unified = found.unified_diff().context_radius(context).header(old_name, new_name).to_string();
    Ok(Difference { unified: bounded(unified)?, added, removed })
}

/// A name that stands on one line.
fn name(param: &str, given: Option<String>, usual: &str) -> Result<String, String> {
    let name = given.unwrap_or_else(|| usual.to_owned());
    if name.contains(char::is_control) { Err(format!("`{param}` should be one line without control characters")) } else { Ok(name) }
}
