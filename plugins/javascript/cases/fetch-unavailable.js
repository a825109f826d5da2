// needs-host: 127.0.0.1:9
// expect-failure: unavailable TypeError: fetch http://127.0.0.1:9: the connection was refused
// expect-position: 4:7
await fetch("http://127.0.0.1:9/");
