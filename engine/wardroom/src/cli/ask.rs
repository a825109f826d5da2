//! Asking for what a program wants and was not granted: on a terminal only,
//! before it starts, while it is silent.

use std::io::{BufRead, IsTerminal, Write};

use wardroom_core::capability::Scope;
use wardroom_core::text::for_terminal_line;

use super::error::CommandError;
use super::show::{BOLD, DIM, WARN, line};
use crate::credential::credential_words;

/// What codes are made of: no two look alike.
const LETTERS: &[u8; 16] = b"bcdfghjkmnpqrtwx";

/// What a person said to the requests.
pub(super) struct Answer {
    /// For this run.
    pub(super) once: Vec<Scope>,
    /// For this run and those that follow.
    pub(super) always: Vec<Scope>,
}

/// A person is there to be asked.
pub(super) fn possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for each missing scope. What was typed ahead does not count.
pub(super) fn ask(program: &str, missing: &[Scope]) -> Result<Answer, CommandError> {
    let mut answer = Answer { once: Vec::new(), always: Vec::new() };
    let failed = |error: std::io::Error| CommandError::host(format!("the terminal cannot be read: {error}"));
    line(&format!("{BOLD}{}{BOLD:#} asks for:", for_terminal_line(program)));
    for scope in missing {
        // An answer counts only if it was typed after the question.
        rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush).map_err(|error| failed(error.into()))?;
        let mut stderr = anstream::stderr().lock();
        write!(stderr, "  {WARN}{}{WARN:#}  {DIM}allow? [o]nce, [a]lways, [N]o:{DIM:#} ", for_terminal_line(&words(scope)))
            .and_then(|()| stderr.flush())
            .map_err(failed)?;
        let mut typed = String::new();
        std::io::stdin().lock().read_line(&mut typed).map_err(failed)?;
        match typed.trim() {
            "o" | "once" => answer.once.push(scope.clone()),
            "a" | "always" => answer.always.push(scope.clone()),
            _ => {}
        }
    }
    Ok(answer)
}

/// Something is decided by a person who sees it: on a terminal, or not at all.
pub(super) fn person(what: &str, command: &str) -> Result<(), CommandError> {
    // Shown it has to be, too.
    if possible() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    let hint = format!("Run `{command}` in a terminal, and type the code that it shows.");
    Err(CommandError::operator(format!("{what}, in a terminal")).hint(hint))
}

/// Asks for a code that the terminal shows; whether it was typed.
pub(super) fn by_code(what: &str) -> Result<bool, CommandError> {
    let code = code()?;
    Ok(read_code(&code, what)?.trim() == code)
}

/// Four letters that nobody could have typed ahead.
fn code() -> Result<String, CommandError> {
    let mut random = [0_u8; 4];
    getrandom::fill(&mut random).map_err(|error| CommandError::host(format!("the system gives no random numbers: {error}")))?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 16)).copied().map_or('b', char::from);
    Ok(random.iter().map(letter).collect())
}

fn read_code(code: &str, what: &str) -> Result<String, CommandError> {
    let failed = |error: std::io::Error| CommandError::host(format!("the terminal cannot be read: {error}"));
    // An answer counts only if it was typed after the question.
    rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush).map_err(|error| failed(error.into()))?;
    let mut stderr = anstream::stderr().lock();
    write!(stderr, "Type {BOLD}{code}{BOLD:#} to {what}, {DIM}anything else to leave it:{DIM:#} ")
        .and_then(|()| stderr.flush())
        .map_err(failed)?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed).map_err(failed)?;
    Ok(typed)
}

/// A scope in a person's words.
pub(super) fn words(scope: &Scope) -> String {
    let text = scope.text();
    match scope {
        Scope::Net(_) if text.contains(',') => format!("requests to {text}"),
        Scope::Net(_) => format!("requests of any method to {text}"),
        Scope::Read(folder) => format!("reading {text} ({})", folder.absolute().display()),
        Scope::Write(folder) => format!("reading and writing {text} ({})", folder.absolute().display()),
        Scope::Sqlite(database) => {
            let what = if database.write() { "reading and writing" } else { "reading" };
            format!("{what} the database {} ({})", database.text(), database.absolute().display())
        }
        Scope::Env(_) => format!("the environment variable {text}"),
        Scope::State(_) => format!("keeping {text} of state"),
        Scope::Credential(scope) => credential_words(scope),
        Scope::Call(scope) if scope.subject().is_none() => format!("starting {text}, of which there is none"),
        Scope::Call(_) => format!("starting {text}, with what that one was granted"),
    }
}
