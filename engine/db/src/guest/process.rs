//! The process that works on databases: how it is started and spoken to, and its
//! own life.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use wardroom_core::limit::{MAX_SQLITE_MEMORY, SizeText};
use wardroom_core::sqlite::{CopyTarget, SqlError};
use wardroom_core::witness::HostFault;

use super::frame::{Answer, MAX_FRAME, Request};
use super::{copy, nonsense, too_large, work};

/// The hidden argument that makes the binary work on databases.
pub const CHILD_ARGUMENT: &str = "__sqlite";

/// A process that waits for a request. Dropping it kills it: between two calls
/// it holds nothing.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

fn fault(error: &std::io::Error) -> SqlError {
    SqlError::Host(HostFault(format!("the process that works on databases cannot be run: {error}")))
}

impl Process {
    pub(super) fn start(binary: &Path) -> Result<Self, SqlError> {
        let mut child = Command::new(binary)
            .arg(CHILD_ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| fault(&error))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self { child, stdin, stdout }),
            _ => nonsense(),
        }
    }

    pub(super) async fn send(&mut self, request: &Request) -> Result<(), SqlError> {
        let frame = request.frame().ok_or_else(|| too_large("the call", MAX_FRAME))?;
        match self.stdin.write_all(&frame).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    /// The last answer; what comes before it goes to the target.
    pub(super) async fn answer(&mut self, mut target: Option<&mut dyn CopyTarget>) -> Result<Answer, SqlError> {
        loop {
            let Some(frame) = self.receive().await? else { return Err(self.ended().await) };
            match (Answer::parse(&frame), &mut target) {
                (Some(Answer::Piece(bytes)), Some(target)) => target.put(bytes).await.map_err(SqlError::Target)?,
                (None | Some(Answer::Piece(_)), _) => return nonsense(),
                (Some(answer), _) => return Ok(answer),
            }
        }
    }

    /// One frame; none where the process is gone.
    async fn receive(&mut self) -> Result<Option<Vec<u8>>, SqlError> {
        let Ok(length) = self.stdout.read_u32_le().await else { return Ok(None) };
        let length = length as usize;
        if length > MAX_FRAME {
            return nonsense();
        }
        let mut frame = vec![0; length];
        Ok(self.stdout.read_exact(&mut frame).await.is_ok().then_some(frame))
    }

    /// Why it is gone: for want of memory it aborts, and a file that changes
    /// under it, or that was made to break SQLite, kills it otherwise.
    async fn ended(&mut self) -> SqlError {
        use std::os::unix::process::ExitStatusExt;
        match self.child.wait().await {
            Ok(status) if status.signal() == Some(rustix::process::Signal::ABORT.as_raw()) => out_of_memory(),
            Ok(_) => {
                SqlError::Gone("the database ended the process that worked on it: it is damaged, or was cut while it was read".to_owned())
            }
            Err(error) => fault(&error),
        }
    }
}

/// More than [`MAX_SQLITE_MEMORY`].
pub(super) fn out_of_memory() -> SqlError {
    SqlError::TooLarge(format!("the statement needs more than {} of memory", SizeText(MAX_SQLITE_MEMORY)))
}

/// The child's whole life. `main` calls it before anything else when the first
/// argument is [`CHILD_ARGUMENT`]; the answer is the exit code.
#[must_use]
pub fn child() -> u8 {
    if limit_self().is_err() {
        return 3;
    }
    let (mut stdin, mut stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut say = |answer: &Answer| {
        let frame = answer.frame().unwrap_or_default();
        stdout.write_all(&frame).and_then(|()| stdout.flush())
    };
    // Without a request there is nobody left to work for.
    while let Some(frame) = next_frame(&mut stdin) {
        let Some(request) = Request::parse(&frame) else { return 4 };
        let answer = match request {
            Request::Query { file, undo, statement } => work::query(&file, undo, &statement).map(Answer::Rows),
            Request::Execute { file, statements } => work::execute(&file, &statements).map(Answer::Changed),
            Request::Copy { file, undo, scratch } => {
                copy::copy(&file, undo, &scratch, |piece| say(&Answer::Piece(piece))).map(Answer::Copied)
            }
        };
        if say(&answer.unwrap_or_else(Answer::Failed)).is_err() {
            return 5;
        }
    }
    0
}

fn next_frame(stdin: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stdin.read_exact(&mut length).ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok().filter(|length| *length <= MAX_FRAME)?;
    let mut frame = vec![0; length];
    stdin.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// Limits that hold from here on.
fn limit_self() -> rustix::io::Result<()> {
    let set = |resource: Resource, value: u64| {
        // Never above what we were given ourselves.
        let value = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
    };
    // Ignored by macOS, where the deadline is what remains.
    set(Resource::As, MAX_SQLITE_MEMORY)?;
    set(Resource::Core, 0)
}
