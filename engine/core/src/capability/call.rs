//! Calls: one other program each, by the name under which it is known — a task's
//! own, or `plugin.function`.
//!
//! A name may pass to something else. So a grant holds for what had the name when
//! somebody granted it, and carries on whom that one's own grants hang.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::task::TaskName;

/// Bytes of the name of something that is called.
pub const MAX_CALLEE_NAME: usize = 200;

/// The name of something that can be called: a task (`nightly`), or a function of
/// an installed plugin (`text.markdown`, `text.tables.render`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CalleeName(String);

/// A text that names nothing that can be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names nothing that can be called: expected a task's name, or `plugin.function`")]
pub struct CalleeNameError(pub String);

impl CalleeName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The task of this name, where it is a task's.
    #[must_use]
    pub fn task(&self) -> Option<TaskName> {
        self.0.parse().ok()
    }

    /// The plugin and its function (`function`, or `interface.function`), where it
    /// is one's.
    #[must_use]
    pub fn function(&self) -> Option<(&str, &str)> {
        self.0.split_once('.')
    }
}

impl From<&TaskName> for CalleeName {
    fn from(name: &TaskName) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl FromStr for CalleeName {
    type Err = CalleeNameError;

    fn from_str(text: &str) -> Result<Self, CalleeNameError> {
        let wrong = || CalleeNameError(text.to_owned());
        if text.len() > MAX_CALLEE_NAME {
            return Err(wrong());
        }
        let mut parts = text.split('.');
        let first = parts.next().unwrap_or_default();
        let is_word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let rest: Vec<&str> = parts.collect();
        let fits = first.parse::<TaskName>().is_ok() && rest.len() <= 2 && rest.iter().all(|part| is_word(part));
        fits.then(|| Self(text.to_owned())).ok_or_else(wrong)
    }
}

impl TryFrom<String> for CalleeName {
    type Error = CalleeNameError;

    fn try_from(text: String) -> Result<Self, CalleeNameError> {
        text.parse()
    }
}

impl From<CalleeName> for String {
    fn from(name: CalleeName) -> Self {
        name.0
    }
}

impl fmt::Display for CalleeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing that may be called, and which one of that name is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallScope {
    name: CalleeName,
    /// None: nothing had the name when it was asked for. Such a scope lets nobody
    /// call anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

impl CallScope {
    /// What has this name, known by the subject on which its own grants hang.
    #[must_use]
    pub const fn of(name: CalleeName, subject: String) -> Self {
        Self { name, subject: Some(subject) }
    }

    /// A name that is asked for, whatever will have it.
    #[must_use]
    pub const fn named(name: CalleeName) -> Self {
        Self { name, subject: None }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &CalleeName {
        &self.name
    }

    /// On whom the grants of what is called hang.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// It is the same name, and the same thing where the other says which.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.name == other.name && (other.subject.is_none() || self.subject == other.subject)
    }

    /// What both allow: what was granted, if it is not something else by now.
    #[must_use]
    pub fn effective(grant: &Self, request: &Self) -> Option<Self> {
        (grant.covers(request) || request.covers(grant)).then(|| grant.clone())
    }
}

impl fmt::Display for CallScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_task_or_a_function_of_a_plugin() {
        let read = |text: &str| text.parse::<CalleeName>().unwrap();
        assert_eq!(read("nightly-1").task(), "nightly-1".parse().ok());
        assert_eq!(read("nightly-1").function(), None);
        assert_eq!(read("text.to-HTML").function(), Some(("text", "to-HTML")));
        assert_eq!(read("text.tables.render").function(), Some(("text", "tables.render")));
        assert_eq!(read("text.x").task(), None);
        let long = format!("a.{}", "b".repeat(MAX_CALLEE_NAME));
        for wrong in
            ["", "task", "Task", "a.", ".a", "a..b", "a.b.c.d", "a.1", "a.b c", "*", "a.*", "{params.x}", "a/b", "a\n", long.as_str()]
        {
            assert_eq!(wrong.parse::<CalleeName>(), Err(CalleeNameError(wrong.to_owned())), "{wrong}");
        }
    }

    #[test]
    fn a_grant_holds_for_what_had_the_name_and_for_no_namesake() {
        let name: CalleeName = "nightly".parse().unwrap();
        let (old, new) = (CallScope::of(name.clone(), "task:1".to_owned()), CallScope::of(name.clone(), "task:2".to_owned()));
        let asked = CallScope::named(name);
        assert!(old.covers(&asked) && old.covers(&old) && !old.covers(&new) && !asked.covers(&old));
        assert_eq!(CallScope::effective(&old, &asked), Some(old.clone()));
        assert_eq!(CallScope::effective(&old, &new), None);
        let other = CallScope::named("other".parse().unwrap());
        assert_eq!(CallScope::effective(&old, &other), None);
        assert_eq!(CallScope::effective(&asked, &old).and_then(|scope| scope.subject().map(str::to_owned)), None);
    }
}
