// needs-state-denied
// expect-failure: denied PermissionDenied: the task was not granted state
// expect-position: 4:7
state.set("a", 1);
