//! Serving one client over standard input and output.
//!
//! Clients end a server by closing its input, and kill what is not gone two
//! seconds later; the library drains for five. So the end of the input is seen
//! here, answers that are nearly done are let out, and then it is over.

mod early;
mod lines;
mod output;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;
use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use self::early::Early;
use self::lines::Lines;
use super::{Server, ServerOptions};
use crate::execution::session::SessionError;
use crate::wardroom::Wardroom;

/// How long answers may still take once the input has ended.
const LAST_ANSWERS: Duration = Duration::from_millis(60);
/// Tasks that have their turn before this thread looks at signals, timers and what woke
/// it: while calls flood in, the end is seen after so many of them, and each step of it.
const EVENTS_AFTER: u32 = 4;
/// How often it is looked whether they are out.
const LOOK: Duration = Duration::from_millis(5);

/// The protocol came to no end that is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// The client began with something else.
    #[error("the client does not speak MCP: {0}")]
    Begin(String),
    /// The address for HTTP is not to be had.
    #[error("{address} cannot be listened on: {source}")]
    Address {
        /// Which.
        address: std::net::SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// This process cannot be known to others.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// No thread serves.
    #[error("there is no thread to serve on: {0}")]
    Thread(io::Error),
    /// The system does not let signals be heard.
    #[error("this process cannot be told to stop: {0}")]
    Signals(#[from] io::Error),
}

/// What tells this process to stop.
pub(super) struct Stops {
    terminated: Signal,
    interrupted: Signal,
}

impl Stops {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminated: signal(SignalKind::terminate())?, interrupted: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
    }
}

/// Serves one client until its input ends or this process is told to stop; what
/// runs then is recorded as interrupted.
///
/// It does so on a thread of its own. The library hands each message from task to
/// task, and where several threads take those, each is woken for nothing. And whatever
/// spins on the workers keeps them from timers: here the end is seen when it comes.
/// Runs that do not end at once do not stay here (`Server::execute`).
///
/// # Errors
///
/// [`McpError`] where the client does not speak the protocol.
pub async fn serve_stdio(wardroom: Arc<Wardroom>, options: ServerOptions) -> Result<(), McpError> {
    let server = Server::new(wardroom.clone(), options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(EVENTS_AFTER).build();
    let runtime = runtime.map_err(McpError::Thread)?;
    let (mut answer, answered) = oneshot::channel();
    let thread = std::thread::Builder::new().name("mcp".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            tokio::select! {
                served = serve(&wardroom, server) => Some(served),
                // Nobody waits for it any more.
                () = answer.closed() => None,
            }
        });
        if let Some(served) = served {
            drop(answer.send(served));
        }
        runtime.shutdown_background();
    });
    drop(thread.map_err(McpError::Thread)?);
    // It answers, unless a bug ended it.
    answered.await.unwrap_or_else(|_| Err(McpError::Thread(io::Error::other("standard error has more"))))
}

async fn serve(wardroom: &Wardroom, server: Server) -> Result<(), McpError> {
    let mut stops = Stops::new()?;
    let answering = server.answering.clone();
    let (ended, mut end) = watch::channel(false);
    let serving = async {
        let early = Early::new(server);
        let beginning = early.clone();
        let begin = move |call, waiting: &mut Context<'_>| beginning.begin(call, waiting);
        match early.clone().serve(Lines::standard(Box::new(begin), ended)).await {
            Ok(running) => {
                early.meet(running.peer().clone());
                drop(running.waiting().await);
            }
            // Nobody said anything: that is no fault.
            Err(ServerInitializeError::ConnectionClosed(_)) => {}
            Err(error) => return Err(McpError::Begin(error.to_string())),
        }
        Ok(())
    };
    let over = async {
        let told = tokio::select! {
            () = stops.told() => true,
            _ = end.wait_for(|ended| *ended) => false,
        };
        if !told {
            last_answers(&answering).await;
        }
        // Before the library takes its requests back, which would cancel them:
        // nobody asked for that.
        interrupt(wardroom).await;
    };
    tokio::select! {
        served = serving => {
            interrupt(wardroom).await;
            served
        }
        () = over => Ok(()),
    }
}

/// Those that were asked for before the end, where they are quick.
async fn last_answers(answering: &AtomicUsize) {
    let until = tokio::time::Instant::now() + LAST_ANSWERS;
    tokio::time::sleep(LOOK).await;
    while answering.load(Ordering::SeqCst) > 0 && tokio::time::Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
    // The last one is on its way through the library.
    tokio::time::sleep(LOOK).await;
}

/// What this process still runs ends with it. Whoever asks later finds that out
/// by itself; now is better.
pub(crate) async fn interrupt(wardroom: &Wardroom) {
    if let Some(session) = wardroom.own_session() {
        let interrupt = async {
            // What began a moment ago is in no record yet.
            session.record_begun().await;
            drop(wardroom.database().interrupt(session.holder(), wardroom.now()).await);
        };
        drop(tokio::time::timeout(LAST_ANSWERS, interrupt).await);
    }
}
