//! Overlaps, whole texts, and streams: what a stream gives is what the whole
//! would give, however it was cut, and nothing of a value is left in either.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]

use std::borrow::Cow;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use wardroom_core::credential::Redact;
use wardroom_vault::redact::Redactor;

fn knowing(values: &[(&str, &[u8])]) -> Redactor {
    Redactor::new(values.iter().copied()).unwrap()
}

fn streamed<'a>(redactor: &Redactor, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut stream = redactor.stream();
    pieces.into_iter().for_each(|piece| stream.push(piece, &mut out));
    stream.finish(&mut out);
    out
}

#[track_caller]
fn gives(values: &[(&str, &[u8])], text: &str, expected: &str, spans: u64) {
    let redactor = knowing(values);
    assert_eq!(redactor.text(text), expected);
    assert_eq!(redactor.count(), spans);
    for size in [1, 2, 3, 7, text.len().max(1)] {
        let out = streamed(&redactor, text.as_bytes().chunks(size));
        assert_eq!(String::from_utf8_lossy(&out), expected, "in pieces of {size}");
    }
    assert_eq!(redactor.count(), spans * 6);
}

#[test]
fn an_idle_redactor_passes_everything_on() {
    let redactor = Redactor::idle();
    assert!(redactor.is_idle());
    assert!(matches!(redactor.text("anything at all"), Cow::Borrowed("anything at all")));
    assert!(matches!(redactor.bytes(b"anything"), Cow::Borrowed(b"anything")));
    let mut out = Vec::new();
    redactor.stream().push(b"anything", &mut out);
    assert_eq!(out, b"anything");
    assert_eq!(redactor.count(), 0);
}

#[test]
fn clean_text_is_borrowed_and_not_counted() {
    let redactor = knowing(&[("A", b"a secret value")]);
    assert!(matches!(redactor.text("a secret valuf, a secret"), Cow::Borrowed(_)));
    assert!(matches!(redactor.bytes(b""), Cow::Borrowed(b"")));
    assert_eq!(redactor.count(), 0);
}

#[test]
fn values_that_overlap_go_together() {
    let values: &[(&str, &[u8])] = &[("A", b"abcdef12"), ("B", b"ef12ghij")];
    gives(values, "<abcdef12ghij>", "<[redacted:A]>", 1);
    gives(values, "<abcdef12>ef12ghij", "<[redacted:A]>[redacted:B]", 2);
    gives(values, "abcdef12", "[redacted:A]", 1);
    gives(values, "abcdef12gh", "[redacted:A]gh", 1);
    gives(values, "abcdef1", "abcdef1", 0);
}

#[test]
fn values_within_values_leave_nothing_of_either() {
    let values: &[(&str, &[u8])] = &[("MIDDLE", b"cdefghij"), ("START", b"abcdefgh"), ("ALL", b"abcdefghijkl"), ("END", b"efghijkl")];
    gives(values, "-abcdefghijkl-", "-[redacted:ALL]-", 1);
    gives(values, "-abcdefghij-", "-[redacted:START]-", 1);
    gives(values, "-cdefghijkl-", "-[redacted:MIDDLE]-", 1);
    gives(values, "-abcdefghijk-", "-[redacted:START]k-", 1);
    gives(values, "abcdefgabcdefgh", "abcdefg[redacted:START]", 1);
    // A short one lies within a long one, and ends before it.
    gives(&[("IN", b"cdefghij"), ("OUT", b"abcdefghijklmnop")], "abcdefghijklmnop!", "[redacted:OUT]!", 1);
}

#[test]
fn spans_that_only_touch_stay_two() {
    gives(&[("A", b"abcdefgh"), ("B", b"ijklmnop")], "abcdefghijklmnopabcdefgh", "[redacted:A][redacted:B][redacted:A]", 3);
}

#[test]
fn of_two_names_for_one_value_the_first_is_written() {
    gives(&[("Z", b"abcdefgh"), ("A", b"abcdefgh")], "abcdefgh", "[redacted:Z]", 1);
    let names: Vec<String> = (0..100).map(|index| format!("N{index}")).collect();
    let redactor = Redactor::new(names.iter().map(|name| (name.as_str(), b"the same for all".as_slice()))).unwrap();
    assert_eq!(redactor.text("the same for all"), "[redacted:N0]");
    assert_eq!(redactor.text("lla rof emas eht"), "[redacted:N0]");
}

#[test]
fn a_repeated_byte_is_one_span_however_long() {
    for length in [8, 9, 64, 1000, 65_536] {
        let value = vec![b'a'; length];
        let redactor = knowing(&[("A", &value)]);
        let run = "a".repeat(length + 70_000);
        assert_eq!(redactor.text(&format!("b{run}b")), "b[redacted:A]b");
        for size in [977, 8192] {
            assert_eq!(streamed(&redactor, run.as_bytes().chunks(size)), b"[redacted:A]");
        }
        let short = "a".repeat(length.min(128) - 1);
        assert_eq!(redactor.text(&short), short);
    }
}

#[test]
fn clones_and_streams_count_together() {
    let redactor = knowing(&[("A", b"abcdefgh")]);
    let other = redactor.clone();
    other.text("abcdefgh abcdefgh");
    redactor.bytes(b"abcdefgh");
    streamed(&other, [b"abcd".as_slice(), b"efgh"]);
    assert_eq!((redactor.count(), other.count()), (4, 4));
}

#[test]
fn text_stays_text_where_a_value_ends_within_a_character() {
    // The last byte of `é` and seven more.
    let redactor = knowing(&[("A", b"\xA9bcdefgh")]);
    assert_eq!(redactor.text("-ébcdefgh-"), "-\u{FFFD}[redacted:A]-");
}

/// How many bytes the stream has not passed on after this.
fn held(redactor: &Redactor, text: &[u8]) -> usize {
    let mut out = Vec::new();
    redactor.stream().push(text, &mut out);
    text.len() - out.len()
}

#[test]
fn only_what_may_be_a_beginning_is_held_back() {
    let long: Vec<u8> = (0..60_000_u32).map(|index| b'a' + u8::try_from(index * 7 / 3 % 26).unwrap()).collect();
    let redactor = knowing(&[("LONG", &long), ("SHORT", b"qwertz-value-0123456789")]);
    assert_eq!(held(&redactor, b"a line of a log\n"), 0);
    for (end, expected) in [("q", 1), ("qw", 2), ("qwertz-", 7), ("qwertz-v", 8), ("qwertz-value-012", 16), ("qwertz-value-012345678", 22)]
    {
        assert_eq!(held(&redactor, format!("user=\n{end}").as_bytes()), expected, "{end}");
        assert_eq!(held(&redactor, format!("user=\n{end}!").as_bytes()), 0, "{end}!");
        assert_eq!(held(&redactor, format!("qw{end}").as_bytes()), expected, "qw{end}");
    }
    // Whatever the length of a value, never more than a form of one of its pieces.
    assert!(held(&redactor, &long[..50_000]) <= 50_000);
    let mut out = Vec::new();
    let mut stream = redactor.stream();
    stream.push(&long[..50_000], &mut out);
    out.clear();
    stream.push(b"\nnow something else entirely\n", &mut out);
    assert!(out.ends_with(b"\nnow something else entirely\n"));
}

#[test]
fn a_value_is_passed_on_as_a_marker_once_nothing_can_extend_it() {
    let redactor = knowing(&[("A", b"abcdefgh")]);
    let mut out = Vec::new();
    let mut stream = redactor.stream();
    // The end of a value is the beginning of the value reversed.
    stream.push(b"abcdefgh", &mut out);
    assert_eq!(out, b"");
    stream.push(b"\n", &mut out);
    assert_eq!(out, b"[redacted:A]\n");
    stream.finish(&mut out);
    assert_eq!(out, b"[redacted:A]\n");
    // Its last bytes could begin another.
    let redactor = knowing(&[("A", b"abcdefgh"), ("B", b"hijklmno")]);
    let mut out = Vec::new();
    let mut stream = redactor.stream();
    stream.push(b"abcdefgh", &mut out);
    assert_eq!(out, b"");
    stream.push(b"i", &mut out);
    assert_eq!(out, b"");
    stream.push(b"-", &mut out);
    assert_eq!(out, b"[redacted:A]i-");
}

#[test]
fn a_finished_stream_can_be_finished_again() {
    let redactor = knowing(&[("A", b"abcdefgh")]);
    let mut out = Vec::new();
    let mut stream = redactor.stream();
    stream.push(b"abcd", &mut out);
    stream.finish(&mut out);
    stream.finish(&mut out);
    stream.push(b"efgh", &mut out);
    stream.finish(&mut out);
    assert_eq!(out, b"abcdefgh");
    assert_eq!(redactor.count(), 0);
}

fn token(seed: u32) -> String {
    (0..20 + seed).map(|index| char::from(b'!' + u8::try_from((index * index * 7 + seed * 31 + index * 13) % 90).unwrap())).collect()
}

#[test]
fn twenty_values_at_once() {
    let tokens: Vec<(String, String)> = (0..20).map(|seed| (format!("T{seed}"), token(seed))).collect();
    let redactor = Redactor::new(tokens.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))).unwrap();
    let text: String = tokens.iter().map(|(_, value)| format!("é{value}é")).collect();
    let expected: String = tokens.iter().map(|(name, _)| format!("é[redacted:{name}]é")).collect();
    assert_eq!(redactor.text(&text), expected);
    assert_eq!(redactor.count(), 20);
}

#[test]
fn twenty_of_the_largest_values_can_be_known() {
    let values: Vec<Vec<u8>> = (0..20_u64).map(|seed| noise(seed, 64 << 10)).collect();
    let redactor = Redactor::new(values.iter().map(|value| ("BIG", value.as_slice()))).unwrap();
    assert!((20 * (64 << 10)..128 << 20).contains(&redactor.memory_bytes()), "{} bytes", redactor.memory_bytes());
    let text = [b"<", values[13].as_slice(), b">"].concat();
    assert_eq!(redactor.bytes(&text).as_ref(), b"<[redacted:BIG]>");
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

/// Long enough that quadratic work would show, and far from a machine's noise.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn text_of_nothing_but_beginnings_takes_no_longer_than_it_is_long() {
    let value: String = (0..1000).map(|index| if index % 120 == 119 { 'b' } else { 'a' }).collect();
    let redactor = knowing(&[("A", value.as_bytes()), ("B", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac")]);
    let text = "a".repeat(1 << 20);
    let begun = Instant::now();
    assert_eq!(redactor.text(&text), text);
    assert_eq!(streamed(&redactor, text.as_bytes().chunks(8192)), text.as_bytes());
    assert_eq!(streamed(&redactor, text.as_bytes().chunks(1)), text.as_bytes());
    let almost = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab".repeat(20_000);
    assert_eq!(streamed(&redactor, almost.as_bytes().chunks(8192)), redactor.text(&almost).as_bytes());
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn many_forms_that_begin_alike_cost_little_more_than_one() {
    let value = |seed: usize| (0..3400).map(|line| format!("password{seed:02}{line:08}")).collect::<Vec<_>>().join("\n");
    let values: Vec<String> = (0..10).map(value).collect();
    let redactor = Redactor::new(values.iter().map(|value| ("A", value.as_bytes()))).unwrap();
    let begun = Instant::now();
    for text in ["password".repeat(1 << 20), "password05".repeat(1 << 19)] {
        assert_eq!(redactor.text(&text), text);
        assert_eq!(streamed(&redactor, text.as_bytes().chunks(8192)), text.as_bytes());
    }
    assert_eq!(redactor.text("password0500001234"), "[redacted:A]");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn periodic_values_cost_little_more_than_others() {
    let lengths: Vec<String> = (16..129).map(|length| "a".repeat(length)).collect();
    let values: [Vec<u8>; 3] = [vec![b'a'; 64 << 10], b"ab".repeat(32 << 10), lengths.join("\n").into_bytes()];
    let begun = Instant::now();
    for value in &values {
        let redactor = knowing(&[("A", value)]);
        for text in ["aaaaaaaa", "abababab", "YWFh", "%61", &format!("{}c", "a".repeat(100))] {
            let text = text.repeat((1 << 20) / text.len());
            assert_eq!(streamed(&redactor, text.as_bytes().chunks(8192)), redactor.text(&text).as_bytes());
        }
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn of_forms_that_begin_with_each_other_the_longest_is_found() {
    let values: Vec<String> =
        (8..128).map(|length| "a".repeat(length)).chain(["aaaaaaaaab".to_owned(), "aaaaaaaaac-".to_owned()]).collect();
    let names: Vec<String> = values.iter().map(|value| format!("N{}{}", value.len(), value.trim_matches('a'))).collect();
    let redactor = Redactor::new(names.iter().zip(&values).map(|(name, value)| (name.as_str(), value.as_bytes()))).unwrap();
    for length in 8..128 {
        for end in ["", "A", "d", "~"] {
            let text = format!("{}{end}", "a".repeat(length));
            assert_eq!(redactor.text(&text), format!("[redacted:N{length}]{end}"));
            assert_eq!(streamed(&redactor, text.as_bytes().chunks(3)), redactor.text(&text).as_bytes());
        }
    }
}

#[test]
fn a_span_that_never_ends_is_not_kept_in_memory() {
    let redactor = knowing(&[("A", b"aaaaaaaa")]);
    let begun = Instant::now();
    let mut out = Vec::new();
    let mut stream = redactor.stream();
    for _ in 0..4096 {
        stream.push(&[b'a'; 1024], &mut out);
        assert_eq!(out, b"");
    }
    stream.finish(&mut out);
    assert_eq!(out, b"[redacted:A]");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

/// Values of every kind.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[A-Za-z0-9_+/=-]{8,80}".prop_map(String::into_bytes),
        "[ -~\n]{8,300}".prop_map(String::into_bytes),
        "\\PC{8,60}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 8..200),
        "[ab]{8,12}".prop_map(String::into_bytes),
    ]
}

/// Forms by other means than the redactor's own, and each with where in it what
/// must go begins and ends.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let each = |one: fn(&u8) -> String| value.iter().map(one).collect::<String>().into_bytes();
    let mut forms = vec![
        value.to_vec(),
        value.iter().rev().copied().collect(),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) { char::from(*byte).into() } else { format!("%{byte:02X}") }),
    ];
    for before in 0..3 {
        let ends = (before * 8_usize).div_ceil(6)..(before + value.len()) * 8 / 6;
        let whole = [vec![0x55; before], value.to_vec()].concat();
        forms.push(STANDARD.encode(&whole).as_bytes()[ends.clone()].to_vec());
        forms.push(URL_SAFE_NO_PAD.encode(&whole).as_bytes()[ends].to_vec());
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let quoted = |text: &str| {
            let quoted = serde_json::to_string(text).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        };
        forms.push(quoted(text).into_bytes());
        forms.push(quoted(&quoted(text)).into_bytes());
        forms.push(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").into_bytes());
    }
    forms
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Cut at these places, in whatever order they come.
fn cut<'a>(text: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = places.iter().map(|place| place.index(text.len() + 1)).collect();
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

/// What the union of all places of all forms leaves, found the slow way.
fn slowly(values: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut gone = vec![false; text.len()];
    for value in values {
        for start in 0..text.len() {
            if text[start..].starts_with(value) {
                gone[start..start + value.len()].fill(true);
            }
        }
    }
    text.iter().zip(gone).filter(|(_, gone)| !gone).map(|(byte, _)| *byte).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_form_of_a_value_is_left(
        value in value(),
        around in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 40),
        places in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let redactor = knowing(&[("N", &value)]);
        let forms = forms(&value);
        let mut text = Vec::new();
        for (form, around) in forms.iter().zip(around.iter().cycle()) {
            text.extend_from_slice(around);
            text.extend_from_slice(form);
        }
        let whole = redactor.bytes(&text).into_owned();
        for form in &forms {
            prop_assert!(!contains(&whole, form), "{:?} in {:?}", String::from_utf8_lossy(form), String::from_utf8_lossy(&whole));
        }
        prop_assert!(redactor.count() > 0);
        prop_assert_eq!(&streamed(&redactor, cut(&text, &places)), &whole);
        prop_assert_eq!(&streamed(&redactor, text.chunks(1)), &whole);
        prop_assert!(matches!(redactor.bytes(&whole), Cow::Borrowed(_)) || value.contains(&b'[') || value.contains(&b']'));
    }

    #[test]
    fn a_stream_gives_what_the_whole_gives(
        values in proptest::collection::vec("[ab]{8,20}|[abc]{8,10}|a{8,30}b", 1..6),
        text in "[ab]{0,200}|[abc]{0,300}|(a{7,40}b?){0,6}",
        places in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let redactor = Redactor::new(values.iter().map(|value| ("", value.as_bytes()))).unwrap();
        let whole = redactor.bytes(text.as_bytes()).into_owned();
        let spans = redactor.count();
        let both: Vec<Vec<u8>> = values.iter().flat_map(|value| [value.bytes().collect(), value.bytes().rev().collect()]).collect();
        let left = String::from_utf8(whole.clone()).unwrap().replace("[redacted:]", "");
        prop_assert_eq!(left.as_bytes(), slowly(&both, text.as_bytes()));
        prop_assert_eq!(String::from_utf8(whole.clone()).unwrap().matches("[redacted:]").count() as u64, spans);
        prop_assert_eq!(&streamed(&redactor, cut(text.as_bytes(), &places)), &whole);
        prop_assert_eq!(redactor.count(), spans * 2);
    }

    #[test]
    fn clean_text_is_untouched(value in "[A-Z]{8,40}", text in "[a-z0-9 \n\"{}:,éß]{0,400}") {
        let redactor = knowing(&[("N", value.as_bytes())]);
        // What is left of the text has no hexadecimal of a letter in it.
        let text = text.replace(['4', '5'], "");
        prop_assert!(matches!(redactor.text(&text), Cow::Borrowed(_)));
        prop_assert_eq!(redactor.count(), 0);
    }
}
