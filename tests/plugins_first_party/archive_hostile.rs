//! Archives made byte by byte to leave their folder, to be two things at once, or
//! to fill a disk. Each is refused for its reason, and nothing of it is left.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::archive::tree;
use super::{Function, failure};
use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::Job;

/// One header of a tar and its bytes, filled up to blocks.
fn tar_entry(name: &[u8], kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend(content);
    header.resize(header.len().div_ceil(512) * 512, 0);
    header
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut all = entries.concat();
    all.extend([0; 1024]);
    all
}

/// An entry of a zip, with whatever it says of itself.
#[derive(Clone)]
struct Zipped {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    stored: Vec<u8>,
    method: u16,
    flags: u16,
    mode: u32,
    size: u32,
    crc: u32,
}

fn zipped(name: &[u8], content: &[u8]) -> Zipped {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let size = u32::try_from(content.len()).unwrap();
    Zipped { name: name.to_vec(), local_name: None, stored: content.to_vec(), method: 0, flags: 0, mode: 0o100_644, size, crc: crc.sum() }
}

fn deflated(name: &[u8], content: &[u8]) -> Zipped {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    Zipped { stored: encoder.finish().unwrap(), method: 8, ..zipped(name, content) }
}

fn zip(entries: &[Zipped]) -> Vec<u8> {
    let (mut all, mut directory) = (Vec::new(), Vec::new());
    let short = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_le_bytes();
    for entry in entries {
        let offset = u32::try_from(all.len()).unwrap();
        let local = entry.local_name.as_ref().unwrap_or(&entry.name);
        let packed = u32::try_from(entry.stored.len()).unwrap();
        let common = [
            &entry.flags.to_le_bytes()[..],
            &entry.method.to_le_bytes(),
            &[0; 4],
            &entry.crc.to_le_bytes(),
            &packed.to_le_bytes(),
            &entry.size.to_le_bytes(),
        ]
        .concat();
        all.extend([b"PK\x03\x04\x14\x00", &common[..], &short(local), &[0; 2], local, &entry.stored].concat());
        let mode = (entry.mode << 16).to_le_bytes();
        directory.extend(
            [b"PK\x01\x02\x14\x03\x14\x00", &common[..], &short(&entry.name), &[0; 8], &mode, &offset.to_le_bytes(), &entry.name].concat(),
        );
    }
    let (start, length) = (u32::try_from(all.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    all.extend(directory);
    all.extend([b"PK\x05\x06\x00\x00\x00\x00", &count[..], &count, &length.to_le_bytes(), &start.to_le_bytes(), &[0; 2]].concat());
    all
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder with `down/into` to extract into, and everything around it watched.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("down/into")).unwrap();
    folder
}

/// Extracts in this process; the error, where nothing at all was changed.
#[track_caller]
fn refused(archive: &[u8]) -> Value {
    refused_with(archive, json!({}))
}

#[track_caller]
fn refused_with(archive: &[u8], more: Value) -> Value {
    let folder = folder();
    fs::write(folder.path().join("down/a"), archive).unwrap();
    let before = tree(folder.path());
    let mut params = json!({ "folder": "down", "file": "a", "into": "down/into" });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    // The whole folder is granted, more than the archive is meant for.
    let job = Job::file(&guests::plugin("archive")).function("extract").params(params).folder("down", &folder.path().join("down"), true);
    let finished = job.finish();
    let why = finished.failure().1.to_owned();
    assert_eq!(tree(folder.path()), before, "something is left: {why}");
    serde_json::from_str(&why).unwrap_or_else(|_| panic!("{why}"))
}

fn problem(name: &str, reason: &str) -> Value {
    json!({ "refused": [{ "name": name, "reason": reason }] })
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, shown, reason) in [
        (&b"../up"[..], "../up", "climbing_name"),
        (b"a/../../up", "a/../../up", "climbing_name"),
        (b"a/..", "a/..", "climbing_name"),
        (b"/etc/passwd", "/etc/passwd", "absolute_name"),
        (b"//x", "//x", "absolute_name"),
        (b"C:/x", "C:/x", "absolute_name"),
        (b"c:x", "c:x", "absolute_name"),
        (b"..\\up", "..\\up", "unclear_name"),
        (b"a\x1b[2J", "a\u{fffd}[2J", "unclear_name"),
        (b"a\nb", "a\u{fffd}b", "unclear_name"),
        (b"\xff", "\u{fffd}", "unclear_name"),
        (b".", ".", "unclear_name"),
    ] {
        let archives = [
            zip(&[zipped(b"fine", b"1"), zipped(name, b"2")]),
            tar(&[tar_entry(b"fine", b'0', "", b"1"), tar_entry(name, b'0', "", b"2")]),
        ];
        for archive in [archives[0].clone(), archives[1].clone(), gzip(&archives[1])] {
            assert_eq!(refused(&archive), problem(shown, reason));
        }
    }
    assert_eq!(refused(&zip(&[zipped(b"a\0b", b"")])), problem("a\u{fffd}b", "unclear_name"));
    let long = "n".repeat(300);
    assert_eq!(refused(&zip(&[zipped(long.as_bytes(), b"")])), problem(&long, "unclear_name"));
}

#[test]
fn a_name_that_an_extension_smuggles_in_is_refused() {
    let gnu = tar(&[tar_entry(b"././@LongLink", b'L', "", b"../../up\0"), tar_entry(b"fine", b'0', "", b"1")]);
    assert_eq!(refused(&gnu), problem("../../up", "climbing_name"));
    let pax = tar(&[tar_entry(b"x", b'x', "", b"17 path=../../up\n"), tar_entry(b"fine", b'0', "", b"1")]);
    assert_eq!(refused(&pax), problem("../../up", "climbing_name"));
}

#[test]
fn whatever_is_no_plain_file_is_refused() {
    for (kind, reason) in
        [(b'1', "link"), (b'2', "link"), (b'3', "special_file"), (b'4', "special_file"), (b'6', "special_file"), (b'Z', "special_file")]
    {
        assert_eq!(refused(&tar(&[tar_entry(b"x", kind, "/etc", b"")])), problem("x", reason), "{}", char::from(kind));
    }
    for (mode, reason) in [(0o120_777, "link"), (0o010_644, "special_file"), (0o060_644, "special_file"), (0o140_644, "special_file")] {
        assert_eq!(refused(&zip(&[Zipped { mode, ..zipped(b"x", b"/etc") }])), problem("x", reason));
    }
    assert_eq!(refused(&zip(&[Zipped { flags: 1, ..zipped(b"x", b"secret bytes") }])), problem("x", "encrypted"));
    assert_eq!(refused(&zip(&[Zipped { method: 14, ..zipped(b"x", b"lzma") }])), problem("x", "unknown_compression"));
    // A link first, and then a file through it.
    let through = tar(&[tar_entry(b"x", b'2', "/tmp", b""), tar_entry(b"x/y", b'0', "", b"1")]);
    assert_eq!(refused(&through)["refused"][0], json!({ "name": "x", "reason": "link" }));
}

#[test]
fn entries_in_each_others_way_are_refused() {
    for names in [["a", "a"], ["a", "./a"], ["a", "A"], ["a/b", "a"], ["a", "a/b"], ["ä", "Ä"], ["a/", "a"]] {
        let reason = "duplicate_name";
        let tars: Vec<Vec<u8>> =
            names.iter().map(|name| tar_entry(name.as_bytes(), if name.ends_with('/') { b'5' } else { b'0' }, "", b"")).collect();
        assert_eq!(refused(&tar(&tars)), problem(names[1], reason), "{names:?}");
        let mode = |name: &str| if name.ends_with('/') { 0o040_755 } else { 0o100_644 };
        let zips: Vec<Zipped> = names.iter().map(|name| Zipped { mode: mode(name), ..zipped(name.as_bytes(), b"") }).collect();
        let why = refused(&zip(&zips));
        // The same name twice: the list of a zip has it once, and is no list.
        assert!(why == problem(names[1], reason) || (names[0] == names[1] && why["damaged"].is_string()), "{names:?}: {why}");
    }
}

#[test]
fn a_zip_that_two_readers_would_read_differently_is_refused() {
    let plain = zip(&[zipped(b"a", b"1"), zipped(b"b", b"2")]);
    let other_name = zip(&[Zipped { local_name: Some(b"z".to_vec()), ..zipped(b"a", b"1") }]);
    let mut behind = plain.clone();
    behind.extend(b"more");
    let before = [b"#!/bin/sh\n", &plain[..]].concat();
    let mut fewer = plain.clone();
    let end = fewer.len() - 22;
    fewer[end + 10] = 1;
    let mut twice = plain.clone();
    // A comment that is another end: the list of another archive.
    let inner = zip(&[zipped(b"c", b"3")]);
    let length = u16::try_from(inner.len()).unwrap().to_le_bytes();
    twice[end + 20..end + 22].copy_from_slice(&length);
    twice.extend(inner);
    let mut wrong_crc = zipped(b"a", b"1");
    wrong_crc.crc ^= 1;
    let mut overlapping = zip(&[zipped(b"a", b"1"), zipped(b"b", b"1")]);
    let second = overlapping.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    overlapping[second + 42..second + 46].copy_from_slice(&[0; 4]);
    for (case, archive) in [
        ("name", other_name),
        ("behind", behind),
        ("before", before),
        ("fewer", fewer),
        ("twice", twice),
        ("checksum", zip(&[wrong_crc])),
        ("overlapping", overlapping),
        ("half", plain[..plain.len() / 2].to_vec()),
    ] {
        assert!(refused(&archive)["damaged"].is_string(), "{case}: {}", refused(&archive));
    }
}

#[test]
fn an_archive_that_unpacks_without_measure_is_refused() {
    let zeros = vec![0_u8; 24 << 20];
    for archive in [zip(&[deflated(b"zeros", &zeros)]), gzip(&tar(&[tar_entry(b"zeros", b'0', "", &zeros)]))] {
        let why = refused(&archive);
        assert!(why["too_large"].as_str().unwrap().contains("more than 200 times"), "{why}");
    }
    // It says that it is small.
    let liar = Zipped { size: 10, ..deflated(b"zeros", &zeros) };
    let why = refused(&zip(&[liar]));
    assert!(why["too_large"].is_string() || why["damaged"].is_string(), "{why}");
    let text: Vec<u8> = (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for archive in [zip(&[zipped(b"a", &text)]), tar(&[tar_entry(b"a", b'0', "", &text)]), gzip(&tar(&[tar_entry(b"a", b'0', "", &text)]))]
    {
        let why = refused_with(&archive, json!({ "max_bytes": 100_000 }));
        assert!(why["too_large"].as_str().unwrap().contains("more than 100000 bytes"), "{why}");
    }
    assert!(refused_with(&zip(&[]), json!({ "max_bytes": 0 }))["invalid"].is_string());
}

#[test]
fn an_archive_of_too_many_entries_is_refused() {
    let many: Vec<Vec<u8>> = (0..10_001).map(|n| tar_entry(format!("f{n}").as_bytes(), b'0', "", b"")).collect();
    assert_eq!(refused(&tar(&many)), json!({ "too_large": "it has more than 10000 entries" }));
    let many: Vec<Zipped> = (0..10_001).map(|n| zipped(format!("f{n}").as_bytes(), b"")).collect();
    assert_eq!(refused(&zip(&many)), json!({ "too_large": "it has more than 10000 entries" }));
}

#[test]
fn what_is_no_archive_is_refused() {
    for bytes in [&b""[..], b"PK", b"PK\x03\x04", b"\x1f\x8b", b"\x1f\x8b\x08\x00 nonsense nonsense", &[7; 2000]] {
        assert!(refused(bytes)["damaged"].is_string(), "{bytes:?}: {}", refused(bytes));
    }
    let cut = tar(&[tar_entry(b"a", b'0', "", &[1; 5000])]);
    assert!(refused(&cut[..3000])["damaged"].is_string());
}

/// A link that is already there leads elsewhere in the granted folder: still not
/// where the archive was to be put.
#[test]
fn a_link_in_the_target_is_not_followed() {
    let home = Home::new();
    fs::create_dir_all(home.work().join("all/into")).unwrap();
    fs::create_dir_all(home.work().join("all/other")).unwrap();
    std::os::unix::fs::symlink("../other", home.work().join("all/into/sub")).unwrap();
    std::os::unix::fs::symlink("../other/new", home.work().join("all/into/file")).unwrap();
    let extract = Function::of(&home, "archive", "extract");
    for name in [&b"sub/x"[..], b"file"] {
        home.file("all/a.zip", zip(&[zipped(name, b"1")]));
        let refused = extract.call(&json!({ "folder": "all", "file": "a.zip", "into": "all/into" }), &["--allow-write=all"]);
        assert!(failure(&refused)["exists"].is_string(), "{}", refused.ended);
        assert_eq!(tree(&home.work().join("all/other")), BTreeMap::new());
    }
}

/// Parts that paths are made of, harmless and not.
fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "C", "..", ".", "", "...", "a b", "ü", "~", "-", "x\\y", "c:", "\u{202e}", "CON", "%2e%2e"])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn no_name_ever_leads_out_of_the_target(
        names in prop::collection::vec((prop::collection::vec(part(), 1..5), any::<bool>()), 1..4),
        as_zip in any::<bool>(),
    ) {
        let names: Vec<String> = names.iter().map(|(parts, absolute)| format!("{}{}", if *absolute { "/" } else { "" }, parts.join("/"))).collect();
        let archive = if as_zip {
            zip(&names.iter().map(|name| zipped(name.as_bytes(), b"1")).collect::<Vec<_>>())
        } else {
            tar(&names.iter().map(|name| tar_entry(name.as_bytes(), b'0', "", b"1")).collect::<Vec<_>>())
        };
        let folder = folder();
        fs::write(folder.path().join("down/a"), archive).unwrap();
        let before = tree(folder.path());
        let job = Job::file(&guests::plugin("archive")).function("extract");
        let params = json!({ "folder": "down", "file": "a", "into": "down/into" });
        let finished = job.params(params).folder("down", &folder.path().join("down"), true).finish();
        let mut after = tree(folder.path());
        let ended_well = finished.outcome.ending.is_ok();
        if ended_well {
            after.retain(|name, _| !name.starts_with("down/into/"));
        }
        prop_assert_eq!(after, before, "{:?}", names);
        let harmless = |name: &String| !name.starts_with('/') && !name.split('/').any(|part| part == "..");
        prop_assert!(!ended_well || names.iter().all(harmless), "{:?}", names);
    }
}
