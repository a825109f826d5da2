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
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::id::ExecutionId;
use wardroom_core::task::TaskId;
use wardroom_db::NewQueued;

use crate::task::TaskError;
use crate::task::definition::Task;
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
}

impl Default for Watch {
    fn default() -> Self {
        let (tell, told) = unbounded_channel();
        Self { watcher: None, folders: BTreeMap::new(), tell, told }
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
        let tell = self.tell.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !matches!(event.kind, EventKind::Access(_))
            {
                // Nobody listens any more: the scheduler ended.
                drop(tell.send(event.paths));
            }
        });
        let mut watcher = watcher.map_err(WatchError::System)?;
        let mut trouble = None;
        for folder in wanted.keys() {
            if let Err(source) = watcher.watch(folder, RecursiveMode::Recursive) {
                trouble = Some(WatchError::Folder { folder: folder.clone(), source });
            }
        }
        (self.watcher, self.folders) = (Some(watcher), wanted);
        trouble.map_or(Ok(()), Err)
    }

    /// Waits until something changed, and queues the tasks that it runs.
    pub(super) async fn changed(&mut self, wardroom: &Wardroom) {
        let Some(paths) = self.told.recv().await else { return std::future::pending().await };
        let mut tasks = self.of(&paths);
        let quiet = async {
            while let Ok(Some(paths)) = tokio::time::timeout(QUIET, self.told.recv()).await {
                tasks.extend(of(&self.folders, &paths));
            }
        };
        drop(tokio::time::timeout(AT_MOST, quiet).await);
        for task in tasks {
            // A task that went meanwhile has nothing to run.
            drop(enqueue(wardroom, task).await);
        }
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
    let waits = wardroom.db.unfinished(id)?.iter().any(|(_, _, status)| *status == Status::Queued);
    if waits {
        return Ok(());
    }
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
    };
    Ok(wardroom.db.enqueue(vec![row]).await?)
}
