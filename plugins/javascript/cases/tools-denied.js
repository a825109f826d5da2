// expect-failure: denied NotGrantedError: call `nightly-report` refused: no grant covers it
// expect-position: 3:18
await tools.task.nightlyReport({ of: "monday" });
