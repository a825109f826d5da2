//! What changed, told to every process that listens: one place that tells, and
//! nothing that polls.
//!
//! ```text
//!  tell_changed ─▶ listeners of this process
//!               └▶ run/*.lists, run/*.items ─▶ HOLDER.sock ─▶ listeners there
//! ```
//!
//! A process that listens says so by a file beside its socket, so that telling
//! costs whoever runs something no more than a look into the folder. The file
//! is there before the listener looks at the state, and the state is written
//! before anybody is told: no change falls in between.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Serialize};
use wardroom_core::id::ExecutionId;
use wardroom_core::task::TaskName;

use super::session::{Peer, SessionError};
use crate::wardroom::Wardroom;

/// Something that others may have read is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// Which tools assistants have, or what one of them takes.
    Tools,
    /// Which tasks there are.
    Tasks,
    /// One task: itself, or how its last run ended.
    Task(TaskName),
    /// An execution, otherwise than by running: queued, skipped, ended.
    Execution(ExecutionId),
    /// An execution that waited runs.
    Runs {
        /// Which.
        id: ExecutionId,
        /// The process that has it.
        holder: String,
    },
}

impl Changed {
    /// It concerns those who listen to lists, too.
    const fn is_of_lists(&self) -> bool {
        matches!(self, Self::Tools | Self::Tasks)
    }
}

/// Is told of changes. What it does then is quick and waits for nothing.
pub(crate) trait Listener: Send + Sync {
    fn heard(&self, changed: &[Changed]);
}

/// What a listener wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Changes of lists: rare.
    Lists,
    /// Also those of single tasks and executions: with every run.
    Items,
}

impl Interest {
    pub(super) const ALL: [Self; 2] = [Self::Lists, Self::Items];

    /// How the file ends that says so.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Lists => "lists",
            Self::Items => "items",
        }
    }
}

/// The listeners of this process, and the files that tell others of them.
pub(super) struct Listeners {
    heard: Mutex<Vec<Weak<dyn Listener>>>,
    markers: [Marker; 2],
}

impl Listeners {
    /// `base`: what its files are called, without their ending.
    pub(super) fn new(base: &std::path::Path) -> Self {
        let markers = Interest::ALL.map(|of| Marker { file: base.with_extension(of.ending()), held: Mutex::new(0) });
        Self { heard: Mutex::default(), markers }
    }

    pub(super) fn tell(&self, changed: &[Changed]) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.retain(|listener| listener.strong_count() > 0);
        let living: Vec<_> = heard.iter().filter_map(Weak::upgrade).collect();
        // Not while it is locked: the last one to let go of a listener may be us.
        drop(heard);
        for listener in living {
            listener.heard(changed);
        }
    }

    fn marker(&self, of: Interest) -> &Marker {
        let [lists, items] = &self.markers;
        match of {
            Interest::Lists => lists,
            Interest::Items => items,
        }
    }
}

/// A file that is there while somebody holds it.
struct Marker {
    file: PathBuf,
    /// Held while the file is made or removed, so that it is there exactly while
    /// this is more than 0.
    held: Mutex<usize>,
}

impl Marker {
    fn hold(&self) -> std::io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == 0 {
            std::fs::write(&self.file, "")?;
        }
        *held += 1;
        Ok(())
    }

    fn let_go(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = held.saturating_sub(1);
        if *held == 0 {
            // One that stays costs those who tell a message that nobody needs.
            drop(std::fs::remove_file(&self.file));
        }
    }
}

/// While it lives, this process is told.
pub(crate) struct Listening {
    listeners: Arc<Listeners>,
    of: Interest,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.listeners.marker(self.of).let_go();
    }
}

impl Wardroom {
    /// Tells everybody who listens, in this process and in others, that
    /// something changed; the change is in the database already.
    pub async fn tell_changed(&self, changed: &[Changed]) {
        let own = self.own_session();
        if let Some(own) = own {
            own.listeners().tell(changed);
        }
        let is_of_lists = changed.iter().any(Changed::is_of_lists);
        let mut told: Vec<String> = own.map(|own| own.holder().to_owned()).into_iter().collect();
        for entry in std::fs::read_dir(self.home.run()).into_iter().flatten().flatten() {
            let path = entry.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let listens = ending == Some(Interest::Items.ending()) || is_of_lists && ending == Some(Interest::Lists.ending());
            let Some(holder) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| listens) else { continue };
            if told.iter().any(|told| told == holder) {
                continue;
            }
            let peer = Peer { home: &self.home, holder };
            // One that is gone left its files; one that is stuck is told no more
            // than what waits for it already.
            if peer.tell(changed).await.is_err() && !peer.lives() {
                peer.clear();
            }
            told.push(holder.to_owned());
        }
    }

    /// Has a listener told for as long as it lives and the answer is kept.
    ///
    /// # Errors
    ///
    /// [`SessionError`] where others cannot reach this process.
    pub(crate) async fn listen(&self, listener: &Arc<dyn Listener>, of: Interest) -> Result<Listening, SessionError> {
        let session = self.session().await?;
        let listeners = session.listeners();
        listeners.marker(of).hold().map_err(|source| session.failed(source))?;
        let mut heard = listeners.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.iter().any(|known| Weak::as_ptr(known).addr() == Arc::as_ptr(listener).addr()) {
            heard.push(Arc::downgrade(listener));
        }
        drop(heard);
        Ok(Listening { listeners: listeners.clone(), of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;

    #[derive(Default)]
    struct Heard(Mutex<Vec<Changed>>, tokio::sync::Notify);

    impl Listener for Heard {
        fn heard(&self, changed: &[Changed]) {
            self.0.lock().unwrap().extend_from_slice(changed);
            self.1.notify_one();
        }
    }

    fn opened(folder: &std::path::Path) -> Wardroom {
        Wardroom::open(&folder.join("home"), "/nowhere".into(), Arc::new(wardroom_host::Silent)).unwrap()
    }

    fn files(home: &Home, ending: &str) -> usize {
        let entries = std::fs::read_dir(home.run()).unwrap().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|found| found == ending)).count()
    }

    #[tokio::test]
    async fn who_listens_to_lists_hears_of_lists_and_who_listens_to_items_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let (listening, telling) = (opened(folder.path()), opened(folder.path()));
        let (lists, items): (Arc<Heard>, Arc<Heard>) = (Arc::default(), Arc::default());
        let as_listener = |heard: &Arc<Heard>| -> Arc<dyn Listener> { heard.clone() };
        let first = listening.listen(&as_listener(&lists), Interest::Lists).await.unwrap();
        let item = Changed::Task("nightly".parse().unwrap());
        telling.tell_changed(std::slice::from_ref(&item)).await;
        telling.tell_changed(&[Changed::Tools]).await;
        lists.1.notified().await;
        assert_eq!(*lists.0.lock().unwrap(), [Changed::Tools]);

        let second = listening.listen(&as_listener(&items), Interest::Items).await.unwrap();
        telling.tell_changed(std::slice::from_ref(&item)).await;
        items.1.notified().await;
        assert_eq!(*items.0.lock().unwrap(), [item]);
        assert_eq!((files(&listening.home, "lists"), files(&listening.home, "items")), (1, 1));
        drop((first, second));
        assert_eq!((files(&listening.home, "lists"), files(&listening.home, "items")), (0, 0));
    }

    #[tokio::test]
    async fn what_a_dead_listener_left_is_cleared_and_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let telling = opened(folder.path());
        for ending in ["lists", "items", "sock", "lock"] {
            std::fs::write(telling.home.run().join(format!("1-dead.{ending}")), "").unwrap();
        }
        telling.tell_changed(&[Changed::Tasks]).await;
        assert_eq!((files(&telling.home, "lists"), files(&telling.home, "items"), files(&telling.home, "sock")), (0, 0, 0));
    }
}
