//! The vault's key in a real keychain, through the command line.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::commands::says;
use super::{VALUE, Vaulted, assert_clean_folder, ok, with_env};
use crate::support::home::{Ended, Running};
use crate::support::keyring::{self, Session};

/// A keychain that waits for a person is given up before this.
const SOON: Duration = Duration::from_secs(5);

/// A vault in the keychain of a session, with `API_TOKEN`.
fn kept(session: &Session) -> Vaulted {
    let vaulted = Vaulted::unmade();
    let bus = session.address();
    let env = [("DBUS_SESSION_BUS_ADDRESS", bus.as_str())];
    ok(&with_env(&vaulted.home, &env, &["init", "--vault=keychain"], ""));
    ok(&with_env(&vaulted.home, &env, &["credential", "add", "API_TOKEN", &format!("--host={}", vaulted.host())], VALUE));
    vaulted
}

fn verify(vaulted: &Vaulted, env: &[(&str, &str)]) -> Ended {
    with_env(&vaulted.home, env, &["audit", "verify"], "")
}

/// No key file, and the vault is still the keychain's.
#[track_caller]
fn no_other_vault(vaulted: &Vaulted) {
    assert!(!vaulted.home.path().join("vault.key").exists());
    assert_eq!(vaulted.home.read(&["vault", "status", "--json"])["source"], "keychain");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn init_chooses_a_keychain_that_works_and_says_so() {
    if !keyring::is_here() {
        return;
    }
    let mut session = Session::new();
    let bus = session.address();
    let env = [("DBUS_SESSION_BUS_ADDRESS", bus.as_str())];
    let vaulted = Vaulted::unmade();
    let made = with_env(&vaulted.home, &env, &["init"], "");
    ok(&made);
    assert!(made.text().contains("the operating system's keychain") && made.text().contains("it works here"), "{made}");
    no_other_vault(&vaulted);
    ok(&with_env(&vaulted.home, &env, &["credential", "add", "API_TOKEN", &format!("--host={}", vaulted.host())], VALUE));
    assert_eq!(vaulted.bearer_with(&env, "API_TOKEN"), VALUE);
    // The keychain keeps it, not a process of ours.
    session.stop();
    session.start(true);
    assert_eq!(vaulted.bearer_with(&env, "API_TOKEN"), VALUE);
    ok(&with_env(&vaulted.home, &env, &["vault", "rotate-master-key"], ""));
    assert_eq!(vaulted.bearer_with(&env, "API_TOKEN"), VALUE);
    assert_clean_folder(&vaulted.home.path(), VALUE);
}

#[test]
fn a_locked_keychain_is_an_error_soon_and_no_second_vault() {
    if !keyring::is_here() {
        return;
    }
    let mut session = Session::new();
    let vaulted = kept(&session);
    session.stop();
    session.start(false);
    let bus = session.address();
    let env = [("DBUS_SESSION_BUS_ADDRESS", bus.as_str())];
    let start = Instant::now();
    says(&vaulted.carry(&env, "API_TOKEN"), 1, &["the keychain is locked", "Unlock the keychain"]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    says(&with_env(&vaulted.home, &env, &["init"], ""), 1, &["has a vault already"]);
    says(&with_env(&vaulted.home, &env, &["credential", "set", "API_TOKEN"], "0123456789"), 1, &["the keychain is locked"]);
    no_other_vault(&vaulted);
    assert!(vaulted.server.requests().is_empty());
    let verified = verify(&vaulted, &env);
    ok(&verified);
    assert!(verified.text().contains("The keychain does not answer") && verified.stderr.contains("not proven"), "{verified}");
    session.stop();
    session.start(true);
    assert_eq!(vaulted.bearer_with(&env, "API_TOKEN"), VALUE);
}

#[test]
fn an_absent_keychain_is_an_error_and_never_another_vault() {
    if !keyring::is_here() {
        return;
    }
    let mut session = Session::new();
    let vaulted = kept(&session);
    session.stop();
    let bus = session.address();
    let nowhere = [("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")];
    for env in [[("DBUS_SESSION_BUS_ADDRESS", bus.as_str())], nowhere] {
        let start = Instant::now();
        says(&vaulted.carry(&env, "API_TOKEN"), 1, &["the keychain cannot be reached", "hint"]);
        says(&with_env(&vaulted.home, &env, &["credential", "set", "API_TOKEN"], "0123456789"), 1, &["the keychain cannot be reached"]);
        says(&with_env(&vaulted.home, &env, &["vault", "change-source", "file"], ""), 1, &["the keychain cannot be reached"]);
        assert!(start.elapsed() < SOON * 3, "{:?}", start.elapsed());
        no_other_vault(&vaulted);
    }
    assert!(vaulted.server.requests().is_empty());
    assert_eq!(vaulted.home.read(&["vault", "status", "--json"])["unfinished"], false);
}

#[test]
fn a_key_moves_out_of_the_keychain_and_into_it() {
    if !keyring::is_here() {
        return;
    }
    let session = Session::new();
    let vaulted = kept(&session);
    let bus = session.address();
    let env = [("DBUS_SESSION_BUS_ADDRESS", bus.as_str()), ("WARDROOM_PASSPHRASE", "correct horse battery")];
    for (to, source) in [("file", "key_file"), ("keychain", "keychain"), ("passphrase", "passphrase"), ("keychain", "keychain")] {
        ok(&with_env(&vaulted.home, &env, &["vault", "change-source", to], ""));
        assert_eq!(vaulted.home.read(&["vault", "status", "--json"])["source"], source);
        assert_eq!(vaulted.bearer_with(&env, "API_TOKEN"), VALUE);
    }
    no_other_vault(&vaulted);
}

/// Some start a program with hardly any environment: HOME, LOGNAME, PATH, SHELL,
/// TERM and USER.
#[test]
fn a_keychain_is_found_by_the_folder_of_the_session_where_no_bus_is_named() {
    if !keyring::is_here() {
        return;
    }
    let session = Session::new();
    let vaulted = kept(&session);
    let runtime = session.runtime().display().to_string();
    let env = [("LOGNAME", "test"), ("SHELL", "/bin/sh"), ("TERM", "dumb"), ("USER", "test"), ("XDG_RUNTIME_DIR", runtime.as_str())];
    assert_eq!(vaulted.bearer_with(&env, "API_TOKEN"), VALUE);
    // Without the folder there may be none: that is said, and nothing is made up.
    let ended = vaulted.carry(&env[..4], "API_TOKEN");
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("keychain"), "{ended}");
    no_other_vault(&vaulted);
}

#[test]
fn a_data_folder_that_was_put_back_contradicts_the_keychain() {
    if !keyring::is_here() {
        return;
    }
    let session = Session::new();
    let vaulted = kept(&session);
    let bus = session.address();
    let env = [("DBUS_SESSION_BUS_ADDRESS", bus.as_str())];
    ok(&vaulted.carry(&env, "API_TOKEN"));
    let verified = verify(&vaulted, &env);
    ok(&verified);
    assert!(verified.text().contains("The keychain remembers row") && verified.text().contains("and it is there"), "{verified}");

    let (home, copied) = (vaulted.home.path(), vaulted.home.work().join("yesterday"));
    copy(&home, &copied);
    ok(&vaulted.carry(&env, "API_TOKEN"));
    fs::remove_dir_all(&home).unwrap();
    copy(&copied, &home);
    // What happens behind it is written down, and does not hide it.
    for _ in 0..2 {
        let verified = verify(&vaulted, &env);
        says(&verified, 1, &[]);
        assert!(verified.text().contains("The keychain remembers another row"), "{verified}");
        ok(&vaulted.carry(&env, "API_TOKEN"));
    }
    ok(&with_env(&vaulted.home, &env, &["audit", "restart"], ""));
    let verified = verify(&vaulted, &env);
    ok(&verified);
    assert!(verified.text().contains("and it is there") && verified.text().contains("begins a new chain"), "{verified}");
}

#[test]
fn a_daemon_that_is_killed_has_told_the_keychain_what_its_runs_did() {
    if !keyring::is_here() {
        return;
    }
    let session = Session::new();
    let vaulted = kept(&session);
    let bus = session.address();
    let env = [("DBUS_SESSION_BUS_ADDRESS", bus.as_str())];
    ok(&vaulted.carry(&env, "API_TOKEN"));
    let (allow, credential) = (vaulted.allow(), "--credential=API_TOKEN");
    ok(&with_env(&vaulted.home, &env, &["task", "add", "carry", "carry.js", &allow, credential, "--every=1s"], ""));
    let (home, copied) = (vaulted.home.path(), vaulted.home.work().join("yesterday"));
    copy(&home, &copied);
    let before = session.stored();
    let daemon = Running::start(vaulted.home.command(&["serve"]).envs(env), b"");
    keyring::wait_until("a word of the daemon in the keychain", || session.stored() != before);
    // Killed.
    drop(daemon);
    fs::remove_dir_all(&home).unwrap();
    copy(&copied, &home);
    let verified = verify(&vaulted, &env);
    says(&verified, 1, &[]);
    assert!(verified.text().contains("The keychain remembers another row"), "{verified}");
}

#[test]
fn a_vault_that_is_made_where_another_one_was_has_a_log_of_its_own() {
    if !keyring::is_here() {
        return;
    }
    let session = Session::new();
    let vaulted = kept(&session);
    let bus = session.address();
    let env = [("DBUS_SESSION_BUS_ADDRESS", bus.as_str())];
    for file in ["wardroom.db", "wardroom.db-wal", "wardroom.db-shm", "audit.key"] {
        // The log's shadow files come and go.
        drop(fs::remove_file(vaulted.home.path().join(file)));
    }
    ok(&with_env(&vaulted.home, &env, &["init", "--vault=keychain"], ""));
    let verified = verify(&vaulted, &env);
    ok(&verified);
    assert!(verified.text().contains("and it is there"), "{verified}");
}
