//! The vault's key: in every place that it can be, moved between them, lost,
//! damaged, or somebody else's. Credentials that are not concerned go on.

use std::os::unix::fs::symlink;

use super::commands::says;
use super::{Vaulted, assert_clean, assert_clean_folder, ok, with_env};
use crate::support::database;
use crate::support::home::{Ended, Home, chmod};

/// Names and values that every vault here holds.
const STORED: [(&str, &str); 3] = [("ONE", "value-of-one~1a2b3c"), ("TWO", "value-of-two~4d5e6f"), ("THREE", "value-of-three~7g8h")];
const FIRST: &str = "first pass phrase~Aa1";
const SECOND: &str = "second pass phrase~Bb2";

fn stored() -> Vaulted {
    let vaulted = Vaulted::empty();
    for (name, value) in STORED {
        vaulted.add(name, value, &[]);
    }
    vaulted
}

/// All of these open, and are what they were.
#[track_caller]
fn open(vaulted: &Vaulted, env: &[(&str, &str)], names: &[&str]) {
    for (name, value) in STORED.iter().filter(|(name, _)| names.contains(name)) {
        assert_eq!(vaulted.bearer_with(env, name), *value, "{name}");
    }
}

#[track_caller]
fn all_open(vaulted: &Vaulted, env: &[(&str, &str)]) {
    open(vaulted, env, &STORED.map(|(name, _)| name));
}

/// No value, no passphrase.
#[track_caller]
fn clean(ended: &Ended) {
    for secret in STORED.map(|(_, value)| value).into_iter().chain([FIRST, SECOND]) {
        assert_clean("an answer", ended.to_string().as_bytes(), secret);
    }
}

#[test]
fn the_key_moves_from_every_place_to_every_place_and_all_values_with_it() {
    let vaulted = stored();
    let (own, other) = (vaulted.home.path().join("vault.key"), vaulted.home.work().join("other.key"));
    let to_other = format!("file={}", other.display());
    // Every pair of three places once, those with themselves included.
    let way = ["file", &to_other, &to_other, "passphrase", "passphrase", "file", "passphrase", &to_other, "file"];
    let mut passphrase = FIRST;
    let mut version = 1;
    for to in way {
        let next = if passphrase == FIRST { SECOND } else { FIRST };
        let env = [("WARDROOM_PASSPHRASE", passphrase), ("WARDROOM_NEW_PASSPHRASE", next)];
        let before = vaulted.home.read(&["vault", "status", "--json"]);
        let moved = with_env(&vaulted.home, &env, &["vault", "change-source", to, "--json"], "");
        ok(&moved);
        clean(&moved);
        let status = vaulted.home.read(&["vault", "status", "--json"]);
        assert_eq!(moved.json(), status);
        version += 1;
        assert_eq!(status["key_version"], version, "{status}");
        assert_ne!(status["key_id"], before["key_id"]);
        assert_eq!(status["source"], if to == "passphrase" { "passphrase" } else { "key_file" });
        assert_eq!((own.exists(), other.exists()), (to == "file", to == to_other), "{to}");
        if to == "passphrase" {
            passphrase = next;
        }
        all_open(&vaulted, &[("WARDROOM_PASSPHRASE", passphrase)]);
        assert_eq!(vaulted.home.read(&["vault", "status", "--json"])["unfinished"], false);
    }
    for secret in [FIRST, SECOND] {
        assert_clean_folder(&vaulted.home.path(), secret);
    }
    says(&with_env(&vaulted.home, &[], &["audit", "verify"], ""), 0, &[]);
    let audit = vaulted.home.read(&["audit", "list", "--event=vault-rotated", "--json"]);
    assert_eq!(audit["events"].as_array().map(Vec::len), Some(way.len()));
}

#[test]
fn another_key_in_the_same_place_opens_what_the_old_one_sealed() {
    let vaulted = stored();
    let key = vaulted.home.path().join("vault.key");
    let old = std::fs::read(&key).unwrap();
    let ended = vaulted.home.run(&["vault", "rotate-master-key"]);
    ok(&ended);
    assert!(ended.text().contains("The vault has a new key.") && ended.text().contains("version 2"), "{ended}");
    all_open(&vaulted, &[]);
    let new = std::fs::read(&key).unwrap();
    assert_ne!(old, new);
    // The old one opens nothing any more.
    std::fs::write(&key, &old).unwrap();
    says(&vaulted.carry(&[], "ONE"), 1, &["the vault's master key", "is not in"]);
    std::fs::write(&key, &new).unwrap();
    all_open(&vaulted, &[]);
}

fn with_passphrase() -> Vaulted {
    let vaulted = stored();
    ok(&with_env(&vaulted.home, &[("WARDROOM_PASSPHRASE", FIRST)], &["vault", "change-source", "passphrase"], ""));
    vaulted
}

#[test]
fn a_passphrase_comes_from_a_file_or_the_environment_and_opens_alone() {
    let vaulted = with_passphrase();
    let file = |name: &str, text: &str| vaulted.home.file(name, text).display().to_string();
    let (right, wrong, ended_twice) = (file("right", &format!("{FIRST}\n")), file("wrong", SECOND), file("twice", &format!("{FIRST}\n\n")));
    let one = |env: &[(&str, &str)]| {
        let ended = vaulted.carry(env, "ONE");
        clean(&ended);
        ended
    };
    ok(&one(&[("WARDROOM_PASSPHRASE", FIRST)]));
    ok(&one(&[("WARDROOM_PASSPHRASE_FILE", &right)]));
    // The file is the one that counts.
    ok(&one(&[("WARDROOM_PASSPHRASE_FILE", &right), ("WARDROOM_PASSPHRASE", SECOND)]));
    for env in [
        ("WARDROOM_PASSPHRASE", SECOND),
        ("WARDROOM_PASSPHRASE", ""),
        ("WARDROOM_PASSPHRASE_FILE", &wrong),
        ("WARDROOM_PASSPHRASE_FILE", &ended_twice),
    ] {
        says(&one(&[env]), 1, &["the passphrase does not open this vault", "Try again; nothing was changed."]);
    }
    says(&one(&[]), 1, &["there is nobody here to ask for it", "`WARDROOM_PASSPHRASE_FILE=FILE`"]);
    says(&one(&[("WARDROOM_PASSPHRASE_FILE", "/nonexistent/file")]), 1, &["WARDROOM_PASSPHRASE_FILE names `/nonexistent/file`"]);
    assert_eq!(vaulted.home.executions().len(), 3);
    all_open(&vaulted, &[("WARDROOM_PASSPHRASE", FIRST)]);
}

#[test]
fn a_new_passphrase_is_long_enough_and_the_old_one_is_needed_for_it() {
    let vaulted = with_passphrase();
    let rotate = |env: &[(&str, &str)]| {
        let ended = with_env(&vaulted.home, env, &["vault", "rotate-master-key"], "");
        clean(&ended);
        ended
    };
    let old = ("WARDROOM_PASSPHRASE", FIRST);
    for short in ["", "1234567", "äöüäöüä"] {
        says(&rotate(&[old, ("WARDROOM_NEW_PASSPHRASE", short)]), 1, &["at least 8 characters"]);
    }
    says(&rotate(&[("WARDROOM_PASSPHRASE", SECOND)]), 1, &["the passphrase does not open this vault"]);
    says(&rotate(&[("WARDROOM_NEW_PASSPHRASE", SECOND)]), 1, &["nobody here to ask"]);
    all_open(&vaulted, &[old]);
    assert_eq!(vaulted.home.read(&["vault", "status", "--json"])["unfinished"], false);
    ok(&rotate(&[old, ("WARDROOM_NEW_PASSPHRASE", "äöüäöüäß")]));
    says(&vaulted.carry(&[old], "ONE"), 1, &["the passphrase does not open this vault"]);
    all_open(&vaulted, &[("WARDROOM_PASSPHRASE", "äöüäöüäß")]);
    let home = Home::new();
    says(&with_env(&home, &[("WARDROOM_PASSPHRASE", "1234567")], &["init", "--vault=passphrase"], ""), 1, &["at least 8 characters"]);
    says(&home.run(&["init", "--vault=passphrase"]), 1, &["nobody here to ask"]);
    says(&home.run(&["vault", "status"]), 1, &["no vault"]);
}

#[test]
fn a_database_without_its_key_opens_nothing_and_tells_what_is_missing() {
    let vaulted = stored();
    let key = vaulted.home.path().join("vault.key");
    let text = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let missing = ["the vault's master key", "is not in", "vault.key", "Put the key file back"];
    says(&vaulted.carry(&[], "ONE"), 1, &missing);
    says(&vaulted.home.feed(&["credential", "add", "FOUR", "--host=h.example"], "0123456789"), 1, &missing);
    says(&vaulted.home.feed(&["credential", "set", "ONE"], "0123456789"), 1, &missing);
    says(&vaulted.home.run(&["vault", "rotate-master-key"]), 1, &missing);
    says(&vaulted.home.run(&["vault", "change-source", "file=elsewhere.key"]), 1, &missing);
    assert!(!key.exists() && !vaulted.home.work().join("elsewhere.key").exists());
    ok(&vaulted.home.run(&["vault", "status"]));
    std::fs::write(&key, text).unwrap();
    chmod(&key, 0o600);
    all_open(&vaulted, &[]);
}

#[test]
fn a_key_file_is_not_believed_where_others_had_a_hand_in_it() {
    let vaulted = stored();
    let key = vaulted.home.path().join("vault.key");
    let text = std::fs::read(&key).unwrap();
    let fails = |words: &[&str]| {
        let ended = vaulted.carry(&[], "ONE");
        says(&ended, 1, words);
        assert!(!ended.to_string().contains(String::from_utf8_lossy(&text).split(' ').nth(2).unwrap().trim()), "{ended}");
    };
    for mode in [0o644, 0o620, 0o604] {
        chmod(&key, mode);
        fails(&["is open to others", &format!("chmod 600 {}", key.display())]);
    }
    chmod(&key, 0o600);
    let moved = vaulted.home.path().join("moved.key");
    std::fs::rename(&key, &moved).unwrap();
    symlink(&moved, &key).unwrap();
    fails(&["is a symbolic link"]);
    std::fs::remove_file(&key).unwrap();
    std::fs::create_dir(&key).unwrap();
    fails(&["is no regular file"]);
    std::fs::remove_dir(&key).unwrap();
    for garbage in [b"garbage\n".as_slice(), b"\xff\xfe\0", &text[..text.len() / 2], &[&text[..], &text[..]].concat()] {
        std::fs::write(&key, garbage).unwrap();
        chmod(&key, 0o600);
        fails(&["the key file"]);
    }
    std::fs::write(&key, b"").unwrap();
    fails(&["the vault's master key", "is not in"]);
    std::fs::rename(&moved, &key).unwrap();
    all_open(&vaulted, &[]);
}

#[test]
fn the_key_of_another_vault_opens_nothing() {
    let (vaulted, other) = (stored(), stored());
    let key = |vaulted: &Vaulted| vaulted.home.path().join("vault.key");
    let own = std::fs::read_to_string(key(&vaulted)).unwrap();
    let foreign = std::fs::read_to_string(key(&other)).unwrap();
    std::fs::write(key(&vaulted), &foreign).unwrap();
    says(&vaulted.carry(&[], "ONE"), 1, &["the vault's master key", "is not in"]);
    // Even under the id of the right one.
    let words = |text: &str| text.trim().split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (own_words, foreign_words) = (words(&own), words(&foreign));
    std::fs::write(key(&vaulted), format!("{} {} {}\n", own_words[0], own_words[1], foreign_words[2])).unwrap();
    says(&vaulted.carry(&[], "ONE"), 1, &["does not open this vault"]);
    // Both keys in one file: each vault finds its own.
    std::fs::write(key(&vaulted), format!("{foreign}{own}")).unwrap();
    all_open(&vaulted, &[]);
    assert!(vaulted.server.requests().len() == STORED.len() && other.server.requests().is_empty());
}

#[test]
fn a_damaged_value_is_named_and_every_other_one_opens() {
    if !database::is_here() {
        return;
    }
    let flip = |at: &str| {
        format!(
            "s = bytearray(one('SELECT sealed FROM credentials WHERE name = ?', 'ONE'))\ns[{at}] ^= 1\n\
             db.execute('UPDATE credentials SET sealed = ? WHERE name = ?', (bytes(s), 'ONE'))"
        )
    };
    let write = |value: &str| format!("db.execute('UPDATE credentials SET sealed = ? WHERE name = ?', ({value}, 'ONE'))");
    for damage in [
        flip("0"),
        flip("1"),
        flip("len(s) // 2"),
        flip("len(s) - 1"),
        write("b'x'"),
        write("b'\\0' * 100"),
        write("b'x' * 100000"),
        write("one('SELECT sealed FROM credentials WHERE name = ?', 'TWO')"),
        write("one('SELECT audit_root FROM vault')"),
        "db.execute(\"UPDATE credentials SET kind = 'secret' WHERE name = 'ONE'\")".to_owned(),
    ] {
        let vaulted = stored();
        database::edit(&vaulted.home.path(), &damage);
        let ended = vaulted.carry(&[], "ONE");
        clean(&ended);
        assert!(matches!(ended.code, Some(1 | 70)), "{damage}: {ended}");
        assert!(ended.stderr.contains("`ONE`") && ended.stderr.contains("hint"), "{damage}: {ended}");
        open(&vaulted, &[], &["TWO", "THREE"]);
        ok(&vaulted.home.feed(&["credential", "set", "ONE"], STORED[0].1));
        all_open(&vaulted, &[]);
    }
}

#[test]
fn values_that_changed_places_do_not_open() {
    if !database::is_here() {
        return;
    }
    let vaulted = stored();
    database::edit(
        &vaulted.home.path(),
        "a = one('SELECT sealed FROM credentials WHERE name = ?', 'ONE')\n\
         b = one('SELECT sealed FROM credentials WHERE name = ?', 'TWO')\n\
         db.execute('UPDATE credentials SET sealed = ? WHERE name = ?', (b, 'ONE'))\n\
         db.execute('UPDATE credentials SET sealed = ? WHERE name = ?', (a, 'TWO'))",
    );
    for name in ["ONE", "TWO"] {
        let ended = vaulted.carry(&[], name);
        clean(&ended);
        says(&ended, 70, &[&format!("the sealed value of `{name}` is damaged"), "Every other credential still opens"]);
    }
    open(&vaulted, &[], &["THREE"]);
    let renamed = stored();
    database::edit(&renamed.home.path(), "db.execute(\"UPDATE credentials SET name = 'FOUR' WHERE name = 'ONE'\")");
    says(&renamed.carry(&[], "FOUR"), 70, &["the sealed value of `FOUR` is damaged"]);
    open(&renamed, &[], &["TWO", "THREE"]);
}

/// A rotation that cannot open everything moves nothing.
#[test]
fn a_damaged_value_keeps_the_old_key_in_its_place() {
    if !database::is_here() {
        return;
    }
    let vaulted = stored();
    database::edit(&vaulted.home.path(), "db.execute(\"UPDATE credentials SET name = 'FOUR' WHERE name = 'ONE'\")");
    let before = vaulted.home.read(&["vault", "status", "--json"]);
    let ended = vaulted.home.run(&["vault", "rotate-master-key"]);
    clean(&ended);
    says(&ended, 70, &["`FOUR`"]);
    let after = vaulted.home.read(&["vault", "status", "--json"]);
    assert_eq!((&after["key_id"], &after["unfinished"]), (&before["key_id"], &false.into()));
    open(&vaulted, &[], &["TWO", "THREE"]);
    ok(&vaulted.home.run(&["credential", "rm", "FOUR"]));
    ok(&vaulted.home.run(&["vault", "rotate-master-key"]));
    open(&vaulted, &[], &["TWO", "THREE"]);
}

#[test]
fn a_damaged_record_is_said_to_be_one() {
    if !database::is_here() {
        return;
    }
    for damage in [
        "record = 'no JSON'",
        "record = '{}'",
        "record = '[]'",
        "record = replace(record, 'key_file', 'somewhere')",
        "record = substr(record, 1, length(record) / 2)",
        "record = replace(record, '{', '{\"more\": 1, ')",
    ] {
        let vaulted = stored();
        database::edit(&vaulted.home.path(), &format!("db.execute(\"\"\"UPDATE vault SET {damage}\"\"\")"));
        for ended in [
            vaulted.home.run(&["vault", "status"]),
            vaulted.home.run(&["init", "--vault=file"]),
            vaulted.home.run(&["vault", "rotate-master-key"]),
            vaulted.carry(&[], "ONE"),
        ] {
            clean(&ended);
            assert!(matches!(ended.code, Some(1 | 70)), "{damage}: {ended}");
            assert!(ended.stderr.contains("hint") && ended.stderr.contains("backup"), "{damage}: {ended}");
        }
        assert!(vaulted.home.path().join("vault.key").is_file());
        vaulted.home.file("plain.js", "return 1");
        vaulted.home.record(&["plain.js"]).succeeded();
    }
}

#[test]
fn two_keys_at_once_are_refused_and_runs_go_on() {
    let vaulted = stored();
    ok(&vaulted.home.run(&["vault", "rotate-master-key"]));
    let lock = std::fs::OpenOptions::new().write(true).open(vaulted.home.path().join("run/rotation.lock")).unwrap();
    lock.lock().unwrap();
    for args in [["vault", "rotate-master-key"].as_slice(), &["vault", "change-source", "file=other.key"]] {
        says(&vaulted.home.run(args), 1, &["another process is giving the vault another key", "Try again"]);
    }
    all_open(&vaulted, &[]);
    drop(lock);
    ok(&vaulted.home.run(&["vault", "rotate-master-key"]));
    all_open(&vaulted, &[]);
}
