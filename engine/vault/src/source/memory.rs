//! A master key in this process's memory: for vaults that live as long as it.
//!
//! Owns one map. It must never outlive the process: another one finds nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::{KeyId, MasterKey};

/// Locked for a look-up or a change only.
static KEYS: Mutex<BTreeMap<KeyId, MasterKey>> = Mutex::new(BTreeMap::new());

fn keys() -> MutexGuard<'static, BTreeMap<KeyId, MasterKey>> {
    // Nothing in here can panic half way.
    KEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn store(key_id: KeyId, key: &MasterKey) {
    keys().insert(key_id, key.duplicate());
}

pub(super) fn load(key_id: KeyId) -> Option<MasterKey> {
    keys().get(&key_id).map(MasterKey::duplicate)
}

pub(super) fn remove(key_id: KeyId) {
    drop(keys().remove(&key_id));
}
