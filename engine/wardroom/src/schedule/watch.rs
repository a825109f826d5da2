//! Folders whose changes run tasks.
//!
//! The system tells of changes; nothing is scanned. A burst of them is one run:
//! the task is queued when nothing has changed for a moment, and not again while
//! one of it waits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::id::ExecutionId;
use wardroom_core::task::TaskId;
use wardroom_db::{NewQueued, WhenBusy};

use crate::task::TaskError;
use crate::task::definition::{MAX_WAITING, Task};
use crate::wardroom::Wardroom;

/// How long a folder has to be quiet.
const QUIET: Duration = Duration::from_millis(250);
/// How long a folder that is never quiet is waited for.
const AT_MOST: Duration = Duration::from_secs(5);

/// What is watched, and for whom.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeMap<PathBuf, BTreeSet<TaskId>>,
    tell: UnboundedSender<Vec<PathBuf>>,
    told: UnboundedReceiver<Vec<PathBuf>>,
    seen: Option<Seen>,
}

/// Changes that were seen and not acted on yet.
struct Seen {
    tasks: BTreeSet<TaskId>,
    first: Instant,
    last: Instant,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Default for Watch {
    fn default() -> Self {
        let (tell, told) = unbounded_channel();
        Self { watcher: None, folders: BTreeMap::new(), tell, told, seen: None }
    }
}

/// A folder that cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error("the folder `{}` cannot be watched: {source}", folder.display())]
    Folder { folder: PathBuf, source: notify::Error },
    #[error("folders cannot be watched: {0}")]
    System(notify::Error),
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl Watch {
    /// Watches what tasks want watched now. One that cannot be watched keeps
    /// none of the others from it.
    pub(super) fn reload(&mut self, wardroom: &Wardroom) -> Result<(), WatchError> {
        let wanted = wanted(&wardroom.tasks()?);
        if wanted.is_empty() {
            (self.watcher, self.folders) = (None, wanted);
            return Ok(());
        }
        if wanted.keys().eq(self.folders.keys()) && self.watcher.is_some() {
            self.folders = wanted;
            return Ok(());
        }
        let (tell, all) = (self.tell.clone(), wanted.keys().cloned().collect::<Vec<_>>());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Nobody listens any more: the scheduler ended.
            match event {
                // Too much happened to be told: everything may have changed.
                Ok(event) if event.need_rescan() => drop(tell.send(all.clone())),
                Ok(event) if !matches!(event.kind, EventKind::Access(_)) => drop(tell.send(event.paths)),
                Ok(_) | Err(_) => {}
            }
        });
        let mut watcher = watcher.map_err(WatchError::System)?;
        let (mut trouble, mut watched) = (None, BTreeMap::new());
        for (folder, tasks) in wanted {
            match watcher.watch(&folder, RecursiveMode::Recursive) {
                Ok(()) => drop(watched.insert(folder, tasks)),
                // Left out, so that it is tried again at the next look.
                Err(source) => trouble = Some(WatchError::Folder { folder, source }),
            }
        }
        (self.watcher, self.folders) = (Some(watcher), watched);
        trouble.map_or(Ok(()), Err)
    }

    /// Waits until something changed and then was quiet. Whoever stops waiting
    /// loses nothing: what was seen is kept.
    pub(super) async fn changed(&mut self) {
        loop {
            let quiet = self.seen.as_ref().map(|seen| (seen.last + QUIET).min(seen.first + AT_MOST));
            tokio::select! {
                paths = self.told.recv() => self.see(&paths.unwrap_or_default()),
                () = until(quiet) => return,
            }
        }
    }

    fn see(&mut self, paths: &[PathBuf]) {
        let tasks = self.of(paths);
        if tasks.is_empty() {
            return;
        }
        let now = Instant::now();
        let seen = self.seen.get_or_insert_with(|| Seen { tasks: BTreeSet::new(), first: now, last: now });
        seen.tasks.extend(tasks);
        seen.last = now;
    }

    /// Queues the tasks that what was seen runs.
    pub(super) async fn enqueue(&mut self, wardroom: &Wardroom) -> Result<(), TaskError> {
        for task in self.seen.take().map(|seen| seen.tasks).unwrap_or_default() {
            enqueue(wardroom, task).await?;
        }
        Ok(())
    }

    fn of(&self, paths: &[PathBuf]) -> BTreeSet<TaskId> {
        of(&self.folders, paths)
    }
}

fn of(folders: &BTreeMap<PathBuf, BTreeSet<TaskId>>, paths: &[PathBuf]) -> BTreeSet<TaskId> {
    let under = |folder: &Path| paths.iter().any(|path| path.starts_with(folder));
    folders.iter().filter(|(folder, _)| under(folder)).flat_map(|(_, tasks)| tasks.iter().copied()).collect()
}

fn wanted(tasks: &[Task]) -> BTreeMap<PathBuf, BTreeSet<TaskId>> {
    let mut folders: BTreeMap<PathBuf, BTreeSet<TaskId>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.record.paused_at.is_none()) {
        for folder in &task.definition.on_files {
            folders.entry(folder.clone()).or_default().insert(task.id());
        }
    }
    folders
}

async fn enqueue(wardroom: &Wardroom, id: TaskId) -> Result<(), TaskError> {
    let Some(task) = wardroom.db.task_by_id(id)?.map(Task::read).transpose()? else { return Ok(()) };
    // One that waits sees this change too.
    if wardroom.db.unfinished(id)?.iter().any(|(_, _, status)| *status == Status::Queued) {
        return Ok(());
    }
    // One that runs may have looked already: another one waits for its end.
    let when_busy = WhenBusy::Queue(MAX_WAITING);
    let row = NewQueued {
        id: ExecutionId::fresh(),
        attempt: 1,
        trigger: Trigger::Files,
        task: id,
        name: task.name().clone(),
        program: task.definition.program.name.clone(),
        digest: task.record.digest,
        created_at: wardroom.clock.now(),
        scheduled_for: None,
        not_before: None,
        origin: None,
        session: None,
    };
    wardroom.db.enqueue_unless_busy(row, when_busy).await?;
    Ok(())
}
