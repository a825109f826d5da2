//! Each form in which a value is looked for, made here by other means than the
//! redactor's own, and what is deliberately left alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use wardroom_core::credential::Redact;
use wardroom_vault::redact::{MAX_FORM_BYTES, Redactor, RedactorError};

/// Every sign that any encoder escapes, and nothing that is two bytes long.
const SIGNS: &str = "aB3 <&>\"'/\\+`%~!*(),;:@=?#$^|{}[]_-.\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}z";
const WORDS: &str = "grüße ☕ 🦀/\u{2028}öl\"ÿ";
const TOKEN: &str = "ghs_16C7e42F292c6912E7710c838347Ae178B4a";

fn knowing(values: &[&[u8]]) -> Redactor {
    Redactor::new(values.iter().map(|value| ("NAME", *value))).unwrap()
}

#[track_caller]
fn removes(value: &[u8], form: &[u8]) {
    let redactor = knowing(&[value]);
    let text = [b"before {", form, b"} after"].concat();
    let out = redactor.bytes(&text);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "before {[redacted:NAME]} after",
        "the form {:?} of {:?}",
        String::from_utf8_lossy(form),
        String::from_utf8_lossy(value)
    );
    assert_eq!(redactor.count(), 1);
}

fn percent(value: &[u8], kept: &str, space: &str, upper: bool) -> String {
    let one = |byte: &u8| match *byte {
        b' ' => space.to_owned(),
        byte if byte.is_ascii_alphanumeric() || (byte.is_ascii() && kept.contains(char::from(byte))) => char::from(byte).to_string(),
        byte if upper => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    value.iter().map(one).collect()
}

#[test]
fn a_value_as_it_is_and_reversed() {
    for value in [TOKEN, SIGNS, WORDS] {
        removes(value.as_bytes(), value.as_bytes());
        removes(value.as_bytes(), value.chars().rev().collect::<String>().as_bytes());
        removes(value.as_bytes(), &value.bytes().rev().collect::<Vec<_>>());
    }
    let binary = [0, 1, 2, 0xFF, 0xFE, 0x80, 7, 9];
    removes(&binary, &binary);
    removes(&binary, &[9, 7, 0x80, 0xFE, 0xFF, 2, 1, 0]);
}

#[test]
fn percent_encoded_by_every_family_of_encoders() {
    let sets = [("-._~", "%20"), ("-_.!~*'()", "%20"), (";,/?:@&=+$-_.!~*'()#", "%20"), ("-._~/", "%20"), ("*-._", "+"), ("-._~", "+")];
    for value in [SIGNS.as_bytes(), WORDS.as_bytes(), b"two words", &[0xFF, 0, b'a', b'~', b'/', b'*', 3, 4]] {
        for upper in [true, false] {
            for (kept, space) in sets {
                removes(value, percent(value, kept, space, upper).as_bytes());
            }
            let every: String = value.iter().map(|byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }).collect();
            removes(value, every.as_bytes());
        }
    }
    let every: String = TOKEN.bytes().map(|byte| format!("%{byte:02X}")).collect();
    removes(TOKEN.as_bytes(), every.as_bytes());
    let mixed = b"onlyletters";
    removes(mixed, mixed.iter().map(|byte| format!("%{byte:02x}")).collect::<String>().as_bytes());
}

/// What stays of base64: the characters that hold bits of the neighbours.
fn left_of_base64(value: &[u8], before: usize, after: usize, engine: &impl Engine) -> String {
    let whole = engine.encode([vec![b'<'; before], value.to_vec(), vec![b'>'; after]].concat());
    let out = knowing(&[value]).text(&whole).into_owned();
    assert!(out.contains("[redacted:NAME]"), "{before} before, {after} after: {out}");
    out.replace("[redacted:NAME]", "").replace('=', "")
}

#[test]
fn base64_wherever_the_value_begins_and_ends() {
    // Bytes whose encoding needs both characters in which the alphabets differ.
    let signs = [0xFB, 0xEF, 0xBE, 0xFF, 0xFF, 0xFF, 0xF8, 0x7E, 0x3F, 0xBF];
    for value in [TOKEN.as_bytes(), WORDS.as_bytes(), &signs, b"8 bytes."] {
        for before in 0..7 {
            for after in 0..4 {
                for left in [
                    left_of_base64(value, before, after, &STANDARD),
                    left_of_base64(value, before, after, &STANDARD_NO_PAD),
                    left_of_base64(value, before, after, &URL_SAFE),
                    left_of_base64(value, before, after, &URL_SAFE_NO_PAD),
                ] {
                    let neighbours = (before * 8).div_ceil(6) + ((before + value.len() + after) * 8).div_ceil(6);
                    let own = (before + value.len()) * 8 / 6;
                    assert_eq!(left.len(), neighbours - own, "{before} before, {after} after: {left}");
                }
            }
        }
    }
}

#[test]
fn base64_that_was_escaped_for_where_it_stands() {
    let signs = [0xFB, 0xEF, 0xBE, 0xFF, 0xFF, 0xFF, 0xF8, 0x7E, 0x3F, 0xBF, 0xFF, 0xFB];
    for before in 0..3 {
        // A whole number of groups, so that what is cut is cut at the characters themselves.
        let whole = STANDARD.encode([vec![0xFF; before], signs.to_vec()].concat());
        let form = &whole[(before * 8).div_ceil(6)..(before + signs.len()) * 8 / 6];
        assert!(form.contains('+') && form.contains('/'));
        removes(&signs, form.replace('+', "%2B").replace('/', "%2F").as_bytes());
        removes(&signs, form.replace('+', "%2b").replace('/', "%2f").as_bytes());
        removes(&signs, form.replace('/', "\\/").as_bytes());
        removes(&signs, form.replace('+', "\\u002B").as_bytes());
        removes(&signs, form.replace('+', "\\u002b").as_bytes());
    }
}

#[test]
fn base64_of_the_value_alone_in_lines() {
    for length in [48, 49, 57, 58, 60, 120, 200, 1000, 5000] {
        let value: Vec<u8> = (0..length).map(|index| u8::try_from((index * 7 + index / 3) % 251).unwrap()).collect();
        let encoded = STANDARD.encode(&value);
        for wrap in [64, 76] {
            for end in ["\n", "\r\n", "\\n", "\\r\\n"] {
                let lines: Vec<&str> = encoded.as_bytes().chunks(wrap).map(|line| std::str::from_utf8(line).unwrap()).collect();
                let out = knowing(&[&value]).text(&lines.join(end)).into_owned();
                let left = out.replace("[redacted:NAME]", "").replace(end, "");
                assert!(left.len() <= 3, "{length} bytes, wrapped after {wrap} with {end:?}: {out}");
            }
        }
    }
}

/// A form of eight characters would tell the last six bytes to who tries them.
#[test]
fn a_short_last_line_of_base64_is_no_form_by_itself() {
    for (wrap, last, found) in [(64, 8, false), (64, 31, false), (64, 32, true), (76, 8, false), (76, 31, false), (76, 32, true)] {
        for lines in [1, 3] {
            let characters: usize = wrap * lines + last;
            let value: Vec<u8> = (0..characters * 6 / 8).map(|index| u8::try_from((index * 7 + index / 3) % 251).unwrap()).collect();
            let encoded = STANDARD_NO_PAD.encode(&value);
            // A last character that holds fewer than six bits of the value is in no form.
            let end = &encoded[wrap * lines..value.len() * 8 / 6];
            let redactor = knowing(&[&value]);
            assert_eq!(redactor.text(end) == "[redacted:NAME]", found, "{end} of {lines} lines of {wrap}");
            assert_eq!(redactor.text(end) == end, !found, "{end} of {lines} lines of {wrap}");
            let before = &encoded[wrap * (lines - 1)..wrap * lines];
            assert_eq!(redactor.text(&format!("{before}\n{end}")), "[redacted:NAME]", "{end} of {lines} lines of {wrap}");
        }
    }
}

#[test]
fn hexadecimal_in_both_cases_and_as_escapes() {
    for value in [TOKEN.as_bytes(), WORDS.as_bytes(), &[0xAB, 0xCD, 0xEF, 0, 1, 2, 3, 0x9F]] {
        let each = |one: fn(&u8) -> String| value.iter().map(one).collect::<String>();
        for form in [
            each(|byte| format!("{byte:02x}")),
            each(|byte| format!("{byte:02X}")),
            each(|byte| format!("\\x{byte:02x}")),
            each(|byte| format!("\\x{byte:02X}")),
            each(|byte| format!("\\\\x{byte:02x}")),
            each(|byte| format!("\\\\x{byte:02X}")),
        ] {
            removes(value, form.as_bytes());
        }
    }
    removes(b"caf\xE9\0\n\"q\\uote", br#"caf\xe9\x00\n\"q\\uote"#);
}

/// A string in JSON as `serde_json` writes it, without the quotes.
fn serde(value: &str) -> String {
    let quoted = serde_json::to_string(value).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// More of it as `\uXXXX`.
fn units(escaped: &str, signs: impl Fn(char) -> bool, upper: bool) -> String {
    let one = |char: char| match char {
        char if signs(char) => char
            .encode_utf16(&mut [0; 2])
            .iter()
            .map(|unit| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") })
            .collect(),
        char => char.to_string(),
    };
    escaped.chars().map(one).collect()
}

#[test]
fn escaped_for_json_once_and_twice() {
    let markup = |char| matches!(char, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    for value in [SIGNS, WORDS, "a/b<c>d&e é", "it's <é> & more", "line one of it\nline two of it", "plain/slash"] {
        let plain = serde(value);
        for upper in [false, true] {
            let mut forms = vec![
                plain.clone(),
                units(&plain, |char| !char.is_ascii(), upper),
                units(&plain, markup, upper),
                units(&plain, |char| markup(char) || !char.is_ascii(), upper),
            ];
            let slashes: Vec<String> = forms.iter().map(|form| form.replace('/', "\\/")).collect();
            forms.extend(slashes);
            for once in forms {
                let once = if upper { once.replace("\\u001f", "\\u001F") } else { once };
                removes(value.as_bytes(), once.as_bytes());
                removes(value.as_bytes(), serde(&once).as_bytes());
                removes(value.as_bytes(), serde(&once).replace('/', "\\/").as_bytes());
            }
            // What wrote it first left more as it is than what wrote it again.
            let again = serde(&plain);
            removes(value.as_bytes(), units(&again, |char| !char.is_ascii(), upper).as_bytes());
            removes(value.as_bytes(), units(&again, markup, upper).as_bytes());
        }
    }
}

#[test]
fn escaped_for_json_as_dotnet_does() {
    removes("a\"b'c+d`e<é>".as_bytes(), br"a\u0022b\u0027c\u002Bd\u0060e\u003C\u00E9\u003E");
    removes(b"\x7f/del/\x7f/", br"\u007F/del/\u007F/");
    removes("a\"b'c+d`e".as_bytes(), br"a\\\u0022b\u0027c\u002Bd\u0060e");
}

#[test]
fn control_characters_in_either_case_of_digits() {
    removes(b"escape\x1B[0m", br"escape\u001b[0m");
    removes(b"escape\x1B[0m", br"escape\u001B[0m");
    removes(&[0x1E; 8], r"\u001E".repeat(8).as_bytes());
}

#[test]
fn escaped_for_html() {
    let value = "a<b>&\"c\"'d'/e";
    for form in [
        "a&lt;b&gt;&amp;\"c\"'d'/e",
        "a&lt;b&gt;&amp;&quot;c&quot;'d'/e",
        "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39;/e",
        "a&lt;b&gt;&amp;&quot;c&quot;&#x27;d&#x27;/e",
        "a&lt;b&gt;&amp;&quot;c&quot;&apos;d&apos;/e",
        "a&lt;b&gt;&amp;&#34;c&#34;&#39;d&#39;/e",
        "a&lt;b&gt;&amp;&quot;c&quot;&#x27;d&#x27;&#x2F;e",
    ] {
        removes(value.as_bytes(), form.as_bytes());
    }
}

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nVJTUt9Us8cKjMzEfYyjiWA4R\nshort\n   indented line of it   \nexactly16bytes..\r\nonly15bytes....\n-----END PRIVATE KEY-----\n";

#[test]
fn each_line_of_a_value_but_not_its_frame() {
    let redactor = knowing(&[KEY.as_bytes()]);
    assert_eq!(redactor.text(&format!("<{KEY}>")), "<[redacted:NAME]>");
    for line in
        ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7", "VJTUt9Us8cKjMzEfYyjiWA4R", "indented line of it", "exactly16bytes.."]
    {
        assert_eq!(redactor.text(&format!("<{line}>")), "<[redacted:NAME]>", "{line}");
        assert_eq!(redactor.text(&percent(line.as_bytes(), "-._~", "%20", true)), "[redacted:NAME]", "{line}");
    }
    for left in ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "short", "only15bytes...."] {
        assert_eq!(redactor.text(left), left);
    }
    let windows = KEY.replace('\n', "\r\n");
    assert!(!redactor.text(&windows).contains("VJTU"));
}

#[test]
fn lines_of_a_long_value_are_removed_as_they_are() {
    let lines: Vec<String> = (0..200).map(|index| format!("line {index:04} of a long value")).collect();
    let redactor = knowing(&[lines.join("\n").as_bytes()]);
    assert_eq!(redactor.text("> line 0107 of a long value <"), "> [redacted:NAME] <");
    assert_eq!(redactor.text(&lines.join("\n")), "[redacted:NAME]");
}

#[test]
fn a_long_value_is_looked_for_in_fewer_forms() {
    for (length, found) in [(4096, true), (4097, false)] {
        let value = vec![0xFB; length];
        let redactor = knowing(&[&value]);
        let escapes = "\\xFB".repeat(length);
        assert_eq!(redactor.text(&escapes) == "[redacted:NAME]", found, "{length}");
        let encoded = "%2B%2Fv7".repeat(length / 3);
        assert_eq!(redactor.text(&encoded).contains("[redacted:NAME]"), found, "{length}");
    }
    // A line of a value that is just not long is looked for in every form.
    let lines = [vec![b'x'; 4075].as_slice(), b"a line/of it, of them"].join(&b'\n');
    assert_eq!(lines.len(), 4097);
    assert_eq!(knowing(&[&lines]).text("a%20line%2Fof%20it%2C%20of%20them"), "a%20line%2Fof%20it%2C%20of%20them");
    assert_eq!(knowing(&[&lines[1..]]).text("a%20line%2Fof%20it%2C%20of%20them"), "[redacted:NAME]");
}

#[test]
fn a_long_value_is_escaped_as_common_encoders_do() {
    let value = "\"é/<\u{1f}".repeat(800);
    let markup = |char| matches!(char, '<' | '>' | '&');
    for upper in [false, true] {
        let plain = serde(&value).replace("\\u001f", if upper { "\\u001F" } else { "\\u001f" });
        for once in [plain.clone(), units(&plain, |char| !char.is_ascii(), upper), units(&plain, markup, upper)] {
            removes(value.as_bytes(), once.as_bytes());
            removes(value.as_bytes(), once.replace('/', "\\/").as_bytes());
            removes(value.as_bytes(), serde(&once).as_bytes());
        }
    }
    let told_to = units(&serde(&value).replace("\\\"", "\\u0022"), |char| markup(char) || !char.is_ascii(), false);
    assert_eq!(knowing(&[value.as_bytes()]).text(&told_to), told_to);
}

#[test]
fn twenty_of_the_values_with_most_forms_fit() {
    let signs = ['"', '<', '/', '\\', '\'', '+', 'é', '\u{1f}', '\n', 'x', '&'];
    let value: String = (0..55_000_usize).map(|index| signs[index * index / 7 % signs.len()]).collect();
    assert!(knowing(&[value.as_bytes()]).memory_bytes() * 20 < MAX_FORM_BYTES);
}

#[test]
fn a_piece_of_a_long_value_is_removed_like_the_whole() {
    let value: String = (0..400).map(|index| format!("{:x}", index * index * 31 % 9973)).collect();
    let redactor = knowing(&[value.as_bytes()]);
    assert_eq!(redactor.text(&value), "[redacted:NAME]");
    let left = redactor.text(&value[..500]).replace("[redacted:NAME]", "");
    assert!(left.len() < 112, "{left}");
    assert_eq!(redactor.text(&value[..128]), "[redacted:NAME]");
    assert_eq!(redactor.text(&value[value.len() - 128..]), "[redacted:NAME]");
    assert_eq!(redactor.text(&value[..127]), &value[..127]);
}

#[test]
fn values_of_every_length_around_a_piece_leave_nothing() {
    for length in (120..150).chain(230..260).chain([1000, 4096, 4097, 65_536]) {
        let value: Vec<u8> = (0..length).map(|index: u32| u8::try_from(index.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
        removes(&value, &value);
        removes(&value, value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().as_bytes());
        removes(&value, value.iter().map(|byte| format!("%{byte:02X}")).collect::<String>().as_bytes());
        removes(&value, &STANDARD_NO_PAD.encode(&value).as_bytes()[..length as usize * 8 / 6]);
        removes(&value, &value.iter().rev().copied().collect::<Vec<_>>());
        let text: String = value.iter().map(|byte| char::from(*byte)).collect();
        let once = units(&serde(&text), |char| !char.is_ascii(), false);
        if text.len() <= 64 << 10 {
            removes(text.as_bytes(), once.as_bytes());
        }
    }
}

#[test]
fn short_values_are_left_alone() {
    let redactor = knowing(&[b"", b"1", b"1234567"]);
    assert!(redactor.is_idle());
    for text in ["1", "1234567", "MTIzNDU2Nw==", "31323334353637"] {
        assert_eq!(redactor.text(text), text);
    }
    assert!(!knowing(&[b"12345678"]).is_idle());
    // The marker is that of the value that was found, whatever was passed over.
    let redactor = Redactor::new([("SHORT", b"abc".as_slice()), ("LONG", b"abcdefgh".as_slice())]).unwrap();
    assert_eq!(redactor.text("abcdefgh"), "[redacted:LONG]");
}

#[test]
fn a_value_longer_than_any_is_refused_by_name() {
    let longest = vec![b'x'; 64 << 10];
    assert!(Redactor::new([("BIG", longest.as_slice())]).is_ok());
    let longer = vec![b'x'; (64 << 10) + 1];
    let refused = Redactor::new([("BIG", longer.as_slice())]).err().unwrap();
    assert!(matches!(&refused, RedactorError::ValueTooLong { name, bytes: 65_537 } if name == "BIG"));
    assert_eq!(refused.to_string(), "the value of `BIG` has 65537 bytes, of which 65536 can be redacted");
}

#[test]
fn a_value_in_another_case_is_another_value() {
    let other = TOKEN.to_uppercase();
    assert_eq!(knowing(&[TOKEN.as_bytes()]).text(&other), other);
}

#[test]
fn what_is_written_is_not_what_was_removed() {
    let named = Redactor::new([("PASSWORD_OF_MINE", b"PASSWORD".as_slice())]).unwrap();
    assert_eq!(named.text("a PASSWORD b"), "a [redacted] b");
    let word = Redactor::new([("A", b"redacted".as_slice())]).unwrap();
    assert_eq!(word.text("a redacted b"), "a [-] b");
    let strange = Redactor::new([("a\"b é", b"12345678".as_slice())]).unwrap();
    assert_eq!(strange.text("12345678"), "[redacted:a_b__]");
}
