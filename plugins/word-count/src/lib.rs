//! Counts the lines, words and characters of a text, or of a file in a granted
//! folder, and names its commonest words.
//!
//! Owns the counting and nothing else: which folder it may read is the
//! operator's to say, and a file outside of it ends the run as a denial.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use wardroom_guest::{Failure, log};

/// Words named unless the params say otherwise.
const TOP: usize = 5;

/// What to count: exactly one of `text` and `file`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    text: Option<String>,
    file: Option<String>,
    #[serde(default = "top")]
    top: usize,
}

const fn top() -> usize {
    TOP
}

#[derive(Serialize)]
struct Count {
    lines: usize,
    words: usize,
    characters: usize,
    /// Commonest first; of equally common ones in the order of the alphabet.
    top: Vec<Word>,
}

#[derive(Serialize)]
struct Word {
    word: String,
    count: usize,
}

fn run(params: Params) -> Result<Count, Failure> {
    let text = match (params.text, params.file) {
        (Some(text), None) => text,
        (None, Some(file)) => read(&file)?,
        _ => return Err(Failure::invalid("expected either `text` or `file`")),
    };
    log::debug!("counting {} bytes", text.len());
    Ok(count(&text, params.top))
}

fn read(file: &str) -> Result<String, Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::from_io(&format!("`{file}` cannot be read"), &error))?;
    String::from_utf8(bytes).map_err(|_| Failure::permanent(format!("`{file}` is no UTF-8 text")))
}

fn count(text: &str, top: usize) -> Count {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut words = 0;
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| word.contains(char::is_alphanumeric)) {
        words += 1;
        *seen.entry(word.to_lowercase()).or_default() += 1;
    }
    let mut ranked: Vec<Word> = seen.into_iter().map(|(word, count)| Word { word, count }).collect();
    ranked.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.word.cmp(&b.word)));
    ranked.truncate(top);
    Count { lines: text.lines().count(), words, characters: text.chars().count(), top: ranked }
}

wardroom_guest::task!(run);
