//! How everything stands.

use serde_json::json;
use wardroom_core::execution::Status;
use wardroom_db::Filter;

use super::super::Profile;
use super::super::answer::{Answer, fitting};
use super::super::schema;
use super::super::tool::{Call, Done, LOOKS, Tool};
use crate::audit;

pub(in super::super) const TOOLS: &[Tool] = &[Tool {
    name: "get_status",
    title: "Get the status",
    about: "Says how everything stands: whether tasks run by themselves, how many there are, what runs, what failed last, which approvals \
            wait for a person, and which profile this client has.",
    least: Profile::Read,
    hints: LOOKS,
    input: || schema::object(json!({}), &[]),
    output: || {
        schema::answer(json!({
            "version": { "type": "string" },
            "profile": { "type": "string" },
            "session": { "type": "string" },
            "scheduler": { "type": "boolean" },
            "vault": { "type": ["string", "null"] },
            "tasks": { "type": "integer" },
            "paused": { "type": "integer" },
            "running": { "type": "array", "items": { "type": "object" } },
            "last_failures": { "type": "array", "items": { "type": "object" } },
            "approvals": { "type": "array", "items": { "type": "object" } },
        }))
    },
    call: get_status,
}];

fn get_status(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let (server, wardroom) = (call.server, &call.server.wardroom);
        let tasks = wardroom.tasks()?;
        let paused = tasks.iter().filter(|task| task.record.paused_at.is_some()).count();
        let of = |status, limit| Filter { status: Some(status), limit, ..Filter::default() };
        let running = wardroom.list(&of(Status::Running, 20)).await?;
        let failures = wardroom.list(&of(Status::Failed, 5)).await?;
        let waiting = wardroom.approvals(true)?;
        let (approvals, _) = fitting(waiting.iter().take(10));
        let scheduler = wardroom.scheduler_lives();
        let vault = wardroom.vault_status()?.map(|vault| vault.source);
        let mut text = format!(
            "Wardroom {}, profile {}; {} tasks, {paused} paused, {} running; {} approvals wait for a person",
            env!("CARGO_PKG_VERSION"),
            server.options.profile.name(),
            tasks.len(),
            running.len(),
            waiting.len()
        );
        if !scheduler {
            text = format!("{text}\nTasks do not run by themselves now: a person starts `wardroom serve`.");
        }
        let fields = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "profile": server.options.profile.name(),
            "session": audit::session(),
            "scheduler": scheduler,
            "vault": vault,
            "tasks": tasks.len(),
            "paused": paused,
            "running": running,
            "last_failures": failures,
            "approvals": approvals,
        });
        Ok(Answer::new(fields, text))
    })
}
