//! One running process, as others see it: a lock that the kernel releases when
//! it dies, and a socket to talk to it.
//!
//! ```text
//!  run/HOLDER.lock   held by flock while the process lives
//!  run/HOLDER.sock   0600; one JSON line in, JSON lines out
//!
//!    {"cancel": ID}             ▶  {"ok": true}
//!    {"follow": ID, "from": N}  ▶  {"line": {…}} …  {"ended": STATUS}
//!    {"wake": true}             ▶  {"ok": true}
//!    anything else              ▶  {"error": TEXT}
//! ```
//!
//! Only the owner of the data folder reaches the socket: the folder is 0700.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::log::LogLine;

use super::recorder::{News, Recorder};
use crate::home::Home;

/// Bytes of one request; they are under a hundred.
const MAX_REQUEST: u64 = 4096;
/// How long a process may take to be asked, or to answer that it cancels.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a process cannot be told from a dead one.
#[derive(Debug, thiserror::Error)]
#[error("the lock and socket of this process cannot be made in `{}`: {source}", folder.display())]
pub struct SessionError {
    folder: PathBuf,
    source: std::io::Error,
}

/// This process, while it lives.
pub struct Session {
    holder: String,
    /// Holding it is what says that this process lives.
    _lock: File,
    files: [PathBuf; 2],
    running: Running,
    /// Told when somebody changed what a scheduler in this process acts on.
    woken: Arc<Notify>,
    /// Told when this process itself put something into the queue.
    queued: Notify,
}

type Running = Arc<Mutex<HashMap<ExecutionId, Arc<Recorder>>>>;

impl Session {
    pub(crate) fn begin(home: &Home) -> Result<Self, SessionError> {
        let folder = home.run();
        let failed = |source| SessionError { folder: folder.clone(), source };
        let holder = fresh_holder().map_err(failed)?;
        let lock_path = folder.join(format!("{holder}.lock"));
        let socket_path = folder.join(format!("{holder}.sock"));
        let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock_path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let listener = listen(&folder, &socket_path).map_err(failed)?;
        let (running, woken) = (Running::default(), Arc::new(Notify::new()));
        drop(tokio::spawn(serve(listener, running.clone(), woken.clone())));
        Ok(Self { holder, _lock: lock, files: [socket_path, lock_path], running, woken, queued: Notify::new() })
    }

    /// The name under which rows say who runs them.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Resolves when somebody wakes this process, or did since it was asked last.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Resolves when this process itself put something into the queue, or did
    /// since it was asked last.
    pub(crate) async fn queued(&self) {
        self.queued.notified().await;
    }

    /// Tells that something was put into the queue.
    pub(crate) fn tell_queued(&self) {
        self.queued.notify_one();
    }

    /// Makes an execution reachable for others until the guard is dropped.
    pub(crate) fn announce(&self, id: ExecutionId, recorder: Arc<Recorder>) -> Announced {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id, recorder);
        Announced { running: self.running.clone(), id }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for file in &self.files {
            // What stays behind is found dead and cleared by the next process.
            drop(std::fs::remove_file(file));
        }
    }
}

/// While it lives, others can reach the execution.
pub(crate) struct Announced {
    running: Running,
    id: ExecutionId,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

fn fresh_holder() -> std::io::Result<String> {
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{random}", std::process::id()))
}

/// A socket's path has at most 107 bytes (unix(7)); a longer one is reached
/// through the folder's handle.
fn listen(folder: &Path, socket: &Path) -> std::io::Result<UnixListener> {
    with_short_path(folder, socket, |path| UnixListener::bind(path))
}

fn with_short_path<T>(folder: &Path, socket: &Path, use_path: impl Fn(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    use std::os::fd::AsRawFd;
    const SUN_PATH: usize = 107;
    if socket.as_os_str().len() <= SUN_PATH || !cfg!(target_os = "linux") {
        return use_path(socket);
    }
    let folder = File::open(folder)?;
    let name = socket.file_name().unwrap_or_default();
    use_path(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Request {
    Cancel { cancel: ExecutionId },
    Follow { follow: ExecutionId, from: usize },
    Wake { wake: bool },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Ok(bool),
    Line(LogLine),
    Ended(Status),
    Error(String),
}

async fn serve(listener: UnixListener, running: Running, woken: Arc<Notify>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (running, woken) = (running.clone(), woken.clone());
        // One that hangs up is gone; nothing here outlives the process.
        drop(tokio::spawn(async move { drop(answer(stream, running, &woken).await) }));
    }
}

async fn answer(stream: UnixStream, running: Running, woken: &Notify) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(MAX_REQUEST));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let find = |id: &ExecutionId| running.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
    let gone = Reply::Error("this process does not run it".to_owned());
    match serde_json::from_str(&line) {
        Ok(Request::Cancel { cancel }) => {
            let found = find(&cancel);
            if let Some(recorder) = &found {
                recorder.cancel();
            }
            send(&mut write, &if found.is_some() { Reply::Ok(true) } else { gone }).await
        }
        Ok(Request::Follow { follow, from }) => match find(&follow) {
            Some(recorder) => stream_news(&mut write, recorder, from).await,
            None => send(&mut write, &gone).await,
        },
        Ok(Request::Wake { .. }) => {
            woken.notify_one();
            send(&mut write, &Reply::Ok(true)).await
        }
        Err(error) => send(&mut write, &Reply::Error(format!("no request: {error}"))).await,
    }
}

async fn stream_news(write: &mut (impl AsyncWriteExt + Unpin), recorder: Arc<Recorder>, from: usize) -> std::io::Result<()> {
    let mut follower = recorder.follow(from);
    while let Some(news) = follower.next().await {
        match news {
            News::Lines(lines) => {
                for line in lines {
                    send(write, &Reply::Line(line)).await?;
                }
            }
            News::Ended(status) => return send(write, &Reply::Ended(status)).await,
        }
    }
    Ok(())
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), reply: &Reply) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    text.push(b'\n');
    write.write_all(&text).await
}

/// Another process, reached by the holder's name in a row.
pub(crate) struct Peer<'a> {
    pub(crate) home: &'a Home,
    pub(crate) holder: &'a str,
}

impl Peer<'_> {
    /// Its process lives: somebody holds its lock.
    pub(crate) fn lives(&self) -> bool {
        match File::open(self.file("lock")) {
            Ok(lock) => lock.try_lock_shared().is_err(),
            // What cannot be looked at is not known to be dead.
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Removes what a dead process left.
    pub(crate) fn clear(&self) {
        drop(std::fs::remove_file(self.file("sock")));
        drop(std::fs::remove_file(self.file("lock")));
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.home.run().join(format!("{}.{ending}", self.holder))
    }

    async fn ask(&self, request: &Request) -> std::io::Result<BufReader<UnixStream>> {
        let connect = with_short_path(&self.home.run(), &self.file("sock"), |path| std::os::unix::net::UnixStream::connect(path))?;
        connect.set_nonblocking(true)?;
        let mut stream = UnixStream::from_std(connect)?;
        let mut text = serde_json::to_vec(request)?;
        text.push(b'\n');
        stream.write_all(&text).await?;
        Ok(BufReader::new(stream))
    }

    /// Asks it to cancel an execution; `false`: it does not run that one.
    pub(crate) async fn cancel(&self, id: ExecutionId) -> std::io::Result<bool> {
        let asked = tokio::time::timeout(PATIENCE, async {
            let mut replies = self.ask(&Request::Cancel { cancel: id }).await?;
            read_reply(&mut replies).await
        });
        Ok(matches!(asked.await??, Some(Reply::Ok(true))))
    }

    /// Tells its scheduler to look again.
    pub(crate) async fn wake(&self) -> std::io::Result<()> {
        let asked = tokio::time::timeout(PATIENCE, async {
            let mut replies = self.ask(&Request::Wake { wake: true }).await?;
            read_reply(&mut replies).await
        });
        asked.await?.map(drop)
    }

    /// Shows the lines of an execution as they come; `None`: it does not run
    /// that one (any more).
    pub(crate) async fn follow(&self, id: ExecutionId, from: usize, mut show: impl FnMut(&LogLine)) -> std::io::Result<Option<Status>> {
        let mut replies = self.ask(&Request::Follow { follow: id, from }).await?;
        loop {
            match read_reply(&mut replies).await? {
                Some(Reply::Line(line)) => show(&line),
                Some(Reply::Ended(status)) => return Ok(Some(status)),
                Some(Reply::Ok(_) | Reply::Error(_)) | None => return Ok(None),
            }
        }
    }
}

async fn read_reply(replies: &mut BufReader<UnixStream>) -> std::io::Result<Option<Reply>> {
    let mut line = String::new();
    if replies.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_lives_while_it_holds_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let session = Session::begin(&home).unwrap();
        let holder = session.holder().to_owned();
        let peer = Peer { home: &home, holder: &holder };
        assert!(peer.lives());
        assert!(!peer.cancel(ExecutionId::fresh()).await.unwrap());
        drop(session);
        assert!(!peer.lives());
    }

    #[tokio::test]
    async fn a_deep_data_folder_still_has_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a-rather-long-name/".repeat(8));
        let home = Home::open(&deep).unwrap();
        let session = Session::begin(&home).unwrap();
        let peer = Peer { home: &home, holder: session.holder() };
        assert!(!peer.cancel(ExecutionId::fresh()).await.unwrap());
    }

    #[tokio::test]
    async fn nonsense_on_the_socket_is_answered_and_ends_there() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let session = Session::begin(&home).unwrap();
        let path = home.run().join(format!("{}.sock", session.holder()));
        for nonsense in ["\n", "{}\n", "{\"cancel\": 1}\n", &"x".repeat(10_000)] {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            // A peer that stops listening may break the pipe under us.
            drop(stream.write_all(nonsense.as_bytes()).await);
            drop(stream.shutdown().await);
            let mut answer = String::new();
            drop(stream.read_to_string(&mut answer).await);
            assert!(answer.is_empty() || answer.contains("error"), "{answer}");
        }
        assert!(Peer { home: &home, holder: session.holder() }.lives());
    }
}
