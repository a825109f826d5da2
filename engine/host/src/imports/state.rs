//! `wardroom:automation/state`: a run's view of what earlier runs left, with
//! its own changes kept apart until it has succeeded.

use std::collections::BTreeMap;

use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::limit::{MAX_STATE_KEY, SizeText};
use wardroom_core::witness::Witness;

use super::automation::wardroom::automation::state;
use crate::run::RunState;

/// What the run sees, and what it changed.
pub(crate) struct StateView {
    /// Bytes of keys and values together.
    quota: u64,
    entries: BTreeMap<String, String>,
    changes: BTreeMap<String, Option<String>>,
}

impl StateView {
    pub(crate) fn new(quota: u64, entries: Vec<(String, String)>) -> Self {
        Self { quota, entries: entries.into_iter().collect(), changes: BTreeMap::new() }
    }

    /// Keys that changed; `None` where they were deleted.
    pub(crate) fn into_changes(self) -> Vec<(String, Option<String>)> {
        self.changes.into_iter().collect()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), state::Error> {
        let others: usize = self.entries.iter().filter(|(known, _)| *known != key).map(|(known, value)| known.len() + value.len()).sum();
        let bytes = others.saturating_add(key.len()).saturating_add(value.len()) as u64;
        if bytes > self.quota {
            let text = format!("{bytes} bytes are more than the granted {}", SizeText(self.quota));
            return Err(state::Error::Quota(text));
        }
        self.entries.insert(key.to_owned(), value.to_owned());
        self.changes.insert(key.to_owned(), Some(value.to_owned()));
        Ok(())
    }

    fn delete(&mut self, key: &str) {
        if self.entries.remove(key).is_some() {
            self.changes.insert(key.to_owned(), None);
        }
    }
}

impl RunState {
    /// The state, where some was granted.
    fn granted_state(&mut self) -> Result<&mut StateView, state::Error> {
        if self.state.is_none() {
            self.notes.refused(&Refusal {
                capability: Capability::State,
                wanted: "keeping state".to_owned(),
                reason: "no state was granted".to_owned(),
                scope: Some("64KiB".to_owned()),
            });
        }
        self.state.as_mut().ok_or_else(|| state::Error::Denied("no state was granted".to_owned()))
    }
}

fn check_key(key: &str) -> Result<(), state::Error> {
    if key.is_empty() || key.len() > MAX_STATE_KEY {
        return Err(state::Error::InvalidKey(format!("a key has 1 to {MAX_STATE_KEY} bytes, found {}", key.len())));
    }
    Ok(())
}

impl state::Host for RunState {
    fn get(&mut self, key: String) -> Result<Option<String>, state::Error> {
        let state = self.granted_state()?;
        check_key(&key)?;
        Ok(state.entries.get(&key).cloned())
    }

    fn set(&mut self, key: String, value: String) -> Result<(), state::Error> {
        let state = self.granted_state()?;
        check_key(&key)?;
        state.set(&key, &value)
    }

    fn delete(&mut self, key: String) -> Result<(), state::Error> {
        let state = self.granted_state()?;
        check_key(&key)?;
        state.delete(&key);
        Ok(())
    }

    fn keys(&mut self) -> Result<Vec<String>, state::Error> {
        Ok(self.granted_state()?.entries.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_kept_apart_and_count_against_the_quota() {
        let mut view = StateView::new(10, vec![("a".to_owned(), "1".to_owned())]);
        view.set("b", "1234567").unwrap();
        assert!(matches!(view.set("c", ""), Err(state::Error::Quota(_))));
        view.set("b", "2").unwrap();
        view.delete("a");
        view.delete("never");
        assert_eq!(view.into_changes(), vec![("a".to_owned(), None), ("b".to_owned(), Some("2".to_owned()))]);
    }
}
