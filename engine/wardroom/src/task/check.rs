//! What would happen: a task looked at without running it.

use serde::Serialize;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Trigger;
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::plan::Plan;
use wardroom_core::task::Occasion;
use wardroom_schedule::zone::Zone;

use super::TaskError;
use super::definition::{Run, Task};
use crate::wardroom::Wardroom;

/// Fires that are told ahead.
pub const NEXT_FIRES: usize = 5;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// It is as it should be.
    pub is_good: bool,
    /// What was found.
    pub found: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A moment at which a task is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextFire {
    /// The moment.
    pub at: Timestamp,
    /// On the clock of the task's zone.
    pub local: String,
}

/// What would happen.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The task.
    pub task: String,
    /// Its program's bytes.
    pub digest: Digest,
    /// It would run as it is meant to.
    pub is_good: bool,
    /// When it is due, in words.
    pub schedule: Option<String>,
    /// The next moments at which it is due; none while it is paused.
    pub next: Vec<NextFire>,
    /// What was looked at.
    pub findings: Vec<Finding>,
}

/// A run that is only thought of.
pub(crate) fn trial() -> Run {
    Run {
        id: ExecutionId::fresh(),
        attempt: 1,
        trigger: Trigger::Cli,
        occasion: Occasion::default(),
        params: serde_json::Map::new(),
        text_params: Vec::new(),
        offered: serde_json::Map::new(),
    }
}

impl Task {
    /// The next moments at which it is due, at most so many; none while it is
    /// paused.
    pub(crate) fn next_fires(&self, now: Timestamp, most: usize) -> Vec<NextFire> {
        let Some(schedule) = self.schedule.as_ref().filter(|_| self.record.paused_at.is_none()) else { return Vec::new() };
        let next = std::iter::successors(schedule.next_after(now), |at| schedule.next_after(*at));
        next.take(most).map(|at| NextFire { at, local: schedule.zone().local(at) }).collect()
    }

    /// Its zone and this machine's, where it is due by another clock.
    pub(crate) fn zone_apart(&self) -> Option<String> {
        let (own, here) = (self.schedule.as_ref()?.zone(), Zone::system());
        (*own != here).then(|| format!("it is due by the clock of {own}; this machine's is that of {here}"))
    }

    pub(crate) fn schedule_words(&self) -> Option<String> {
        self.schedule.as_ref().map(|schedule| schedule.words())
    }
}

impl Wardroom {
    /// What a run of a task would be: resolved and authorized, not run.
    ///
    /// # Errors
    ///
    /// [`TaskError::Resolve`] says why there would be none.
    pub async fn plan_of(&self, task: &Task) -> Result<Plan, TaskError> {
        let resolved = self.resolve(task.request(trial())).await?;
        Ok(self.authorize(resolved, wardroom_core::capability::Grants::default(), |_| None)?)
    }

    /// Looks at all that a run of this task needs.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`], or [`TaskError::Db`]; what is wrong with the
    /// task is in the answer.
    pub async fn check_task(&self, name: &str) -> Result<Checked, TaskError> {
        let task = self.task(name)?;
        let now = self.clock.now();
        let mut findings = vec![self.check_bytes(&task)];
        match self.plan_of(&task).await {
            Ok(plan) => {
                findings.push(good("params", params_words(&task)));
                findings.extend(grants(name, &plan));
                findings.extend(self.dead_grants(&task)?);
                for scope in &self.scopes(&task.definition.base, &self.draft_of(&task)?.grants).unwrap_or_default() {
                    if let wardroom_core::capability::Scope::Credential(credential) = scope {
                        findings.push(self.check_credential(&credential.name)?);
                    }
                }
            }
            Err(error) => findings.push(bad("params", error.to_string(), format!("`wardroom task edit {name}` opens it."))),
        }
        let next = task.next_fires(now, NEXT_FIRES);
        findings.extend(standing(&task, next.is_empty()));
        findings.extend(self.check_scheduler(&task));
        findings.extend(task.zone_apart().map(|found| {
            let hint = format!("Its zone is its own: `wardroom task edit {name} --zone={}` moves it to this machine's.", Zone::system());
            Finding { hint: Some(hint), ..good("zone", found) }
        }));
        let is_good = findings.iter().all(|finding| finding.is_good);
        Ok(Checked { task: name.to_owned(), digest: task.record.digest, is_good, schedule: task.schedule_words(), next, findings })
    }

    fn check_bytes(&self, task: &Task) -> Finding {
        let stored = &task.definition.program;
        match self.components().load(stored) {
            Ok(program) => good("program", format!("{} ({} bytes, {})", stored.name, program.bytes.len(), stored.digest)),
            Err(error) => {
                let hint = format!("`wardroom task upgrade {}` reads it again from `{}`.", task.name(), task.definition.origin.display());
                bad("program", error.to_string(), hint)
            }
        }
    }

    fn check_credential(&self, name: &wardroom_core::credential::CredentialName) -> Result<Finding, TaskError> {
        Ok(match self.credential_warning(name)? {
            None => good("credential", format!("{name} has a value")),
            Some(warning) if warning.contains("no value") => {
                bad("credential", warning, format!("`wardroom credential set {name}` gives it one."))
            }
            Some(warning) => bad("credential", warning, format!("`wardroom credential add {name} --host=HOST` stores it.")),
        })
    }

    /// Grants of what is not there any more, or is something else.
    fn dead_grants(&self, task: &Task) -> Result<Vec<Finding>, TaskError> {
        let stored = self.db.grants(&task.id().subject(), Some(task.record.digest))?;
        let dead = stored.into_iter().filter(|grant| self.stored_scope(grant).is_none());
        Ok(dead
            .map(|grant| {
                let found = format!("{} {} is not there any more, or something else is in its place", grant.capability.name(), grant.scope);
                bad("grants", found, format!("`wardroom task edit {} --revoke='{}'` takes it away.", task.name(), grant.scope))
            })
            .collect())
    }

    fn check_scheduler(&self, task: &Task) -> Option<Finding> {
        let needed = task.schedule.is_some() || !task.definition.on_files.is_empty();
        needed.then(|| match self.scheduler_lives() {
            true => good("scheduler", "`wardroom serve` runs".to_owned()),
            false => bad("scheduler", "nobody serves this data folder".to_owned(), "Start it with `wardroom serve`.".to_owned()),
        })
    }
}

fn good(what: &'static str, found: String) -> Finding {
    Finding { what, is_good: true, found, hint: None }
}

fn bad(what: &'static str, found: String, hint: String) -> Finding {
    Finding { what, is_good: false, found, hint: Some(hint) }
}

fn params_words(task: &Task) -> String {
    match task.definition.params.len() {
        0 => "none".to_owned(),
        _ => serde_json::Value::Object(task.definition.params.clone()).to_string(),
    }
}

fn grants(name: &str, plan: &Plan) -> Vec<Finding> {
    let held = plan.access().scopes();
    let held: Vec<String> = held.iter().map(ToString::to_string).collect();
    let mut findings = vec![good("grants", if held.is_empty() { "nothing".to_owned() } else { held.join(", ") })];
    for scope in plan.missing() {
        let hint = format!("`wardroom task edit {name} {}` grants it.", scope.flag());
        findings.push(bad("grants", format!("it asks for {scope}, which is not granted"), hint));
    }
    findings
}

fn standing(task: &Task, is_over: bool) -> Option<Finding> {
    if let (Some(_), Some(reason)) = (task.record.paused_at, &task.record.pause_reason) {
        return Some(bad("pause", format!("it is paused: {reason}"), format!("`wardroom task resume {}` goes on.", task.name())));
    }
    let over = || bad("schedule", "it is never due again".to_owned(), format!("`wardroom task edit {} --at=TIME`", task.name()));
    (task.schedule.is_some() && is_over).then(over)
}
