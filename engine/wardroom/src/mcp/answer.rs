//! What a tool answers: structured, with a short text, never longer than a
//! client can take, and with nothing in it that a terminal would obey.

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::{Map, Value, json};
use wardroom_core::text::{for_terminal, truncated};
use wardroom_db::ApprovalId;

use crate::approval::ApprovalError;
use crate::credential::CredentialUseError;
use crate::error::CommandError;
use crate::execution::ExecuteError;
use crate::execution::manage::ManageError;
use crate::execution::resolve::ResolveError;
use crate::plugin::PluginError;
use crate::task::TaskError;
use crate::template::UnknownTemplate;
use crate::vault::VaultUseError;

/// Bytes of one answer at most, structured and text together.
const MAX_ANSWER: usize = 75_000;
/// Bytes of the text at most.
const MAX_TEXT: usize = 10_000;
/// Bytes that a list or a log may fill of the structured part.
pub(super) const PAGE: usize = 55_000;

/// What a tool found or did.
pub(super) struct Answer {
    structured: Map<String, Value>,
    text: String,
    /// The tool worked, and what it ran did not.
    is_failed: bool,
    /// The approval that it asked for.
    asks: Option<ApprovalId>,
    /// What was left out of it, because it is too long with that.
    shortenings: usize,
}

/// What is left out first: all of it can be read in parts.
const SHORTENED: [&str; 4] = ["log", "result", "params", "error"];

/// Why a tool did not do what was asked.
#[derive(Debug)]
pub(super) struct Refused {
    /// A word for programs.
    pub(super) code: &'static str,
    /// What happened, for people.
    pub(super) message: String,
    /// What to do next, and who.
    pub(super) hint: Option<String>,
}

impl Answer {
    /// An answer with these fields beside `success`.
    pub(super) fn new(fields: Value, text: impl Into<String>) -> Self {
        let mut structured = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        structured.shift_insert(0, "success".to_owned(), Value::Bool(true));
        Self { structured, text: text.into(), is_failed: false, asks: None, shortenings: 0 }
    }

    /// It asked a person for this.
    pub(super) fn asking(mut self, id: Option<ApprovalId>) -> Self {
        self.asks = id;
        self
    }

    /// What it asked a person for.
    pub(super) const fn asks(&self) -> Option<ApprovalId> {
        self.asks
    }

    /// The person said yes or no, in front of the client.
    pub(super) fn approved(mut self, yes: bool) -> Self {
        self.structured.insert("approved".to_owned(), Value::Bool(yes));
        let said = if yes { "The user approved it: it is granted." } else { "The user did not approve it here: it waits." };
        self.text = format!("{}\n{said}", self.text);
        self
    }

    /// What it ran failed.
    pub(super) fn failed(mut self) -> Self {
        self.structured.insert("success".to_owned(), Value::Bool(false));
        self.is_failed = true;
        self
    }

    /// The same with one thing less.
    fn shorter(mut self) -> Self {
        if let Some(value) = SHORTENED.get(self.shortenings).and_then(|name| self.structured.get_mut(*name)) {
            *value = if value.is_array() { json!([]) } else { Value::Null };
            self.structured.insert("shortened".to_owned(), Value::Bool(true));
        }
        self.shortenings += 1;
        self
    }

    /// As the protocol has it.
    pub(super) fn into_result(self) -> CallToolResult {
        let text = shortened(for_terminal(&self.text));
        let bytes = json_bytes(&self.structured).saturating_add(text.len());
        if bytes > MAX_ANSWER && self.shortenings < SHORTENED.len() {
            return self.shorter().into_result();
        }
        if bytes > MAX_ANSWER {
            let message = format!("the answer has {bytes} bytes, and at most {MAX_ANSWER} fit: ask for less at once");
            return Refused { code: "answer_too_long", message, hint: None }.into_result();
        }
        let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
        result.structured_content = Some(Value::Object(self.structured));
        result.is_error = Some(self.is_failed);
        result
    }
}

/// Bytes of a value's JSON, which is not made for it.
pub(super) fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

fn shortened(text: String) -> String {
    if text.len() <= MAX_TEXT { text } else { format!("{}\n… (shortened)", truncated(&text, MAX_TEXT)) }
}

impl Refused {
    /// The arguments do not hold.
    pub(super) fn arguments(message: impl Into<String>) -> Self {
        Self { code: "validation_error", message: message.into(), hint: None }
    }

    /// There are as many as an assistant may make.
    pub(super) fn full(what: &str, most: u64, setting: &str) -> Self {
        let message = format!("there are {most} {what} or more, and assistants add none then");
        let hint = format!("A person removes some, adds it, or sets a higher `{setting}` under `[mcp]` in config.toml.");
        Self { code: "too_many", message, hint: Some(hint) }
    }

    /// As the protocol has it: an error of the tool, which the model sees.
    pub(super) fn into_result(self) -> CallToolResult {
        let message = shortened(for_terminal(&self.message));
        let hint = self.hint.map(|hint| shortened(for_terminal(&hint)));
        let mut text = format!("error ({}): {message}", self.code);
        if let Some(hint) = &hint {
            text = format!("{text}\nhint: {hint}");
        }
        let mut result = CallToolResult::structured_error(json!({
            "success": false, "error": self.code, "message": message, "hint": hint,
        }));
        result.content = vec![ContentBlock::text(text)];
        result
    }
}

/// The words are those of the command line, whose hints name who has to act.
fn worded(code: &'static str, error: impl Into<CommandError>) -> Refused {
    let CommandError { message, hints, .. } = error.into();
    Refused { code, message, hint: Some(hints.join(" ")).filter(|hint| !hint.is_empty()) }
}

impl From<TaskError> for Refused {
    fn from(error: TaskError) -> Self {
        let code = match &error {
            TaskError::Unknown { .. } => "task_not_found",
            TaskError::Exists(_) => "task_exists",
            TaskError::Changed(_) => "conflict",
            TaskError::Schedules | TaskError::Schedule(_) | TaskError::Zone(_) | TaskError::Rule(_) => "invalid_schedule",
            TaskError::NoCredential(_) => "credential_not_found",
            TaskError::Resolve(error) => resolve_code(error),
            TaskError::Manage(ManageError::Unknown(_) | ManageError::Ambiguous { .. }) => "execution_not_found",
            TaskError::Db(_) | TaskError::Damaged { .. } => "internal_error",
            _ => "validation_error",
        };
        worded(code, error)
    }
}

fn resolve_code(error: &ResolveError) -> &'static str {
    match error {
        ResolveError::Param(_) | ResolveError::ParamsTooLong(_) | ResolveError::ParamsForCommand | ResolveError::Request(_) => {
            "invalid_params"
        }
        _ => "invalid_program",
    }
}

impl From<ResolveError> for Refused {
    fn from(error: ResolveError) -> Self {
        worded(resolve_code(&error), error)
    }
}

impl From<ManageError> for Refused {
    fn from(error: ManageError) -> Self {
        let code = match &error {
            ManageError::Unknown(_) | ManageError::Ambiguous { .. } => "execution_not_found",
            ManageError::Ended { .. } => "execution_ended",
            ManageError::Db(_) | ManageError::Peer { .. } => "internal_error",
            _ => "validation_error",
        };
        worded(code, error)
    }
}

impl From<CredentialUseError> for Refused {
    fn from(error: CredentialUseError) -> Self {
        let code = match &error {
            CredentialUseError::Unknown { .. } => "credential_not_found",
            CredentialUseError::Exists(_) => "credential_exists",
            CredentialUseError::InUse { .. } => "credential_in_use",
            CredentialUseError::Vault(_) => "vault_unavailable",
            CredentialUseError::Db(_) => "internal_error",
            _ => "validation_error",
        };
        worded(code, error)
    }
}

impl From<VaultUseError> for Refused {
    fn from(error: VaultUseError) -> Self {
        worded("vault_unavailable", error)
    }
}

impl From<ApprovalError> for Refused {
    fn from(error: ApprovalError) -> Self {
        match error {
            ApprovalError::Task(error) => error.into(),
            ApprovalError::Credential(error) => error.into(),
            error => worded("validation_error", error),
        }
    }
}

impl From<PluginError> for Refused {
    fn from(error: PluginError) -> Self {
        match error {
            PluginError::Resolve(error) => (*error).into(),
            error => {
                let code = match &error {
                    PluginError::Unknown { .. } | PluginError::NoFunction { .. } | PluginError::NotExposed(_) => "plugin_not_found",
                    PluginError::Altered(_) | PluginError::Seal(_) | PluginError::Db(_) | PluginError::Store(_) => "internal_error",
                    _ => "validation_error",
                };
                worded(code, error)
            }
        }
    }
}

impl From<ExecuteError> for Refused {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Credential(error) => error.into(),
            error => worded("internal_error", error),
        }
    }
}

impl From<wardroom_db::DbError> for Refused {
    fn from(error: wardroom_db::DbError) -> Self {
        worded("internal_error", error)
    }
}

impl From<crate::wardroom::OpenError> for Refused {
    fn from(error: crate::wardroom::OpenError) -> Self {
        worded("internal_error", error)
    }
}

impl From<UnknownTemplate> for Refused {
    fn from(error: UnknownTemplate) -> Self {
        Self { hint: Some("list_templates shows them.".to_owned()), ..worded("template_not_found", error) }
    }
}

/// As many of these as fit into a page, and whether there were more.
pub(super) fn fitting<T: Serialize>(items: impl IntoIterator<Item = T>) -> (Vec<Value>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for item in items {
        let mut value = serde_json::to_value(item).unwrap_or(Value::Null);
        if json_bytes(&value) > PAGE {
            // One that no page holds is told of, and keeps no other from its place.
            value = json!({ "name": value.get("name"), "id": value.get("id"), "shortened": true });
        }
        bytes += json_bytes(&value) + 1;
        if bytes > PAGE && !page.is_empty() {
            return (page, true);
        }
        page.push(value);
    }
    (page, false)
}

/// A part of a long text, from a byte on, and where the next part begins.
pub(super) fn part(text: &str, from: usize, most: usize) -> (String, Option<usize>) {
    let begin = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let part = truncated(text.get(begin..).unwrap_or_default(), most);
    let end = begin + part.len();
    (part.to_owned(), (end < text.len()).then_some(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_bounded_and_obeyed_by_no_terminal() {
        let long = Answer::new(json!({ "x": "y".repeat(MAX_ANSWER) }), "short").into_result();
        assert_eq!(long.is_error, Some(true));
        assert_eq!(long.structured_content.unwrap()["error"], "answer_too_long");
        let text = Answer::new(json!({}), format!("a\u{1b}[2Jb{}", "z".repeat(MAX_ANSWER))).into_result();
        let shown = serde_json::to_string(&text.content).unwrap();
        assert!(shown.len() < MAX_TEXT + 200 && !shown.contains("u001b") && shown.contains("(shortened)"));
    }

    #[test]
    fn a_run_is_answered_with_its_id_however_much_it_said() {
        let log = vec!["\u{1}".repeat(1000); 30];
        let fields = json!({ "execution_id": "abc", "status": "success", "log": log, "result": 1 });
        let result = Answer::new(fields, "short").into_result().structured_content.unwrap();
        assert_eq!((&result["execution_id"], &result["log"], &result["result"]), (&json!("abc"), &json!([]), &json!(1)));
        assert_eq!(result["shortened"], true);
    }

    #[test]
    fn long_texts_come_in_parts_that_join() {
        let text = "äöü€".repeat(1000);
        let (mut whole, mut from) = (String::new(), Some(0));
        while let Some(at) = from {
            let (piece, next) = part(&text, at, 100);
            assert!(piece.len() <= 100);
            whole.push_str(&piece);
            from = next;
        }
        assert_eq!(whole, text);
        assert_eq!(part("abc", 99, 10), (String::new(), None));
    }

    #[test]
    fn a_page_holds_what_fits_and_at_least_one() {
        let (page, more) = fitting(vec!["x".repeat(PAGE / 2); 3]);
        assert_eq!((page.len(), more), (1, true));
        let (page, more) = fitting([json!({ "name": "a", "x": "y".repeat(PAGE) }), json!({ "name": "b" })]);
        assert_eq!((page, more), (vec![json!({ "name": "a", "id": null, "shortened": true }), json!({ "name": "b" })], false));
        let (page, more) = fitting(vec![1, 2, 3]);
        assert_eq!((page.len(), more), (3, false));
    }
}
