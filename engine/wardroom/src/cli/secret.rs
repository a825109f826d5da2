//! Where values and passphrases come from: a hidden prompt, standard input, a
//! file or the environment. Never an argument: those are everybody's to read.

use std::io::{IsTerminal, Read};
use std::path::Path;

use crate::vault::PASSPHRASE_FILE;
use wardroom_core::credential::MAX_VALUE_BYTES;
use wardroom_vault::Secret;
use wardroom_vault::source::{Ask, PassphraseError, Passphrases};

use super::error::CommandError;

/// The passphrase itself. A file is better: the environment of a process is
/// readable by its user, and inherited.
pub(super) const PASSPHRASE: &str = "WARDROOM_PASSPHRASE";
/// The same for the passphrase that takes its place in a rotation.
pub(super) const NEW_PASSPHRASE_FILE: &str = "WARDROOM_NEW_PASSPHRASE_FILE";
pub(super) const NEW_PASSPHRASE: &str = "WARDROOM_NEW_PASSPHRASE";

/// A credential's value: typed where nobody sees it, or all of standard input
/// but for its last line break.
pub(super) fn value(name: &str) -> Result<Secret, CommandError> {
    if std::io::stdin().is_terminal() {
        return prompt(&format!("Value of {name} (not shown): "));
    }
    let failed = |error: std::io::Error| CommandError::operator(format!("standard input cannot be read: {error}"));
    read(&mut std::io::stdin().lock()).map_err(failed)
}

/// A value was given as an argument. Nothing of it is repeated.
pub(super) fn value_in_arguments() -> CommandError {
    CommandError::usage("a value is never an argument: every program of this machine can read those")
        .hint("Leave it away: it is asked for, or read from standard input. What was typed here is in the shell's history: replace it.")
}

/// One more byte than is taken, so that what is too long is seen to be; in a
/// buffer of its final size, because a growing one leaves copies behind.
fn read(from: &mut impl Read) -> std::io::Result<Secret> {
    let mut bytes = Vec::with_capacity(MAX_VALUE_BYTES + 4);
    from.take(MAX_VALUE_BYTES as u64 + 3).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(Secret::new(bytes))
}

fn prompt(text: &str) -> Result<Secret, CommandError> {
    let typed = rpassword::prompt_password(text);
    typed
        .map(|text| Secret::new(text.into_bytes()))
        .map_err(|error| CommandError::operator(format!("the terminal cannot be read: {error}")))
}

/// Whether a passphrase is in the environment.
pub(super) fn passphrase_is_given() -> bool {
    [PASSPHRASE_FILE, PASSPHRASE].iter().any(|name| std::env::var_os(name).is_some())
}

/// Asks the environment first, then the person at the terminal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FromOperator;

impl Passphrases for FromOperator {
    fn passphrase(&self, why: Ask) -> Result<Secret, PassphraseError> {
        let given = match why {
            Ask::New => from_environment(NEW_PASSPHRASE_FILE, NEW_PASSPHRASE).transpose(),
            Ask::Unlock => None,
        };
        let given = given.or_else(|| from_environment(PASSPHRASE_FILE, PASSPHRASE).transpose());
        match given {
            Some(given) => given,
            None if super::ask::possible() => typed(why),
            None => Err(PassphraseError::NobodyToAsk),
        }
    }
}

fn from_environment(file: &str, direct: &str) -> Result<Option<Secret>, PassphraseError> {
    if let Some(path) = std::env::var_os(file) {
        let path = Path::new(&path);
        let failed = |error: std::io::Error| PassphraseError::Unreadable(format!("{file} names `{}`: {error}", path.display()));
        // Looked at first: opening a FIFO would wait for a writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(PassphraseError::Unreadable(format!("{file} names `{}`, which is no file", path.display())));
        }
        return std::fs::File::open(path).and_then(|mut opened| read(&mut opened)).map(Some).map_err(failed);
    }
    Ok(std::env::var(direct).ok().map(|text| Secret::new(text.into_bytes())))
}

fn typed(why: Ask) -> Result<Secret, PassphraseError> {
    let ask = |text: &str| {
        rpassword::prompt_password(text)
            .map(|typed| Secret::new(typed.into_bytes()))
            .map_err(|error| PassphraseError::Unreadable(format!("the terminal: {error}")))
    };
    match why {
        Ask::Unlock => ask("Passphrase of the vault: "),
        Ask::New => {
            let first = ask("New passphrase of the vault: ")?;
            let again = ask("Once more: ")?;
            if first.expose_bytes() == again.expose_bytes() { Ok(first) } else { Err(PassphraseError::Differ) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_the_values() {
        let value = |text: &str| read(&mut text.as_bytes()).unwrap().expose_text().map(str::to_owned);
        assert_eq!(value("abc\n").as_deref(), Some("abc"));
        assert_eq!(value("abc\r\n").as_deref(), Some("abc"));
        assert_eq!(value("a\nb\n\n").as_deref(), Some("a\nb\n"));
        assert_eq!(value("abc ").as_deref(), Some("abc "));
        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        assert!(read(&mut long.as_bytes()).unwrap().len() > MAX_VALUE_BYTES);
    }
}
