//! The plugin: each function of the exported interface is a tool.

wit_bindgen::generate!({ path: "wit", world: "plugin", with: { "wardroom:automation/log@0.1.0": wardroom_guest::bindings::wardroom::automation::log } });

use exports::example::words::words::{Counts, Guest, Request};
use wardroom_guest::log;

struct Plugin;

impl Guest for Plugin {
    fn count(request: Request) -> Result<Counts, String> {
        let counts = count(&request.text, request.min_length.unwrap_or(0)).ok_or("the text has no words")?;
        log::info!("counted {} words", counts.words);
        Ok(counts)
    }
}

export!(Plugin);

/// Ordinary code in a function of its own, so that `cargo test` can call it.
fn count(text: &str, min_length: u32) -> Option<Counts> {
    let length = |word: &str| u32::try_from(word.chars().count()).unwrap_or(u32::MAX);
    let mut counts = Counts { words: 0, characters: 0, longest: None };
    for word in text.split_whitespace().filter(|word| length(word) >= min_length) {
        counts.words += 1;
        counts.characters = counts.characters.saturating_add(length(word));
        if counts.longest.as_deref().is_none_or(|longest| length(word) > length(longest)) {
            counts.longest = Some(word.to_owned());
        }
    }
    (counts.words > 0).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn the_first_of_the_longest_words_is_the_longest() {
        assert_eq!(count("one two", 0).and_then(|counts| counts.longest).as_deref(), Some("one"));
        assert!(count(" ", 0).is_none());
    }
}
