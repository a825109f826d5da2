//! The notes of one run: what is kept of its log, refusals and hosts, under
//! caps, on their way to the witness.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wardroom_core::capability::Refusal;
use wardroom_core::clock::Clock;
use wardroom_core::credential::{Credentials, Redact};
use wardroom_core::limit::{MAX_HOSTS, MAX_REFUSAL_TEXT, MAX_REFUSALS};
use wardroom_core::log::{Level, LogLine, Progress};
use wardroom_core::text::truncated;
use wardroom_core::witness::{BoxFuture, HostFault, Witness};

/// Bytes that a line costs beside its text, so that empty lines are not free.
const LINE_OVERHEAD: u64 = 16;
/// Bytes kept of a progress message.
const PROGRESS_BYTES: usize = 1024;

/// Everything a run says, on its way to the witness.
pub(crate) struct Notes {
    witness: Arc<dyn Witness>,
    clock: Arc<dyn Clock>,
    credentials: Arc<dyn Credentials>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Bytes of log text still free.
    log_left: u64,
    log_truncated: bool,
    hosts: Vec<String>,
    refusals: Vec<Refusal>,
    fault: Option<HostFault>,
}

impl Notes {
    pub(crate) fn new(witness: Arc<dyn Witness>, credentials: Arc<dyn Credentials>, clock: Arc<dyn Clock>, log_bytes: u64) -> Self {
        Self { witness, clock, credentials, kept: Mutex::new(Kept { log_left: log_bytes, ..Kept::default() }) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line of the guest's log; what goes beyond the cap is dropped after
    /// one marker.
    pub(crate) fn say(&self, level: Level, text: &str) {
        let text = &*self.redactor().text(text);
        let mut kept = self.kept();
        if kept.log_truncated {
            return;
        }
        let cost = (text.len() as u64).saturating_add(LINE_OVERHEAD);
        let fits = cost <= kept.log_left;
        let text =
            if fits { text } else { truncated(text, usize::try_from(kept.log_left.saturating_sub(LINE_OVERHEAD)).unwrap_or(usize::MAX)) };
        kept.log_left = kept.log_left.saturating_sub(cost);
        kept.log_truncated = !fits;
        drop(kept);
        if fits || !text.is_empty() {
            self.send(level, text);
        }
        if !fits {
            self.send(Level::Warn, "the log is full: what follows was dropped");
        }
    }

    fn without_values(&self, refusal: &Refusal) -> Refusal {
        let clean = |text: &str| self.redactor().text(text).into_owned();
        Refusal {
            capability: refusal.capability,
            wanted: clean(&refusal.wanted),
            reason: clean(&refusal.reason),
            scope: refusal.scope.as_deref().map(clean),
        }
    }

    /// What the run may use of the vault.
    pub(crate) fn credentials(&self) -> &Arc<dyn Credentials> {
        &self.credentials
    }

    /// Removes values. Whatever leaves a run passes here, before it is cut: a
    /// value cut in two would not be known again.
    pub(crate) fn redactor(&self) -> &dyn Redact {
        self.credentials.redactor()
    }

    fn send(&self, level: Level, text: &str) {
        self.witness.line(&LogLine { at: self.clock.now(), level, text: text.to_owned() });
    }

    /// How far the guest says it has come.
    pub(crate) fn advance(&self, done: u64, total: Option<u64>, message: &str) {
        let message = self.redactor().text(message);
        self.witness.progress(&Progress { done, total, message: truncated(&message, PROGRESS_BYTES).to_owned() });
    }

    /// What is kept, at the end.
    pub(crate) fn summary(&self) -> NotesSummary {
        let kept = self.kept();
        NotesSummary {
            log_truncated: kept.log_truncated,
            hosts: kept.hosts.clone(),
            refusals: kept.refusals.clone(),
            fault: kept.fault.clone(),
        }
    }
}

/// What is kept of a run's notes.
pub(crate) struct NotesSummary {
    pub(crate) log_truncated: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) refusals: Vec<Refusal>,
    /// The witness could not do its part; the run ends with the host to blame.
    pub(crate) fault: Option<HostFault>,
}

impl Witness for Notes {
    fn line(&self, line: &LogLine) {
        self.say(line.level, &line.text);
    }

    fn progress(&self, progress: &Progress) {
        self.advance(progress.done, progress.total, &progress.message);
    }

    fn refused(&self, refusal: &Refusal) {
        let refusal = bounded(&self.without_values(refusal));
        let mut kept = self.kept();
        let news = !kept.refusals.contains(&refusal) && kept.refusals.len() < MAX_REFUSALS;
        if news {
            kept.refusals.push(refusal.clone());
            drop(kept);
            self.witness.refused(&refusal);
        }
    }

    fn contacted(&self, host: &str) {
        let host = self.redactor().text(host);
        let host = truncated(&host, MAX_REFUSAL_TEXT);
        let mut kept = self.kept();
        if kept.hosts.iter().any(|known| known == host) || kept.hosts.len() >= MAX_HOSTS {
            return;
        }
        kept.hosts.push(host.to_owned());
        drop(kept);
        self.witness.contacted(host);
    }

    fn effect(&self) -> BoxFuture<'_, Result<(), HostFault>> {
        Box::pin(async {
            let done = self.witness.effect().await;
            if let Err(fault) = &done {
                self.kept().fault = Some(fault.clone());
            }
            done
        })
    }
}

/// A refusal as it is kept. A scope that was cut would be another scope, so a
/// long one is left out.
fn bounded(refusal: &Refusal) -> Refusal {
    Refusal {
        capability: refusal.capability,
        wanted: truncated(&refusal.wanted, MAX_REFUSAL_TEXT).to_owned(),
        reason: truncated(&refusal.reason, MAX_REFUSAL_TEXT).to_owned(),
        scope: refusal.scope.clone().filter(|scope| scope.len() <= MAX_REFUSAL_TEXT),
    }
}

#[cfg(test)]
mod tests {
    use wardroom_core::capability::Capability;

    use super::*;

    #[test]
    fn a_refusal_is_kept_in_short() {
        let long = "\u{20ac}".repeat(MAX_REFUSAL_TEXT);
        let refusal = Refusal { capability: Capability::Read, wanted: long.clone(), reason: long.clone(), scope: Some(long) };
        let kept = bounded(&refusal);
        assert_eq!((kept.wanted.len(), kept.reason.len(), kept.scope), (1023, 1023, None), "cut between characters");
        let short = Refusal { wanted: "a".to_owned(), reason: "b".to_owned(), scope: Some("c".to_owned()), ..refusal };
        assert_eq!(bounded(&short), short);
    }
}
