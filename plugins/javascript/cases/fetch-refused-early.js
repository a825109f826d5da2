// expect: ["TypeError","TypeError","TypeError","TypeError","TypeError"]
const name = (promise) => promise.then(() => "none", (error) => error.name);
return Promise.all([
  name(fetch("ftp://h/")),
  name(fetch("/relative")),
  name(fetch("http://user:pass@h/")),
  name(fetch("http://h/", { body: "x" })),
  name(fetch("http://h/", { headers: { "bad name": "x" } })),
]);
