//! Folders whose changes run tasks.
//!
//! The system tells of changes; nothing is scanned. A burst of them is one run:
//! the task is queued when nothing has changed for a moment, and not again while
//! one of it waits.
//!
//! The system watches what a name meant, not the name: a folder that is removed
//! takes its watch with it. Until it is made again, the nearest folder above it
//! is watched in its place, for that alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::ModifyKind;
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

/// How often in a row it is tried to watch what comes and goes meanwhile.
const TRIES: usize = 4;

/// What is watched, and for whom.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// What is to be watched.
    folders: BTreeMap<PathBuf, BTreeSet<TaskId>>,
    /// What of it is.
    watched: BTreeSet<PathBuf>,
    /// Looks out for folders that are not there, from these.
    lookout: Option<(RecommendedWatcher, BTreeSet<PathBuf>)>,
    tell: UnboundedSender<Heard>,
    told: UnboundedReceiver<Heard>,
    seen: Option<Seen>,
}

/// What the system tells.
enum Heard {
    Changed(Vec<PathBuf>),
    /// Among these are folders that were watched, and are not any more.
    Gone(Vec<PathBuf>),
    /// Something changed where a folder may come back.
    Around,
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
        Self { watcher: None, folders: BTreeMap::new(), watched: BTreeSet::new(), lookout: None, tell, told, seen: None }
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
        let is_same = wanted.keys().eq(self.folders.keys());
        self.folders = wanted;
        if self.folders.is_empty() {
            (self.watcher, self.lookout) = (None, None);
            self.watched.clear();
            return Ok(());
        }
        if is_same && self.watcher.is_some() && self.returned().is_empty() {
            return Ok(());
        }
        self.establish()
    }

    /// Watches all that is there, and looks out for what is not. The old watcher
    /// goes when the new one watches: in between, nothing is lost.
    fn establish(&mut self) -> Result<(), WatchError> {
        let (tell, all) = (self.tell.clone(), self.folders.keys().cloned().collect::<Vec<_>>());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Nobody listens any more: the scheduler ended.
            match event {
                // Too much happened to be told: everything may have changed.
                Ok(event) if event.need_rescan() => drop(tell.send(Heard::Gone(all.clone()))),
                Ok(event) if is_end(event.kind) && event.paths.iter().any(|path| all.contains(path)) => {
                    drop(tell.send(Heard::Gone(event.paths)));
                }
                Ok(event) if !matches!(event.kind, EventKind::Access(_)) => drop(tell.send(Heard::Changed(event.paths))),
                Ok(_) | Err(_) => {}
            }
        })
        .map_err(WatchError::System)?;
        let (mut trouble, mut watched) = (None, BTreeSet::new());
        for folder in self.folders.keys() {
            match watcher.watch(folder, RecursiveMode::Recursive) {
                Ok(()) => drop(watched.insert(folder.clone())),
                // Left out, so that it is tried again at the next look.
                Err(source) => trouble = Some(WatchError::Folder { folder: folder.clone(), source }),
            }
        }
        (self.watcher, self.watched) = (Some(watcher), watched);
        self.look_out()?;
        trouble.map_or(Ok(()), Err)
    }

    /// Looks out for the folders that are not there, from where they would be
    /// made: apart from the others, or what is watched there with all below it
    /// would not be any more.
    fn look_out(&mut self) -> Result<(), WatchError> {
        let places = self.places();
        if places.is_empty() {
            self.lookout = None;
            return Ok(());
        }
        if self.lookout.as_ref().is_some_and(|(_, known)| *known == places) {
            return Ok(());
        }
        let tell = self.tell.clone();
        let mut lookout = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                // Nobody listens any more: the scheduler ended.
                drop(tell.send(Heard::Around));
            }
        })
        .map_err(WatchError::System)?;
        for place in &places {
            // One that is gone meanwhile is seen by whoever looks again.
            drop(lookout.watch(place, RecursiveMode::NonRecursive));
        }
        self.lookout = Some((lookout, places));
        Ok(())
    }

    /// The nearest folders there are above those that are not.
    fn places(&self) -> BTreeSet<PathBuf> {
        let missing = self.folders.keys().filter(|folder| !self.watched.contains(*folder) && !folder.is_dir());
        missing.filter_map(|folder| folder.ancestors().find(|above| above.is_dir())).map(Path::to_owned).collect()
    }

    /// The folders that are there and not watched.
    fn returned(&self) -> Vec<PathBuf> {
        self.folders.keys().filter(|folder| !self.watched.contains(*folder) && folder.is_dir()).cloned().collect()
    }

    /// Watches what is there again. While that is done, more may come and go.
    fn mend(&mut self) {
        for _ in 0..TRIES {
            let returned = self.returned();
            if returned.is_empty() && self.lookout.as_ref().map(|(_, known)| known.clone()).unwrap_or_default() == self.places() {
                return;
            }
            // What cannot be watched is tried, and told of, at the next look.
            drop(self.establish());
            // Whatever was put there before it was watched.
            self.see(&returned);
        }
    }

    /// Waits until something changed and then was quiet. Whoever stops waiting
    /// loses nothing: what was seen is kept.
    pub(super) async fn changed(&mut self) {
        loop {
            let quiet = self.seen.as_ref().map(|seen| (seen.last + QUIET).min(seen.first + AT_MOST));
            tokio::select! {
                heard = self.told.recv() => self.hear(heard),
                () = until(quiet) => return,
            }
        }
    }

    fn hear(&mut self, heard: Option<Heard>) {
        match heard {
            Some(Heard::Changed(paths)) => self.see(&paths),
            Some(Heard::Gone(paths)) => {
                self.watched.retain(|folder| !paths.contains(folder));
                self.see(&paths);
                self.mend();
            }
            Some(Heard::Around) => self.mend(),
            None => {}
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

/// Whoever bore the name before does not any more.
const fn is_end(kind: EventKind) -> bool {
    matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A watch of one folder, for one task.
    fn watching(folder: &Path) -> Watch {
        let mut watch = Watch::default();
        watch.folders.insert(folder.to_owned(), BTreeSet::from([TaskId::fresh()]));
        watch.establish().ok();
        watch
    }

    /// Waits for a change, and forgets it.
    async fn changed(watch: &mut Watch) {
        tokio::time::timeout(PATIENCE, watch.changed()).await.expect("a change that is seen");
        assert!(watch.seen.take().is_some_and(|seen| seen.tasks.len() == 1));
    }

    /// Hears whatever comes until it is quiet.
    async fn settle(watch: &mut Watch) {
        while tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.is_ok() {
            watch.seen = None;
        }
    }

    #[tokio::test]
    async fn a_folder_that_was_removed_and_made_again_is_watched_again() {
        let temp = tempfile::tempdir().unwrap();
        let (above, folder) = (temp.path().join("above"), temp.path().join("above/deep/inbox"));
        std::fs::create_dir_all(&folder).unwrap();
        let mut watch = watching(&folder);
        std::fs::write(folder.join("a"), "x").unwrap();
        changed(&mut watch).await;
        settle(&mut watch).await;
        assert!(watch.lookout.is_none(), "what is there needs no lookout");
        for removed in [&folder, &above] {
            std::fs::remove_dir_all(removed).unwrap();
            changed(&mut watch).await;
            settle(&mut watch).await;
            assert!(watch.watched.is_empty() && watch.lookout.is_some());
            std::fs::create_dir_all(&folder).unwrap();
            changed(&mut watch).await;
            settle(&mut watch).await;
            assert!(watch.watched.contains(&folder) && watch.lookout.is_none());
            std::fs::write(folder.join("b"), "x").unwrap();
            changed(&mut watch).await;
            settle(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_moved_away_and_replaced_is_watched_under_its_name() {
        let temp = tempfile::tempdir().unwrap();
        let (folder, away) = (temp.path().join("inbox"), temp.path().join("away"));
        std::fs::create_dir(&folder).unwrap();
        let mut watch = watching(&folder);
        std::fs::rename(&folder, &away).unwrap();
        std::fs::create_dir(&folder).unwrap();
        settle(&mut watch).await;
        std::fs::write(away.join("old"), "x").unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(600), watch.changed()).await.is_err(), "what it was is watched no more");
        std::fs::write(folder.join("new"), "x").unwrap();
        changed(&mut watch).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_yet_is_watched_once_it_is_and_its_neighbours_are_not() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("inbox");
        let mut watch = watching(&folder);
        std::fs::write(temp.path().join("neighbour"), "x").unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(600), watch.changed()).await.is_err());
        std::fs::create_dir(&folder).unwrap();
        changed(&mut watch).await;
    }
}
