//! Running something for a client that waits: its log and its progress on the
//! way, its end as the answer.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Poll;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wardroom_core::capability::Refusal;
use wardroom_core::failure::{Failure, Outcome, Output};
use wardroom_core::id::ExecutionId;
use wardroom_core::log::{LogLine, Progress};
use wardroom_core::plan::Plan;
use wardroom_core::text::{for_terminal_line, truncated};
use wardroom_core::witness::BoxFuture;
use wardroom_db::ExecutionSummary;

use super::super::Server;
use super::super::answer::{Answer, Refused, part};
use crate::audit;
use crate::execution::{ExecuteError, Live};

/// News that wait for a client; what comes while so many wait is not told, and
/// is in the record.
const WAITING_NEWS: usize = 64;
/// Between the last news and the answer. The widest used client throws news away
/// that it reads together with the answer: it forgets first who wanted them.
const APART: std::time::Duration = std::time::Duration::from_millis(10);
/// Subjects that are known to last; with more, all are tried anew.
const MAX_LASTING: usize = 256;
/// Microseconds of processor time that are over at once.
const SHORT_US: u64 = 1000;
/// Bytes of one line of news.
const MAX_NEWS: usize = 1000;
/// Bytes of a result that an answer holds whole.
pub(super) const MAX_RESULT: usize = 20_000;
/// Called executions that an answer names; get_executions has them all.
const MAX_CHILDREN: usize = 50;
/// Refusals that an answer names; the record has them all.
const MAX_DENIED: usize = 20;
/// Lines of the log that an answer ends with.
const LAST_LINES: usize = 20;

/// Tells a client what a run does.
struct Telling {
    /// Where it asked for them.
    news: Option<mpsc::Sender<(f64, String)>>,
    count: AtomicU64,
    last: std::sync::Mutex<std::collections::VecDeque<String>>,
}

impl Telling {
    fn tell(&self, text: &str) {
        let Some(news) = &self.news else { return };
        // Each has to be more than the one before; steps of the guest's own
        // counting are not sure to be.
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let text = for_terminal_line(truncated(text, MAX_NEWS));
        // A client that does not read holds up nothing.
        drop(news.try_send((u32::try_from(count).map_or(f64::MAX, f64::from), text)));
    }
}

impl Live for Telling {
    fn line(&self, line: &LogLine) {
        let text = for_terminal_line(truncated(&format!("{}: {}", line.level.name(), line.text), MAX_NEWS));
        self.tell(&text);
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(truncated(&text, MAX_NEWS).to_owned());
    }

    fn progress(&self, progress: &Progress) {
        let of = progress.total.map_or_else(String::new, |total| format!(" of {total}"));
        self.tell(&format!("{}{of} {}", progress.done, progress.message));
    }

    fn refused(&self, refusal: &Refusal) {
        self.tell(&format!("denied: {refusal:?}"));
    }
}

async fn forward(peer: Peer<RoleServer>, token: ProgressToken, mut news: mpsc::Receiver<(f64, String)>) {
    while let Some((count, text)) = news.recv().await {
        let mut progress = ProgressNotificationParam::new(token.clone(), count);
        progress.message = Some(text);
        if peer.notify_progress(progress).await.is_err() {
            return;
        }
    }
}

impl Server {
    /// Runs a plan to its end; a client that cancels its request cancels it.
    pub(in super::super) async fn run_and_tell(&self, plan: Arc<Plan>, context: &RequestContext<RoleServer>) -> Result<Answer, Refused> {
        let (id, calls) = (plan.resolved().id, !plan.access().call.is_empty());
        let (news, forwarding) = match context.meta.get_progress_token() {
            Some(token) => {
                let (news, receiver) = mpsc::channel(WAITING_NEWS);
                (Some(news), Some(tokio::spawn(forward(context.peer.clone(), token, receiver))))
            }
            None => (None, None),
        };
        let told = Arc::new(Telling { news, count: AtomicU64::new(0), last: std::sync::Mutex::default() });
        let cancelled = context.ct.clone();
        let outcome = self.execute(plan, told.clone(), Box::pin(async move { cancelled.cancelled().await })).await;
        let lines: Vec<String> = told.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().cloned().collect();
        let has_news = told.count.load(Ordering::Relaxed) > 0;
        drop(told);
        if let Some(forwarding) = forwarding {
            // What is left of the news comes before the answer, unless the client does not read.
            drop(tokio::time::timeout(std::time::Duration::from_millis(200), forwarding).await);
            if has_news {
                tokio::time::sleep(APART).await;
            }
        }
        let children = if calls { self.wardroom.children(id)? } else { Vec::new() };
        Ok(ended(id, &outcome?, &lines, &children))
    }

    /// Runs a plan. It begins here, and most are over before anybody else could be
    /// asked to go on; the others do so elsewhere, so that the next request is read.
    /// What did not end at once the last time begins there, too: many that spin would
    /// each have their first turn here.
    async fn execute(&self, plan: Arc<Plan>, live: Arc<dyn Live>, cancelled: BoxFuture<'static, ()>) -> Result<Outcome, ExecuteError> {
        let subject = plan.resolved().subject.clone();
        let mut run = self.wardroom.execute(plan, live, cancelled);
        if let Some(session) = audit::session() {
            run = Box::pin(audit::as_assistant(session, run));
        }
        if !self.lasting().contains(&subject) {
            let begun = poll_fn(|context| {
                // What it starts and waits for belongs there from the beginning.
                let _there = self.workers.enter();
                Poll::Ready(run.as_mut().poll(context))
            });
            if let Poll::Ready(outcome) = begun.await {
                return outcome;
            }
            let mut lasting = self.lasting();
            if lasting.len() >= MAX_LASTING {
                lasting.clear();
            }
            lasting.insert(subject.clone());
        }
        // A set of one: it ends with this request, as it would here.
        let mut runs = JoinSet::new();
        runs.spawn_on(run, &self.workers);
        let outcome = match runs.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The process is about to end.
            Some(Err(_)) | None => std::future::pending().await,
        };
        if outcome.as_ref().is_ok_and(|outcome| outcome.usage.cpu_us < SHORT_US) {
            self.lasting().remove(&subject);
        }
        outcome
    }

    fn lasting(&self) -> MutexGuard<'_, HashSet<String>> {
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fields of an answer about a success, its `success` among them.
const USUAL_FIELDS: usize = 4;

/// How an execution ended, as an answer.
fn ended(id: ExecutionId, outcome: &Outcome, lines: &[String], children: &[ExecutionSummary]) -> Answer {
    let status = outcome.status();
    let output = outcome.ending.as_ref().ok().or(outcome.partial_output.as_ref());
    let (result, result_next) = output.map_or((Value::Null, None), |output| shown(output, 0));
    let failure = outcome.ending.as_ref().err();
    let mut text = format!("execution {id}: {status}");
    if let Some(failure) = failure {
        text = format!("{text}\nerror ({:?}): {}", failure.kind, failure.message);
    }
    if !result.is_null() {
        text = format!("{text}\nresult (data): {}", truncated(&result.to_string(), 4000));
    }
    if !children.is_empty() {
        text = format!("{text}\ncalled: {}", called_words(children));
    }
    if !lines.is_empty() {
        text = format!("{text}\nlog (data):\n{}", lines.join("\n"));
    }
    let mut fields = Map::with_capacity(USUAL_FIELDS);
    // What is empty is left out: whoever reads it pays for each word.
    let mut tell = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    tell("execution_id", id.to_string().into());
    tell("status", status.name().into());
    tell("result", result);
    if let Some(next) = result_next {
        tell("next_result_offset", json!(next));
    }
    if let Some(failure) = failure {
        let Failure { kind, message, stack, position, .. } = failure;
        tell("error", json!({ "kind": kind, "message": message, "stack": stack, "position": position }));
    }
    let refusals = outcome.usage.refusals.iter().take(MAX_DENIED);
    let denied: Vec<Value> = refusals.map(|refusal| json!({ "capability": refusal.capability, "flag": refusal.flag() })).collect();
    if !denied.is_empty() {
        tell("denied", denied.into());
    }
    if !lines.is_empty() {
        tell("log", json!(lines));
    }
    if !children.is_empty() {
        tell("children", called(children).into());
        tell("children_count", json!(children.len()));
    }
    if outcome.redactions > 0 {
        tell("redactions", json!(outcome.redactions));
    }
    let answer = Answer::new(Value::Object(fields), text);
    if failure.is_some() { answer.failed() } else { answer }
}

/// What it called: which executions, of what, and how they stand; the first of them.
pub(super) fn called(children: &[ExecutionSummary]) -> Vec<Value> {
    let shown = children.iter().take(MAX_CHILDREN);
    shown.map(|child| json!({ "execution_id": child.id, "name": called_name(child), "status": child.status })).collect()
}

fn called_name(child: &ExecutionSummary) -> &str {
    child.task.as_deref().unwrap_or(&child.program)
}

fn called_words(children: &[ExecutionSummary]) -> String {
    let words = children.iter().take(MAX_CHILDREN).map(|child| format!("{} {}", called_name(child), child.status));
    let more = children.len().saturating_sub(MAX_CHILDREN);
    let more = (more > 0).then(|| format!("and {more} more"));
    words.chain(more).collect::<Vec<_>>().join(", ")
}

/// A result, whole where it is short, else from a byte of its text on.
pub(super) fn shown(output: &Output, from: usize) -> (Value, Option<usize>) {
    let text = match output {
        Output::Json(value) => {
            let text = value.to_string();
            if text.len() <= MAX_RESULT && from == 0 {
                return (value.clone(), None);
            }
            text
        }
        Output::Text(text) => text.clone(),
        Output::Bytes(bytes) => format!("{} bytes that are no text", bytes.len()),
    };
    let (piece, next) = part(&text, from, MAX_RESULT);
    (Value::from(piece), next)
}

/// JSON Schema of an execution that ended. What is empty is not there.
pub(in super::super) fn ended_schema() -> Value {
    super::super::schema::answer(json!({
        "execution_id": { "type": "string" },
        "status": { "type": "string" },
        "result": {},
        "next_result_offset": { "type": ["integer", "null"] },
        "denied": { "type": "array", "items": { "type": "object" } },
        "log": { "type": "array", "items": { "type": "string" } },
        "children": { "type": "array", "items": { "type": "object" }, "description": "What it called; the first of them" },
        "children_count": { "type": "integer" },
        "redactions": { "type": "integer" },
    }))
}
