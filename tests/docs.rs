//! The README's figures are the code's, and its table of scripts is theirs.

use std::path::Path;

use wardroom_core::call::{MAX_CALL_DEPTH, MAX_CALLS, MAX_OPEN_CALLS};
use wardroom_core::capability::credentials::CredentialUse;
use wardroom_core::credential::{CredentialKind, MAX_CREDENTIAL_USES, MAX_FILLED_BODY_BYTES, MAX_VALUE_BYTES};
use wardroom_core::limit::{
    DEFAULT_DEADLINE, DEFAULT_HTTP_BODY, DEFAULT_HTTP_REQUESTS, DEFAULT_LOG_BYTES, DEFAULT_MEMORY, DEFAULT_OUTPUT_BYTES, DurationText,
    HOSTCALL_BYTES, Limits, MAX_COMPILE_CPU_SECONDS, MAX_DEADLINE, MAX_HANDLES, MAX_MEMORY, MAX_OUTPUT_BYTES, MAX_PROGRAM_BYTES,
    MAX_SQLITE_ANSWER, MAX_SQLITE_MEMORY, MAX_SQLITE_ROWS, MAX_SQLITE_VALUE, MAX_STATE_BYTES, SQLITE_BUSY_WAIT, SizeText,
};
use wardroom_core::manifest::Manifest;
use wardroom_core::param::ParamSpec;

use wardroom::config::{
    DEFAULT_CONCURRENCY, DEFAULT_DESKTOP, DEFAULT_MAX_CREDENTIALS, DEFAULT_MAX_TASKS, MAX_CONCURRENCY, MAX_NOTIFICATIONS,
    NOTIFY_AGAIN_AFTER,
};
use wardroom::task::definition::{DEFAULT_PAUSE_AFTER, MAX_WAITING};
use wardroom_schedule::calendar::{MAX_PERIOD, MIN_PERIOD};
use wardroom_schedule::due::{MAX_CATCH_UP, MISSED_WINDOW, TOLERANCE};
use wardroom_schedule::retry::MAX_ATTEMPTS;

use crate::templates::scripts;

fn rows() -> String {
    let size = |bytes| SizeText(bytes).to_string();
    let rows = [
        ("time", DurationText(DEFAULT_DEADLINE).to_string(), DurationText(MAX_DEADLINE).to_string(), "`--timeout`"),
        ("memory, all memories and tables together", size(DEFAULT_MEMORY), size(MAX_MEMORY), "`--memory`"),
        ("fuel, about one unit an instruction", "not counted".to_owned(), String::new(), "`--fuel`"),
        ("log", size(DEFAULT_LOG_BYTES), String::new(), ""),
        ("result", size(DEFAULT_OUTPUT_BYTES), size(MAX_OUTPUT_BYTES), "`--output`"),
        ("HTTP requests", DEFAULT_HTTP_REQUESTS.to_string(), String::new(), ""),
        ("one HTTP body", size(DEFAULT_HTTP_BODY), String::new(), ""),
        ("open handles", MAX_HANDLES.to_string(), String::new(), ""),
        ("memory claimed by one host call", size(HOSTCALL_BYTES), String::new(), ""),
        ("state", "none".to_owned(), size(MAX_STATE_BYTES), "`--state`"),
        ("rows of one query", MAX_SQLITE_ROWS.to_string(), String::new(), ""),
        ("all rows of one query", size(MAX_SQLITE_ANSWER as u64), String::new(), ""),
        ("one value in SQL", size(MAX_SQLITE_VALUE as u64), String::new(), ""),
        ("memory of the process that works on databases", size(MAX_SQLITE_MEMORY), String::new(), ""),
        ("wait for a locked database", DurationText(SQLITE_BUSY_WAIT).to_string(), String::new(), ""),
        ("program file", size(MAX_PROGRAM_BYTES), String::new(), ""),
        ("value of a credential", size(MAX_VALUE_BYTES as u64), String::new(), ""),
        ("body that a credential is filled in", size(MAX_FILLED_BODY_BYTES as u64), String::new(), ""),
        ("uses of credentials", MAX_CREDENTIAL_USES.to_string(), String::new(), ""),
        ("calls, one from the next", MAX_CALL_DEPTH.to_string(), String::new(), ""),
        ("calls of one execution and of all that come of it", MAX_CALLS.to_string(), String::new(), ""),
        ("calls of one execution that are open at once", MAX_OPEN_CALLS.to_string(), String::new(), ""),
        ("compiling, processor time", format!("{MAX_COMPILE_CPU_SECONDS} s"), String::new(), ""),
    ];
    let table: String = rows.iter().map(|(name, default, most, flag)| format!("| {name} | {default} | {most} | {flag} |\n")).collect();
    // Markdown writes an empty cell as one blank.
    table.replace("|  |", "| |").replace("|  |", "| |")
}

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap()
}

/// The rows of the README's table between `<!-- NAME: checked` and `<!-- NAME: end`.
fn table(name: &str) -> String {
    let readme = readme();
    let rest = readme.split(&format!("<!-- {name}: checked")).nth(1).unwrap();
    let marked = rest.split(&format!("<!-- {name}: end")).next().unwrap();
    marked.split("|---|---|---|---|\n").nth(1).unwrap().to_owned()
}

#[test]
fn the_readme_names_every_limit_as_the_code_has_it() {
    assert_eq!(table("limits"), rows(), "the README's table of limits should read as on the right");
}

#[test]
fn the_readme_names_every_limit_of_the_scheduler_as_the_code_has_it() {
    let text = |duration| DurationText(duration).to_string();
    let retention = wardroom_db::Retention::default();
    let rows = [
        ("runs at once, of what runs by itself", format!("{DEFAULT_CONCURRENCY} (at most {MAX_CONCURRENCY})"), "`[schedule] concurrency`"),
        ("starts of all tasks together", "no limit".to_owned(), "`[schedule] rate`"),
        ("executions of one task that wait", MAX_WAITING.to_string(), ""),
        ("a slot this late is still on time", format!("{}s", TOLERANCE.as_secs()), ""),
        ("missed slots are caught up for", text(MISSED_WINDOW), ""),
        ("missed slots that are caught up at once", MAX_CATCH_UP.to_string(), ""),
        ("failures in a row that pause a task", DEFAULT_PAUSE_AFTER.to_string(), "`--pause-after`"),
        ("attempts beyond the first", format!("off (at most {MAX_ATTEMPTS})"), "`--retry`"),
        ("period", format!("{} to {}", text(MIN_PERIOD), text(MAX_PERIOD)), "`--every`"),
        (
            "executions are kept",
            format!("{} days, {} of each task", retention.max_age_days, retention.per_task),
            "`[retention] max_age_days`, `per_task`",
        ),
        ("desktop notifications", if DEFAULT_DESKTOP { "on" } else { "off" }.to_owned(), "`[notify] desktop`"),
        ("notifications of one task's failures, and of missed slots", format!("1 in {}", text(NOTIFY_AGAIN_AFTER)), ""),
        ("notifications in all", format!("{MAX_NOTIFICATIONS} in {}", text(NOTIFY_AGAIN_AFTER)), ""),
    ];
    let expected: String =
        rows.iter().map(|(name, value, setting)| format!("| {name} | {value} | {setting} |\n").replace("|  |", "| |")).collect();
    let readme = readme();
    let found = readme.split("<!-- schedule: checked").nth(1).unwrap().split("<!-- schedule: end").next().unwrap();
    let found = found.split("|---|---|---|\n").nth(1).unwrap();
    assert_eq!(found, expected, "the README's table of the scheduler's limits should read as on the right");
}

#[test]
fn the_readme_names_where_plugins_have_to_be_signed() {
    use wardroom_core::plugin::SourceKind;
    let rules = wardroom::config::PluginsConfig::default();
    let places = [("a file", SourceKind::File), ("an address", SourceKind::Url), ("a registry", SourceKind::Oci)];
    let expected: String =
        places.iter().map(|(words, kind)| format!("| {words} | `{kind}` | `{}` |\n", rules.rule(*kind).name())).collect();
    let readme = readme();
    let found = readme.split("<!-- signed: checked").nth(1).unwrap().split("<!-- signed: end").next().unwrap();
    let found = found.split("|---|---|---|\n").nth(1).unwrap();
    assert_eq!(found, expected, "the README's table of rules should read as on the right");
    let most = format!(
        "At most {} keys are trusted and {},000 digests revoked",
        wardroom::trust::MAX_SIGNERS,
        wardroom::trust::MAX_REVOKED / 1000
    );
    assert!(readme.split_whitespace().collect::<Vec<_>>().join(" ").contains(&most), "{most}");
    for kind in places.map(|(_, kind)| kind) {
        for rule in ["off", "warn", "enforce"] {
            toml::from_str::<wardroom::config::Config>(&format!("[plugins.require_signed]\n{kind} = '{rule}'")).unwrap();
            assert!(readme.contains(&format!("`{rule}`")), "{rule}");
        }
    }
}

#[test]
fn the_readme_names_every_word_of_the_rules() {
    let readme = readme();
    for (flag, words) in [("--missed", "skip latest all"), ("--overlap", "skip queue cancel-previous allow"), ("--keep", "none result all")]
    {
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{flag}`"))).unwrap();
        assert!(words.split(' ').all(|word| row.contains(&format!("`{word}`"))), "{row}");
    }
    for word in ["skip", "queue", "cancel-previous", "allow"] {
        word.parse::<wardroom_schedule::rules::OverlapRule>().unwrap();
    }
    assert_eq!(wardroom_schedule::rules::OverlapRule::default().to_string(), "skip");
    assert_eq!(wardroom_schedule::retry::RetryRule::default().to_string(), "off");
}

#[test]
fn a_run_that_names_no_limit_has_the_documented_ones() {
    let limits = Limits::default();
    assert_eq!((limits.deadline, limits.memory, limits.fuel), (DEFAULT_DEADLINE, DEFAULT_MEMORY, None));
    assert_eq!((limits.log_bytes, limits.output_bytes), (DEFAULT_LOG_BYTES, DEFAULT_OUTPUT_BYTES));
    assert_eq!((limits.http_requests, limits.http_body), (DEFAULT_HTTP_REQUESTS, DEFAULT_HTTP_BODY));
}

/// The words in the first column of the README's table with this head.
fn first_column(head: &str) -> Vec<String> {
    let readme = readme();
    let rows = readme.lines().skip_while(|line| *line != head).skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_readme_names_every_use_and_every_kind_of_a_credential() {
    assert_eq!(first_column("| Use | What it allows |"), CredentialUse::ALL.map(CredentialUse::name));
    assert_eq!(first_column("| Kind | For |"), CredentialKind::ALL.map(CredentialKind::name));
}

/// Required params first; a default stands behind its param.
fn params_cell(manifest: &Manifest) -> String {
    let mut params: Vec<(&String, &ParamSpec)> = manifest.params.0.iter().collect();
    params.sort_by_key(|(_, spec)| !spec.required);
    let cell = |(name, spec): (&String, &ParamSpec)| match &spec.default {
        Some(default) => format!("`{name}` = `{default}`"),
        None if spec.required => format!("**`{name}`**"),
        None => format!("`{name}`"),
    };
    params.into_iter().map(cell).collect::<Vec<_>>().join(", ")
}

fn script_row(path: &Path) -> String {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let manifest = Manifest::of_script(&std::fs::read_to_string(path).unwrap()).unwrap().unwrap();
    let requests: Vec<String> = manifest.request_texts().iter().map(|request| format!("`{request}`")).collect();
    let requests = if requests.is_empty() { "nothing".to_owned() } else { requests.join(", ") };
    let what = manifest.description.as_deref().unwrap_or_default();
    format!("| [`{name}`](plugins/scripts/{name}.js) | {what} | {} | {requests} |\n", params_cell(&manifest))
}

#[test]
fn the_readme_lists_every_script_with_its_params_and_what_it_asks_for() {
    let rows: String = scripts().iter().map(|path| script_row(path)).collect();
    assert_eq!(table("scripts"), rows, "the README's table of scripts should read as on the right");
}

#[test]
fn the_readme_says_how_much_an_assistant_may_add_and_ask_for() {
    let readme = readme().split_whitespace().collect::<Vec<_>>().join(" ");
    for claim in [
        format!(
            "An assistant adds tasks while there are fewer than {DEFAULT_MAX_TASKS}, and credentials while there are fewer than {DEFAULT_MAX_CREDENTIALS}"
        ),
        format!(
            "An approval waits for {}; at most {} wait at once",
            DurationText(wardroom::approval::APPROVAL_LASTS),
            wardroom_db::MAX_WAITING_APPROVALS
        ),
    ] {
        assert!(readme.contains(&claim), "{claim}");
    }
}

#[test]
fn the_readme_says_how_far_fetching_goes() {
    let readme = readme();
    let marked = readme.split("<!-- fetching: checked").nth(1).unwrap().split("<!-- fetching: end").next().unwrap();
    let words = marked.split_whitespace().collect::<Vec<_>>().join(" ");
    let (size, time) = (SizeText(MAX_PROGRAM_BYTES), DurationText(wardroom::plugin::FETCH_DEADLINE));
    let claim = format!(
        "At most {size}, counted as they come; {time} unless `--timeout` says otherwise; {} redirects one after another;",
        wardroom::plugin::MAX_REDIRECTS
    );
    assert!(words.contains(&claim), "expected `{claim}` in `{words}`");
    // What the examples show can be typed.
    let lines = readme.lines().filter(|line| line.starts_with("wardroom plugin install ") && line.contains("://"));
    let sources: Vec<&str> = lines.map(|line| line.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(sources.len(), 2, "{sources:?}");
    for source in sources {
        source.replace("HEX", &"0".repeat(64)).parse::<wardroom_core::plugin::PluginSource>().unwrap();
    }
}
