//! The redactor on text that holds nothing to remove, with 20 secrets known,
//! against a plain Aho-Corasick search for the same secrets in the common
//! encodings. Those are fewer forms than the redactor's own.

use std::hint::black_box;
use std::time::Instant;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use wardroom_core::credential::Redact;
use wardroom_vault::redact::Redactor;

use super::Effort;
use crate::Failed;
use crate::measure::{each, interleaved};
use crate::report::Row;

const TEXT_BYTES: usize = 1 << 20;
const PIECE_BYTES: usize = 8 << 10;
const SECRETS: usize = 20;
/// Passes over the text that one figure is taken over.
const PASSES: usize = 20;
/// 0.7 times the speed is so many times the time.
const BUDGET: f64 = 1.0 / 0.7;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let secrets: Vec<Vec<u8>> = (0..SECRETS).map(|index| secret(index as u64, 20 + index * 2)).collect();
    let redactor = Redactor::new(secrets.iter().map(|secret| ("NAME", secret.as_slice())))?;
    let forms: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| plain_forms(secret)).collect();
    let automaton = AhoCorasick::new(&forms)?;
    let mut rows = Vec::new();
    for (kind, text) in [("a log", log(TEXT_BYTES)), ("JSON", json(TEXT_BYTES))] {
        let plain = || {
            passes(|| {
                black_box(automaton.find_iter(black_box(&text)).count());
            })
        };
        let whole = || passes(|| drop(black_box(redactor.bytes(black_box(&text)))));
        let pair = interleaved(effort.rounds(5, 40), whole, plain)?;
        let what = format!("1 MiB of {kind}, whole, {SECRETS} secrets");
        rows.push(Row::ratio("redact", what, &pair, "Aho-Corasick", Some(BUDGET)));
        let mut out = Vec::with_capacity(2 * TEXT_BYTES);
        let stream = || passes(|| through(&redactor, &text, &mut out));
        let pair = interleaved(effort.rounds(5, 40), stream, plain)?;
        let what = format!("1 MiB of {kind}, in pieces of 8 KiB, {SECRETS} secrets");
        rows.push(Row::ratio("redact", what, &pair, "Aho-Corasick", Some(BUDGET)));
    }
    if redactor.count() > 0 {
        return Err("the texts were to hold nothing to remove".into());
    }
    Ok(rows)
}

/// Seconds for one pass.
fn passes(mut pass: impl FnMut()) -> Result<f64, Failed> {
    let begun = Instant::now();
    (0..PASSES).for_each(|_| pass());
    Ok(each(begun.elapsed(), PASSES))
}

fn through(redactor: &Redactor, text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut stream = redactor.stream();
    text.chunks(PIECE_BYTES).for_each(|piece| stream.push(piece, out));
    stream.finish(out);
    black_box(&out);
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

fn secret(seed: u64, bytes: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    (0..bytes).filter_map(|_| dice.of(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/+").copied()).collect()
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
