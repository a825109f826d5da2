//! `wardroom:automation/state`: a run's view of what earlier runs left, with
//! its own changes kept apart until it has succeeded.

use std::collections::{BTreeMap, BTreeSet};

use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::limit::{MAX_STATE_KEY, SizeText};
use wardroom_core::witness::Witness;

use super::automation::wardroom::automation::state;
use crate::run::RunState;

/// What the run sees, and what it changed.
pub(crate) struct StateView {
    /// Bytes of keys and values together.
    quota: u64,
    /// Bytes of all entries, kept as they change: a sum at each call would make
    /// many keys quadratic.
    bytes: usize,
    entries: BTreeMap<String, String>,
    /// Keys that an earlier run left. Only of these is it to be said that they
    /// are gone: a guest makes and deletes keys without end.
    left: BTreeSet<String>,
    changes: BTreeMap<String, Option<String>>,
}

impl StateView {
    pub(crate) fn new(quota: u64, entries: Vec<(String, String)>) -> Self {
        let entries: BTreeMap<_, _> = entries.into_iter().collect();
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        Self { quota, bytes, left: entries.keys().cloned().collect(), entries, changes: BTreeMap::new() }
    }

    /// Keys that changed; `None` where they were deleted.
    pub(crate) fn into_changes(self) -> Vec<(String, Option<String>)> {
        self.changes.into_iter().collect()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), state::Error> {
        let before = self.entries.get(key).map_or(0, |value| key.len() + value.len());
        let total = self.bytes.saturating_sub(before).saturating_add(key.len()).saturating_add(value.len());
        let bytes = total as u64;
        if bytes > self.quota {
            let text = format!("{bytes} bytes are more than the granted {}", SizeText(self.quota));
            return Err(state::Error::Quota(text));
        }
        self.bytes = total;
        self.entries.insert(key.to_owned(), value.to_owned());
        self.changes.insert(key.to_owned(), Some(value.to_owned()));
        Ok(())
    }

    fn delete(&mut self, key: &str) {
        let Some(value) = self.entries.remove(key) else { return };
        self.bytes = self.bytes.saturating_sub(key.len() + value.len());
        if self.left.contains(key) {
            self.changes.insert(key.to_owned(), None);
        } else {
            self.changes.remove(key);
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

    #[test]
    fn the_running_total_is_the_sum_after_every_change() {
        let mut view = StateView::new(20, vec![("left".to_owned(), "12".to_owned())]);
        let sum = |view: &StateView| view.entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        for (key, value) in [("a", "1"), ("a", "12345"), ("a", ""), ("left", "1"), ("b", "12345678901"), ("c", "1234567890123")] {
            drop(view.set(key, value));
            assert_eq!(view.bytes, sum(&view), "set {key}");
        }
        for key in ["a", "a", "never", "left", "b"] {
            view.delete(key);
            assert_eq!(view.bytes, sum(&view), "delete {key}");
        }
        assert_eq!(view.bytes, 0);
    }

    #[test]
    fn keys_that_come_and_go_leave_nothing_behind() {
        let mut view = StateView::new(10, vec![("old".to_owned(), String::new())]);
        for number in 0..1000 {
            let key = format!("k{number}");
            view.set(&key, "").unwrap();
            view.delete(&key);
        }
        view.delete("old");
        view.set("old", "new").unwrap();
        view.delete("old");
        assert_eq!(view.into_changes(), vec![("old".to_owned(), None)]);
    }
}
