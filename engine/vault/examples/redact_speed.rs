//! How fast the redactor is: against a plain Aho-Corasick search for the same
//! forms in the same process, what making one costs, and what it takes.
//!
//! `cargo run --release -p wardroom-vault --example redact_speed`
//!
//! The forms searched for by the automaton are those of the common encodings,
//! made here by other means; they are fewer than the redactor's own.

#![allow(clippy::print_stdout, reason = "printing figures is what this is for")]

use std::hint::black_box;
use std::time::Instant;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use wardroom_core::credential::Redact;
use wardroom_vault::redact::Redactor;

const TEXT_BYTES: usize = 1 << 20;
const PIECE_BYTES: usize = 8 << 10;
const ROUNDS: usize = 7;

fn main() {
    for count in [1, 3, 20] {
        for (kind, text) in
            [("log", log(TEXT_BYTES)), ("json", json(TEXT_BYTES)), ("base64", base64ish(TEXT_BYTES)), ("hex", hexish(TEXT_BYTES))]
        {
            ratios(count, kind, &text);
        }
    }
    let largest = redactor(&secrets(20, 64 << 10));
    for (kind, text) in [("log", log(TEXT_BYTES)), ("base64", base64ish(TEXT_BYTES))] {
        let rate = rate(&text, || {
            black_box(largest.bytes(black_box(&text)));
        });
        println!("20 secrets of 64 KiB, {kind}: bytes {rate:.0} MiB/s");
    }
    building("1 of 40 bytes", &secrets(1, 40));
    building("3 of 40 bytes", &secrets(3, 40));
    building("20 of 40 bytes", &secrets(20, 40));
    building("1 of 64 KiB", &secrets(1, 64 << 10));
    building("20 of 64 KiB", &secrets(20, 64 << 10));
    building("20 of 64 KiB of text in lines", &(0..20).map(|seed| lines(seed, 64 << 10)).collect::<Vec<_>>());
    building("20 of 64 KiB of JSON", &(1..21).map(|part| json(part << 16).split_off((part - 1) << 16)).collect::<Vec<_>>());
    building("20 of 64 KiB of signs", &(0..20).map(|seed| signs(seed, 64 << 10)).collect::<Vec<_>>());
    building("20 of 64 KiB of any bytes", &(0..20).map(|seed| binary(seed, 64 << 10)).collect::<Vec<_>>());
}

fn ratios(count: usize, kind: &str, text: &[u8]) {
    let secrets: Vec<Vec<u8>> = (0..count).map(|index| secret(index as u64, 20 + index * 2)).collect();
    let redactor = redactor(&secrets);
    let forms: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| plain_forms(secret)).collect();
    let Ok(automaton) = AhoCorasick::new(&forms) else { return };
    let (mut plain, mut whole, mut stream) = (Vec::new(), Vec::new(), Vec::new());
    let mut out = Vec::with_capacity(2 * TEXT_BYTES);
    for _ in 0..ROUNDS {
        plain.push(rate(text, || {
            black_box(automaton.find_iter(black_box(text)).count());
        }));
        whole.push(rate(text, || {
            black_box(redactor.bytes(black_box(text)));
        }));
        stream.push(rate(text, || {
            out.clear();
            let mut through = redactor.stream();
            black_box(text).chunks(PIECE_BYTES).for_each(|piece| through.push(piece, &mut out));
            through.finish(&mut out);
            black_box(&out);
        }));
    }
    let (plain, whole, stream) = (median(plain), median(whole), median(stream));
    println!(
        "{count:>2} secrets, {kind:<6}: automaton {plain:>5.0} MiB/s ({} forms), bytes {whole:>5.0} ({:.2} x), stream {stream:>5.0} ({:.2} x); removed {}",
        forms.len(),
        whole / plain,
        stream / plain,
        redactor.count(),
    );
}

fn building(what: &str, secrets: &[Vec<u8>]) {
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..5 {
        let begun = Instant::now();
        let made = redactor(secrets);
        times.push(begun.elapsed().as_secs_f64());
        bytes = made.memory_bytes();
    }
    println!("making a redactor of {what}: {:.3} ms, {} KiB", median(times) * 1000.0, bytes >> 10);
}

fn redactor(secrets: &[Vec<u8>]) -> Redactor {
    Redactor::new(secrets.iter().map(|secret| ("NAME", secret.as_slice()))).unwrap_or_else(|error| {
        println!("refused: {error}");
        Redactor::idle()
    })
}

/// MiB per second, over about a tenth of a second.
fn rate(text: &[u8], mut work: impl FnMut()) -> f64 {
    work();
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed().as_millis() < 100 {
        work();
        done += text.len();
    }
    done as f64 / begun.elapsed().as_secs_f64() / f64::from(1 << 20)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn plain_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let percent = |every: bool, upper: bool| -> Vec<u8> {
        let one = |byte: &u8| match byte {
            byte if byte.is_ascii_alphanumeric() && !every => char::from(*byte).to_string(),
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        };
        secret.iter().map(one).collect::<String>().into_bytes()
    };
    let mut forms = vec![secret.to_vec(), secret.iter().rev().copied().collect()];
    forms.extend([percent(false, false), percent(false, true), percent(true, false), percent(true, true)]);
    forms.push(secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
    forms.push(secret.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes());
    forms.push(String::from_utf8_lossy(secret).replace('/', "\\/").into_bytes());
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for skip in 0..3 {
            let encoded = engine.encode([&vec![0; skip], secret].concat());
            let end = (skip + secret.len()) * 8 / 6;
            forms.extend(encoded.get((skip * 8).div_ceil(6)..end).map(|form| form.as_bytes().to_vec()));
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// A small generator of numbers, so that each run measures the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 27)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.roll() >> 33).unwrap_or(0);
        all.get(at % all.len())
    }
}

fn secrets(count: u64, bytes: usize) -> Vec<Vec<u8>> {
    (0..count).map(|seed| secret(seed, bytes)).collect()
}

fn secret(seed: u64, bytes: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    (0..bytes).filter_map(|_| dice.of(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/+").copied()).collect()
}

fn lines(seed: u64, bytes: usize) -> Vec<u8> {
    secret(seed, bytes).chunks(64).collect::<Vec<_>>().join(&b'\n').into_iter().take(bytes).collect()
}

/// What encoders escape, each in a way of its own: the most forms there can be.
fn signs(seed: u64, bytes: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut out = String::new();
    while out.len() + 2 <= bytes {
        out.extend(dice.of(&['"', '<', '/', '\\', '\'', '+', 'é', '\u{1f}', '\n', 'x', '&']));
    }
    out.into_bytes()
}

fn binary(seed: u64, bytes: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    (0..bytes).map(|_| dice.roll().to_le_bytes()[5]).collect()
}

fn log(bytes: usize) -> Vec<u8> {
    let mut dice = Dice(7);
    let mut out = Vec::new();
    while out.len() < bytes {
        let level = dice.of(&["INFO", "DEBUG", "WARN", "ERROR"]).unwrap_or(&"");
        let words = ["request", "answered", "user", "connection", "closed", "retrying", "database", "in", "to", "failed", "cache", "miss"];
        let said: Vec<&str> = (0..8).filter_map(|_| dice.of(&words).copied()).collect();
        let (id, took) = (dice.roll(), dice.roll() % 5000);
        out.extend(
            format!("2026-02-11T09:{:02}:17.{took:03}Z {level} app::http: {} id={id:016x} took={took}ms\n", took % 60, said.join(" "))
                .bytes(),
        );
    }
    out.truncate(bytes);
    out
}

fn json(bytes: usize) -> Vec<u8> {
    let mut dice = Dice(9);
    let mut out = Vec::new();
    while out.len() < bytes {
        let id = dice.roll();
        let word = dice.of(&["open", "closed", "waiting", "merged"]).unwrap_or(&"");
        out.extend(format!("{{\"id\":{id},\"state\":\"{word}\",\"url\":\"https://api.example.com/v1/items/{id}?page=2&sort=asc\",\"labels\":[\"bug\",\"help wanted\"],\"body\":\"Lorem ipsum dolor sit amet,\\nconsectetur \\\"adipiscing\\\" elit\"}},\n").bytes());
    }
    out.truncate(bytes);
    out
}

fn base64ish(bytes: usize) -> Vec<u8> {
    STANDARD_NO_PAD.encode(binary(77, bytes)).into_bytes().into_iter().take(bytes).collect()
}

fn hexish(bytes: usize) -> Vec<u8> {
    binary(78, bytes / 2).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}
