//! Tasks: saved, run when they are due, followed, and accounted for, by a real
//! daemon that is really killed.

mod daemon;
mod following;
mod grants;
#[cfg(target_os = "linux")]
mod notifications;
mod rules;
mod saving;

use serde_json::Value;

use crate::support::home::{Ended, Home, Running};

/// Does nothing, and says when.
const TICK: &str = "return Date.now();";

impl Home {
    /// `wardroom task …`, which has to succeed.
    #[track_caller]
    pub(crate) fn task(&self, args: &[&str]) -> Ended {
        let ended = self.try_task(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended}");
        ended
    }

    pub(crate) fn try_task(&self, args: &[&str]) -> Ended {
        let all: Vec<&str> = ["task"].iter().chain(args).copied().collect();
        self.run(&all)
    }

    /// What `wardroom task … --json` prints.
    #[track_caller]
    pub(crate) fn task_json(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = args.iter().chain(&["--json"]).copied().collect();
        self.task(&all).json()
    }

    /// Saves a task of a script that is written for it.
    #[track_caller]
    pub(crate) fn add(&self, name: &str, script: &str, flags: &[&str]) -> Ended {
        let file = self.file(&format!("{name}.js"), script);
        let all: Vec<&str> = ["add", name, file.to_str().unwrap()].iter().chain(flags).copied().collect();
        self.task(&all)
    }

    /// A daemon that has begun.
    fn serve(&self) -> Running {
        let serving = self.start(&["serve"]);
        serving.until_stderr("serving");
        serving
    }

    /// Everything that is due, to its end.
    #[track_caller]
    pub(crate) fn serve_once(&self) -> Ended {
        let ended = self.run(&["serve", "--once"]);
        assert_eq!(ended.code, Some(0), "{ended}");
        ended
    }

    /// All executions of a task, oldest first.
    pub(crate) fn runs(&self, task: &str) -> Vec<Value> {
        let listed = self.read(&["exec", "list", "--json", "--limit=500", "--task", task]);
        let mut rows = listed["executions"].as_array().unwrap().clone();
        rows.reverse();
        rows
    }

    /// Waits until a task has so many executions that ended.
    pub(crate) fn until_ended(&self, task: &str, count: usize) -> Vec<Value> {
        let start = std::time::Instant::now();
        loop {
            let rows = self.runs(task);
            let ended = rows.iter().filter(|row| row["finished_at"].is_string()).count();
            if ended >= count {
                return rows;
            }
            assert!(start.elapsed() < crate::support::PATIENCE, "waited in vain for {count} ends of {task}: {rows:?}");
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
    }
}

fn words(rows: &[Value], field: &str) -> Vec<String> {
    rows.iter().map(|row| row[field].as_str().unwrap_or("").to_owned()).collect()
}
