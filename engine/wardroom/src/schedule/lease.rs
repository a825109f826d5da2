//! The lease: of all processes that share a data folder, one schedules.
//!
//! It is a lock on `run/scheduler.lock` that the kernel releases when its holder
//! dies, so whoever waits for it takes over at once. The file's text names the
//! holder, for those who want to wake it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::execution::session::Peer;
use crate::home::Home;
use crate::wardroom::Wardroom;

/// Bytes of a holder's name that are read.
const MAX_HOLDER: u64 = 256;

/// The right to schedule, while it lives.
#[derive(Debug)]
pub(crate) struct Lease(File);

fn file(home: &Home) -> PathBuf {
    home.run().join("scheduler.lock")
}

fn open(home: &Home) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file(home))
}

impl Lease {
    /// Takes it; `None`: another process has it.
    pub(crate) fn try_take(home: &Home, holder: &str) -> std::io::Result<Option<Self>> {
        let file = open(home)?;
        match file.try_lock() {
            Ok(()) => Self::signed(file, holder).map(Some),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits until it is free. A thread of its own waits: the system has no
    /// other way to wait for a lock, and one that waits for ever must not keep
    /// the process from ending.
    pub(crate) async fn wait(home: &Home, holder: &str) -> std::io::Result<Self> {
        let (file, holder) = (open(home)?, holder.to_owned());
        let (tell, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("lease".to_owned());
        drop(thread.spawn(move || {
            let taken = file.lock().and_then(|()| Self::signed(file, &holder));
            // Whoever does not wait any more drops it, and with it the lock.
            drop(tell.send(taken));
        })?);
        told.await.map_err(std::io::Error::other)?
    }

    fn signed(mut file: File, holder: &str) -> std::io::Result<Self> {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(holder.as_bytes())?;
        Ok(Self(file))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing releases it; an empty file names nobody.
        drop(self.0.set_len(0));
    }
}

impl Wardroom {
    /// Somebody schedules on this data folder.
    #[must_use]
    pub fn scheduler_lives(&self) -> bool {
        match File::open(file(&self.home)) {
            Ok(lock) => lock.try_lock_shared().is_err(),
            Err(_) => false,
        }
    }

    /// Tells whoever schedules on this data folder to look again. Where nobody
    /// does, whoever comes next looks anyway.
    pub async fn wake_scheduler(&self) {
        let Some(holder) = self.scheduler() else { return };
        match self.own_session().filter(|own| own.holder() == holder) {
            // Tasks are changed by other processes; this one knows what it did.
            Some(own) => own.tell_queued(),
            // One that does not answer looks again when it is back.
            None => drop(Peer { home: &self.home, holder: &holder }.wake().await),
        }
    }

    /// The name under which a living scheduler runs.
    #[must_use]
    pub fn scheduler(&self) -> Option<String> {
        use std::io::Read;
        let mut text = String::new();
        File::open(file(&self.home)).ok()?.take(MAX_HOLDER).read_to_string(&mut text).ok()?;
        (self.scheduler_lives() && !text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_has_the_lease_and_who_waits_gets_it_when_it_is_dropped() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::open(&temp.path().join("home")).unwrap();
        let first = Lease::try_take(&home, "first").unwrap().unwrap();
        assert!(Lease::try_take(&home, "second").unwrap().is_none());
        let waiting = tokio::spawn({
            let home = home.clone();
            async move { Lease::wait(&home, "second").await.unwrap() }
        });
        assert_eq!(std::fs::read_to_string(file(&home)).unwrap(), "first");
        drop(first);
        let second = waiting.await.unwrap();
        assert_eq!(std::fs::read_to_string(file(&home)).unwrap(), "second");
        assert!(Lease::try_take(&home, "third").unwrap().is_none());
        drop(second);
    }
}
