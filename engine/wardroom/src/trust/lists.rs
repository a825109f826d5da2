//! The lists: who is trusted, and what is revoked.
//!
//! Both are sealed as one (`trust.key`, beside the database), with a version that
//! only rises. A row that is added, changed or taken away breaks the seal, and so
//! does the head alone; where all of it is gone, the key's file tells that there
//! was something. What does not show here is a whole older state that was put back
//! with its own head: a process that saw a later one refuses it, and so does
//! every change of them, `doctor` and `wardroom audit verify`, where the audit log
//! remembers the version of the last change.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};
use wardroom_core::clock::Timestamp;
use wardroom_core::id::Digest;
use wardroom_core::program::Program;
use wardroom_core::signature::SignerKey;
use wardroom_core::text::for_terminal_line;
use wardroom_db::{AuditEvent, AuditFilter, AuditRecord, DbError, RevokedRecord, SignerRecord, TrustChange, TrustHead, TrustRecord};
use wardroom_vault::signer::check_signer;

use super::{Provenance, RevokedView, SignatureState, TrustError};
use crate::audit::{self, event};
use crate::seal::{SealKey, is_same};
use crate::wardroom::Wardroom;

/// Keys that are trusted at once.
pub const MAX_SIGNERS: usize = 256;
/// Bytes of programs that are revoked at once.
pub const MAX_REVOKED: usize = 10_000;
/// Characters of a signer's name.
pub const MAX_SIGNER_NAME: usize = 64;
/// Bytes of a reason.
pub const MAX_REASON: usize = 1024;
/// What audit events about the lists are about.
pub const TRUST_SUBJECT: &str = "trust";
/// Events that every change of the lists leaves, and nothing else does. A plugin or
/// a task may be called as the subject is.
const OWN_EVENTS: [&str; 5] =
    [event::SIGNER_TRUSTED, event::SIGNER_UNTRUSTED, event::PROGRAM_REVOKED, event::PROGRAM_UNREVOKED, event::TRUST_RESEALED];
/// How often one who finds the lists changed by others begins again. Each time,
/// somebody else got on.
const MAX_TRIES: usize = 64;
/// The highest version that the database keeps.
const MAX_VERSION: u64 = i64::MAX.unsigned_abs();

/// Both lists, as they were sealed.
#[derive(Debug, Default)]
pub struct TrustLists(TrustRecord);

/// Both lists as they are shown.
#[derive(Debug, Serialize)]
pub struct TrustView {
    /// Who is trusted, in order of keys.
    pub trusted: Vec<TrustedView>,
    /// What is revoked, in order of digests.
    pub revoked: Vec<RevokedBytes>,
    /// They are not as Wardroom left them.
    pub altered: bool,
    /// What stands in revocations that cannot be read, in the place of a digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// How they are not as Wardroom left them.
    #[serde(skip)]
    pub problem: Option<TrustError>,
}

/// Somebody who is trusted.
#[derive(Debug, Serialize)]
pub struct TrustedView {
    /// The key.
    pub signer: SignerKey,
    /// Whose it is.
    pub name: String,
    /// Since when it is trusted.
    pub trusted_at: Timestamp,
}

/// Bytes that are revoked.
#[derive(Debug, Serialize)]
pub struct RevokedBytes {
    /// Which.
    pub digest: Digest,
    /// Since when, and why.
    #[serde(flatten)]
    pub revoked: RevokedView,
}

impl TrustLists {
    /// Whose key this is, where it is trusted.
    #[must_use]
    pub fn name_of(&self, signer: SignerKey) -> Option<&str> {
        let found = self.0.signers.binary_search_by_key(&signer, |record| record.signer).ok()?;
        self.0.signers.get(found).map(|record| record.name.as_str())
    }

    fn revocation(&self, digest: Digest) -> Option<RevokedView> {
        let found = self.0.revoked.binary_search_by_key(&digest, |record| record.digest).ok()?;
        self.0.revoked.get(found).map(revoked_view)
    }

    /// The revocation of bytes, by their own digest or by that of the manifest which
    /// they came with, and the digest that it names.
    pub(super) fn revocation_of(&self, digest: Digest, provenance: Option<Provenance>) -> Option<(Digest, RevokedView)> {
        let known_by = [Some(digest), provenance.and_then(|provenance| provenance.manifest)];
        known_by.into_iter().flatten().find_map(|digest| self.revocation(digest).map(|revoked| (digest, revoked)))
    }

    pub(super) fn check_revoked(&self, program: &Program, provenance: Option<Provenance>) -> Result<(), TrustError> {
        let Some((digest, RevokedView { reason, .. })) = self.revocation_of(program.digest, provenance) else { return Ok(()) };
        Err(TrustError::Revoked { name: program.name.clone(), digest, reason })
    }

    pub(super) fn state(&self, signer: Option<SignerKey>) -> SignatureState {
        let Some(signer) = signer else { return SignatureState::Unsigned };
        match self.name_of(signer) {
            Some(name) => SignatureState::Trusted { signer, name: name.to_owned() },
            None => SignatureState::UnknownKey { signer },
        }
    }
}

fn revoked_view(record: &RevokedRecord) -> RevokedView {
    RevokedView { revoked_at: record.revoked_at, reason: record.reason.clone() }
}

/// The seal's key: under its name once something was sealed with it, and under
/// another until that is in the database, so that a process which dies in between
/// leaves no key that speaks of lists which never were.
struct KeyPlaces {
    settled: PathBuf,
    fresh: PathBuf,
}

impl KeyPlaces {
    fn read(&self) -> Result<SealKey, TrustError> {
        match SealKey::read(&self.settled) {
            // Another process may give it its name in between.
            Err(error) if error.is_missing() => Ok(SealKey::read(&self.fresh).or_else(|_| SealKey::read(&self.settled))?),
            key => Ok(key?),
        }
    }

    fn read_or_make(&self) -> Result<SealKey, TrustError> {
        match SealKey::read(&self.settled) {
            Err(error) if error.is_missing() => Ok(SealKey::read_or_make(&self.fresh)?),
            key => Ok(key?),
        }
    }

    /// What is no key goes out of the way; answers where it is now.
    fn set_damaged_aside(&self, now: Timestamp) -> Result<Vec<PathBuf>, TrustError> {
        let aside = [&self.settled, &self.fresh].map(|path| SealKey::set_damaged_aside(path, now.ms()));
        aside.into_iter().filter_map(Result::transpose).map(|aside| aside.map_err(TrustError::from)).collect()
    }

    /// Its second name goes only when the first is there. Whoever comes next does it
    /// where this fails.
    fn settle(&self) {
        if !self.settled.exists() && std::fs::hard_link(&self.fresh, &self.settled).is_ok() {
            drop(std::fs::remove_file(&self.fresh));
        }
    }
}

/// Lists that are about to be stored.
struct SealedAnew {
    places: KeyPlaces,
    next: TrustRecord,
    events: Vec<AuditEvent>,
}

fn seal(key: &SealKey, version: u64, record: &TrustRecord) -> String {
    let mut parts = vec![version.to_string(), record.signers.len().to_string()];
    for SignerRecord { signer, name, trusted_at } in &record.signers {
        parts.extend([signer.to_string(), name.clone(), trusted_at.ms().to_string()]);
    }
    for RevokedRecord { digest, reason, revoked_at } in &record.revoked {
        let is_given = if reason.is_some() { "1" } else { "0" };
        parts.extend([digest.to_string(), is_given.to_owned(), reason.clone().unwrap_or_default(), revoked_at.ms().to_string()]);
    }
    key.over(parts.iter().map(String::as_str))
}

impl Wardroom {
    /// The lists as they are now, in whichever process they were changed.
    ///
    /// # Errors
    ///
    /// [`TrustError::Altered`] where they are not as they were sealed,
    /// [`TrustError::Seal`], or [`TrustError::Db`].
    pub fn trust_lists(&self) -> Result<Arc<TrustLists>, TrustError> {
        let head = self.db.trust_head().map_err(damaged)?;
        let lock = || self.trust.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        if let Some(known) = known.as_ref().filter(|known| known.0.head == head) {
            return Ok(known.clone());
        }
        let record = self.sealed_lists()?;
        let version = |record: &TrustRecord| record.head.as_ref().map_or(0, |head| head.version);
        if known.is_some_and(|known| version(&known.0) > version(&record)) {
            return Err(TrustError::Altered);
        }
        let lists = Arc::new(TrustLists(record));
        *lock() = Some(lists.clone());
        Ok(lists)
    }

    /// The rows, if their seal holds.
    fn sealed_lists(&self) -> Result<TrustRecord, TrustError> {
        let (record, places) = (self.db.trust().map_err(damaged)?, self.trust_key());
        let Some(head) = &record.head else {
            let is_unused = record.signers.is_empty() && record.revoked.is_empty() && !places.settled.exists();
            return if is_unused { Ok(record) } else { Err(TrustError::Altered) };
        };
        if !is_same(&head.seal, &seal(&places.read()?, head.version, &record)) {
            return Err(TrustError::Altered);
        }
        places.settle();
        Ok(record)
    }

    fn trust_key(&self) -> KeyPlaces {
        KeyPlaces { settled: self.home.trust_key(), fresh: self.home.trust_key().with_extension("key.new") }
    }

    /// Both lists, whether their seal holds or not.
    ///
    /// # Errors
    ///
    /// [`TrustError::Db`].
    pub fn trust_view(&self) -> Result<TrustView, TrustError> {
        let problem = self.trust_problem()?;
        let found = self.db.readable_trust()?;
        let trusted = |SignerRecord { signer, name, trusted_at }| TrustedView { signer, name, trusted_at };
        let revoked = |record: RevokedRecord| RevokedBytes { digest: record.digest, revoked: revoked_view(&record) };
        Ok(TrustView {
            trusted: found.lists.signers.into_iter().map(trusted).collect(),
            revoked: found.lists.revoked.into_iter().map(revoked).collect(),
            altered: problem.is_some(),
            unreadable: found.lost,
            problem,
        })
    }

    /// Trusts a key under a name from now on. For a person at a terminal alone.
    ///
    /// # Errors
    ///
    /// [`TrustError`] says why not; nothing is changed then.
    pub async fn trust_signer(&self, signer: SignerKey, name: &str) -> Result<(), TrustError> {
        self.check_new_signer(signer, name)?;
        let (name, trusted_at) = (name.to_owned(), self.clock.now());
        let detail = json!({ "signer": signer.to_string(), "name": name });
        self.change_lists(event::SIGNER_TRUSTED, detail, |record| {
            check_free(record, signer, &name)?;
            record.signers.push(SignerRecord { signer, name: name.clone(), trusted_at });
            Ok(())
        })
        .await
    }

    /// Whether a key could be trusted under a name, before anybody is asked.
    ///
    /// # Errors
    ///
    /// [`TrustError`] says why not.
    pub fn check_new_signer(&self, signer: SignerKey, name: &str) -> Result<(), TrustError> {
        let is_plain = !name.is_empty() && name.trim() == name && for_terminal_line(name) == name;
        if !is_plain || name.chars().count() > MAX_SIGNER_NAME || name.parse::<SignerKey>().is_ok() {
            return Err(TrustError::Name(name.to_owned()));
        }
        check_signer(signer).map_err(TrustError::Key)?;
        check_free(&self.trust_lists()?.0, signer, name)
    }

    /// Trusts a key no more, named by itself or by whose it is. Answers the key.
    ///
    /// # Errors
    ///
    /// [`TrustError::NotTrusted`], and those of changing the lists.
    pub async fn untrust_signer(&self, text: &str) -> Result<SignerKey, TrustError> {
        let lists = self.trust_lists()?;
        let named = |record: &&SignerRecord| record.name == text || record.signer.to_string() == text;
        let found = lists.0.signers.iter().find(named).ok_or_else(|| TrustError::NotTrusted(text.to_owned()))?;
        let signer = found.signer;
        let detail = json!({ "signer": signer.to_string(), "name": found.name });
        self.change_lists(event::SIGNER_UNTRUSTED, detail, |record| {
            record.signers.retain(|record| record.signer != signer);
            Ok(())
        })
        .await?;
        Ok(signer)
    }

    /// Never runs these bytes again, whatever they are a program of.
    ///
    /// # Errors
    ///
    /// [`TrustError::RevokedAlready`], [`TrustError::Reason`], and those of changing
    /// the lists.
    pub async fn revoke_program(&self, digest: Digest, reason: Option<&str>) -> Result<(), TrustError> {
        if let Some(reason) = reason.filter(|reason| reason.len() > MAX_REASON) {
            return Err(TrustError::Reason(reason.len()));
        }
        let (reason, revoked_at) = (reason.map(str::to_owned), self.clock.now());
        let detail = json!({ "digest": digest.to_string(), "reason": reason });
        self.change_lists(event::PROGRAM_REVOKED, detail, |record| {
            if record.revoked.iter().any(|record| record.digest == digest) {
                return Err(TrustError::RevokedAlready(digest));
            }
            if record.revoked.len() >= MAX_REVOKED {
                return Err(TrustError::Full(MAX_REVOKED));
            }
            record.revoked.push(RevokedRecord { digest, reason: reason.clone(), revoked_at });
            Ok(())
        })
        .await
    }

    /// Lets these bytes be run again. For a person at a terminal alone.
    ///
    /// # Errors
    ///
    /// [`TrustError::NotRevoked`], and those of changing the lists.
    pub async fn unrevoke_program(&self, digest: Digest) -> Result<(), TrustError> {
        self.check_is_revoked(digest)?;
        self.change_lists(event::PROGRAM_UNREVOKED, json!({ "digest": digest.to_string() }), |record| {
            record.revoked.retain(|record| record.digest != digest);
            Ok(())
        })
        .await
    }

    /// Whether bytes are revoked, before anybody is asked.
    ///
    /// # Errors
    ///
    /// [`TrustError::NotRevoked`], and those of reading the lists.
    pub fn check_is_revoked(&self, digest: Digest) -> Result<(), TrustError> {
        self.trust_lists()?.revocation(digest).map(drop).ok_or(TrustError::NotRevoked(digest))
    }

    /// Seals lists anew that somebody else changed: what is revoked stays so, and
    /// nobody is trusted any more. For a person at a terminal alone, who saw what
    /// stands there. Answers where a damaged key lies now.
    ///
    /// # Errors
    ///
    /// [`TrustError::Intact`] where nothing is wrong with them, what is still wrong
    /// with them afterwards, and those of changing the lists.
    pub async fn reseal_lists(&self) -> Result<Vec<PathBuf>, TrustError> {
        self.check_altered()?;
        let found = self.db.readable_trust()?;
        let detail =
            json!({ "revoked": found.lists.revoked.len(), "untrusted": found.lists.signers.len(), "unreadable": found.lost.len() });
        let aside = self.trust_key().set_damaged_aside(self.clock.now())?;
        // The head is anybody's, and so is the version in it.
        let told = self.last_told()?.as_ref().and_then(told_version).filter(|version| *version < MAX_VERSION);
        let next = TrustRecord { head: None, signers: Vec::new(), revoked: found.lists.revoked };
        let sealed = self.sealed_anew(next, told.unwrap_or(0), event::TRUST_RESEALED, detail)?;
        if self.db.replace_trust(sealed.next, sealed.events).await? == TrustChange::Done {
            sealed.places.settle();
        }
        // A person says what counts from now on; whatever was read before does not.
        *self.trust.lists.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.trust_problem()?.map_or(Ok(aside), Err)
    }

    /// Whether the lists need a new seal, before anybody is asked.
    ///
    /// # Errors
    ///
    /// [`TrustError::Intact`] where they do not, [`TrustError::Db`].
    pub fn check_altered(&self) -> Result<(), TrustError> {
        self.trust_problem()?.map_or(Err(TrustError::Intact), |_| Ok(()))
    }

    /// How the lists are not as Wardroom left them, as far as that shows.
    fn trust_problem(&self) -> Result<Option<TrustError>, TrustError> {
        match self.trust_lists() {
            Ok(_) => Ok(self.lists_contradict_audit()?.then_some(TrustError::PutBack)),
            // Without the key, nobody can tell.
            Err(error @ (TrustError::Altered | TrustError::Seal(_))) => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }

    async fn change_lists(
        &self,
        event: &'static str,
        detail: Value,
        change: impl Fn(&mut TrustRecord) -> Result<(), TrustError>,
    ) -> Result<(), TrustError> {
        for _ in 0..MAX_TRIES {
            let lists = self.trust_lists()?;
            let mut next = self.sealed_lists()?;
            if next != lists.0 {
                continue;
            }
            // A seal over an older state would make it the state that counts.
            if self.lists_contradict_audit()? {
                return Err(TrustError::PutBack);
            }
            let seen = next.head.clone();
            change(&mut next)?;
            let above = seen.as_ref().map_or(0, |head| head.version);
            let sealed = self.sealed_anew(next, above, event, detail.clone())?;
            if self.db.change_trust(seen, sealed.next, sealed.events).await? == TrustChange::Done {
                sealed.places.settle();
                return Ok(());
            }
        }
        Err(TrustError::Changed)
    }

    /// Gives lists a seal, and a version above another.
    fn sealed_anew(&self, mut next: TrustRecord, above: u64, event: &'static str, mut detail: Value) -> Result<SealedAnew, TrustError> {
        let (places, now) = (self.trust_key(), self.clock.now());
        let key = places.read_or_make()?;
        // A time, so that it is above all that were, also where rows forget which.
        let version = u64::try_from(now.ms()).unwrap_or(0).max(above.saturating_add(1));
        if version > MAX_VERSION {
            // None that a clock ever gave: what would be stored is not what was sealed.
            return Err(TrustError::Altered);
        }
        next.signers.sort_unstable_by_key(|record| record.signer);
        next.revoked.sort_unstable_by_key(|record| record.digest);
        next.head = Some(TrustHead { version, seal: seal(&key, version, &next) });
        if let Some(detail) = detail.as_object_mut() {
            detail.insert("version".to_owned(), json!(version));
        }
        let events = self.audited(|| audit::by_asker(now, event, TRUST_SUBJECT, detail))?;
        Ok(SealedAnew { places, next, events })
    }

    /// The audit log remembers another version of the lists than there is: a whole
    /// older state was put back. Nothing, where the log says nothing of them.
    pub(crate) fn lists_contradict_audit(&self) -> Result<bool, DbError> {
        let head = || match self.db.trust_head() {
            Err(DbError::Damaged { .. }) => Ok(None),
            head => head,
        };
        for _ in 0..MAX_TRIES {
            let seen = head()?;
            let Some(last) = self.last_told()? else { return Ok(false) };
            let version = told_version(&last);
            if version.is_some() && version == seen.as_ref().map(|head| head.version) {
                return Ok(false);
            }
            // Others change them meanwhile: both were read at two moments.
            if head()? == seen {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// The last change of the lists that the audit log tells of.
    fn last_told(&self) -> Result<Option<AuditRecord>, DbError> {
        let newest = |event: &str| {
            let filter = AuditFilter { event: Some(event.to_owned()), limit: 1, ..AuditFilter::default() };
            self.db.audit(&filter).map(|found| found.into_iter().next())
        };
        let found = OWN_EVENTS.into_iter().map(newest).collect::<Result<Vec<_>, DbError>>()?;
        Ok(found.into_iter().flatten().max_by_key(|record| record.seq))
    }
}

fn told_version(told: &AuditRecord) -> Option<u64> {
    told.detail.get("version")?.as_u64()
}

fn check_free(record: &TrustRecord, signer: SignerKey, name: &str) -> Result<(), TrustError> {
    if let Some(known) = record.signers.iter().find(|record| record.signer == signer) {
        return Err(TrustError::Trusted { signer, name: known.name.clone() });
    }
    if let Some(known) = record.signers.iter().find(|record| record.name == name) {
        return Err(TrustError::NameTaken { name: name.to_owned(), signer: known.signer });
    }
    if record.signers.len() >= MAX_SIGNERS { Err(TrustError::Full(MAX_SIGNERS)) } else { Ok(()) }
}

/// A row that none of our writes left so.
fn damaged(error: DbError) -> TrustError {
    match error {
        DbError::Damaged { .. } => TrustError::Altered,
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &tempfile::TempDir) -> KeyPlaces {
        KeyPlaces { settled: folder.path().join("trust.key"), fresh: folder.path().join("trust.key.new") }
    }

    #[test]
    fn a_key_has_its_name_once_something_was_sealed_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(&folder);
        assert!(places.read().is_err());
        let seal = |key: &SealKey| key.over(["a"]);
        // Whoever dies here leaves a key that speaks of nothing.
        let made = seal(&places.read_or_make().unwrap());
        assert!(!places.settled.exists());
        assert_eq!([seal(&places.read().unwrap()), seal(&places.read_or_make().unwrap())], [made.clone(), made.clone()]);
        places.settle();
        assert!(places.settled.exists() && !places.fresh.exists());
        assert_eq!([seal(&places.read().unwrap()), seal(&places.read_or_make().unwrap())], [made.clone(), made]);
        std::fs::write(&places.settled, b"short").unwrap();
        assert!(places.read().is_err() && places.read_or_make().is_err(), "a damaged key is not replaced");
    }

    #[test]
    fn no_two_lists_have_one_seal() {
        let folder = tempfile::tempdir().unwrap();
        let key = SealKey::read_or_make(&folder.path().join("key")).unwrap();
        let at = Timestamp::from_ms;
        let signer = |n: u8, name: &str| SignerRecord { signer: SignerKey::from_bytes([n; 32]), name: name.to_owned(), trusted_at: at(1) };
        let revoked = |n: u8, reason: Option<&str>| RevokedRecord {
            digest: Digest::from_bytes([n; 32]),
            reason: reason.map(str::to_owned),
            revoked_at: at(1),
        };
        let lists = |signers: Vec<SignerRecord>, revoked: Vec<RevokedRecord>| TrustRecord { head: None, signers, revoked };
        let mut seals = vec![seal(&key, 2, &lists(vec![signer(1, "a")], Vec::new()))];
        for record in [
            lists(Vec::new(), Vec::new()),
            lists(vec![signer(1, "a")], Vec::new()),
            lists(vec![signer(1, "b")], Vec::new()),
            lists(vec![signer(1, "a"), signer(2, "b")], Vec::new()),
            lists(Vec::new(), vec![revoked(1, None)]),
            lists(Vec::new(), vec![revoked(1, Some(""))]),
            lists(Vec::new(), vec![revoked(1, Some("1"))]),
            lists(Vec::new(), vec![revoked(1, None), revoked(2, None)]),
            lists(vec![signer(1, "a")], vec![revoked(1, None)]),
        ] {
            seals.push(seal(&key, 1, &record));
        }
        let all = seals.len();
        seals.sort_unstable();
        seals.dedup();
        assert_eq!(seals.len(), all);
    }
}
