//! `wardroom:automation/log`: lines and progress, into the notes.

use wardroom_core::log::Level as CoreLevel;

use super::automation::wardroom::automation::{log, types};
use crate::run::RunState;

impl log::Host for RunState {
    fn emit(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => CoreLevel::Debug,
            log::Level::Info => CoreLevel::Info,
            log::Level::Warn => CoreLevel::Warn,
            log::Level::Error => CoreLevel::Error,
        };
        self.notes.say(level, &message);
    }

    fn progress(&mut self, done: u64, total: Option<u64>, message: String) {
        self.notes.advance(done, total, &message);
    }
}

impl types::Host for RunState {}
