//! The daemon's loop: sleep until something is to do, do it, sleep.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;
use wardroom_core::blame::Blame;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::task::TaskName;
use wardroom_core::witness::BoxFuture;
use wardroom_db::DbError;

use super::dispatch::{Ended, Queue};
use super::fire::Calendars;
use super::lease::Lease;
use super::timer::{Awake, Timer, earlier};
use super::watch::Watch;
use crate::execution::session::SessionError;
use crate::task::TaskError;
use crate::task::follow::GaveUp;
use crate::wardroom::{OpenError, Wardroom};

/// How a scheduler goes about it.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Do what is due, wait until nothing runs or may start, and end.
    pub once: bool,
    /// How long running work may go on after it was told to stop.
    pub grace: Duration,
}

/// What a scheduler does, as it happens.
#[derive(Debug)]
#[non_exhaustive]
pub enum News<'a> {
    /// Another process schedules: this one waits until that ends.
    Waiting {
        /// The other's name.
        holder: Option<String>,
    },
    /// It schedules from now on.
    Serving {
        /// When the next slot comes.
        next: Option<Timestamp>,
    },
    /// An execution begins.
    Started {
        /// Its task.
        task: &'a TaskName,
        /// Which.
        id: ExecutionId,
        /// Which attempt.
        attempt: u32,
        /// Its slot.
        scheduled_for: Option<Timestamp>,
    },
    /// An execution ended.
    Ended {
        /// Its task.
        task: &'a TaskName,
        /// Which.
        id: ExecutionId,
        /// How.
        status: Status,
        /// Milliseconds that it took.
        took: Option<u64>,
        /// Why it failed.
        message: Option<String>,
    },
    /// A task failed, and will not be tried again by itself.
    GaveUp {
        /// The task.
        task: TaskName,
        /// How often it was tried.
        attempts: u32,
        /// Why it failed.
        message: String,
        /// Why it was paused, where this paused it.
        paused: Option<String>,
    },
    /// Slots that nobody was there for.
    Missed {
        /// The task.
        task: &'a TaskName,
        /// The first of them.
        first: Timestamp,
        /// How many.
        count: u64,
    },
    /// Slots that came while an earlier execution went on.
    Skipped {
        /// The task.
        task: &'a TaskName,
        /// How many.
        count: u64,
    },
    /// Executions that a dead process left.
    Interrupted {
        /// How many.
        count: usize,
    },
    /// Somebody set the machine's clock.
    ClockSet,
    /// Something that goes on without being done.
    Trouble {
        /// What.
        message: String,
    },
    /// It ends when running work has.
    Stopping {
        /// How many run.
        running: usize,
    },
}

/// Told what a scheduler does.
pub trait Told: Send + Sync {
    /// Something happened.
    fn news(&self, news: &News<'_>);
}

/// Why a scheduler cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// This process's lock and socket.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The data folder, or the sandbox.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Tasks and their executions.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The lock or the timer.
    #[error("the scheduler's lock or timer does not work: {0}")]
    System(#[from] std::io::Error),
}

impl ServeError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Open(error) => error.blame(),
            Self::Task(error) => error.blame(),
            Self::Session(_) | Self::System(_) => Blame::Host,
        }
    }
}

/// Why the loop woke.
enum Woken {
    Time(Awake),
    Told,
    Queued,
    Files,
    Ended(Option<Ended>),
    Stop,
}

/// What comes after a turn of the loop.
enum Turn {
    On,
    Done,
    Stop,
}

/// How long the first wait is after something that passes.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// How long waits get.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The machine's trouble, and none of what is in the database.
fn is_passing(error: &ServeError) -> bool {
    matches!(error, ServeError::Task(TaskError::Db(DbError::Busy(_) | DbError::Full(_) | DbError::Disk(_))))
}

struct Scheduler {
    wardroom: Arc<Wardroom>,
    told: Arc<dyn Told>,
    calendars: Calendars,
    queue: Queue,
    watch: Watch,
    /// Writing the audit log's end into the keychain, which may take seconds.
    mirroring: Option<JoinHandle<()>>,
}

impl Wardroom {
    /// Schedules until `stop` resolves. Another process that schedules on this
    /// data folder is waited for, and replaced as soon as it is gone.
    ///
    /// # Errors
    ///
    /// [`ServeError`] where nothing can be scheduled (any more).
    pub async fn serve(self: &Arc<Self>, options: ServeOptions, told: Arc<dyn Told>, stop: BoxFuture<'_, ()>) -> Result<(), ServeError> {
        let session = self.session().await?.clone();
        let mut stop = stop;
        let _lease = match Lease::try_take(&self.home, session.holder())? {
            Some(lease) => lease,
            None => {
                told.news(&News::Waiting { holder: self.scheduler() });
                tokio::select! {
                    lease = Lease::wait(&self.home, session.holder()) => lease?,
                    () = &mut stop => return Ok(()),
                }
            }
        };
        // Not with the first slot: that one would be late.
        self.host()?;
        self.given_up.begin();
        let schedule = |told| Scheduler {
            wardroom: self.clone(),
            told,
            calendars: Calendars::default(),
            queue: Queue::new(self.clock.now()),
            watch: Watch::default(),
            mirroring: None,
        };
        #[cfg(target_os = "linux")]
        if self.config.notifications.desktop() {
            let desktop = Arc::new(super::desktop::Desktop::new(told));
            let served = schedule(desktop.clone() as Arc<dyn Told>).run(&options, stop).await;
            desktop.finish().await;
            return served;
        }
        schedule(told).run(&options, stop).await
    }
}

impl Scheduler {
    async fn run(mut self, options: &ServeOptions, mut stop: BoxFuture<'_, ()>) -> Result<(), ServeError> {
        let timer = Timer::new()?;
        self.look_again().await?;
        self.told.news(&News::Serving { next: self.calendars.next() });
        let mut wait = SHORTEST_WAIT;
        loop {
            match self.turn(options, &timer, &mut stop).await {
                Ok(Turn::On) => wait = SHORTEST_WAIT,
                Ok(Turn::Done) => return Ok(()),
                Ok(Turn::Stop) => return self.stop(options.grace).await,
                // A disk that is full, a database that somebody keeps locked:
                // what runs goes on, and what is due is due later.
                Err(error) if is_passing(&error) => {
                    self.told.news(&News::Trouble { message: error.to_string() });
                    tokio::select! {
                        () = &mut stop => return self.stop(options.grace).await,
                        () = tokio::time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                    // What was in hand when it failed is read again.
                    self.calendars = Calendars::default();
                    if let Err(error) = self.look_again().await
                        && !is_passing(&error)
                    {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Does what is to do, and sleeps until there is more.
    async fn turn(&mut self, options: &ServeOptions, timer: &Timer, stop: &mut BoxFuture<'_, ()>) -> Result<Turn, ServeError> {
        let session = self.wardroom.session().await?.clone();
        let queued = self.calendars.fire(&self.wardroom, &*self.told).await?;
        if !queued.is_empty() {
            self.queue.add(queued);
        }
        self.queue.dispatch(&self.wardroom, &self.told).await?;
        if options.once && self.queue.running() == 0 {
            // What followed from the last one waits in the database.
            self.queue.reload(&self.wardroom)?;
            self.queue.dispatch(&self.wardroom, &self.told).await?;
            if self.queue.running() == 0 {
                return Ok(Turn::Done);
            }
        }
        let next = earlier(self.calendars.next(), self.queue.next());
        let woken = tokio::select! {
            biased;
            () = stop => Woken::Stop,
            ended = self.queue.ended() => Woken::Ended(ended),
            awake = timer.until(next) => Woken::Time(awake?),
            () = session.woken() => Woken::Told,
            () = session.queued() => Woken::Queued,
            () = self.watch.changed() => Woken::Files,
        };
        match woken {
            Woken::Time(Awake::Time) => {}
            Woken::Time(Awake::ClockSet) => {
                self.told.news(&News::ClockSet);
                self.calendars.clock_set(self.wardroom.clock.now());
            }
            Woken::Told => self.look_again().await?,
            Woken::Queued => self.queue.reload(&self.wardroom)?,
            Woken::Files => {
                self.watch.enqueue(&self.wardroom).await?;
                self.queue.reload(&self.wardroom)?;
            }
            Woken::Ended(ended) => self.ended(ended).await?,
            Woken::Stop => return Ok(Turn::Stop),
        }
        Ok(Turn::On)
    }

    /// Everything that may have changed outside of this process.
    async fn look_again(&mut self) -> Result<(), ServeError> {
        let interrupted = self.wardroom.reap().await.map_err(TaskError::from)?;
        if interrupted > 0 {
            self.told.news(&News::Interrupted { count: interrupted });
        }
        self.wardroom.follow_all().await?;
        self.tell_given_up();
        self.calendars.reload(&self.wardroom)?;
        self.queue.reload(&self.wardroom)?;
        if let Err(trouble) = self.watch.reload(&self.wardroom) {
            self.told.news(&News::Trouble { message: trouble.to_string() });
        }
        Ok(())
    }

    async fn ended(&mut self, ended: Option<Ended>) -> Result<(), ServeError> {
        if let Some(ended) = ended {
            self.queue.forget(&self.wardroom, ended, &*self.told)?;
        }
        self.mirror();
        // Where following one failed, it is tried again here. Not without that:
        // others that ended are just being followed where they ran.
        if self.wardroom.unfollowed.swap(false, Ordering::Relaxed) && self.wardroom.follow_all().await? > 0 {
            self.queue.reload(&self.wardroom)?;
        }
        self.tell_given_up();
        Ok(())
    }

    /// A daemon that is killed after months has not left the keychain behind by
    /// months. Only after work, beside it: what is idle has nothing to write.
    fn mirror(&mut self) {
        let is_at_it = self.mirroring.as_ref().is_some_and(|mirroring| !mirroring.is_finished());
        if !is_at_it && self.wardroom.mirrored.is_due(self.wardroom.clock.now()) {
            let wardroom = self.wardroom.clone();
            // A keychain that does not take it is asked again, here or at the end.
            self.mirroring = Some(tokio::spawn(async move { drop(wardroom.mirror_audit(false).await) }));
        }
    }

    fn tell_given_up(&self) {
        for GaveUp { task, attempts, message, paused } in self.wardroom.given_up.take() {
            self.told.news(&News::GaveUp { task, attempts, message, paused });
        }
    }

    /// Lets running work finish for a while; what does not is interrupted, and
    /// follows its task's rule when somebody schedules again.
    async fn stop(mut self, grace: Duration) -> Result<(), ServeError> {
        self.told.news(&News::Stopping { running: self.queue.running() });
        let finished = async {
            while self.queue.running() > 0 {
                if let Some(ended) = self.queue.ended().await {
                    self.queue.forget(&self.wardroom, ended, &*self.told)?;
                }
            }
            Ok::<(), TaskError>(())
        };
        let finished = tokio::time::timeout(grace, finished).await;
        self.tell_given_up();
        if let Ok(finished) = finished {
            return Ok(finished?);
        }
        self.queue.abandon().await;
        let session = self.wardroom.session().await?;
        let interrupted = self.wardroom.db.interrupt(session.holder(), self.wardroom.clock.now()).await.map_err(TaskError::from)?;
        self.told.news(&News::Interrupted { count: interrupted.len() });
        Ok(())
    }
}
