//! Asking a person for rights.

use serde::Deserialize;
use serde_json::json;

use super::super::Profile;
use super::super::answer::Answer;
use super::super::schema;
use super::super::tool::{Call, Done, SETS, Tool};
use crate::approval::MAX_REASON;
use crate::execution::grants::GrantTexts;

pub(in super::super) const TOOLS: &[Tool] = &[Tool {
    name: "request_grant",
    title: "Ask for rights",
    about: "Asks a person to grant something to a task. It makes an approval for the program's bytes as they are now, which a person gives \
            in a terminal; nothing is granted by this call.",
    least: Profile::Operate,
    hints: SETS,
    input: || {
        let properties = json!({
            "task": schema::task_name("The task"),
            "grants": schema::grants(),
            "reason": schema::bounded_text("Why it is needed, for the person who decides", MAX_REASON),
        });
        schema::object(properties, &["task", "grants", "reason"])
    },
    output: || schema::answer(json!({ "approval": { "type": "object" }, "command": { "type": "string" } })),
    call: request_grant,
}];

#[derive(Deserialize)]
struct Wish {
    task: String,
    grants: GrantTexts,
    reason: String,
}

fn request_grant(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let Wish { task, grants, reason } = call.read()?;
        let wardroom = &call.server.wardroom;
        let task = wardroom.task(&task)?;
        let id = wardroom.ask_grants(&task, &grants, &reason).await?;
        let approval = wardroom.approval(&id.to_string())?;
        let command = format!("wardroom approval approve {id}");
        let text = format!("asked for: {}\nA person approves it in a terminal: `{command}`", approval.asks.join(" "));
        Ok(Answer::new(json!({ "approval": approval, "command": command }), text).asking(Some(id)))
    })
}
