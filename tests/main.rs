//! The integration tests, one crate and one binary: through the public API and
//! the command line only.
//!
//! `support` builds the guests (`guests/`, one behaviour each) and runs things
//! under a time limit; `architecture` fails where a file here is not wired in.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod cmd;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod front_door;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod plugins;
#[cfg(test)]
mod plugins_first_party;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod prompt;
#[cfg(test)]
mod records;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod templates;
// These say themselves which lints their shared functions may break.
mod network;
mod value;
