// needs-denied-host: denied.test
// expect-failure: denied PermissionDenied: fetch http://denied.test: the request was refused: this task may not make it
// expect-position: 4:7
await fetch("http://denied.test/");
