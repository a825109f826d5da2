//! Short texts that people write: durations, sizes, programs, variables.

use wardroom_core::capability::env::EnvName;
use wardroom_core::limit::{DurationText, SizeText};
use wardroom_core::program::ProgramName;
use wardroom_core::text::{for_terminal, for_terminal_line, nearest, truncated};

/// One text: whatever it reads as shows itself as text that reads as the same.
pub fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(duration) = text.parse::<DurationText>() {
        assert_eq!(duration.to_string().parse(), Ok(duration), "{text:?}");
    }
    if let Ok(size) = text.parse::<SizeText>() {
        assert_eq!(size.to_string().parse(), Ok(size), "{text:?}");
    }
    if let Ok(program) = ProgramName::parse(text) {
        // A `#` in a file's own name is written with another one at the end.
        let shown = if program.function.is_none() { format!("{program}#") } else { program.to_string() };
        assert_eq!(ProgramName::parse(&shown), Ok(program), "{text:?}");
    }
    if let Ok(name) = text.parse::<EnvName>() {
        assert_eq!(name.as_str(), text);
    }
    let shown = for_terminal(text);
    assert!(!shown.contains('\x1b') && !for_terminal_line(text).contains(['\n', '\r', '\x1b']), "{text:?} is shown as {shown:?}");
    let cut = truncated(text, bytes.first().copied().map_or(0, usize::from));
    assert!(text.starts_with(cut));
    let known = ["allow-net", "allow-read"];
    assert!(nearest(text, known).is_none_or(|near| known.contains(&near)));
}
