//! Which of many tasks comes next.
//!
//! Owns an order of tasks by the instant at which each wants to be looked at.
//! Never asks a schedule or a clock: whoever has those sets the instants.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use wardroom_core::clock::Timestamp;

/// Keys, each with the instant at which it is due. Every change takes time in
/// proportion to the logarithm of their number.
#[derive(Debug, Clone)]
pub struct Agenda<K> {
    order: BTreeSet<(Timestamp, K)>,
    /// The same the other way round.
    instants: HashMap<K, Timestamp>,
}

impl<K: Ord + Clone + Hash> Agenda<K> {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { order: BTreeSet::new(), instants: HashMap::new() }
    }

    /// Sets when a key is due, in place of what was set before; none takes it
    /// out.
    pub fn set(&mut self, key: K, at: Option<Timestamp>) {
        self.remove(&key);
        if let Some(at) = at {
            self.instants.insert(key.clone(), at);
            self.order.insert((at, key));
        }
    }

    /// Takes a key out, and says when it was due.
    pub fn remove(&mut self, key: &K) -> Option<Timestamp> {
        let (key, at) = self.instants.remove_entry(key)?;
        let entry = (at, key);
        self.order.remove(&entry);
        Some(at)
    }

    /// When a key is due.
    #[must_use]
    pub fn when(&self, key: &K) -> Option<Timestamp> {
        self.instants.get(key).copied()
    }

    /// When the next of all is due.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out all that are due by `now`, in the order of time, then key.
    pub fn due(&mut self, now: Timestamp) -> Vec<K> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now)
            && let Some((_, key)) = self.order.pop_first()
        {
            self.instants.remove(&key);
            due.push(key);
        }
        due
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// None is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl<K: Ord + Clone + Hash> Default for Agenda<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn keys_come_in_the_order_of_time_then_key() {
        let mut agenda = Agenda::new();
        for (key, ms) in [("c", 5), ("a", 9), ("b", 5), ("d", 10)] {
            agenda.set(key, Some(at(ms)));
        }
        assert_eq!((agenda.next(), agenda.len()), (Some(at(5)), 4));
        assert_eq!(agenda.due(at(4)), Vec::<&str>::new());
        assert_eq!(agenda.due(at(9)), ["b", "c", "a"]);
        assert_eq!((agenda.next(), agenda.len(), agenda.when(&"a")), (Some(at(10)), 1, None));
    }

    #[test]
    fn a_key_has_one_instant() {
        let mut agenda = Agenda::new();
        agenda.set(1, Some(at(5)));
        agenda.set(1, Some(at(7)));
        assert_eq!((agenda.when(&1), agenda.len(), agenda.due(at(6))), (Some(at(7)), 1, vec![]));
        agenda.set(1, None);
        assert!(agenda.is_empty() && agenda.remove(&1).is_none() && agenda.due(at(9)).is_empty());
    }

    /// Milliseconds compared as text would put 1000 before 999.
    #[test]
    fn instants_are_compared_as_numbers() {
        let mut agenda = Agenda::new();
        agenda.set("later", Some(at(1000)));
        agenda.set("sooner", Some(at(999)));
        assert_eq!(agenda.due(at(999)), ["sooner"]);
        assert_eq!(agenda.due(at(10_000)), ["later"]);
    }

    proptest! {
        #[test]
        fn whatever_is_set_and_removed_the_agenda_agrees_with_a_list(
            steps in prop::collection::vec((0_u8..10, 0_u8..20, prop::option::weighted(0.8, 0_i64..100)), 0..200),
        ) {
            let (mut agenda, mut listed) = (Agenda::new(), Vec::<(Timestamp, u8)>::new());
            for (kind, key, ms) in steps {
                if kind == 0 {
                    let now = at(ms.unwrap_or(50));
                    listed.sort_unstable();
                    let due: Vec<u8> = listed.iter().filter(|(at, _)| *at <= now).map(|(_, key)| *key).collect();
                    listed.retain(|(at, _)| *at > now);
                    prop_assert_eq!(agenda.due(now), due);
                } else {
                    agenda.set(key, ms.map(at));
                    listed.retain(|(_, other)| *other != key);
                    listed.extend(ms.map(|ms| (at(ms), key)));
                }
                prop_assert_eq!((agenda.len(), agenda.next()), (listed.len(), listed.iter().map(|(at, _)| *at).min()));
            }
        }
    }
}
