//! The tools, a file for each subject.

pub(super) mod approvals;
pub(super) mod credentials;
pub(super) mod executions;
pub(super) mod programs;
pub(super) mod running;
pub(super) mod scripts;
pub(super) mod status;
pub(super) mod tasks;
