// needs-params: base
// expect: [null,null,"kept"]
const other = params.base.replace("127.0.0.1", "localhost");
const response = await fetch(`${params.base}/to?url=${encodeURIComponent(`${other}/echo`)}`, {
  headers: { authorization: "secret", cookie: "a=b", "x-other": "kept" },
});
const { headers } = await response.json();
return [headers.authorization ?? null, headers.cookie ?? null, headers["x-other"]];
