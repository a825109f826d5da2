// needs-params: base
// expect: [null,null,"kept"]
// There and back again: what was meant for the first server alone stays away.
const other = params.base.replace("127.0.0.1", "localhost");
const to = (origin, url) => `${origin}/to?url=${encodeURIComponent(url)}`;
const response = await fetch(to(params.base, to(other, `${params.base}/echo`)), {
  headers: { authorization: "secret", cookie: "a=b", "x-other": "kept" },
});
const { headers } = await response.json();
return [headers.authorization ?? null, headers.cookie ?? null, headers["x-other"]];
