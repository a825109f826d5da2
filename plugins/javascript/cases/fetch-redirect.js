// needs-params: base
// expect: {"follow":["GET","",true,true],"post303":"GET","post307":["POST","body"],"manual":[302,"/echo"],"error":"TypeError","loop":"TypeError","same":"secret"}
const to = (status, init) => fetch(`${params.base}/redirect/${status}`, init);
const first = await to(302);
const followed = await first.json();
const post303 = await (await to(303, { method: "POST", body: "body" })).json();
const post307 = await (await to(307, { method: "POST", body: "body" })).json();
const manual = await to(302, { redirect: "manual" });
const name = (promise) => promise.then(() => "none", (error) => error.name);
const same = await (await to(302, { headers: { authorization: "secret" } })).json();
return {
  follow: [followed.method, followed.body, first.redirected, first.url === `${params.base}/echo`],
  post303: post303.method,
  post307: [post307.method, post307.body],
  manual: [manual.status, manual.headers.get("location")],
  error: await name(to(302, { redirect: "error" })),
  loop: await name(fetch(`${params.base}/loop`)),
  same: same.headers.authorization,
};
