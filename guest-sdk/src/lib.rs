//! Writing tasks for Wardroom in Rust.
//!
//! A task is a function from params to a result; [`task!`] makes it the export
//! that Wardroom calls. Params and result are any types that serde knows.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use wardroom_guest::{Failure, log};
//!
//! #[derive(Deserialize)]
//! struct Params {
//!     city: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Report {
//!     letters: usize,
//! }
//!
//! fn run(params: Params) -> Result<Report, Failure> {
//!     if params.city.is_empty() {
//!         return Err(Failure::invalid("`city` should not be empty"));
//!     }
//! #   if false {
//!     log::info!("counting the letters of {}", params.city);
//! #   }
//!     Ok(Report { letters: params.city.chars().count() })
//! }
//!
//! wardroom_guest::task!(run);
//! # fn main() {}
//! ```
//!
//! Everything else is the standard library, on `wasm32-wasip2`: files of granted
//! folders through [`std::fs`], granted variables through [`std::env`](mod@std::env). What was
//! not granted answers with an ordinary error
//! ([`PermissionDenied`](std::io::ErrorKind::PermissionDenied)), and the
//! operator is told which flag would allow it. What the task prints becomes log
//! lines.
//!
//! This crate owns no behaviour: it is the contract in `wit/` (see [`bindings`])
//! in the words of Rust. Start reading at [`task!`] and [`Failure`].

pub mod call;
pub mod credential;
mod failure;
pub mod http;
pub mod log;
pub mod params;
mod progress;
pub mod sqlite;
pub mod state;
mod task;

/// The contract itself, as generated from `wit/automation.wit`.
#[allow(missing_docs, clippy::missing_safety_doc, reason = "generated; WIT's own comments are what there is")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "task-program",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "wardroom_guest::bindings",
    });
}

pub use failure::Failure;
pub use params::Params;
pub use progress::progress;
#[doc(hidden)]
pub use serde as __serde;
#[doc(hidden)]
pub use task::answer;
/// Makes an ordinary function the task that this component is, and its arguments
/// the params.
///
/// Each argument is a param of its name; its comment is the param's description,
/// and serde's attributes hold for it. What is declared by the types is put into
/// the manifest by `wardroom plugin build`: see [`params`].
///
/// ```
/// use wardroom_guest::Failure;
///
/// #[wardroom_guest::main]
/// fn greet(
///     /// Whom to greet.
///     name: String,
///     /// How often.
///     times: Option<u8>,
/// ) -> Result<String, Failure> {
///     Ok(vec![format!("Hello, {name}!"); times.unwrap_or(1).into()].join(" "))
/// }
/// # fn main() {}
/// ```
///
/// A function whose one argument is called `params` takes them whole, as a type
/// that derives [`Params`]:
///
/// ```
/// # use serde::Deserialize;
/// # use wardroom_guest::{Failure, Params};
/// #[derive(Deserialize, Params)]
/// struct Greeting {
///     name: String,
/// }
///
/// #[wardroom_guest::main]
/// fn greet(params: Greeting) -> Result<String, Failure> {
///     Ok(format!("Hello, {}!", params.name))
/// }
/// # fn main() {}
/// ```
///
/// Used once in a crate. [`task!`] does the same without declaring anything.
pub use wardroom_guest_macros::main;
