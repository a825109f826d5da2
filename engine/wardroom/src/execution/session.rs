//! One running process, as others see it: a lock that the kernel releases when
//! it dies, and a socket to talk to it.
//!
//! ```text
//!  run/HOLDER.lock   held by flock while the process lives
//!  run/HOLDER.sock   0600; one JSON line in, JSON lines out
//!  run/HOLDER.http   where it listens on the network, if it does
//!  run/HOLDER.lists  it wants to be told of changes (changed.rs); also HOLDER.items
//!
//!    {"cancel": ID}             ▶  {"ok": true}
//!    {"follow": ID, "from": N}  ▶  {"line": {…}} …  {"ended": STATUS}
//!    {"watch": ID}              ▶  {"ok": true}  {"stirred": true} …  {"ended": STATUS}
//!    {"wake": true}             ▶  {"ok": true}
//!    {"changed": [WHAT, …]}     ▶  {"ok": true}
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

use data_encoding::HEXLOWER;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::log::LogLine;
use wardroom_core::witness::Witness as _;

use super::changed::{Changed, Interest, Listeners};
use super::recorder::{News, Recorder};
use crate::home::Home;

/// Bytes of one request; they are under a hundred.
const MAX_REQUEST: u64 = 4096;
/// How long until the next try, where a connection could not be taken.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How long a process may take to be asked, or to answer that it cancels.
const PATIENCE: Duration = Duration::from_secs(5);
/// How the file ends that says where a process listens on the network.
const LISTENS: &str = "http";
/// Who watches an execution is stirred at most once in so long.
const STIR_EVERY: Duration = Duration::from_millis(100);

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
    folder: PathBuf,
    /// Holding it is what says that this process lives.
    _lock: File,
    reached: Arc<Reached>,
    /// Told when this process itself put something into the queue.
    queued: Notify,
}

/// What others reach of this process.
struct Reached {
    running: Running,
    /// Told when somebody changed what a scheduler in this process acts on.
    woken: Notify,
    listeners: Arc<Listeners>,
}

type Running = Arc<Mutex<HashMap<ExecutionId, Arc<Recorder>>>>;

/// All files of a process.
fn files(folder: &Path, holder: &str) -> [PathBuf; 5] {
    let [lists, items] = Interest::ALL.map(Interest::ending);
    // The lock last: while it is there, whoever looks finds the rest.
    [lists, items, LISTENS, "sock", "lock"].map(|ending| folder.join(format!("{holder}.{ending}")))
}

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
        let listeners = Arc::new(Listeners::new(&folder.join(&holder)));
        let reached = Arc::new(Reached { running: Running::default(), woken: Notify::new(), listeners });
        drop(tokio::spawn(serve(listener, reached.clone())));
        Ok(Self { holder, folder, _lock: lock, reached, queued: Notify::new() })
    }

    /// Has others know that this process listens on the network, and where.
    pub(crate) fn note_listener(&self, url: &str) -> Result<(), SessionError> {
        std::fs::write(self.folder.join(format!("{}.{LISTENS}", self.holder)), url).map_err(|source| self.failed(source))
    }

    pub(super) fn failed(&self, source: std::io::Error) -> SessionError {
        SessionError { folder: self.folder.clone(), source }
    }

    pub(super) fn listeners(&self) -> &Arc<Listeners> {
        &self.reached.listeners
    }

    /// The name under which rows say who runs them.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Resolves when somebody wakes this process, or did since it was asked last.
    pub(crate) async fn woken(&self) {
        self.reached.woken.notified().await;
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
        let running = &self.reached.running;
        running.lock().unwrap_or_else(PoisonError::into_inner).insert(id, recorder);
        Announced { running: running.clone(), id }
    }

    /// Makes durable that what runs here has begun.
    pub(crate) async fn record_begun(&self) {
        let running: Vec<Arc<Recorder>> = self.reached.running.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        // What cannot be recorded ends by itself, and says so.
        drop(join_all(running.iter().map(|recorder| recorder.effect())).await);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for file in files(&self.folder, &self.holder) {
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
    let random = HEXLOWER.encode(&random);
    Ok(format!("{}-{random}", std::process::id()))
}

/// A socket's path has at most 107 bytes (unix(7)); a longer one is reached
/// through the folder's handle.
fn listen(folder: &Path, socket: &Path) -> std::io::Result<UnixListener> {
    UnixListener::bind(&ShortPath::of(folder, socket)?.path)
}

/// A path that is short enough while this lives.
struct ShortPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl ShortPath {
    fn of(folder: &Path, socket: &Path) -> std::io::Result<Self> {
        use std::os::fd::AsRawFd;
        const SUN_PATH: usize = 107;
        if socket.as_os_str().len() <= SUN_PATH || !cfg!(target_os = "linux") {
            return Ok(Self { path: socket.to_owned(), _folder: None });
        }
        let folder = File::open(folder)?;
        let name = socket.file_name().unwrap_or_default();
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Request {
    Cancel { cancel: ExecutionId },
    Follow { follow: ExecutionId, from: usize },
    Watch { watch: ExecutionId },
    Wake { wake: bool },
    Changed { changed: Vec<Changed> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Ok(bool),
    Line(LogLine),
    Stirred(bool),
    Ended(Status),
    Error(String),
}

async fn serve(listener: UnixListener, reached: Arc<Reached>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, for now: whoever wants to cancel tries again.
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let reached = reached.clone();
        // One that hangs up is gone; nothing here outlives the process.
        drop(tokio::spawn(async move { drop(answer(stream, &reached).await) }));
    }
}

async fn answer(stream: UnixStream, reached: &Reached) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(MAX_REQUEST));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let find = |id: &ExecutionId| reached.running.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
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
        Ok(Request::Watch { watch }) => match find(&watch) {
            Some(recorder) => {
                let ended = async {
                    // Its peer says no more; what comes is that it hung up.
                    let mut more = [0];
                    drop(reader.get_mut().get_mut().read(&mut more).await);
                };
                tokio::select! {
                    stirred = stir(&mut write, &recorder) => stirred,
                    () = ended => Ok(()),
                }
            }
            None => send(&mut write, &gone).await,
        },
        Ok(Request::Wake { .. }) => {
            reached.woken.notify_one();
            send(&mut write, &Reply::Ok(true)).await
        }
        Ok(Request::Changed { changed }) => {
            reached.listeners.tell(&changed);
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

/// Says that something happened, and no more often than it can be of use.
async fn stir(write: &mut (impl AsyncWriteExt + Unpin), recorder: &Recorder) -> std::io::Result<()> {
    let mut news = recorder.news();
    send(write, &Reply::Ok(true)).await?;
    loop {
        let (_, ended) = *news.borrow_and_update();
        if let Some(status) = ended {
            return send(write, &Reply::Ended(status)).await;
        }
        if news.changed().await.is_err() {
            return Ok(());
        }
        if news.borrow().1.is_none() {
            send(write, &Reply::Stirred(true)).await?;
            // The end is told at once.
            drop(tokio::time::timeout(STIR_EVERY, news.wait_for(|(_, ended)| ended.is_some())).await);
        }
    }
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

    /// Resolves when it lives no more. Its sockets may close a moment before its
    /// lock does, and it is the lock that says so. A thread of its own waits: the
    /// system has no other way to wait for a lock.
    pub(crate) async fn gone(&self) {
        let Ok(lock) = File::open(self.file("lock")) else { return };
        let (tell, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("peer".to_owned());
        let waiting = thread.spawn(move || {
            // Whoever does not wait any more drops it.
            drop(lock.lock_shared().map(|()| tell.send(())));
        });
        if waiting.is_ok() {
            drop(told.await);
        }
    }

    /// Removes what a dead process left.
    pub(crate) fn clear(&self) {
        for file in files(&self.home.run(), self.holder) {
            drop(std::fs::remove_file(file));
        }
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.home.run().join(format!("{}.{ending}", self.holder))
    }

    async fn ask(&self, request: &Request) -> std::io::Result<BufReader<UnixStream>> {
        let socket = ShortPath::of(&self.home.run(), &self.file("sock"))?;
        // Where it accepts nobody any more, this fails at once.
        let mut stream = UnixStream::connect(&socket.path).await?;
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

    /// Tells it of changes, and waits for no answer: what was written is read
    /// once it comes to it.
    pub(crate) async fn tell(&self, changed: &[Changed]) -> std::io::Result<()> {
        tokio::time::timeout(PATIENCE, self.ask(&Request::Changed { changed: changed.to_vec() })).await?.map(drop)
    }

    /// Calls `stirred` whenever an execution said something, and returns when it
    /// ended; `None`: it does not run that one (any more). Fails where its process
    /// is gone, or going.
    pub(crate) async fn watch(&self, id: ExecutionId, mut stirred: impl FnMut()) -> std::io::Result<Option<Status>> {
        let mut replies = self.ask(&Request::Watch { watch: id }).await?;
        loop {
            match read_reply(&mut replies).await? {
                Some(Reply::Ok(_)) => {}
                Some(Reply::Stirred(_)) => stirred(),
                Some(Reply::Ended(status)) => return Ok(Some(status)),
                Some(Reply::Line(_) | Reply::Error(_)) => return Ok(None),
                None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Shows the lines of an execution as they come; `None`: it does not run
    /// that one (any more).
    pub(crate) async fn follow(&self, id: ExecutionId, from: usize, mut show: impl FnMut(&LogLine)) -> std::io::Result<Option<Status>> {
        let mut replies = self.ask(&Request::Follow { follow: id, from }).await?;
        loop {
            match read_reply(&mut replies).await? {
                Some(Reply::Line(line)) => show(&line),
                Some(Reply::Ended(status)) => return Ok(Some(status)),
                Some(Reply::Ok(_) | Reply::Stirred(_) | Reply::Error(_)) | None => return Ok(None),
            }
        }
    }
}

/// Where living processes on a data folder listen on the network.
pub(crate) fn listeners(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.run()).into_iter().flatten().flatten().map(|entry| entry.path());
    let listens = entries.filter(|path| path.extension().is_some_and(|ending| ending == LISTENS));
    let mut found: Vec<String> = listens
        .filter(|path| path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|holder| Peer { home, holder }.lives()))
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    found.sort();
    found
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
