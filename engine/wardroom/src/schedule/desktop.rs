//! Desktop notifications: what went wrong while nobody was looking.
//!
//! Owns the talk with the freedesktop notification service on the session bus
//! (Desktop Notifications Specification 1.2), and how often it is bothered. The
//! scheduler hands over what happened and goes on: a thread of its own tells it,
//! and a bus that is missing or silent costs that thread two seconds and the
//! journal one line. What is told is what the records hold, so no value of a
//! credential; it is one line of plain words, because servers may read a body as
//! markup.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wardroom_core::text::{for_terminal_line, truncated};
use zbus::zvariant::Value;

use super::serve::{News, Told};
use crate::config::{MAX_NOTIFICATIONS, NOTIFY_AGAIN_AFTER};

/// How long the bus and the service on it may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Slots that were missed together come one task after the other.
const GATHERING: Duration = Duration::from_millis(500);
/// Events that wait for the thread; what comes beyond is in the journal alone.
const WAITING: usize = 64;
/// Bytes of an error's text that are shown.
const MAX_REASON: usize = 300;
/// Tasks that a summary names.
const MAX_NAMES: usize = 5;

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Failed { task: String, attempts: u32, reason: String },
    Paused { task: String, why: String, reason: String },
    Missed { task: String, count: u64 },
}

/// Tells the desktop, and hands everything on.
pub(super) struct Desktop {
    then: Arc<dyn Told>,
    teller: Mutex<Option<Teller>>,
}

/// The thread that talks with the bus.
struct Teller {
    events: SyncSender<Event>,
    ended: Receiver<()>,
}

impl Desktop {
    pub(super) fn new(then: Arc<dyn Told>) -> Self {
        Self { then, teller: Mutex::default() }
    }

    /// The thread begins with the first event: most schedulers never have one.
    fn tell(&self, event: Event) {
        let mut teller = self.teller.lock().unwrap_or_else(PoisonError::into_inner);
        if teller.is_none() {
            *teller = Teller::begin(self.then.clone());
        }
        if let Some(teller) = &*teller {
            drop(teller.events.try_send(event));
        }
    }

    /// Waits for what is on its way, no longer than the bus may take.
    pub(super) async fn finish(&self) {
        let teller = self.teller.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Teller { events, ended }) = teller else { return };
        drop(events);
        // Not on a thread of the runtime's: nobody would be woken for it.
        drop(tokio::task::spawn_blocking(move || ended.recv_timeout(PATIENCE)).await);
    }
}

impl Told for Desktop {
    fn news(&self, news: &News<'_>) {
        self.then.news(news);
        match news {
            News::GaveUp { task, attempts, message, paused } => {
                let (task, reason) = (task.to_string(), message.clone());
                self.tell(match paused {
                    Some(why) => Event::Paused { task, why: why.clone(), reason },
                    None => Event::Failed { task, attempts: *attempts, reason },
                });
            }
            News::Missed { task, count, .. } => self.tell(Event::Missed { task: task.to_string(), count: *count }),
            _ => {}
        }
    }
}

impl Teller {
    fn begin(then: Arc<dyn Told>) -> Option<Self> {
        let (events, heard) = sync_channel(WAITING);
        let (end, ended) = sync_channel(1);
        let thread = std::thread::Builder::new().name("desktop".to_owned()).spawn(move || {
            talk(&heard, &*then);
            // Nobody waits, where the scheduler did not end.
            end.send(()).ok();
        });
        thread.ok().map(|_| Self { events, ended })
    }
}

fn talk(heard: &Receiver<Event>, then: &dyn Told) {
    let (mut pace, mut is_working, mut next) = (Pace::default(), true, None);
    while let Some(event) = next.take().or_else(|| heard.recv().ok()) {
        let events = gather(event, heard, &mut next);
        let Some(notification) = pace.admit(Instant::now(), &events) else { continue };
        let sent = send(&notification);
        if let (true, Err(error)) = (is_working, &sent) {
            let error = for_terminal_line(truncated(error, MAX_REASON));
            let message = format!("no desktop notification can be shown: {error}; `[notify] desktop = false` in config.toml asks for none");
            then.news(&News::Trouble { message });
        }
        is_working = sent.is_ok();
    }
}

/// What was missed comes together; anything else is told by itself.
fn gather(event: Event, heard: &Receiver<Event>, next: &mut Option<Event>) -> Vec<Event> {
    let mut events = vec![event];
    while matches!(events.first(), Some(Event::Missed { .. })) {
        match heard.recv_timeout(GATHERING) {
            Ok(missed @ Event::Missed { .. }) => events.push(missed),
            Ok(other) => {
                *next = Some(other);
                break;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    events
}

/// A title, and a body that is safe where it is read as markup.
#[derive(Debug, PartialEq, Eq)]
struct Notification {
    title: String,
    body: String,
}

/// What was told when, and what was held back since.
#[derive(Default)]
struct Pace {
    /// By task; missed slots stand under no name.
    told: HashMap<String, Since>,
    recent: Vec<Instant>,
    /// Of other tasks, because all together were too many.
    crowded_out: u64,
}

struct Since {
    at: Instant,
    held: u64,
}

impl Pace {
    fn admit(&mut self, now: Instant, events: &[Event]) -> Option<Notification> {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < NOTIFY_AGAIN_AFTER;
        self.recent.retain(|at| is_recent(*at));
        // One that holds something back is kept, to be told with the next; as
        // many as there are tasks.
        self.told.retain(|_, since| since.held > 0 || is_recent(since.at));
        let (key, is_pause) = match events.first()? {
            Event::Failed { task, .. } => (task.clone(), false),
            Event::Paused { task, .. } => (task.clone(), true),
            Event::Missed { .. } => (String::new(), false),
        };
        let so_much = events.len() as u64;
        if let Some(since) = self.told.get_mut(&key).filter(|since| is_recent(since.at) && !is_pause) {
            since.held += so_much;
            return None;
        }
        if self.recent.len() >= MAX_NOTIFICATIONS {
            self.crowded_out += so_much;
            return None;
        }
        self.recent.push(now);
        let held = self.told.insert(key, Since { at: now, held: 0 }).map_or(0, |since| since.held);
        Some(words(events, held, std::mem::take(&mut self.crowded_out)))
    }
}

fn words(events: &[Event], held: u64, crowded_out: u64) -> Notification {
    let (title, mut lines) = match events {
        [Event::Failed { task, attempts: 0 | 1, reason }, ..] => (format!("{task} failed"), vec![shown(reason)]),
        [Event::Failed { task, attempts, reason }, ..] => (format!("{task} failed after {attempts} attempts"), vec![shown(reason)]),
        [Event::Paused { task, why, reason }, ..] => {
            (format!("{task} was paused"), vec![format!("After {}: {}", shown(why), shown(reason)), format!("wardroom task resume {task}")])
        }
        missed => missed_words(missed),
    };
    if held > 0 {
        lines.push(format!("{held} more since the last notification of this kind"));
    }
    if crowded_out > 0 {
        lines.push(format!("{crowded_out} of other tasks were not shown"));
    }
    Notification { title: format!("Wardroom: {title}"), body: lines.join("\n") }
}

fn missed_words(events: &[Event]) -> (String, Vec<String>) {
    let mut tasks: Vec<(&str, u64)> = Vec::new();
    for event in events {
        let Event::Missed { task, count } = event else { continue };
        match tasks.iter_mut().find(|(name, _)| name == task) {
            Some((_, total)) => *total += count,
            None => tasks.push((task, *count)),
        }
    }
    let total: u64 = tasks.iter().map(|(_, count)| count).sum();
    let slots = if total == 1 { "a slot was missed".to_owned() } else { format!("{total} slots were missed") };
    let mut names: Vec<String> = tasks.iter().take(MAX_NAMES).map(|(task, count)| format!("{task} ({count})")).collect();
    let more = tasks.len().saturating_sub(MAX_NAMES);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    (slots, vec![names.join(", "), "Nobody was there to run them".to_owned()])
}

/// A program's words as a body may hold them: on one line, not too long, and
/// nothing in them a tag, a link or an entity.
fn shown(text: &str) -> String {
    let line = for_terminal_line(text);
    let short = truncated(&line, MAX_REASON);
    let cut = if short.len() < line.len() { "…" } else { "" };
    let mut plain = String::with_capacity(short.len());
    for c in short.chars() {
        match c {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '"' => plain.push_str("&quot;"),
            '\'' => plain.push_str("&#39;"),
            c => plain.push(c),
        }
    }
    plain + cut
}

/// Connects anew each time: the desktop may come and go, and one that nothing is
/// told to keeps no connection that wakes us.
fn send(notification: &Notification) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| error.to_string())?;
    let sent = runtime.block_on(async { tokio::time::timeout(PATIENCE, notify_over_the_bus(notification)).await });
    match sent {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the session bus did not answer within {} s", PATIENCE.as_secs())),
    }
}

async fn notify_over_the_bus(notification: &Notification) -> zbus::Result<()> {
    const NAME: &str = "org.freedesktop.Notifications";
    let bus = zbus::Connection::session().await?;
    let actions: &[&str] = &[];
    let hints = HashMap::from([("urgency", Value::U8(1))]);
    // Name, no earlier one to replace, no icon of ours, and as long as the
    // desktop shows such things.
    let body = ("Wardroom", 0_u32, "", notification.title.as_str(), notification.body.as_str(), actions, hints, -1_i32);
    drop(bus.call_method(Some(NAME), "/org/freedesktop/Notifications", Some(NAME), "Notify", &body).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(task: &str) -> Event {
        Event::Failed { task: task.to_owned(), attempts: 1, reason: "no".to_owned() }
    }

    fn missed(task: &str, count: u64) -> Event {
        Event::Missed { task: task.to_owned(), count }
    }

    #[test]
    fn a_task_is_told_of_once_an_hour_and_then_with_what_was_held_back() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(pace.admit(at(0), &[failed("a")]).unwrap().body, "no");
        assert_eq!(pace.admit(at(1), &[failed("a")]), None);
        assert_eq!(pace.admit(at(3599), &[failed("a")]), None);
        assert!(pace.admit(at(3599), &[failed("b")]).is_some(), "another task is another matter");
        let next = pace.admit(at(3601), &[failed("a")]).unwrap();
        assert_eq!(next.body, "no\n2 more since the last notification of this kind");
        let pause = Event::Paused { task: "a".to_owned(), why: "5 failures in a row".to_owned(), reason: "no".to_owned() };
        let paused = pace.admit(at(3602), &[pause]).unwrap();
        assert_eq!((paused.title.as_str(), paused.body.lines().next()), ("Wardroom: a was paused", Some("After 5 failures in a row: no")));
    }

    #[test]
    fn a_thousand_tasks_that_fail_are_thirty_notifications_and_a_count() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let told = (0..1000).filter(|n| pace.admit(start, &[failed(&format!("t{n}"))]).is_some()).count();
        assert_eq!(told, MAX_NOTIFICATIONS);
        let later = pace.admit(start + NOTIFY_AGAIN_AFTER, &[failed("t999")]).unwrap();
        assert_eq!(later.body, "no\n970 of other tasks were not shown");
        assert_eq!(pace.told.len(), 1, "what is told long ago is forgotten");
    }

    #[test]
    fn slots_of_many_tasks_are_one_summary() {
        let all: Vec<Event> = (0..7).map(|n| missed(&format!("t{n}"), n)).chain([missed("t1", 4)]).collect();
        let told = Pace::default().admit(Instant::now(), &all).unwrap();
        assert_eq!(told.title, "Wardroom: 25 slots were missed");
        assert_eq!(told.body.lines().next(), Some("t0 (0), t1 (5), t2 (2), t3 (3), t4 (4), 2 more"));
        assert_eq!(Pace::default().admit(Instant::now(), &[missed("a", 1)]).unwrap().title, "Wardroom: a slot was missed");
    }

    #[test]
    fn what_was_missed_is_gathered_and_anything_else_waits_for_its_own_turn() {
        let (send, heard) = sync_channel(8);
        for event in [missed("b", 2), failed("c"), missed("d", 1)] {
            send.send(event).unwrap();
        }
        let mut next = None;
        assert_eq!(gather(missed("a", 1), &heard, &mut next), [missed("a", 1), missed("b", 2)]);
        assert_eq!(next, Some(failed("c")));
        assert_eq!(gather(failed("c"), &heard, &mut None), [failed("c")]);
    }

    #[test]
    fn a_programs_words_are_one_plain_line() {
        assert_eq!(shown("<a href='x'>&\n\u{1b}[31m\u{202e}"), "&lt;a href=&#39;x&#39;&gt;&amp;\\n\\u{1b}[31m\\u{202e}");
        let long = shown(&"<".repeat(10_000));
        assert_eq!(long, format!("{}…", "&lt;".repeat(MAX_REASON)), "cut before it is escaped, so that no entity is cut in two");
    }
}
