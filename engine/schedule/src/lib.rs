//! When a task is due: calendars in a time zone, and what becomes of slots
//! that were missed, that overlap, that failed or that come too often.
//!
//! A [`Schedule`](calendar::Schedule) says at which instants a task is due
//! (its *slots*); [`due`](due::due) says, after any sleep, which of them fire
//! and which were missed, so that each is accounted for exactly once;
//! [`Agenda`](agenda::Agenda) says which of many tasks comes next.
//!
//! All of it is arithmetic on integers that are passed in. This crate must
//! never read a clock, draw a random number, start a thread, or open a file or
//! a socket — except that `jiff` finds the rules of a time zone in the
//! system's own zone database (or in the copy bundled with it), when a zone is
//! parsed. It is the only crate that names `croner`.
//!
//! # Daylight saving
//!
//! A cron schedule is read on the wall clock of its zone. Where that clock is
//! changed, the rules are those of Vixie cron (`cron(8)`: "jobs that run at a
//! specific time" against those with `*` in the hour or minute):
//!
//! * **Fixed times** — no field of the time of day has a `*`, as in
//!   `30 2 * * *` or `0 2,14 * * *`. A time that the clock skips fires once, at
//!   the first instant after the gap; several times in one gap are one slot. A
//!   time that the clock shows twice fires once, the first time.
//! * **Repeating** — the second, minute or hour has a `*`, as in `*/15 * * * *`
//!   or `0 */2 * * *`. Every instant at which the wall clock shows a matching
//!   time is a slot: a skipped time has none, a repeated one has two, and so the
//!   cadence in real time goes on.
//!
//! `croner` reads the expressions and judges the days. Where slots lie in time
//! is worked out here: `croner` takes a list such as `2,14` for repeating (a
//! backup at 02:30 and 14:30 would run twice in one night of autumn), knows no
//! gap beyond two hours, and cannot count.

#![forbid(unsafe_code)]

pub mod agenda;
pub mod calendar;
pub mod cron;
pub mod due;
pub mod rate;
pub mod retry;
pub mod rules;
pub mod zone;

mod civil;
mod span;
mod words;
