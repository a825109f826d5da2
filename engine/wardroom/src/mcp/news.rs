//! News: what a client is told without having asked just then.
//!
//! ```text
//!  tell_changed, in whichever process ─▶ Inbox: a set, so that it never grows ─▶ the client
//!  an execution's own process ─▶ Follower ┘            at its own pace, one batch in PAUSE
//! ```
//!
//! Clients of the eras with `initialize` are told of lists without asking, and of
//! resources that they subscribe to; from 2026-07-28 on, of what they listen to.
//! A client that does not read is told once it does again: what waits for it is
//! each thing once. The lists of executions are as they are when they are asked
//! for: that the list of resources changed is told for tasks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer as ClientPeer, RoleServer, SubscriptionContext, SubscriptionSink};
use tokio::sync::Notify;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::task::TaskName;

use super::resource::{self, Changeable};
use super::{Profile, Server};
use crate::execution::changed::{Changed, Interest, Listener, Listening};
use crate::execution::session::{Peer, SessionError};
use crate::wardroom::Wardroom;

/// Subscriptions of one client; a stream that it listens to is one as well.
pub(super) const MAX_SUBSCRIPTIONS: usize = 100;
/// A client is told of the same thing at most once in so long.
const PAUSE: Duration = Duration::from_millis(250);

/// One thing that a client is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Tools,
    Resources,
    Updated(String),
}

/// The lists that a client is told of.
#[derive(Debug, Clone, Copy)]
struct Lists {
    tools: bool,
    resources: bool,
}

/// What waits to be told to a client.
struct Inbox {
    lists: Lists,
    /// Held for a moment only: whoever tells of a change holds nothing up.
    state: Mutex<State>,
    /// Woken when there is something to tell, or nobody to tell it to any more.
    stirred: Notify,
    /// What keeps this process told.
    listening: OnceLock<Listening>,
}

#[derive(Default)]
struct State {
    /// At most what is watched, and two lists.
    told: BTreeSet<Item>,
    watched: Vec<Watched>,
    is_over: bool,
}

/// A resource that a client wants to be told of.
struct Watched {
    uri: String,
    what: Changeable,
    follower: Option<Follower>,
    _listening: Listening,
    _slot: Slots,
}

/// Follows one execution, as long as it lives.
struct Follower {
    turn: Arc<Turn>,
    task: tokio::task::AbortHandle,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells a follower that the execution moved, and where it runs.
#[derive(Default)]
struct Turn {
    holder: Mutex<Option<String>>,
    moved: Notify,
}

impl Inbox {
    fn new(lists: Lists) -> Arc<Self> {
        Arc::new(Self { lists, state: Mutex::default(), stirred: Notify::new(), listening: OnceLock::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, item: Item) {
        self.state().told.insert(item);
        self.stirred.notify_one();
    }

    /// Nobody is there any more.
    fn end(&self) {
        let gone = {
            let mut state = self.state();
            state.is_over = true;
            std::mem::take(&mut state.watched)
        };
        drop(gone);
        self.stirred.notify_one();
    }

    /// What there is to tell, once there is something; none when it is over.
    async fn next(&self) -> Option<BTreeSet<Item>> {
        loop {
            {
                let mut state = self.state();
                if state.is_over {
                    return None;
                }
                if !state.told.is_empty() {
                    return Some(std::mem::take(&mut state.told));
                }
            }
            self.stirred.notified().await;
        }
    }

    /// Tells a client until it is gone. What changes meanwhile is told with the
    /// next batch, and what changed last is told always.
    async fn deliver(&self, way: Way) {
        while let Some(items) = self.next().await {
            for item in items {
                if !way.send(item).await {
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn listen(self: &Arc<Self>, wardroom: &Wardroom, of: Interest) -> Result<Listening, SessionError> {
        let listener: Arc<dyn Listener> = self.clone();
        wardroom.listen(&listener, of).await
    }

    async fn watch(self: &Arc<Self>, wardroom: &Arc<Wardroom>, wish: Wish) -> Result<(), SessionError> {
        let Wish { uri, what, slot } = wish;
        // Before the state is looked at, so that nothing falls in between.
        let listening = self.listen(wardroom, Interest::Items).await?;
        let follower = match &what {
            Changeable::Execution(id) => Some(self.follow(wardroom.clone(), *id, uri.clone())),
            Changeable::Task(_) => None,
        };
        let mut state = self.state();
        if !state.is_over && !state.watched.iter().any(|known| known.uri == uri) {
            state.watched.push(Watched { uri, what, follower, _listening: listening, _slot: slot });
        }
        Ok(())
    }

    fn forget(&self, uri: &str) {
        let gone = {
            let mut state = self.state();
            state.told.remove(&Item::Updated(uri.to_owned()));
            let (gone, kept) = std::mem::take(&mut state.watched).into_iter().partition(|known| known.uri == uri);
            state.watched = kept;
            Vec::from_iter::<Vec<Watched>>(gone)
        };
        drop(gone);
    }

    fn follow(self: &Arc<Self>, wardroom: Arc<Wardroom>, id: ExecutionId, uri: String) -> Follower {
        let (turn, inbox) = (Arc::new(Turn::default()), Arc::downgrade(self));
        let told = turn.clone();
        let task = tokio::spawn(async move {
            let stirred = || {
                if let Some(inbox) = inbox.upgrade() {
                    inbox.tell(Item::Updated(uri.clone()));
                }
            };
            loop {
                if let Some(holder) = runs_at(&wardroom, id, &told) {
                    let peer = Peer { home: wardroom.home(), holder: &holder };
                    let ended = peer.watch(id, &stirred).await;
                    // However that went, it is not as it was.
                    stirred();
                    if ended.is_err() {
                        tokio::select! {
                            () = peer.gone() => stirred(),
                            () = told.moved.notified() => continue,
                        }
                    }
                }
                told.moved.notified().await;
            }
        });
        Follower { turn, task: task.abort_handle() }
    }
}

/// The process that runs it, where one does.
fn runs_at(wardroom: &Wardroom, id: ExecutionId, turn: &Turn) -> Option<String> {
    let told = turn.holder.lock().unwrap_or_else(PoisonError::into_inner).take();
    told.or_else(|| {
        let record = wardroom.database().execution(id, None).ok().flatten()?;
        record.holder.filter(|_| record.summary.status == Status::Running)
    })
}

impl Listener for Inbox {
    fn heard(&self, changed: &[Changed]) {
        let mut state = self.state();
        let State { told, watched, .. } = &mut *state;
        for changed in changed {
            match changed {
                Changed::Tools if self.lists.tools => drop(told.insert(Item::Tools)),
                Changed::Tasks if self.lists.resources => drop(told.insert(Item::Resources)),
                Changed::Tools | Changed::Tasks => {}
                Changed::Task(name) => told.extend(watched.iter().filter(|one| one.what.is_task(name)).map(Watched::updated)),
                Changed::Execution(id) => {
                    for one in watched.iter().filter(|one| one.what.is_execution(*id)) {
                        told.insert(one.updated());
                        one.moved(None);
                    }
                }
                Changed::Runs { id, holder } => {
                    for one in watched.iter().filter(|one| one.what.is_execution(*id)) {
                        told.insert(one.updated());
                        one.moved(Some(holder));
                    }
                }
            }
        }
        if !told.is_empty() {
            self.stirred.notify_one();
        }
    }
}

impl Watched {
    fn updated(&self) -> Item {
        Item::Updated(self.uri.clone())
    }

    fn moved(&self, holder: Option<&String>) {
        let Some(follower) = &self.follower else { return };
        if let Some(holder) = holder {
            *follower.turn.holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(holder.clone());
        }
        follower.turn.moved.notify_one();
    }
}

impl Changeable {
    fn is_task(&self, name: &TaskName) -> bool {
        matches!(self, Self::Task(own) if own == name)
    }

    fn is_execution(&self, id: ExecutionId) -> bool {
        matches!(self, Self::Execution(own) if *own == id)
    }
}

/// How a client is told.
enum Way {
    Client(ClientPeer<RoleServer>),
    Stream(SubscriptionSink),
}

impl Way {
    /// Answers when the client has taken it; `false`: there is none any more.
    async fn send(&self, item: Item) -> bool {
        match (self, item) {
            (Self::Client(client), Item::Tools) => client.notify_tool_list_changed().await.is_ok(),
            (Self::Client(client), Item::Resources) => client.notify_resource_list_changed().await.is_ok(),
            (Self::Client(client), Item::Updated(uri)) => {
                client.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_ok()
            }
            (Self::Stream(stream), Item::Tools) => stream.notify_tool_list_changed().await.is_ok(),
            (Self::Stream(stream), Item::Resources) => stream.notify_resource_list_changed().await.is_ok(),
            (Self::Stream(stream), Item::Updated(uri)) => stream.notify_resource_updated(uri).await.is_ok(),
        }
    }
}

/// Subscriptions that a client has taken, until they are dropped.
struct Slots {
    of: Arc<AtomicUsize>,
    count: usize,
}

impl Slots {
    fn take(of: &Arc<AtomicUsize>, count: usize) -> Result<Self, ErrorData> {
        let more = |taken: usize| taken.checked_add(count).filter(|taken| *taken <= MAX_SUBSCRIPTIONS);
        match of.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more) {
            Ok(_) => Ok(Self { of: of.clone(), count }),
            Err(taken) => {
                let message = format!(
                    "this client has {taken} subscriptions, and may have {MAX_SUBSCRIPTIONS}: end one of them before beginning another"
                );
                Err(ErrorData::invalid_request(message, None))
            }
        }
    }

    /// One of them, for itself.
    fn split(&mut self) -> Self {
        let count = self.count.min(1);
        self.count -= count;
        Self { of: self.of.clone(), count }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.of.fetch_sub(self.count, Ordering::SeqCst);
    }
}

/// A subscription to be made.
struct Wish {
    uri: String,
    what: Changeable,
    slot: Slots,
}

/// What one client is told.
pub(super) struct News {
    /// For clients of the eras with `initialize`.
    inbox: Arc<Inbox>,
    /// Its deliverer was started.
    begun: OnceLock<()>,
    taken: Arc<AtomicUsize>,
}

impl Drop for News {
    fn drop(&mut self) {
        self.inbox.end();
    }
}

fn unreachable(error: &SessionError) -> ErrorData {
    ErrorData::internal_error(wardroom_core::text::for_terminal(&error.to_string()), None)
}

/// Who only looks has no tools that come and go.
pub(super) fn tools_change(profile: Profile) -> bool {
    profile >= Profile::Operate
}

impl News {
    pub(super) fn new(profile: Profile) -> Self {
        let lists = Lists { tools: tools_change(profile), resources: true };
        Self { inbox: Inbox::new(lists), begun: OnceLock::new(), taken: Arc::default() }
    }
}

impl Server {
    /// A client of the eras with `initialize` is there.
    pub(super) async fn begin_news(&self, client: &ClientPeer<RoleServer>) -> Result<(), ErrorData> {
        // Others have no such moment: what they say so by was not asked for.
        if client.peer_info().is_none() || self.news.begun.set(()).is_err() {
            return Ok(());
        }
        let inbox = &self.news.inbox;
        let listening = inbox.listen(&self.wardroom, Interest::Lists).await.map_err(|error| unreachable(&error))?;
        drop(inbox.listening.set(listening));
        let (inbox, way) = (inbox.clone(), Way::Client(client.clone()));
        drop(tokio::spawn(async move { inbox.deliver(way).await }));
        Ok(())
    }

    pub(super) async fn subscribe_to(&self, uri: &str) -> Result<(), ErrorData> {
        let what = resource::changeable(&self.wardroom, uri)?;
        if self.news.inbox.state().watched.iter().any(|known| known.uri == uri) {
            return Ok(());
        }
        let slot = Slots::take(&self.news.taken, 1)?;
        let wish = Wish { uri: uri.to_owned(), what, slot };
        self.news.inbox.watch(&self.wardroom, wish).await.map_err(|error| unreachable(&error))
    }

    pub(super) fn unsubscribe_from(&self, uri: &str) {
        self.news.inbox.forget(uri);
    }

    /// Of what a client wants to listen to, what it will be told of.
    pub(super) fn accepted_news(&self, wanted: &SubscriptionFilter) -> SubscriptionFilter {
        let mut accepted = SubscriptionFilter::builder();
        if wanted.tools_list_changed == Some(true) && tools_change(self.options.profile) {
            accepted = accepted.tools_list_changed();
        }
        if wanted.resources_list_changed == Some(true) {
            accepted = accepted.resources_list_changed();
        }
        if let Some(wanted) = &wanted.resource_subscriptions {
            let room = MAX_SUBSCRIPTIONS.saturating_sub(self.news.taken.load(Ordering::SeqCst) + 1);
            let can_change = |uri: &&String| resource::changeable(&self.wardroom, uri).is_ok();
            accepted = accepted.resource_subscriptions(wanted.iter().take(room).filter(can_change).cloned());
        }
        accepted.build()
    }

    /// Tells a client what it listens to, until it has enough.
    pub(super) async fn listen_to_news(&self, stream: SubscriptionContext) -> Result<(), ErrorData> {
        let accepted = stream.accepted().clone();
        let wanted = accepted.resource_subscriptions.unwrap_or_default();
        // All at once: of two streams that do not fit together, one is whole.
        let mut slots = Slots::take(&self.news.taken, 1 + wanted.len())?;
        let has = |list: Option<bool>| list == Some(true);
        let inbox = Inbox::new(Lists { tools: has(accepted.tools_list_changed), resources: has(accepted.resources_list_changed) });
        // Also where this future is dropped, its followers end.
        let _over = Over(inbox.clone());
        let listening = inbox.listen(&self.wardroom, Interest::Lists).await.map_err(|error| unreachable(&error))?;
        drop(inbox.listening.set(listening));
        for uri in wanted {
            let (what, slot) = (resource::changeable(&self.wardroom, &uri)?, slots.split());
            inbox.watch(&self.wardroom, Wish { uri, what, slot }).await.map_err(|error| unreachable(&error))?;
        }
        tokio::select! {
            () = inbox.deliver(Way::Stream(stream.sink().clone())) => {}
            () = stream.cancelled() => {}
        }
        Ok(())
    }
}

/// Ends an inbox with itself.
struct Over(Arc<Inbox>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.end();
    }
}
