//! Vaults through their public face: made, unlocked, carried to another key,
//! and what each of their sources refuses.

#![cfg(test)]

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::{CredentialKind, CredentialName};
use wardroom_vault::rotation::{abandon, recover, retire};
use wardroom_vault::source::NoPassphrases;
use wardroom_vault::vault::discard_unsaved;
use wardroom_vault::{
    Ask, Identity, KeyFileError, OpenVault, PassphraseError, Passphrases, Rotation, Sealed, SealedVault, Secret, Source, VaultError,
    VaultRecord,
};

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

/// Answers what it was told to, and remembers what it was asked.
struct Told {
    unlock: &'static str,
    new: &'static str,
    asked: RefCell<Vec<Ask>>,
}

impl Told {
    fn new(unlock: &'static str, new: &'static str) -> Self {
        Self { unlock, new, asked: RefCell::default() }
    }
}

impl Passphrases for Told {
    fn passphrase(&self, why: Ask) -> Result<Secret, PassphraseError> {
        self.asked.borrow_mut().push(why);
        let text = if why == Ask::New { self.new } else { self.unlock };
        Ok(Secret::new(text.as_bytes().to_vec()))
    }
}

fn name(text: &str) -> CredentialName {
    text.parse().unwrap()
}

fn unlock(record: &VaultRecord) -> Result<OpenVault, VaultError> {
    SealedVault::new(record.clone()).unlock(&NoPassphrases)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// What a database would hold.
#[derive(Clone)]
struct Database {
    record: VaultRecord,
    credentials: Vec<(&'static str, CredentialName, CredentialKind, Sealed)>,
    small: Vec<(&'static str, Sealed)>,
}

impl Database {
    fn new(source: Source, passphrases: &dyn Passphrases) -> Self {
        let (record, vault) = SealedVault::create(source, passphrases, NOW).unwrap();
        let rows = [("id-1", "GITHUB_TOKEN", CredentialKind::ApiKey), ("id-2", "DEPLOY_KEY", CredentialKind::Secret)];
        let credentials = rows.map(|(id, text, kind)| {
            let name = name(text);
            let sealed = vault.seal(&Identity { id, name: &name, kind }, &secret(text)).unwrap();
            (id, name, kind, sealed)
        });
        let small = vec![("audit", vault.seal_bytes("audit", b"first key").unwrap())];
        Self { record, credentials: credentials.into(), small }
    }

    /// Opens everything with a vault unlocked anew, or fails.
    fn open_all(&self, passphrases: &dyn Passphrases) {
        // As another process would find it.
        let record = VaultRecord::parse(&self.record.to_text()).unwrap();
        assert_eq!(record, self.record);
        let vault = SealedVault::new(record).unlock(passphrases).unwrap();
        for (id, name, kind, sealed) in &self.credentials {
            let value = vault.open(&Identity { id, name, kind: *kind }, sealed).unwrap();
            assert_eq!(value.expose_text(), Some(name.as_str()));
        }
        for (purpose, sealed) in &self.small {
            assert_eq!(vault.open_bytes(purpose, sealed).unwrap().expose_bytes(), b"first key");
        }
    }

    /// The commit of a rotation's last step.
    fn rotated(&self, rotation: wardroom_vault::StoredRotation, old: &OpenVault) -> Self {
        let credentials: Vec<_> =
            self.credentials.iter().map(|(id, name, kind, sealed)| (Identity { id, name, kind: *kind }, sealed)).collect();
        let small: Vec<_> = self.small.iter().map(|(purpose, sealed)| (*purpose, sealed)).collect();
        let rotated = rotation.finish(old, NOW).unwrap();
        let moved = rotated.reseal(old, &credentials, &small).unwrap();
        let mut next = Self { record: rotated.record, ..self.clone() };
        for (row, sealed) in next.credentials.iter_mut().zip(moved.credentials) {
            row.3 = sealed;
        }
        for (row, sealed) in next.small.iter_mut().zip(moved.small) {
            row.1 = sealed;
        }
        next
    }

    fn recover(&mut self) -> usize {
        let mut steps = 0;
        while let Some(record) = recover(&self.record).unwrap() {
            self.record = record;
            steps += 1;
            assert!(steps < 3, "there is no end of it");
        }
        assert!(self.record.pending().is_none() && self.record.retired().is_none());
        steps
    }
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

fn key_file(folder: &Path) -> (Source, PathBuf) {
    let path = folder.join("master.key");
    (Source::KeyFile { path: path.clone() }, path)
}

#[test]
fn a_credential_opens_under_its_own_identity_only() {
    let (record, vault) = SealedVault::create(Source::Memory, &NoPassphrases, NOW).unwrap();
    let (github, other) = (name("GITHUB_TOKEN"), name("OTHER"));
    let identity = Identity { id: "id-1", name: &github, kind: CredentialKind::ApiKey };
    let sealed = vault.seal(&identity, &secret("canary-value")).unwrap();
    assert_eq!(vault.open(&identity, &sealed).unwrap().expose_bytes(), b"canary-value");
    assert_eq!(unlock(&record).unwrap().open(&identity, &sealed).unwrap().expose_bytes(), b"canary-value");
    let moved =
        [Identity { id: "id-2", ..identity }, Identity { name: &other, ..identity }, Identity { kind: CredentialKind::Secret, ..identity }];
    for identity in moved {
        let error = vault.open(&identity, &sealed).err().unwrap();
        assert!(matches!(&error, VaultError::Damaged { name } if name == identity.name.as_str()), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    // A small secret is of another domain, whatever it is called.
    assert!(matches!(vault.open_bytes("GITHUB_TOKEN", &sealed), Err(VaultError::Damaged { .. })));
    let small = vault.seal_bytes("audit", b"key").unwrap();
    assert!(matches!(vault.open_bytes("other", &small), Err(VaultError::Damaged { .. })));
    assert!(matches!(vault.open(&identity, &small), Err(VaultError::Damaged { .. })));
    // Another vault has another key.
    let (_, foreign) = SealedVault::create(Source::Memory, &NoPassphrases, NOW).unwrap();
    assert!(matches!(foreign.open(&identity, &sealed), Err(VaultError::Damaged { .. })));
    assert!(matches!(vault.seal(&identity, &Secret::new(vec![0; 65_537])), Err(VaultError::TooLong(65_537))));
}

/// A vault as another implementation of these formats made it. Databases in the
/// field look like this one: should this test fail, they no longer open.
#[test]
fn a_vault_that_was_once_made_opens_for_ever() {
    let text = [
        r#"{"format":1,"source":{"kind":"passphrase"},"key_id":"0190b5a0-0000-7000-8000-000000000000","key_version":3,"#,
        r#""iterations":600000,"salt":"yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=","check":"AQAAAANkZWZnaGlqa2xtbm9DsXAhbE4LCaWU5PZiUSjq1Ru2ouFf0I4=","#,
        r#""created_at":"2027-01-15T08:00:00.000Z"}"#,
    ]
    .concat();
    let record = VaultRecord::parse(&text).unwrap();
    assert_eq!(record.to_text(), text);
    let vault = SealedVault::new(record).unlock(&Told::new("correct horse", "")).unwrap();
    let sealed = Sealed::parse(decoded("AQAAAANkZWZnaGlqa2xtbm9AuGdlaEAIEe+ij1+1RLrs3Itvk1NFlHlF")).unwrap();
    let identity = Identity { id: "id-1", name: &name("GITHUB_TOKEN"), kind: CredentialKind::ApiKey };
    assert_eq!(vault.open(&identity, &sealed).unwrap().expose_bytes(), b"the value");
}

#[test]
fn a_passphrase_opens_and_a_wrong_one_is_called_wrong() {
    let (record, _) = SealedVault::create(Source::Passphrase, &Told::new("", "correct horse"), NOW).unwrap();
    assert_eq!(record.iterations(), 600_000);
    let right = Told::new("correct horse", "");
    assert!(SealedVault::new(record.clone()).unlock(&right).is_ok());
    assert_eq!(*right.asked.borrow(), [Ask::Unlock]);
    for wrong in ["correct hors", "correct horse\n", "Correct horse", ""] {
        let error = SealedVault::new(record.clone()).unlock(&Told::new(wrong, "")).err().unwrap();
        assert!(matches!(error, VaultError::WrongPassphrase), "{error:?}");
    }
    let nobody = SealedVault::new(record).unlock(&NoPassphrases).err().unwrap();
    assert!(matches!(nobody, VaultError::Passphrase(PassphraseError::NobodyToAsk)));
}

#[test]
fn a_new_passphrase_is_long_enough_and_text() {
    let create = |new| SealedVault::create(Source::Passphrase, &Told::new("", new), NOW).err();
    assert!(matches!(create("ÄÖÜäöü7"), Some(VaultError::Passphrase(PassphraseError::TooShort))));
    assert!(create("ÄÖÜäöü78").is_none());
    struct Binary;
    impl Passphrases for Binary {
        fn passphrase(&self, _: Ask) -> Result<Secret, PassphraseError> {
            Ok(Secret::new(vec![0xff; 20]))
        }
    }
    let binary = SealedVault::create(Source::Passphrase, &Binary, NOW).err();
    assert!(matches!(binary, Some(VaultError::Passphrase(PassphraseError::NotText))));
}

#[test]
fn a_database_without_its_key_says_which_key_is_missing_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = key_file(folder.path());
    let (record, _) = SealedVault::create(source.clone(), &NoPassphrases, NOW).unwrap();
    unlock(&record).map(drop).unwrap();
    std::fs::remove_file(&path).unwrap();
    let missing = unlock(&record).err().unwrap();
    assert!(matches!(&missing, VaultError::KeyMissing { place, key_id } if *place == source && *key_id == record.key_id()), "{missing}");
    // The file of another vault does not help; its folder gone is no other case.
    let (_, _) = SealedVault::create(source, &NoPassphrases, NOW).unwrap();
    assert!(matches!(unlock(&record).err().unwrap(), VaultError::KeyMissing { .. }));
    drop(folder);
    assert!(matches!(unlock(&record).err().unwrap(), VaultError::KeyMissing { .. }));
    // Another process's memory, played by a key that was taken out of ours.
    let (record, _) = SealedVault::create(Source::Memory, &NoPassphrases, NOW).unwrap();
    discard_unsaved(&record).unwrap();
    assert!(matches!(unlock(&record).err().unwrap(), VaultError::KeyMissing { place: Source::Memory, .. }));
}

#[test]
fn another_key_under_the_right_id_is_called_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = key_file(folder.path());
    let (record, _) = SealedVault::create(source, &NoPassphrases, NOW).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, _) = text.rsplit_once(' ').unwrap();
    std::fs::write(&path, format!("{head} {}\n", "0".repeat(64))).unwrap();
    assert!(matches!(unlock(&record).err().unwrap(), VaultError::WrongKey { place: Source::KeyFile { .. } }));
}

/// What an attacker who can write the database may try.
#[test]
fn a_record_is_read_only_when_every_field_is_one_of_ours() {
    let (record, _) = SealedVault::create(Source::Memory, &NoPassphrases, NOW).unwrap();
    let good: Value = serde_json::from_str(&record.to_text()).unwrap();
    assert_eq!(VaultRecord::parse(&good.to_string()).unwrap(), record);
    let own_key = good["key_id"].clone();
    let place = json!({"source": {"kind": "memory"}, "key_id": "0190b5a0-0000-7000-8000-000000000000"});
    let mut later_check = decoded(good["check"].as_str().unwrap());
    later_check[4] = 2;
    let wrong: Vec<(&str, Value)> = vec![
        ("format", json!(2)),
        ("format", json!("1")),
        ("surplus", json!(1)),
        ("iterations", json!(99_999)),
        ("iterations", json!(10_000_001)),
        ("iterations", json!(-1)),
        ("iterations", json!(4_294_967_296_u64)),
        ("key_version", json!(0)),
        ("key_version", json!(2)),
        ("key_id", json!("x")),
        ("key_id", json!("67e55044-10b1-426f-9247-bb680e5fe0c8")),
        ("salt", json!("AAAA")),
        ("salt", json!("****")),
        ("check", json!("AAAA")),
        ("check", json!("A".repeat(400))),
        ("check", json!(encoded(&later_check))),
        ("created_at", json!("yesterday")),
        ("source", json!("memory")),
        ("source", json!({"kind": "cloud"})),
        ("source", json!({"kind": "memory", "path": "/x"})),
        ("source", json!({"kind": "memory", "more": 1})),
        ("source", json!({"kind": "passphrase"})),
        ("source", json!({"kind": "keychain"})),
        ("source", json!({"kind": "keychain", "service": "a b"})),
        ("source", json!({"kind": "keychain", "service": ""})),
        ("source", json!({"kind": "key_file", "path": "relative"})),
        ("source", json!({"kind": "key_file", "path": "/"})),
        ("source", json!({"kind": "key_file", "path": "/a\u{0}b"})),
        ("source", json!({"kind": "key_file", "path": format!("/{}", "a".repeat(5000))})),
        ("pending", json!({"source": {"kind": "memory"}, "key_id": own_key})),
        ("retired", json!({"source": {"kind": "memory"}, "key_id": own_key})),
        ("retired", json!({"source": {"kind": "memory"}})),
        ("retired", json!({"source": {"kind": "memory"}, "key_id": own_key, "more": 1})),
    ];
    for (field, value) in wrong {
        let mut other = good.clone();
        other[field] = value.clone();
        assert!(VaultRecord::parse(&other.to_string()).is_err(), "{field}: {value}");
    }
    for field in good.as_object().unwrap().keys() {
        let mut other = good.clone();
        other.as_object_mut().unwrap().remove(field);
        assert!(VaultRecord::parse(&other.to_string()).is_err(), "without {field}");
    }
    let mut both = good.clone();
    both["pending"] = place.clone();
    assert!(VaultRecord::parse(&both.to_string()).is_ok());
    both["retired"] = json!({"source": {"kind": "memory"}, "key_id": "0190b5a0-0000-7000-8000-000000000001"});
    assert!(VaultRecord::parse(&both.to_string()).is_err());
    let hostile = VaultRecord::parse("{\"\\u001b[31m\":1}").unwrap_err();
    assert!(!hostile.to_string().contains('\u{1b}'), "{hostile}");
    for text in ["", "null", "[]", "{}", "{\"format\":1}", "\u{0}"] {
        assert!(VaultRecord::parse(text).is_err(), "{text}");
    }
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_place_that_is_none_is_refused_before_a_key_is_made() {
    for path in ["master.key", "../master.key", "/", ""] {
        let refused = SealedVault::create(Source::KeyFile { path: path.into() }, &NoPassphrases, NOW).err();
        assert!(matches!(refused, Some(VaultError::Source(_))), "{path}");
    }
    let refused = SealedVault::create(Source::Keychain { service: "Wardroom!".to_owned() }, &NoPassphrases, NOW).err();
    assert!(matches!(refused, Some(VaultError::Source(_))));
}

#[test]
fn every_crash_of_a_rotation_leaves_all_of_the_old_or_all_of_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = key_file(folder.path());
    let start = Database::new(source.clone(), &NoPassphrases);
    assert_eq!(lines(&path), 1);
    // After each step the process is gone; what it saved is in `database`.
    for crash_after in ["begin", "store_key", "finish", "commit", "retire", "save"] {
        let mut database = start.clone();
        let before = std::fs::read(&path).unwrap();
        let old = unlock(&database.record).unwrap();
        run_rotation(&mut database, &old, &source, crash_after);
        database.open_all(&NoPassphrases);
        let moved = ["commit", "retire", "save"].contains(&crash_after);
        assert_eq!(database.record.key_version(), if moved { 2 } else { 1 }, "{crash_after}");
        // A new rotation waits until the leftovers of this one are gone.
        let settled = database.record.pending().is_none() && database.record.retired().is_none();
        assert_eq!(Rotation::begin(&database.record, source.clone()).is_ok(), settled, "{crash_after}");
        database.recover();
        database.open_all(&NoPassphrases);
        assert_eq!(lines(&path), 1, "{crash_after}: only the key in use is left");
        assert_eq!(recover(&database.record).unwrap(), None);
        std::fs::write(&path, before).unwrap();
    }
}

fn run_rotation(database: &mut Database, old: &OpenVault, to: &Source, crash_after: &str) {
    let (rotation, record) = Rotation::begin(&database.record, to.clone()).unwrap();
    database.record = record;
    if crash_after == "begin" {
        return drop(rotation);
    }
    let rotation = rotation.store_key(&NoPassphrases).unwrap();
    if crash_after == "store_key" {
        return drop(rotation);
    }
    let next = database.rotated(rotation, old);
    if crash_after == "finish" {
        return;
    }
    *database = next;
    if crash_after == "commit" {
        return;
    }
    let record = retire(&database.record).unwrap();
    if crash_after == "save" {
        database.record = record;
    }
}

/// Another process may find a rotation that is slow, not dead.
#[test]
fn recovering_a_rotation_that_still_runs_removes_no_key_before_its_commit_must_fail() {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = key_file(folder.path());
    let mut database = Database::new(source.clone(), &NoPassphrases);
    let old = unlock(&database.record).unwrap();
    let (rotation, begun) = Rotation::begin(&database.record, source).unwrap();
    database.record = begun.clone();
    let rotation = rotation.store_key(&NoPassphrases).unwrap();
    let first = recover(&begun).unwrap().unwrap();
    assert_eq!(lines(&path), 2, "nothing was removed yet");
    // Whoever is saved first wins: the other compares with a record that is gone.
    assert_ne!(first, begun);
    let moved = database.rotated(rotation, &old);
    moved.open_all(&NoPassphrases);
    database.record = first;
    assert_eq!(database.recover(), 1);
    assert_eq!(lines(&path), 1);
    database.open_all(&NoPassphrases);
}

#[test]
fn a_vault_moves_from_any_place_to_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = key_file(folder.path());
    let told = Told::new("first passphrase", "first passphrase");
    let mut database = Database::new(Source::Memory, &told);
    for (version, to) in (2..).zip([Source::Passphrase, Source::Passphrase, file, Source::Memory]) {
        let before = database.record.to_text();
        let old = SealedVault::new(database.record.clone()).unlock(&told).unwrap();
        let (rotation, record) = Rotation::begin(&database.record, to.clone()).unwrap();
        database.record = record;
        let stale = database.clone();
        database = database.rotated(rotation.store_key(&told).unwrap(), &old);
        assert_eq!((database.record.source(), database.record.key_version()), (&to, version));
        let salt = |text: &str| serde_json::from_str::<Value>(text).unwrap()["salt"].clone();
        assert_ne!(salt(&before), salt(&database.record.to_text()));
        database.recover();
        database.open_all(&told);
        // A process that slept through it is told so, by its rows' key version.
        let (id, name, kind, sealed) = &database.credentials[0];
        let missed = old.open(&Identity { id, name, kind: *kind }, sealed).err().unwrap();
        assert!(matches!(missed, VaultError::KeyVersion { found, open, .. } if found == version && open == version - 1));
        let new = SealedVault::new(database.record.clone()).unlock(&told).unwrap();
        let (rotation, _) = Rotation::begin(&database.record, Source::Memory).unwrap();
        let other = rotation.store_key(&told).unwrap().finish(&old, NOW).err();
        assert!(matches!(other, Some(VaultError::OtherVault)));
        let stale_row = (Identity { id, name, kind: *kind }, &stale.credentials[0].3);
        let (rotation, _) = Rotation::begin(&database.record, Source::Memory).unwrap();
        let stale = rotation.store_key(&told).unwrap().finish(&new, NOW).unwrap().reseal(&new, &[stale_row], &[]).err();
        assert!(matches!(stale, Some(VaultError::KeyVersion { .. })));
    }
    assert_eq!(lines(&path), 0, "the file went with its last key");
}

#[test]
fn a_rotation_to_a_new_passphrase_closes_the_old_one_out() {
    let mut database = Database::new(Source::Passphrase, &Told::new("", "the old one"));
    let old = SealedVault::new(database.record.clone()).unlock(&Told::new("the old one", "")).unwrap();
    let (rotation, _) = Rotation::begin(&database.record, Source::Passphrase).unwrap();
    database = database.rotated(rotation.store_key(&Told::new("", "the new one")).unwrap(), &old);
    database.recover();
    database.open_all(&Told::new("the new one", ""));
    let closed = SealedVault::new(database.record).unlock(&Told::new("the old one", "")).err();
    assert!(matches!(closed, Some(VaultError::WrongPassphrase)));
}

#[test]
fn a_key_whose_folder_is_gone_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/vault.key");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let (record, vault) = SealedVault::create(Source::KeyFile { path: path.clone() }, &NoPassphrases, NOW).unwrap();
    let (rotation, _) = Rotation::begin(&record, Source::Memory).unwrap();
    let rotated = rotation.store_key(&NoPassphrases).unwrap().finish(&vault, NOW).unwrap();
    assert!(rotated.record.retired().is_some());
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let settled = recover(&rotated.record).unwrap().unwrap();
    assert!(settled.retired().is_none());
}

#[cfg(unix)]
#[test]
fn a_key_that_cannot_be_removed_is_reported_and_keeps_nobody_out() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = key_file(folder.path());
    let mut database = Database::new(source, &NoPassphrases);
    let old = unlock(&database.record).unwrap();
    let (rotation, record) = Rotation::begin(&database.record, Source::Memory).unwrap();
    database.record = record;
    database = database.rotated(rotation.store_key(&NoPassphrases).unwrap(), &old);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(recover(&database.record), Err(VaultError::KeyFile(KeyFileError::Permissions { .. }))));
    database.open_all(&NoPassphrases);
    database.record = abandon(&database.record);
    database.open_all(&NoPassphrases);
    assert!(recover(&database.record).unwrap().is_none() && lines(&path) == 1);
}

#[test]
fn what_is_given_up_is_forgotten_whichever_it_is() {
    let (record, _) = SealedVault::create(Source::Memory, &NoPassphrases, NOW).unwrap();
    let (_, begun) = Rotation::begin(&record, Source::Memory).unwrap();
    assert!(begun.pending().is_some());
    assert_eq!(abandon(&begun), record);
    let retired = recover(&begun).unwrap().unwrap();
    assert!(retired.pending().is_none() && retired.retired().is_some());
    assert_eq!(abandon(&retired), record);
    for unfinished in [begun, retired] {
        assert!(matches!(Rotation::begin(&unfinished, Source::Memory).err(), Some(VaultError::RotationUnfinished)));
    }
}

#[test]
fn a_vault_is_that_of_its_record_by_key_and_version() {
    let (record, vault) = SealedVault::create(Source::Memory, &NoPassphrases, NOW).unwrap();
    let (other, _) = SealedVault::create(Source::Memory, &NoPassphrases, NOW).unwrap();
    assert_eq!((vault.key_version(), record.created_at(), SealedVault::new(record.clone()).record()), (1, NOW, &record));
    assert!(vault.is_of(&record) && !vault.is_of(&other));
    let (rotation, begun) = Rotation::begin(&record, Source::Memory).unwrap();
    let rotated = rotation.store_key(&NoPassphrases).unwrap().finish(&vault, NOW).unwrap();
    assert!(vault.is_of(&begun), "only begun");
    assert!(!vault.is_of(&rotated.record) && rotated.vault.is_of(&rotated.record) && !rotated.vault.is_of(&record));
    assert_eq!(rotated.vault.key_version(), 2);
    // The same key under a later version is another vault.
    let mut later: Value = serde_json::from_str(&record.to_text()).unwrap();
    let mut check = decoded(later["check"].as_str().unwrap());
    check[4] = 2;
    (later["check"], later["key_version"]) = (json!(encoded(&check)), json!(2));
    assert!(!vault.is_of(&VaultRecord::parse(&later.to_string()).unwrap()));
}

#[test]
fn a_place_is_named_for_people_and_kept_within_its_bounds() {
    let keychain = |service: &str| Source::Keychain { service: service.to_owned() };
    let file = |path: String| Source::KeyFile { path: path.into() };
    let named = [
        (Source::keychain(), "keychain", "the operating system's keychain (service `wardroom`)"),
        (Source::Passphrase, "passphrase", "a passphrase"),
        (file("/a/b".to_owned()), "key_file", "the key file /a/b"),
        (Source::Memory, "memory", "the memory of one process"),
    ];
    for (source, name, words) in named {
        assert_eq!((source.name(), source.to_string().as_str()), (name, words));
        source.check().unwrap();
        let text = serde_json::to_string(&source).unwrap();
        assert_eq!(serde_json::from_str::<Source>(&text).unwrap(), source);
    }
    for (service, fits) in [("a", true), ("a.b_c-9", true), (&"a".repeat(64), true), (&"a".repeat(65), false), ("", false), ("A", false)] {
        assert_eq!(keychain(service).check().is_ok(), fits, "{service}");
    }
    let long = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    for (path, fits) in
        [(long(4096), true), (long(4097), false), ("/a\0b".to_owned(), false), ("a/b".to_owned(), false), ("/..".to_owned(), false)]
    {
        assert_eq!(file(path.clone()).check().is_ok(), fits, "{path}");
    }
    let error = keychain("Not one\u{1b}").check().unwrap_err();
    assert!(error.to_string().contains("`Not one") && !error.to_string().contains('\u{1b}'), "{error}");
    assert!(file("a/b".to_owned()).check().unwrap_err().to_string().contains("`a/b`"));
    assert!(Source::Memory.probe().is_ok() && Source::Passphrase.probe().is_ok());
}

#[test]
fn whose_turn_it_is_to_act() {
    use wardroom_core::blame::Blame;
    let damaged = VaultRecord::parse("{}").unwrap_err();
    let newer = json!({
        "format": 2, "source": {"kind": "memory"}, "key_id": "0190b5a0-0000-7000-8000-000000000000", "key_version": 1,
        "iterations": 100_000, "salt": "", "check": "", "created_at": "2027-01-15T08:00:00.000Z",
    });
    let newer = VaultRecord::parse(&newer.to_string()).unwrap_err();
    assert_eq!((damaged.blame(), newer.blame()), (Blame::Host, Blame::Operator), "{damaged}; {newer}");
    assert!(damaged.to_string().contains("missing field"), "{damaged}");
    let cases = [
        (VaultError::Record(damaged), Blame::Host),
        (VaultError::Record(newer), Blame::Operator),
        (VaultError::WrongPassphrase, Blame::Operator),
        (VaultError::Damaged { name: "A".to_owned() }, Blame::Host),
        (VaultError::OtherVault, Blame::Operator),
        (VaultError::VersionsUsedUp, Blame::Host),
        (VaultError::Passphrase(PassphraseError::TooShort), Blame::Operator),
        (VaultError::Source(Source::KeyFile { path: "x".into() }.check().unwrap_err()), Blame::Operator),
        (VaultError::KeyFile(KeyFileError::Unsupported), Blame::Operator),
    ];
    for (error, blame) in cases {
        assert_eq!(error.blame(), blame, "{error}");
    }
}

#[cfg(unix)]
mod key_files {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    /// What the file's state makes of unlocking a vault whose key is in it.
    fn refusal(spoil: impl FnOnce(&Path, &str)) -> KeyFileError {
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = key_file(folder.path());
        let (record, _) = SealedVault::create(source.clone(), &NoPassphrases, NOW).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        spoil(&path, &text);
        let VaultError::KeyFile(error) = unlock(&record).err().unwrap() else { panic!("not refused as a key file") };
        // Nothing is added to, and nothing removed from, a file that is not believed.
        assert!(matches!(SealedVault::create(source.clone(), &NoPassphrases, NOW).err(), Some(VaultError::KeyFile(_))));
        assert!(matches!(discard_unsaved(&record), Err(VaultError::KeyFile(_))));
        assert!(matches!(source.probe(), Err(VaultError::KeyFile(_))));
        let hex = text.trim_end().rsplit_once(' ').unwrap().1;
        assert!(!format!("{error} {error:?}").contains(hex));
        error
    }

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn one_is_made_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = key_file(folder.path());
        source.probe().unwrap();
        let (first, _) = SealedVault::create(source.clone(), &NoPassphrases, NOW).unwrap();
        let (second, _) = SealedVault::create(source, &NoPassphrases, NOW).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(lines(&path), 2);
        unlock(&first).map(drop).unwrap();
        discard_unsaved(&first).unwrap();
        discard_unsaved(&first).unwrap();
        assert!(matches!(unlock(&first).err().unwrap(), VaultError::KeyMissing { .. }));
        unlock(&second).map(drop).unwrap();
        discard_unsaved(&second).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left, no temporary file either");
    }

    #[test]
    fn one_that_others_can_touch_is_refused_with_the_command_that_mends_it() {
        for bits in [0o604, 0o640, 0o620, 0o602, 0o610, 0o666, 0o644] {
            let error = refusal(|path, _| mode(path, bits));
            let KeyFileError::Permissions { path, mode } = &error else { panic!("{error}") };
            assert_eq!(*mode, bits);
            let command = format!("run `chmod 600 {}`", path.display());
            assert!(error.to_string().ends_with(&command), "{error}");
        }
    }

    #[test]
    fn the_command_is_one_that_a_shell_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's my key");
        std::fs::write(&path, "").unwrap();
        mode(&path, 0o644);
        let error = Source::KeyFile { path: path.clone() }.probe().unwrap_err().to_string();
        let (_, command) = error.split_once('`').unwrap();
        let done = std::process::Command::new("sh").args(["-c", command.trim_end_matches('`')]).status().unwrap();
        assert!(done.success() && std::fs::metadata(&path).unwrap().mode() & 0o777 == 0o600, "{error}");
    }

    #[test]
    fn a_link_a_folder_and_a_pipe_are_refused() {
        let link = refusal(|path, _| {
            let real = path.with_extension("real");
            std::fs::rename(path, &real).unwrap();
            symlink(&real, path).unwrap();
        });
        assert!(matches!(link, KeyFileError::Link(_)), "{link}");
        let folder = refusal(|path, _| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        });
        assert!(matches!(folder, KeyFileError::NotAFile(_)), "{folder}");
        let pipe = refusal(|path, _| {
            std::fs::remove_file(path).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        });
        assert!(matches!(pipe, KeyFileError::NotAFile(_)), "{pipe}");
    }

    #[test]
    fn somebody_elses_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        if std::fs::metadata(folder.path()).unwrap().uid() != 0 {
            println!("not tried: only root can give a file away");
            return;
        }
        let error = refusal(|path, _| chown(path, Some(65_534), None).unwrap());
        assert!(matches!(error, KeyFileError::Owner { owner: 65_534, .. }), "{error}");
    }

    #[test]
    fn garbage_is_named_by_its_line() {
        type Spoil = fn(&str) -> String;
        let spoilt: [(usize, Spoil); 9] = [
            (2, |text| format!("{text}\n")),
            (2, |text| format!("{text}garbage\n")),
            (1, |text| format!("\n{text}")),
            (1, |text| text.replace('\n', "\r\n")),
            (1, |text| text.replace("key-1", "key-2")),
            (1, |text| text.replacen(' ', "  ", 1)),
            (1, |text| text.replace('\n', "0\n")),
            (1, |text| text[..text.len() - 3].to_owned()),
            (1, |text| text.replace('\n', " more\n")),
        ];
        for (number, spoil) in spoilt {
            let error = refusal(|path, text| std::fs::write(path, spoil(text)).unwrap());
            assert!(matches!(error, KeyFileError::Line { line, .. } if line == number), "{error}");
        }
        let twice = refusal(|path, text| std::fs::write(path, text.repeat(2)).unwrap());
        assert!(matches!(twice, KeyFileError::Duplicate { .. }), "{twice}");
        let large = refusal(|path, text| std::fs::write(path, text.repeat(2000)).unwrap());
        assert!(matches!(large, KeyFileError::TooLarge(_)), "{large}");
    }

    /// Killed between writing the file anew and moving it into place: whole
    /// keys lie beside it, under a name that nothing reads.
    #[test]
    fn what_a_killed_process_wrote_beside_it_goes_with_the_next_change() {
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = key_file(folder.path());
        let (record, _) = SealedVault::create(source.clone(), &NoPassphrases, NOW).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let beside = folder.path().join(".master.key.0190b5a0-0000-7000-8000-000000000000");
        let names = [".master.key.", ".master.key.bak", ".other.key.0190b5a0-0000-7000-8000-000000000000", "master.key.1"];
        let others = names.map(|name| folder.path().join(name));
        for other in &others {
            std::fs::write(other, &text).unwrap();
        }
        std::fs::write(&beside, &text).unwrap();
        unlock(&record).map(drop).unwrap();
        let (second, _) = SealedVault::create(source, &NoPassphrases, NOW).unwrap();
        assert!(!beside.exists(), "storing a key");
        std::fs::write(&beside, &text).unwrap();
        discard_unsaved(&second).unwrap();
        assert!(!beside.exists(), "removing one");
        std::fs::write(&beside, &text).unwrap();
        discard_unsaved(&second).unwrap();
        assert!(!beside.exists(), "removing one that is gone already");
        assert!(others.iter().all(|other| other.exists()), "what has another name is somebody else's");
        unlock(&record).map(drop).unwrap();
    }

    /// Whoever holds the folder's lock for good keeps nobody waiting for ever.
    #[test]
    fn a_folder_that_stays_locked_is_busy() {
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = key_file(folder.path());
        let (record, _) = SealedVault::create(source.clone(), &NoPassphrases, NOW).unwrap();
        let held = std::fs::File::open(folder.path()).unwrap();
        held.lock().unwrap();
        let busy = SealedVault::create(source, &NoPassphrases, NOW).err();
        assert!(matches!(busy, Some(VaultError::KeyFile(KeyFileError::Busy(_)))), "{busy:?}");
        unlock(&record).map(drop).unwrap();
        assert_eq!(lines(&path), 1);
    }

    #[test]
    fn a_path_through_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let (record, _) = SealedVault::create(key_file(folder.path()).0, &NoPassphrases, NOW).unwrap();
        let mut text: Value = serde_json::from_str(&record.to_text()).unwrap();
        text["source"]["path"] = json!(file.join("key"));
        let through = VaultRecord::parse(&text.to_string()).unwrap();
        assert!(matches!(unlock(&through).err(), Some(VaultError::KeyFile(KeyFileError::Io { .. }))));
        assert!(matches!(discard_unsaved(&through), Err(VaultError::KeyFile(KeyFileError::Io { .. }))));
    }

    /// Whoever reads what is no folder could wait there without end.
    #[test]
    fn a_path_through_a_pipe_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (done, waiting) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(key_file(&pipe).0.probe().unwrap_err()));
        let error = waiting.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert!(matches!(error, VaultError::KeyFile(KeyFileError::Io { .. })), "{error}");
    }

    #[test]
    fn two_that_write_at_once_lose_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = key_file(folder.path());
        let make = || SealedVault::create(source.clone(), &NoPassphrases, NOW).unwrap().0;
        let records: Vec<VaultRecord> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(lines(&path), 8);
        for record in &records {
            unlock(record).map(drop).unwrap();
        }
    }
}

#[test]
fn a_data_folder_moves_with_its_key_file_and_a_file_elsewhere_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    std::fs::create_dir(&old).unwrap();
    let (record, _) = SealedVault::create(Source::KeyFile { path: old.join("vault.key") }, &NoPassphrases, NOW).unwrap();
    let text = record.to_text_in(&old);
    assert!(!text.contains("old"), "{text}");
    assert_eq!(VaultRecord::parse_in(&old, &text).unwrap(), record);
    std::fs::rename(&old, &new).unwrap();
    let moved = VaultRecord::parse_in(&new, &text).unwrap();
    assert_eq!(moved.source(), &Source::KeyFile { path: new.join("vault.key") });
    unlock(&moved).unwrap();
    // A path with folders in it is somebody's choice, and never ours to complete.
    let elsewhere = record.to_text_in(&new);
    assert_eq!(VaultRecord::parse_in(&new, &elsewhere).unwrap(), record);
    for path in ["../vault.key", "a/vault.key", "", ".", ".."] {
        let text = text.replace("\"vault.key\"", &json!(path).to_string());
        assert!(VaultRecord::parse_in(&new, &text).is_err(), "{path}");
    }
}
