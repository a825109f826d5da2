//! A database of a million executions, and how long each way to ask it takes.
//!
//! ```text
//!  cargo test --release -p wardroom-db -- --ignored --nocapture million
//! ```

use std::time::{Duration, Instant};

use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::task::TaskId;

use crate::testing::{Home, at, force, terms};
use crate::{Accounting, Database, DbError, Filter, WhenBusy};

const ROWS: i64 = 1_000_000;
/// Rows in one write: a group that others would wait for.
const BATCH: i64 = 20_000;
/// The last of them was asked for then, the first 90 days before.
const NOW: i64 = 100 * 86_400_000;
const STEP: i64 = 90 * 86_400_000 / ROWS;
/// The ceiling of a median (design.md, Speed).
const CEILING: Duration = Duration::from_millis(50);
const ROUNDS: usize = 20;

/// Of five executions four are of 400 tasks, one is of 100 programs by hand; of
/// a hundred two failed, two were skipped, and one was cancelled.
async fn fill(database: &Database) {
    const FILL: &str = "
        WITH RECURSIVE number (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < ?2)
        INSERT INTO executions (
            id, attempt, status, created_ms, started_ms, finished_ms, scheduled_for_ms, trigger, task, subject, program, digest,
            holder, reason, slot_last_ms, slot_count, failure_kind, blame, failure, cpu_us, peak_memory, limits, access, params, result_kind, result)
        SELECT
            printf('%08x-0000-7000-8000-%012x', n, n), 1,
            CASE n % 100 WHEN 7 THEN 'failed' WHEN 31 THEN 'failed' WHEN 52 THEN 'skipped' WHEN 51 THEN 'skipped' WHEN 90 THEN 'cancelled'
                         ELSE 'success' END,
            at, at + 3, at + 3 + (n * 7919) % 5000, iif(n % 5, at, NULL), iif(n % 5, 'schedule', 'cli'),
            iif(n % 5, printf('task-%03d', n % 400), NULL),
            iif(n % 5, printf('task:00000000-0000-7000-8000-%012x', n % 400), printf('/home/me/scripts/program-%02d.js', n / 5 % 100)),
            iif(n % 5, printf('program-%02d.js', n % 50), printf('scripts/program-%02d.js', n / 5 % 100)),
            'sha256:' || printf('%064x', n % 50), printf('holder-%d', n / 10000), iif(n % 100 IN (51, 52), 'overlap', NULL),
            iif(n % 100 IN (51, 52), at, NULL), iif(n % 100 IN (51, 52), 1, NULL),
            iif(n % 100 IN (7, 31), 'trap', NULL), iif(n % 100 IN (7, 31), 'guest', NULL),
            iif(n % 100 IN (7, 31), '{\"kind\":\"trap\",\"message\":\"unreachable\"}', NULL), 900, 2000000,
            '{\"deadline\":300000,\"memory\":67108864,\"log_bytes\":1048576,\"output_bytes\":1048576}',
            '{\"scopes\":[\"net https://example.org\"]}', '{\"city\":\"Århus\"}',
            iif(n % 100 IN (51, 52, 90), NULL, 'json'), iif(n % 100 IN (51, 52, 90), NULL, printf('{\"n\":%d,\"text\":\"%0100d\"}', n, n))
        FROM (SELECT n, ?3 + n * ?4 AS at FROM number)";
    for first in (0..ROWS).step_by(usize::try_from(BATCH).unwrap()) {
        let write = move |connection: &rusqlite::Connection| {
            let mut fill = connection.prepare_cached(FILL)?;
            Ok::<_, DbError>(fill.execute((first, first + BATCH, NOW - ROWS * STEP, STEP))?)
        };
        assert_eq!(database.write(write).await.unwrap(), usize::try_from(BATCH).unwrap());
    }
    force(
        database,
        "UPDATE executions SET status = 'running', finished_ms = NULL, result = NULL, result_kind = NULL WHERE serial % 100000 = 5",
    )
    .await
    .unwrap();
}

/// The median of some rounds, after one that does not count.
fn median<T>(mut ask: impl FnMut() -> T) -> Duration {
    drop(ask());
    let round = |_| {
        let begin = Instant::now();
        drop(ask());
        begin.elapsed()
    };
    let mut took: Vec<Duration> = (0..ROUNDS).map(round).collect();
    took.sort_unstable();
    took[ROUNDS / 2]
}

fn filters() -> Vec<(String, Filter)> {
    let all = Filter::default();
    let text = |text: &str| Some(text.to_owned());
    let ms = |days: i64| Some(at(NOW - days * 86_400_000));
    let one_task = TaskId::of_subject("task:00000000-0000-7000-8000-000000000007").unwrap().subject();
    let ways = [
        ("all", all.clone()),
        ("running", Filter { status: Some(Status::Running), ..all.clone() }),
        ("failed", Filter { status: Some(Status::Failed), ..all.clone() }),
        ("success", Filter { status: Some(Status::Success), ..all.clone() }),
        ("one task", Filter { task: text("task-007"), ..all.clone() }),
        ("one task, failed", Filter { task: text("task-007"), status: Some(Status::Failed), ..all.clone() }),
        ("no such task", Filter { task: text("none"), ..all.clone() }),
        ("one subject", Filter { subject: Some(one_task), ..all.clone() }),
        ("one program", Filter { program: text("scripts/program-42"), ..all.clone() }),
        ("150 programs", Filter { program: text(".js"), ..all.clone() }),
        ("150 programs, failed", Filter { program: text(".js"), status: Some(Status::Failed), ..all.clone() }),
        ("no such program", Filter { program: text("none"), ..all.clone() }),
        ("since a day", Filter { since: ms(1), ..all.clone() }),
        ("until 80 days ago", Filter { until: ms(80), ..all.clone() }),
        ("a day in the middle", Filter { since: ms(46), until: ms(45), ..all.clone() }),
        ("a day in the middle, failed", Filter { since: ms(46), until: ms(45), status: Some(Status::Failed), ..all }),
    ];
    let pages = [0, 1_000, 10_000, 100_000, 999_950];
    let page = |(what, filter): &(&str, Filter), offset| (format!("{what}, after {offset}"), Filter { offset, ..filter.clone() });
    ways.iter().flat_map(|way| pages.map(|offset| page(way, offset))).collect()
}

/// Not asserted: a median is worth what the machine was doing meanwhile.
#[tokio::test]
#[ignore = "fills a million rows"]
async fn a_million_executions_are_listed_and_filtered() {
    let home = Home::new();
    let database = home.open();
    let begin = Instant::now();
    fill(&database).await;
    println!("filled in {:.1?}", begin.elapsed());
    let mut figures: Vec<(Duration, String)> =
        filters().into_iter().map(|(what, filter)| (median(|| database.list(&filter).unwrap()), what)).collect();
    figures.sort_unstable();
    for (took, what) in figures.iter().rev().take(ROUNDS) {
        println!("{took:>12.2?}  {what}");
    }
    let met = figures.iter().filter(|(took, _)| *took <= CEILING).count();
    println!("{met} of {} within {CEILING:?}", figures.len());
    others(&database);
    let (rows, begin) = (ROWS / 400, Instant::now());
    let kept = crate::Retention { max_age_days: 90, per_task: 1_000 };
    let deleted = database.prune(at(NOW), kept).await.unwrap();
    println!("{:>12.2?}  prune of {deleted}, of about {rows} of each task", begin.elapsed());
    wait_in_line(&database).await;
}

/// Many tasks that are due at the same moment.
async fn wait_in_line(database: &Database) {
    const TASKS: usize = 5_000;
    let mut tasks = Vec::new();
    for number in 0..TASKS {
        tasks.push(database.add_task(TaskId::fresh(), terms(&format!("due-{number}")), at(NOW), Vec::new()));
    }
    for answer in tasks {
        assert_eq!(answer.await.unwrap(), crate::TaskChange::Done);
    }
    let tasks = database.tasks().unwrap();
    let begin = Instant::now();
    let due = |task: &crate::TaskRecord| Accounting {
        task: task.id,
        revision: task.revision,
        name: task.name.clone(),
        program: "p.js".to_owned(),
        digest: task.digest,
        fire: vec![(at(NOW + 1), ExecutionId::fresh())],
        missed: Vec::new(),
        when_busy: WhenBusy::Skip,
        cursor: at(NOW + 1),
        now: at(NOW + 1),
    };
    let answers: Vec<_> = tasks.iter().map(|task| database.account(due(task))).collect();
    for answer in answers {
        assert_eq!(answer.await.unwrap().queued.len(), 1);
    }
    println!("{:>12.2?}  accounting of {TASKS} tasks that are due at once", begin.elapsed());
    println!("{:>12.2?}  unfinished, among those", median(|| database.unfinished(tasks[0].id).unwrap()));
    println!("{:>12.2?}  queued, of those", median(|| database.queued(4_096).unwrap()));
    println!("{:>12.2?}  scheduled, of those", median(|| database.scheduled().unwrap()));
}

/// What else reads executions: no promise, but worth knowing.
fn others(database: &Database) {
    let task = TaskId::of_subject("task:00000000-0000-7000-8000-000000000007").unwrap();
    let told = |what: &str, took: Duration| println!("{took:>12.2?}  {what}");
    told("queued", median(|| database.queued(4_096).unwrap()));
    told("unfollowed", median(|| database.unfollowed().unwrap()));
    told("unfinished", median(|| database.unfinished(task).unwrap()));
    told("starts of one in an hour", median(|| database.starts(Some(task), at(NOW - 3_600_000)).unwrap()));
    told("starts of all in an hour", median(|| database.starts(None, at(NOW - 3_600_000)).unwrap()));
    told("slots", median(|| database.slots(task, at(0), at(NOW)).unwrap()));
    let once = |what: &str, ask: &dyn Fn()| {
        let begin = Instant::now();
        ask();
        told(what, begin.elapsed());
    };
    let since = |days: i64| Timestamp::from_ms(NOW - days * 86_400_000);
    once("stats of one task, 7 days", &|| drop(database.stats(Some("task-007"), since(7), 20).unwrap()));
    once("stats of one task, 90 days", &|| drop(database.stats(Some("task-007"), since(90), 20).unwrap()));
    once("stats of all, 7 days", &|| drop(database.stats(None, since(7), 20).unwrap()));
    once("stats of all, 90 days", &|| drop(database.stats(None, since(90), 20).unwrap()));
}
