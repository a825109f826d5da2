//! How far a run has come.

use crate::bindings::wardroom::automation::log;

/// Says how far the run has come: `done` of `total` steps. Shown live; only the
/// last one is kept. Needs no grant.
///
/// ```no_run
/// # let pages = [""; 3];
/// for (done, page) in (0..).zip(&pages) {
///     wardroom_guest::progress(done, pages.len() as u64, "reading the pages");
///     // …
/// }
/// wardroom_guest::progress(7, None, "nobody knows how many there are");
/// ```
pub fn progress(done: u64, total: impl Into<Option<u64>>, message: impl AsRef<str>) {
    log::progress(done, total.into(), message.as_ref());
}
