//! The desktop is told what went wrong, on a real session bus; what answers there
//! is a fake that shows nothing.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::TICK;
use crate::credentials::{VALUE, Vaulted, assert_clean};
use crate::support::desktop::{FakeDesktop, Shown};
use crate::support::home::{Ended, Home, Running};
use crate::support::keyring::{Session, is_here};

const BAD: &str = "throw new Error('no <b>bread</b> & no \\u001b[31mbutter');";

fn with_bus(home: &Home, address: &str, args: &[&str]) -> Running {
    Running::start(home.command(args).env("DBUS_SESSION_BUS_ADDRESS", address), b"")
}

/// Everything that is due, on this bus; how it ended, and how long it took.
fn serve_once(home: &Home, address: &str) -> (Ended, Duration) {
    let start = Instant::now();
    let ended = with_bus(home, address, &["serve", "--once"]).wait();
    assert_eq!(ended.code, Some(0), "{ended}");
    (ended, start.elapsed())
}

/// A slot of each of these is due.
fn due() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[test]
fn a_task_that_fails_for_good_is_told_of_once_and_one_that_works_never() {
    if !is_here() {
        return;
    }
    let (home, session) = (Home::new(), Session::bare());
    let desktop = FakeDesktop::on(&session.address());
    home.add("good", TICK, &["--every=1s"]);
    home.add("bad", BAD, &["--every=1s", "--retry=1 base 1s jitter 0", "--overlap=queue"]);
    let daemon = with_bus(&home, &session.address(), &["serve"]);
    let shown = desktop.until(1);
    // Another execution of two attempts each.
    home.until_ended("bad", 4);
    home.until_ended("good", 3);
    daemon.signal(Signal::TERM);
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(shown[0].title, "Wardroom: bad failed after 2 attempts");
    assert!(shown[0].body.contains("no &lt;b&gt;bread&lt;/b&gt; &amp; no \\u{1b}[31mbutter"), "{shown:?}");
    assert_eq!(desktop.shown(), shown, "{ended}");
    assert!(!ended.stderr.contains("desktop"), "{ended}");
}

#[test]
fn a_pause_is_told_of_by_its_reason_after_the_failure() {
    if !is_here() {
        return;
    }
    let (home, session) = (Home::new(), Session::bare());
    let desktop = FakeDesktop::on(&session.address());
    home.add("bad", "throw new Error('no');", &["--every=1s", "--pause-after=2"]);
    let daemon = with_bus(&home, &session.address(), &["serve"]);
    daemon.until_stderr("bad: paused: 2 failures in a row");
    let shown = desktop.until(2);
    assert_eq!((shown[0].title.as_str(), shown[1].title.as_str()), ("Wardroom: bad failed", "Wardroom: bad was paused"));
    assert!(shown[1].body.starts_with("After 2 failures in a row: ") && shown[1].body.ends_with("wardroom task resume bad"), "{shown:?}");
}

#[test]
fn missed_slots_of_all_tasks_are_one_notification() {
    if !is_here() {
        return;
    }
    let (home, session) = (Home::new(), Session::bare());
    let desktop = FakeDesktop::on(&session.address());
    for name in ["one", "two"] {
        home.add(name, TICK, &["--cron=* * * * * *", "--missed=skip"]);
    }
    home.serve_once();
    let made_earlier = "db.execute('UPDATE tasks SET cursor_ms = cursor_ms - 600000'); \
                        db.execute('UPDATE schedule_spans SET from_ms = from_ms - 600000')";
    crate::support::database::edit(&home.path(), made_earlier);
    let (ended, _) = serve_once(&home, &session.address());
    assert!(ended.stderr.contains("one: missed") && ended.stderr.contains("two: missed"), "{ended}");
    let shown = desktop.shown();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].title.ends_with(" slots were missed"), "{shown:?}");
    assert!(shown[0].body.contains("one (") && shown[0].body.contains("two ("), "{shown:?}");
}

#[test]
fn a_credential_s_value_is_not_in_what_the_desktop_shows() {
    if !is_here() {
        return;
    }
    let (vaulted, session) = (Vaulted::new(), Session::bare());
    let desktop = FakeDesktop::on(&session.address());
    let script = "throw new Error(`it is ${await credentials.reveal('API_TOKEN')}`);";
    vaulted.home.add("leak", script, &["--every=1s", "--credential=API_TOKEN:reveal"]);
    due();
    let mut serve = vaulted.home.command(&["serve", "--once"]);
    let ended = Running::start(serve.env("DBUS_SESSION_BUS_ADDRESS", session.address()), b"").wait();
    let shown = desktop.until(1);
    assert!(shown[0].body.contains("it is [redacted:API_TOKEN]"), "{shown:?} {ended}");
    assert_clean("the notification", format!("{shown:?}").as_bytes(), VALUE);
}

#[test]
fn switched_off_the_desktop_is_told_nothing() {
    if !is_here() {
        return;
    }
    let (home, session) = (Home::new(), Session::bare());
    let desktop = FakeDesktop::on(&session.address());
    std::fs::write(home.path().join("config.toml"), "[notify]\ndesktop = false\n").unwrap();
    home.add("bad", BAD, &["--every=1s"]);
    due();
    let (ended, _) = serve_once(&home, &session.address());
    assert!(ended.stderr.contains("bad: failed"), "{ended}");
    assert_eq!(desktop.shown(), Vec::<Shown>::new());
}

/// How often the journal says that there is no desktop.
fn notes(ended: &Ended) -> usize {
    ended.stderr.matches("no desktop notification can be shown").count()
}

#[test]
fn without_a_bus_or_a_desktop_on_it_tasks_run_on_and_the_journal_says_so_once() {
    let home = Home::new();
    for name in ["bad", "worse"] {
        home.add(name, BAD, &["--every=1s"]);
    }
    due();
    for address in ["unix:path=/nonexistent/bus", "garbage"] {
        due();
        let (ended, _) = serve_once(&home, address);
        assert_eq!(notes(&ended), 1, "{address}: {ended}");
        assert!(ended.stderr.contains("bad: failed") && ended.stderr.contains("worse: failed"), "{ended}");
    }
    if is_here() {
        due();
        let (ended, _) = serve_once(&home, &Session::bare().address());
        assert_eq!(notes(&ended), 1, "a bus that nobody shows anything on: {ended}");
    }
}

#[test]
fn a_bus_that_never_answers_delays_no_slot_and_the_end_by_two_seconds() {
    let home = Home::new();
    let socket = home.work().join("bus");
    // Takes the connection, and never says a word.
    let _silent = UnixListener::bind(&socket).unwrap();
    home.add("tick", TICK, &["--every=1s"]);
    home.add("bad", BAD, &["--every=1s"]);
    let daemon = with_bus(&home, &format!("unix:path={}", socket.display()), &["serve"]);
    let rows = home.until_ended("tick", 4);
    let ms = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap().parse::<wardroom_core::clock::Timestamp>().unwrap().ms();
    let late = rows.iter().filter(|row| row["finished_at"].is_string()).map(|row| ms(row, "started_at") - ms(row, "scheduled_for"));
    let latest = late.max().unwrap();
    assert!(latest < 1500, "a slot began {latest} ms late: {rows:?}");
    daemon.until_stderr("the session bus did not answer within 2 s");
    let stopped = Instant::now();
    daemon.signal(Signal::TERM);
    let ended = daemon.wait();
    assert!(ended.code == Some(0) && stopped.elapsed() < Duration::from_secs(10), "{ended}");
    assert_eq!(notes(&ended), 1, "{ended}");
}
