// needs-state-denied
// expect-failure: denied PermissionDenied: no state was granted
// expect-position: 4:7
state.set("a", 1);
