//! From a draft to a stored task: everything that can be judged is judged here,
//! before anything is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use wardroom_core::capability::{Grants, Scope};
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::CredentialName;
use wardroom_core::execution::Trigger;
use wardroom_core::id::ExecutionId;
use wardroom_core::plan::Plan;
use wardroom_core::program::{Program, ProgramName};
use wardroom_core::task::{Occasion, TaskId, TaskName};
use wardroom_db::{Link, LinkKind, TaskChange, TaskTerms};
use wardroom_schedule::calendar::Schedule;
use wardroom_schedule::rules::check_rules;
use wardroom_schedule::zone::Zone;

use super::TaskError;
use super::definition::{DEFAULT_PAUSE_AFTER, Definition, Task, When};
use super::draft::TaskDraft;
use crate::audit::{self, event};
use crate::execution::changed::Changed;
use crate::execution::grants::{GrantTexts, stored};
use crate::execution::resolve::{RunRequest, Source, read_program};
use crate::execution::store::StoredProgram;
use crate::template::located;
use crate::wardroom::Wardroom;

/// Which bytes a draft's program stands for.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// Those that the task pins already, where the draft names the same place.
    Pinned,
    /// Those that are there now.
    Read,
    /// Those of the installed plugin that the draft names: never a file's.
    Installed,
    /// These, whatever the draft names: nobody reads them from a file again.
    Given(Arc<Program>),
}

/// What somebody wants saved.
#[derive(Debug)]
pub struct Saving<'a> {
    /// The draft.
    pub draft: TaskDraft,
    /// The task that it changes; none: it is a new one.
    pub seen: Option<&'a Task>,
    /// What relative paths are relative to.
    pub base: &'a Path,
    /// Params as text, read by the types that the program declares.
    pub text_params: Vec<(String, String)>,
    /// Which bytes the program stands for.
    pub bytes: Bytes,
    /// Why it is paused as it is saved, where it is.
    pub paused_for: Option<String>,
}

/// A task that was, or could be, saved.
#[derive(Debug)]
pub struct Saved {
    /// The task.
    pub task: Task,
    /// What it asks for and was not granted.
    pub missing: Vec<Scope>,
    /// What its program asks for now and did not before.
    pub new_requests: Vec<Scope>,
    /// What does not keep it from being saved, and will keep it from working.
    pub warnings: Vec<String>,
}

/// A draft that was judged.
pub(super) struct Judged {
    pub(super) id: TaskId,
    pub(super) terms: TaskTerms,
    program: Program,
    pub(super) plan: Plan,
    pub(super) warnings: Vec<String>,
    /// When it was judged: a moment ahead of this is due.
    at: Timestamp,
}

/// What the audit log keeps of a task that is saved: what it may do, when it
/// runs, and which parts are others now. What is in its params stays in the task.
fn audit_detail(seen: Option<&Task>, terms: &TaskTerms) -> Value {
    let grants: Vec<String> = terms.grants.iter().map(|grant| format!("{} {}", grant.capability.name(), grant.scope)).collect();
    let fields = |definition: &str| serde_json::from_str::<Map<String, Value>>(definition).unwrap_or_default();
    let now = fields(&terms.definition);
    let mut detail = json!({ "digest": terms.digest.to_string(), "grants": grants });
    let Some(entries) = detail.as_object_mut() else { return detail };
    entries.extend(now.get("when").map(|when| ("when".to_owned(), when.clone())));
    if let Some(seen) = seen {
        let before = fields(&seen.record.definition);
        let changed: Vec<&String> = now.iter().filter(|(name, value)| before.get(*name) != Some(*value)).map(|(name, _)| name).collect();
        entries.insert("changed".to_owned(), json!(changed));
        if seen.name() != &terms.name {
            entries.insert("was_named".to_owned(), json!(seen.name()));
        }
    }
    detail
}

/// What others may have read of a task that was saved.
fn changed_by(seen: Option<&Task>, saved: &Task) -> Vec<Changed> {
    let mut changed = vec![Changed::Task(saved.name().clone())];
    if seen.is_none_or(|seen| seen.name() != saved.name()) {
        changed.push(Changed::Tasks);
        changed.extend(seen.map(|seen| Changed::Task(seen.name().clone())));
    }
    if saved.record.is_exposed || seen.is_some_and(|seen| seen.record.is_exposed) {
        changed.push(Changed::Tools);
    }
    changed
}

impl Wardroom {
    /// Judges and stores a task, and tells the scheduler.
    ///
    /// # Errors
    ///
    /// [`TaskError`] says what does not hold; nothing is stored then.
    pub async fn save_task(&self, saving: Saving<'_>) -> Result<Saved, TaskError> {
        let seen = saving.seen.cloned();
        let judged = self.judge(&saving).await?;
        if let Some(seen) = seen.as_ref().filter(|seen| seen.record.schedule != judged.terms.schedule) {
            self.account_before_change(seen).await?;
        }
        let now = judged.at;
        self.components().put(&judged.program)?;
        let name = judged.terms.name.clone();
        let new_requests = self.new_requests(seen.as_ref(), &judged.plan).await;
        let detail = audit_detail(seen.as_ref(), &judged.terms);
        let change = match &seen {
            None => {
                let events = self.audited(|| audit::by_asker(now, event::TASK_ADDED, name.as_str(), detail))?;
                self.db.add_task(judged.id, judged.terms.clone(), now, events).await?
            }
            Some(seen) => {
                let events = self.audited(|| audit::by_asker(now, event::TASK_CHANGED, name.as_str(), detail))?;
                self.db.change_task(&seen.record, judged.terms.clone(), now, events).await?
            }
        };
        match change {
            TaskChange::Done => {}
            TaskChange::NameTaken => return Err(TaskError::Exists(name)),
            TaskChange::Changed => return Err(TaskError::Changed(name)),
            TaskChange::Missing => return Err(self.unknown_task(name.as_str())),
        }
        self.wake_scheduler().await;
        let task = self.task(name.as_str())?;
        self.tell_changed(&changed_by(seen.as_ref(), &task)).await;
        Ok(Saved { task, missing: judged.plan.missing().clone(), new_requests, warnings: judged.warnings })
    }

    /// What the new bytes ask for and the old did not.
    async fn new_requests(&self, seen: Option<&Task>, plan: &Plan) -> Vec<Scope> {
        let Some(seen) = seen.filter(|seen| seen.record.digest != plan.resolved().program.digest) else { return Vec::new() };
        let before = match self.resolve(seen.request(super::check::trial())).await {
            Ok(before) => before.requests,
            // What cannot be asked any more asked for nothing.
            Err(_) => return Vec::new(),
        };
        let asked = |scope: &&Scope| !requested(&before).iter().any(|old| old.covers(scope));
        requested(&plan.resolved().requests).iter().filter(asked).cloned().collect()
    }

    /// What a draft asks for and would not be granted; with `more` beside it,
    /// which lies within what its program declares. Nothing is stored.
    ///
    /// # Errors
    ///
    /// [`TaskError`] says what does not hold.
    pub async fn would_lack(&self, saving: &Saving<'_>, more: &[Scope]) -> Result<Vec<Scope>, TaskError> {
        let plan = self.judge(saving).await?.plan;
        plan.resolved().clone().authorize(&Grants(more.to_vec())).map_err(crate::execution::resolve::ResolveError::from)?;
        Ok(plan.missing().clone())
    }

    /// Judges a draft.
    pub(super) async fn judge(&self, saving: &Saving<'_>) -> Result<Judged, TaskError> {
        let draft = &saving.draft;
        let name: TaskName = draft.name.parse()?;
        let id = saving.seen.map_or_else(TaskId::fresh, Task::id);
        let (zone, now) = (zone(draft)?, self.clock.now());
        let schedule = schedule(draft, saving.seen, &zone, now)?;
        check_rules(schedule.as_ref(), draft.missed, draft.overlap.unwrap_or_default())?;
        let links = self.named_links(id, &name, draft)?;
        let (source, origin) = self.source(saving, id)?;
        let resolved = self.resolve(self.trial_request(saving, source.clone(), &name)).await?;
        let grants = self.judged_grants(saving)?;
        self.refuse_loop(id, name.as_str(), &links, &grants)?;
        let on_files = self.watched(saving, &grants)?;
        let plan = resolved.clone().authorize(&Grants(grants.clone())).map_err(crate::execution::resolve::ResolveError::from)?;
        let program = (*resolved.program).clone();
        let definition = Definition {
            title: draft.title.clone(),
            description: draft.description.clone(),
            tags: draft.tags.clone(),
            program: StoredProgram {
                name: program.name.clone(),
                function: source.function().map(str::to_owned),
                digest: program.digest,
                format: program.format,
                plugin: source.plugin().cloned(),
                source: source.provenance().map(|provenance| provenance.kind),
                manifest: source.provenance().and_then(|provenance| provenance.manifest),
            },
            origin,
            args: draft.args.clone(),
            base: saving.base.to_owned(),
            params: given(saving, &resolved.input.params),
            limits: draft.limits.clone(),
            when: When { cron: draft.cron.clone(), every: draft.every, at: draft.at.clone() },
            zone,
            on_files,
            missed: draft.missed,
            overlap: draft.overlap.unwrap_or_default(),
            rate: draft.rate,
            retry: draft.retry.unwrap_or_default(),
            pause_after: draft.pause_after.unwrap_or(DEFAULT_PAUSE_AFTER),
            keep: draft.keep.unwrap_or_default(),
        };
        let terms = TaskTerms {
            name: name.clone(),
            digest: program.digest,
            definition: to_json(&definition, &name)?,
            schedule: schedule.as_ref().map(|schedule| to_json(schedule, &name)).transpose()?,
            links,
            grants: stored(&grants),
            paused_for: saving.paused_for.clone(),
            // Kept by one program, and read by another that nobody looked at.
            forgets_state: matches!(saving.bytes, Bytes::Given(_)),
        };
        let mut warnings = self.warnings(&plan, &grants)?;
        warnings.extend(self.run_warning(&program, source.provenance()).map_err(crate::execution::resolve::ResolveError::from)?);
        Ok(Judged { id, terms, program, plan, warnings, at: now })
    }

    /// Where the bytes come from, and where they were read.
    fn source(&self, saving: &Saving<'_>, id: TaskId) -> Result<(Source, PathBuf), TaskError> {
        if let Bytes::Given(program) = &saving.bytes {
            let origin = self.components().path(program.digest, program.format);
            return Ok((Source::Given(program.clone(), id.subject()), origin));
        }
        let mut name = ProgramName::parse(&saving.draft.program)?;
        if let Bytes::Installed = saving.bytes {
            let installed = self.installed(&name)?.ok_or_else(|| self.unknown_plugin(&saving.draft.program))?;
            return Ok((Source::Task(installed.stored(), id), PathBuf::from(installed.dotted())));
        }
        // What it is of already is that, whatever file has its name by now.
        let same = saving.seen.filter(|seen| seen.definition.origin == name.path && seen.definition.program.plugin.is_some());
        let installed = match same {
            Some(_) => self.installed(&name)?,
            None => self.installed_from(saving.base, &name)?,
        };
        if let Some(seen) = same.filter(|_| matches!(saving.bytes, Bytes::Pinned)) {
            return Ok((Source::Task(seen.definition.program.clone(), id), name.path));
        }
        if let Some(installed) = installed {
            return Ok((Source::Task(installed.stored(), id), PathBuf::from(installed.dotted())));
        }
        name.path = located(saving.base, &name.path);
        if let Some(seen) = saving.seen.filter(|_| matches!(saving.bytes, Bytes::Pinned))
            && seen.definition.origin == name.path
        {
            let stored = StoredProgram { function: name.function, ..seen.definition.program.clone() };
            return Ok((Source::Task(stored, id), name.path));
        }
        let (_, origin) = read_program(&name)?;
        Ok((Source::FileOfTask(name, id), origin))
    }

    /// What was granted before holds for the place that it was granted for, and
    /// for no other that is in its stead; what is new is what it is now.
    fn judged_grants(&self, saving: &Saving<'_>) -> Result<Vec<Scope>, TaskError> {
        let stored = match saving.seen {
            Some(seen) => self.db.grants(&seen.id().subject(), Some(seen.record.digest))?,
            None => Vec::new(),
        };
        let (mut scopes, mut before) = (Vec::new(), Vec::new());
        for grant in &stored {
            let text = GrantTexts::of(std::slice::from_ref(grant));
            if saving.draft.grants.holds(&text) {
                let scope = self.stored_scope(grant).ok_or_else(|| TaskError::Moved(grant.scope.clone()))?;
                scopes.push(scope);
                before.push(grant.scope.clone());
            }
        }
        for scope in self.scopes(saving.base, &saving.draft.grants.clone().without(&before))? {
            if let Scope::Credential(credential) = &scope
                && self.db.credential(&credential.name)?.is_none()
            {
                // A grant would wait for whatever is stored under that name later.
                return Err(TaskError::NoCredential(credential.name.clone()));
            }
            scopes.push(scope);
        }
        Ok(scopes)
    }

    fn trial_request(&self, saving: &Saving<'_>, source: Source, name: &TaskName) -> RunRequest {
        RunRequest {
            source,
            id: ExecutionId::fresh(),
            attempt: 1,
            base: saving.base.to_owned(),
            trigger: Trigger::Cli,
            occasion: Occasion { task: Some(name.clone()), ..Occasion::default() },
            params: saving.draft.params.clone(),
            offered: Map::new(),
            text_params: saving.text_params.clone(),
            args: saving.draft.args.clone(),
            stdin: Vec::new(),
            limits: saving.draft.limits.clone(),
            output_bytes: None,
        }
    }

    /// The links that the draft names.
    fn named_links(&self, id: TaskId, own: &TaskName, draft: &TaskDraft) -> Result<Vec<Link>, TaskError> {
        let find = |name: &str| if name == own.as_str() { Ok(id) } else { self.task(name).map(|task| task.id()) };
        let mut links = Vec::new();
        for name in &draft.after {
            links.push(Link { source: find(name)?, kind: LinkKind::After, target: id });
        }
        for (name, kind) in [(&draft.on_failure, LinkKind::OnFailure), (&draft.on_recovery, LinkKind::OnRecovery)] {
            if let Some(name) = name {
                links.push(Link { source: id, kind, target: find(name)? });
            }
        }
        Ok(links)
    }

    /// Refuses a task that would come to run itself: by what follows what, and by
    /// what may call what. `links` and `grants` are what it is to have of its own.
    ///
    /// # Errors
    ///
    /// [`TaskError::Loop`] with the names, or [`TaskError::Db`].
    pub(crate) fn refuse_loop(&self, id: TaskId, own: &str, links: &[Link], grants: &[Scope]) -> Result<(), TaskError> {
        let own_text = |link: &&Link| if link.kind == LinkKind::After { link.target == id } else { link.source == id };
        let stored = self.db.links()?;
        let stored = stored.iter().filter(|link| !own_text(link));
        let mut ways: Vec<Way> = stored.chain(links).map(|link| (link.source, link.target)).collect();
        for (caller, callee) in self.db.call_grants()? {
            let way = TaskId::of_subject(&caller).zip(TaskId::of_subject(&callee));
            ways.extend(way.filter(|(caller, _)| *caller != id));
        }
        for scope in grants {
            if let Scope::Call(callee) = scope {
                ways.extend(callee.subject().and_then(TaskId::of_subject).map(|callee| (id, callee)));
            }
        }
        let Some(path) = path_back(id, &ways) else { return Ok(()) };
        let name = |id: &TaskId| self.task_name(*id).ok().flatten().unwrap_or_else(|| own.to_owned());
        Err(TaskError::Loop(path.iter().map(name).collect()))
    }

    /// The folders to be watched: it has to be allowed to read them.
    fn watched(&self, saving: &Saving<'_>, grants: &[Scope]) -> Result<Vec<PathBuf>, TaskError> {
        let mut folders = Vec::new();
        for text in &saving.draft.on_files {
            let folder = self.home.folder_scope(saving.base, text).map_err(crate::execution::grants::GrantError::from)?;
            let absolute = folder.absolute().to_owned();
            if saving.seen.is_some_and(|seen| seen.definition.on_files.iter().any(|known| known.as_os_str() == text.as_str()))
                && absolute.as_os_str() != text.as_str()
            {
                return Err(TaskError::Moved(text.clone()));
            }
            if grants.iter().any(|grant| grant.covers(&Scope::Write(folder.clone()))) {
                return Err(TaskError::SelfTriggered(text.clone()));
            }
            let wanted = Scope::Read(folder);
            if !grants.iter().any(|grant| grant.covers(&wanted)) {
                return Err(TaskError::Unwatchable(text.clone()));
            }
            folders.push(absolute);
        }
        Ok(folders)
    }

    fn warnings(&self, plan: &Plan, grants: &[Scope]) -> Result<Vec<String>, TaskError> {
        let mut warnings = Vec::new();
        for scope in plan.missing() {
            warnings.push(format!("it asks for {scope}, which is not granted"));
        }
        for scope in grants {
            if let Scope::Credential(credential) = scope {
                warnings.extend(self.credential_warning(&credential.name)?);
            }
        }
        Ok(warnings)
    }

    /// Why a credential is of no use yet.
    pub(super) fn credential_warning(&self, name: &CredentialName) -> Result<Option<String>, TaskError> {
        Ok(match self.db.credential(name)? {
            None => Some(format!("there is no credential {name}")),
            Some(found) if found.sealed.is_none() => Some(format!("the credential {name} has no value")),
            Some(_) => None,
        })
    }
}

pub(super) fn requested(requests: &wardroom_core::capability::Requests) -> Vec<Scope> {
    match requests {
        wardroom_core::capability::Requests::Declared(scopes) => scopes.clone(),
        wardroom_core::capability::Requests::Undeclared => Vec::new(),
    }
}

fn to_json(value: &impl serde::Serialize, name: &TaskName) -> Result<String, TaskError> {
    serde_json::to_string(value).map_err(|error| TaskError::Damaged { name: name.clone(), message: error.to_string() })
}

fn zone(draft: &TaskDraft) -> Result<Zone, TaskError> {
    Ok(draft.zone.as_deref().map(str::parse).transpose()?.unwrap_or_else(Zone::system))
}

/// What is written as before is due as before: an interval keeps its beat, and a
/// moment that has passed is no error.
fn schedule(draft: &TaskDraft, seen: Option<&Task>, zone: &Zone, now: Timestamp) -> Result<Option<Schedule>, TaskError> {
    let when = When { cron: draft.cron.clone(), every: draft.every, at: draft.at.clone() };
    if let Some(seen) = seen.filter(|seen| seen.definition.when == when && seen.definition.zone == *zone) {
        return Ok(seen.schedule.clone());
    }
    match when {
        When { cron: None, every: None, at: None } => Ok(None),
        When { cron: Some(text), every: None, at: None } => Ok(Some(Schedule::cron(&text, zone.clone())?)),
        When { cron: None, every: Some(period), at: None } => Ok(Some(Schedule::every(period.0, now, zone.clone())?)),
        When { cron: None, every: None, at: Some(text) } => Ok(Some(Schedule::at(&text, zone.clone(), now)?)),
        _ => Err(TaskError::Schedules),
    }
}

/// The params that somebody gave, as the program reads them. Its defaults are
/// its own, and may be others in its next version.
fn given(saving: &Saving<'_>, complete: &Map<String, Value>) -> Map<String, Value> {
    let is_given = |name: &String| saving.draft.params.contains_key(name) || saving.text_params.iter().any(|(given, _)| given == name);
    complete.iter().filter(|(name, _)| is_given(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// From a task to one that runs because of it.
type Way = (TaskId, TaskId);

/// The way from a task back to itself, where there is one.
fn path_back(start: TaskId, ways: &[Way]) -> Option<Vec<TaskId>> {
    let mut came_from: BTreeMap<TaskId, TaskId> = BTreeMap::new();
    let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(id) = next.pop() {
        for (_, target) in ways.iter().filter(|(source, _)| *source == id) {
            if *target == start {
                let mut path = vec![start, id];
                let mut at = id;
                while let Some(before) = came_from.get(&at) {
                    path.push(*before);
                    at = *before;
                }
                if path.last() != Some(&start) {
                    path.push(start);
                }
                path.reverse();
                path.dedup();
                return Some(if path.len() == 1 { vec![start, start] } else { path });
            }
            if seen.insert(*target) {
                came_from.insert(*target, id);
                next.push(*target);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_is_found_wherever_it_leads() {
        let [a, b, c, d] = [TaskId::fresh(), TaskId::fresh(), TaskId::fresh(), TaskId::fresh()];
        assert_eq!(path_back(a, &[]), None);
        assert_eq!(path_back(a, &[(a, b), (b, c), (d, a), (c, b)]), None);
        assert_eq!(path_back(a, &[(a, a)]), Some(vec![a, a]));
        assert_eq!(path_back(a, &[(a, d), (a, b), (b, c), (c, a)]), Some(vec![a, b, c, a]));
    }
}
