//! However many run at once, each of them can call.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;
use wardroom::Wardroom;
use wardroom::execution::Unwatched;
use wardroom::execution::grants::GrantTexts;
use wardroom::execution::resolve::{RunRequest, Source};
use wardroom_core::capability::Grants;
use wardroom_core::execution::Trigger;
use wardroom_core::failure::Output;
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::NamedLimits;
use wardroom_core::program::ProgramName;
use wardroom_core::task::Occasion;
use wardroom_host::MAX_PARALLEL_RUNS;

use crate::support::PATIENCE;
use crate::support::home::{BINARY, Home};
use crate::support::library::RUNTIME;

/// Calls only when all of them run, so that each holds its permit while it waits.
const CALLS_WHEN_ALL_ARE_HERE: &str = "\
await fs.writeFile(`${params.dir}/${params.own}`, '');
while ((await fs.readdir(params.dir)).length < params.all) await new Promise((done) => setTimeout(done, 20));
return tools.task.outer({ n: params.own });";

#[test]
fn as_many_callers_as_may_run_at_once_all_get_what_they_call() {
    let home = Home::new();
    home.add("inner", "return params.n + 1;", &["--overlap=allow"]);
    home.add("outer", "return tools.task.inner({ n: params.n });", &["--overlap=allow", "--allow-call=inner"]);
    let script = home.file("caller.js", CALLS_WHEN_ALL_ARE_HERE);
    let dir = home.work().join("here");
    std::fs::create_dir(&dir).unwrap();
    let wardroom = Arc::new(Wardroom::open(&home.path(), BINARY.into(), Arc::new(wardroom_host::Silent)).unwrap());
    let texts = GrantTexts { write: vec![dir.display().to_string()], call: vec!["outer".to_owned()], ..GrantTexts::default() };
    let grants = Grants(wardroom.scopes(&home.work(), &texts).unwrap());
    let all = MAX_PARALLEL_RUNS;
    let request = |own: u32| RunRequest {
        source: Source::File(ProgramName { path: script.clone(), function: None }),
        id: ExecutionId::fresh(),
        attempt: 1,
        base: home.work(),
        trigger: Trigger::Cli,
        occasion: Occasion::default(),
        params: json!({ "dir": dir.display().to_string(), "own": own, "all": all }).as_object().unwrap().clone(),
        offered: serde_json::Map::new(),
        text_params: Vec::new(),
        args: Vec::new(),
        stdin: Vec::new(),
        limits: NamedLimits::default(),
        output_bytes: None,
    };
    let results = RUNTIME.block_on(async {
        let mut running = JoinSet::new();
        for own in 0..all {
            let resolved = wardroom.resolve(request(own)).await.unwrap();
            let plan = wardroom.authorize(resolved, grants.clone(), |_| None).unwrap();
            let wardroom = wardroom.clone();
            running.spawn(async move { wardroom.execute(plan, Arc::new(Unwatched), Box::pin(std::future::pending())).await });
        }
        tokio::time::timeout(PATIENCE, running.join_all()).await.expect("none waits for ever")
    });
    let mut results: Vec<Output> = results.into_iter().map(|outcome| outcome.unwrap().ending.unwrap()).collect();
    results.sort_unstable_by_key(|output| if let Output::Json(value) = output { value.as_u64() } else { None });
    let expected: Vec<Output> = (1..=all).map(|n| Output::Json(json!(n))).collect();
    assert_eq!(results, expected);
}
