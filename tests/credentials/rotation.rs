//! Another key for the vault, and another place for it, by processes that are
//! killed, race each other or find no room: what is stored stays all of the old
//! or all of the new, and opens.
//!
//! Moments are drawn from `WARDROOM_SEED`, which is printed;
//! `WARDROOM_ROTATION_KILLS` says how many there are (12 unless told).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{Vaulted, ok};
use crate::support::home::{Ended, Running};

/// For a vault whose key is nowhere.
const PASSPHRASE: &str = "a horse, a battery";
/// Name and value of each credential.
const STORED: [(&str, &str); 5] = [
    ("API_TOKEN", "api-token-0123456789"),
    ("DEPLOY_TOKEN", "deploy-token-~!*'();"),
    ("HOME_ASSISTANT", "home assistant 0123456789"),
    ("LONG_TOKEN", "long-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    ("SHORT", "s"),
];
/// Sends every credential in a header of its own.
const SEND_ALL: &str = "
    const names = NAMES;
    const headers = Object.fromEntries(names.map((name) => ['x-' + name.replaceAll('_', '-').toLowerCase(), credentials[name]]));
    return (await fetch('BASE/all', { headers })).status;";

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    /// `WARDROOM_SEED` repeats a run.
    fn new() -> Self {
        let seed = std::env::var("WARDROOM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_101);
        println!("WARDROOM_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pick<T>(&mut self, from: &[T]) -> usize {
        usize::try_from(self.below(from.len() as u64)).unwrap()
    }

    fn within(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(longest.as_micros()).unwrap()))
    }
}

/// A home with several credentials for one server that speaks TLS.
struct Rotated {
    vaulted: Vaulted,
    allow: String,
}

/// What a vault says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    source: String,
    place: String,
    key_id: String,
    version: u64,
    unfinished: bool,
}

impl Rotated {
    fn new() -> Self {
        let vaulted = Vaulted::empty();
        for (name, value) in STORED {
            vaulted.add(name, value, &[]);
        }
        let names = serde_json::json!(STORED.map(|(name, _)| name)).to_string();
        vaulted.home.file("all.js", SEND_ALL.replace("BASE", &vaulted.base()).replace("NAMES", &names));
        let allow = vaulted.allow();
        Self { vaulted, allow }
    }

    /// With the passphrase in the environment, needed or not.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.vaulted.home.command(args);
        command.env("WARDROOM_PASSPHRASE", PASSPHRASE);
        command
    }

    fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args), b"")
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.start(args).wait()
    }

    fn feed(&self, args: &[&str], stdin: &str) -> Ended {
        Running::start(&mut self.command(args), stdin.as_bytes()).wait()
    }

    fn standing(&self) -> Standing {
        let ended = self.run(&["vault", "status", "--json"]);
        ok(&ended);
        let status = ended.json();
        let word = |field: &str| status[field].as_str().unwrap().to_owned();
        assert_eq!(status["values"], STORED.len(), "{status}");
        Standing {
            source: word("source"),
            place: word("place"),
            key_id: word("key_id"),
            version: status["key_version"].as_u64().unwrap(),
            unfinished: status["unfinished"].as_bool().unwrap(),
        }
    }

    fn send_all(&self) -> Ended {
        let credentials = STORED.map(|(name, _)| format!("--credential={name}"));
        let mut args = vec!["run", "--json", "all.js", self.allow.as_str()];
        args.extend(credentials.iter().map(String::as_str));
        self.run(&args)
    }

    /// Every value arrives at the server as it was stored.
    #[track_caller]
    fn opens(&self, expected: &[(&str, &str)]) {
        let before = self.vaulted.server.requests().len();
        let ended = self.send_all();
        assert_eq!(ended.code, Some(0), "{ended}");
        assert_eq!(ended.json()["output"]["json"], 200, "{ended}");
        let requests = self.vaulted.server.requests();
        assert_eq!(requests.len(), before + 1);
        for (name, value) in expected {
            let header = format!("x-{}", name.replace('_', "-").to_lowercase());
            assert_eq!(requests[before].headers[&header], *value, "{name}");
        }
    }

    /// One is given another name and back, which opens and seals its value.
    #[track_caller]
    fn renames(&self, name: &str) {
        ok(&self.run(&["credential", "rename", name, "ELSEWHERE"]));
        ok(&self.run(&["credential", "rename", "ELSEWHERE", name]));
    }

    #[track_caller]
    fn log_is_intact(&self) {
        let ended = self.run(&["audit", "verify", "--json"]);
        ok(&ended);
        let verified = ended.json();
        assert_eq!(verified["rows"], verified["proven"], "{verified}");
    }

    /// Where keys may be: the vault's own file, and another.
    fn key_files(&self) -> [PathBuf; 2] {
        [self.vaulted.home.path().join("vault.key"), self.vaulted.home.work().join("other.key")]
    }

    fn keys_in_place(&self) -> usize {
        self.key_files().iter().map(|file| keys_in(file)).sum()
    }

    /// Where it was too quick to be seen, a second passes.
    fn until_keys_are_more_than(&self, before: usize) {
        let start = Instant::now();
        while self.keys_in_place() <= before && start.elapsed() < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Keys that lie anywhere, in files that are no key files any more as well.
    fn keys(&self) -> usize {
        let folders = [self.vaulted.home.path(), self.vaulted.home.work()];
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten()).map(|entry| entry.path());
        files.filter(|path| path.is_file()).map(|path| keys_in(&path)).sum()
    }

    /// What is left of a rotation once something was used: nothing.
    #[track_caller]
    fn is_settled(&self) -> Standing {
        let standing = self.standing();
        assert!(!standing.unfinished, "{standing:?}");
        let expected = self.key_files().map(|file| usize::from(standing.place.ends_with(&file.display().to_string())));
        assert_eq!(self.key_files().map(|file| keys_in(&file)), expected, "{standing:?}");
        assert_eq!(self.keys(), expected.iter().sum::<usize>(), "a key lies elsewhere: {:?}", self.strays());
        standing
    }

    fn strays(&self) -> Vec<PathBuf> {
        let folders = [self.vaulted.home.path(), self.vaulted.home.work()];
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten()).map(|entry| entry.path());
        files.filter(|path| path.is_file() && keys_in(path) > 0 && !self.key_files().contains(path)).collect()
    }
}

fn keys_in(file: &Path) -> usize {
    let bytes = std::fs::read(file).unwrap_or_default();
    bytes.windows(PREFIX.len()).filter(|window| *window == PREFIX).count()
}

/// What a key's line begins with.
const PREFIX: &[u8] = b"wardroom-key-1 ";

/// A way to give the vault another key, and the source that it then has; none:
/// the same.
struct Move(&'static [&'static str], Option<&'static str>);

const MOVES: [Move; 4] = [
    Move(&["vault", "rotate-master-key"], None),
    Move(&["vault", "change-source", "file"], Some("key_file")),
    Move(&["vault", "change-source", "file=other.key"], Some("key_file")),
    Move(&["vault", "change-source", "passphrase"], Some("passphrase")),
];

/// What became of the killed ones.
#[derive(Debug, Default)]
struct Tally {
    /// Ended by themselves before they could be killed.
    done: usize,
    /// Killed, and nothing was begun.
    untouched: usize,
    /// Killed on the way there: all of the old, and something to tidy up.
    begun: usize,
    /// Killed behind the change: all of the new, and something to tidy up.
    moved: usize,
    /// Killed when all was done.
    settled: usize,
}

impl Tally {
    fn count(&mut self, killed: bool, new: bool, unfinished: bool) {
        let place = match (killed, new, unfinished) {
            (false, ..) => &mut self.done,
            (true, false, false) => &mut self.untouched,
            (true, false, true) => &mut self.begun,
            (true, true, true) => &mut self.moved,
            (true, true, false) => &mut self.settled,
        };
        *place += 1;
    }
}

/// Where the time that one is let live begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// Where it was started.
    Start,
    /// Where its new key is in a file: what comes then is short, and would
    /// seldom be hit otherwise.
    Key,
}

/// How long one is let live at most, of each way: at first what it takes when
/// nothing disturbs it; from then on a machine that gets busier, or less so, is
/// followed until about every fifth ends by itself.
#[derive(Debug)]
struct Pace {
    start: [Duration; 4],
    key: [Duration; 4],
}

impl Pace {
    fn undisturbed(rotated: &Rotated) -> Self {
        let start = MOVES.map(|Move(args, _)| {
            let start = Instant::now();
            ok(&rotated.run(args));
            start.elapsed().mul_f64(1.2)
        });
        Self { start, key: start.map(|longest| longest.mul_f64(0.4)) }
    }

    fn longest(&mut self, from: From, choice: usize) -> &mut Duration {
        match from {
            From::Start => &mut self.start[choice],
            From::Key => &mut self.key[choice],
        }
    }

    fn follow(&mut self, from: From, choice: usize, killed: bool) {
        let longest = self.longest(from, choice);
        *longest = longest.mul_f64(if killed { 1.05 } else { 0.8 });
    }
}

#[test]
fn whenever_it_is_killed_all_is_old_or_all_is_new() {
    let kills: usize = std::env::var("WARDROOM_ROTATION_KILLS").map_or(12, |text| text.parse().unwrap());
    let (mut dice, mut tally) = (Dice::new(), Tally::default());
    let rotated = Rotated::new();
    let mut pace = Pace::undisturbed(&rotated);
    println!("at first within: {pace:?}");
    let mut before = rotated.is_settled();
    for kill in 0..kills {
        let choice = dice.pick(&MOVES);
        let Move(args, source) = MOVES[choice];
        let from = if source == Some("passphrase") || dice.below(2) == 0 { From::Start } else { From::Key };
        let moment = dice.within(*pace.longest(from, choice));
        let keys = rotated.keys_in_place();
        let running = rotated.start(args);
        if from == From::Key {
            rotated.until_keys_are_more_than(keys);
        }
        std::thread::sleep(moment);
        running.signal(Signal::KILL);
        let ended = running.wait();
        let what = format!("kill {kill}: {args:?} {moment:?} after its {from:?} from {before:?}");
        let after = rotated.standing();
        let new = after.version > before.version;
        if new {
            assert_eq!(after.version, before.version + 1, "{what}: {after:?}");
            assert_ne!(after.key_id, before.key_id, "{what}");
            assert_eq!(after.source, source.unwrap_or(&before.source), "{what}");
        } else {
            assert_eq!(Standing { unfinished: false, ..after.clone() }, before, "{what}");
        }
        // The one in use, and one that is on its way in or out.
        assert!(rotated.keys_in_place() <= 2, "{what}: {} keys", rotated.keys_in_place());
        rotated.opens(&STORED);
        rotated.renames(STORED[dice.pick(&STORED)].0);
        rotated.log_is_intact();
        let settled = rotated.is_settled();
        assert_eq!(settled, Standing { unfinished: false, ..after.clone() }, "{what}");
        tally.count(ended.signal.is_some(), new, after.unfinished);
        pace.follow(from, choice, ended.signal.is_some());
        before = settled;
    }
    for (name, _) in STORED {
        rotated.renames(name);
    }
    println!("at last within: {pace:?}");
    println!("{kills} kills: {tally:?}");
    // A check of many that hits nothing in the middle would check nothing.
    assert!(kills < 100 || (tally.begun > 0 && tally.moved > 0), "{tally:?}");
}

#[test]
fn of_two_at_once_each_is_done_or_says_why_not() {
    let rotated = Rotated::new();
    for round in 0..4 {
        let before = rotated.is_settled();
        let both = [rotated.start(&["vault", "rotate-master-key"]), rotated.start(&["vault", "change-source", "file"])];
        let ended = both.map(Running::wait);
        let done = ended.iter().filter(|ended| ended.code == Some(0)).count();
        assert!(done >= 1, "round {round}: {ended:?}");
        for refused in ended.iter().filter(|ended| ended.code != Some(0)) {
            assert_eq!(refused.code, Some(1), "{refused}");
            assert!(refused.stderr.contains("another process is giving the vault another key"), "{refused}");
        }
        rotated.opens(&STORED);
        assert_eq!(rotated.is_settled().version, before.version + done as u64);
    }
    rotated.log_is_intact();
}

/// Whether a command did what it should, or says that another process was
/// faster; nobody is told that the vault is broken.
#[track_caller]
fn done_or_overtaken(ended: &Ended) -> bool {
    if ended.code == Some(0) {
        return true;
    }
    let overtaken = ["changed by another process", "another process is giving the vault another key"];
    assert!(ended.code == Some(1) && overtaken.iter().any(|words| ended.stderr.contains(words)), "{ended}");
    false
}

#[test]
fn what_others_do_meanwhile_is_done_and_stays() {
    let rotated = Rotated::new();
    let before = rotated.standing().version;
    let (renamed, changed) = ("HOME_ASSISTANT", "API_TOKEN");
    let one = "return (await fetch('BASE/one', { headers: { a: credentials.DEPLOY_TOKEN } })).status;";
    rotated.vaulted.home.file("one.js", one.replace("BASE", &rotated.vaulted.base()));
    let (rotations, last) = std::thread::scope(|scope| {
        let rotating = scope.spawn(|| (0..12).filter(|_| done_or_overtaken(&rotated.run(&["vault", "rotate-master-key"]))).count());
        let using = scope.spawn(|| {
            for _ in 0..20 {
                let ended = rotated.run(&["run", "--json", "one.js", &rotated.allow, "--credential=DEPLOY_TOKEN"]);
                assert_eq!(ended.code, Some(0), "{ended}");
            }
        });
        let mut name = renamed;
        let mut last = STORED[0].1.to_owned();
        for turn in 0..12 {
            let new = if name == renamed { "ELSEWHERE" } else { renamed };
            if done_or_overtaken(&rotated.run(&["credential", "rename", name, new])) {
                name = new;
            }
            let value = format!("value-of-turn-{turn}");
            if done_or_overtaken(&rotated.feed(&["credential", "set", changed], &value)) {
                last = value;
            }
        }
        using.join().unwrap();
        if name != renamed {
            ok(&rotated.run(&["credential", "rename", name, renamed]));
        }
        (rotating.join().unwrap(), last)
    });
    println!("{rotations} of 12 rotations were done");
    let mut expected = STORED;
    expected[0].1 = &last;
    rotated.opens(&expected);
    assert_eq!(rotated.is_settled().version, before + rotations as u64);
    rotated.log_is_intact();
}

/// A small disk, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Over a folder that is there; none where this may not be done.
    fn mount(over: &Path) -> Option<Self> {
        let options = "size=8m,mode=700,nosuid,nodev";
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "wardroom-test"]).arg(over).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(over.to_owned()))
    }

    /// Fills it up but for so many bytes.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.0.join("filler");
        let free = rustix::fs::statvfs(&self.0).unwrap();
        let bytes = (free.f_bavail * free.f_frsize).saturating_sub(left);
        std::fs::write(&path, vec![1; usize::try_from(bytes).unwrap()]).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

#[test]
fn without_room_all_stays_old() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        // A right, not a part: nothing that could be installed.
        println!("skipped: needs the right to mount a tmpfs (root, outside of most containers)");
        return;
    };
    let rotated = Rotated::new();
    // The whole home on the small disk: key file, database, lock.
    let home = disk.0.join("home");
    copied(&rotated.vaulted.home.path(), &home);
    let at = |args: &[&str]| {
        let mut command = rotated.command(args);
        command.env("WARDROOM_HOME", &home);
        Running::start(&mut command, b"").wait()
    };
    ok(&at(&["vault", "change-source", "file"]));
    let status = || {
        let ended = at(&["vault", "status", "--json"]);
        ok(&ended);
        let status: Value = ended.json();
        (status["key_version"].as_u64().unwrap(), status["unfinished"] == true)
    };
    let mut refused = 0;
    for left in (0..80_u64).step_by(4) {
        let (before, _) = status();
        let filler = disk.fill(left << 10);
        let ended = at(&["vault", "rotate-master-key"]);
        std::fs::remove_file(filler).unwrap();
        let after = status();
        match ended.code {
            Some(0) => assert_eq!(after.0, before + 1, "{left} KiB: {ended}"),
            _ => {
                refused += 1;
                assert_eq!(after.0, before, "{left} KiB: {ended}");
                assert!(ended.code.is_some() && !ended.stderr.contains("panicked"), "{left} KiB: {ended}");
                let said = ["disk", "full", "space"].iter().any(|word| ended.stderr.contains(word));
                assert!(said, "{left} KiB: {ended}");
            }
        }
        for (name, _) in STORED {
            ok(&at(&["credential", "rename", name, "ELSEWHERE"]));
            ok(&at(&["credential", "rename", "ELSEWHERE", name]));
        }
        assert!(!status().1, "{left} KiB: unfinished");
        assert_eq!(keys_in(&home.join("vault.key")), 1, "{left} KiB");
        ok(&at(&["audit", "verify"]));
    }
    println!("{refused} of 20 rotations found no room");
    assert!(refused >= 2, "{refused}");
    // Values that moved from disk to disk are still the same.
    ok(&at(&["vault", "change-source", "passphrase"]));
    std::fs::remove_dir_all(rotated.vaulted.home.path()).unwrap();
    copied(&home, &rotated.vaulted.home.path());
    rotated.opens(&STORED);
}

/// What of a home is no cache and no running process's. Its key stays where the
/// record says that it is.
fn copied(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        if !entry.path().is_file() {
            continue;
        }
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
