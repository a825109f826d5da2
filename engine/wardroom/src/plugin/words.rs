//! What a manifest asks for, in a person's words, and how it fits what the
//! program imports.

use serde::{Deserialize, Serialize};
use wardroom_core::capability::Capability;
use wardroom_core::manifest::Manifest;

use crate::credential::credential_words;

/// One request of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestView {
    /// Which kind.
    pub capability: Capability,
    /// As it stands in the manifest.
    pub scope: String,
    /// The same in a person's words.
    pub words: String,
    /// Why, as the plugin's author says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// All requests of a manifest.
pub(super) fn requests(manifest: &Manifest) -> Vec<RequestView> {
    let view = |(capability, scope): (Capability, String)| RequestView {
        words: words(capability, &scope),
        reason: manifest.reasons.get(&capability).cloned(),
        capability,
        scope,
    };
    manifest.asked().into_iter().map(view).collect()
}

fn words(capability: Capability, scope: &str) -> String {
    let place = |scope: &str| match scope.strip_prefix("{params.").and_then(|rest| rest.strip_suffix('}')) {
        Some(param) => format!("that its param `{param}` names"),
        None => scope.to_owned(),
    };
    match capability {
        Capability::Net if scope.contains(',') => format!("requests to {scope}"),
        Capability::Net if scope.starts_with('{') => format!("requests of any method to the address {}", place(scope)),
        Capability::Net => format!("requests of any method to {scope}"),
        Capability::Read => format!("reading the folder {}", place(scope)),
        Capability::Write => format!("reading and writing the folder {}", place(scope)),
        Capability::Sqlite => match scope.strip_suffix(":write") {
            Some(file) => format!("reading and writing the database {}", place(file)),
            None => format!("reading the database {}", place(scope)),
        },
        Capability::Env => format!("the environment variable {scope}"),
        Capability::State => format!("keeping {scope} of state"),
        Capability::Credentials => scope.parse().map_or_else(|_| format!("the credential {scope}"), |scope| credential_words(&scope)),
        Capability::Call => format!("calling {scope}, which runs with what it was granted itself"),
        _ => format!("{} {scope}", capability.name()),
    }
}

/// By which imports a program would use a capability.
pub(crate) const MEANS: [(Capability, &[&str]); 8] = [
    (Capability::Net, &["wasi:http/outgoing-handler", "wasi:sockets/"]),
    (Capability::Read, &["wasi:filesystem/"]),
    (Capability::Write, &["wasi:filesystem/"]),
    (Capability::Call, &["wardroom:automation/call"]),
    (Capability::Sqlite, &["wardroom:automation/sqlite"]),
    (Capability::Env, &["wasi:cli/environment"]),
    (Capability::State, &["wardroom:automation/state"]),
    (Capability::Credentials, &["wardroom:automation/credential"]),
];

/// Where a manifest and the imports of its program say different things, a
/// sentence each. Neither keeps it from being installed: what is not asked for is
/// refused, and what is not imported is not used.
pub(super) fn differences(manifest: &Manifest, imports: &[String]) -> Vec<String> {
    let asks = |capability: Capability| manifest.asked().iter().any(|(asked, _)| *asked == capability);
    let mut found = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for (capability, means) in MEANS {
        let imported = |prefix: &&&str| imports.iter().any(|import| import.starts_with(**prefix));
        let used = means.iter().find(imported);
        // Reading and writing have one import between them.
        let same = MEANS.iter().filter(|(_, other)| *other == means).any(|(other, _)| asks(*other));
        match used {
            Some(import) if !same && !told.contains(import) => {
                told.push(import);
                found.push(format!(
                    "it imports `{}` and does not ask for `{}`: what it tries there is refused",
                    import.trim_end_matches('/'),
                    capability.name()
                ));
            }
            None if asks(capability) => {
                let names: Vec<String> = means.iter().map(|name| format!("`{}`", name.trim_end_matches('/'))).collect();
                found.push(format!("it asks for `{}` and does not import {}: it cannot use it", capability.name(), names.join(" or ")));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_what_they_allow() {
        let manifest = Manifest::of_plugin(
            "net = ['https://a.example/,GET', 'https://b.example', '{params.url}']\nread = ['{params.dir}']\nsqlite = ['x.db:write']\n\
             env = ['HOME']\nstate = '4KiB'\ncredentials = ['KEY@a.example:query']\n\
             [reasons]\nnet = 'to ask'\n[params.url]\ntype = 'string'\n[params.dir]\ntype = 'string'",
        )
        .unwrap();
        let words: Vec<String> = requests(&manifest).into_iter().map(|request| request.words).collect();
        assert_eq!(
            words,
            [
                "requests to https://a.example,GET",
                "requests of any method to https://b.example",
                "requests of any method to the address that its param `url` names",
                "reading the folder that its param `dir` names",
                "reading and writing the database x.db",
                "the environment variable HOME",
                "keeping 4KiB of state",
                "the credential KEY toward a.example, also in queries",
            ]
        );
        assert_eq!(requests(&manifest)[0].reason.as_deref(), Some("to ask"));
    }

    #[test]
    fn a_manifest_is_held_against_the_imports() {
        let of = |manifest: &str, imports: &[&str]| {
            let imports: Vec<String> = imports.iter().map(|import| format!("{import}@0.2.6")).collect();
            differences(&Manifest::of_plugin(manifest).unwrap(), &imports).len()
        };
        assert_eq!(of("", &[]), 0);
        assert_eq!(of("", &["wasi:filesystem/types", "wasi:filesystem/preopens"]), 1);
        assert_eq!(of("write = ['a']", &["wasi:filesystem/types"]), 0);
        assert_eq!(of("write = ['a']", &[]), 1);
        assert_eq!(of("net = ['https://a.example']", &["wasi:http/outgoing-handler"]), 0);
        assert_eq!(of("net = ['https://a.example']", &["wasi:http/types"]), 1);
        assert_eq!(of("credentials = ['A']\nstate = '1KiB'", &["wasi:cli/environment"]), 3);
    }
}
