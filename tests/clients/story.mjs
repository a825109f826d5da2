// The whole story by an official TypeScript client; see story.py. `client` has
// listTools, callTool, readResource and getPrompt in common between the two.

import { createInterface } from "node:readline";

const CODE = `// /// wardroom
// net = ["{params.url}"]
// [params.url]
// type = "string"
// ///
console.log("asking");
return (await fetch(params.url)).status;
`;
const ENDLESS = "for (;;) { console.log('tick'); await new Promise((done) => setTimeout(done, 20)); }";
const HOURLY = { type: "cron", expression: "0 * * * *" };

export function assert(holds, what) {
  if (!holds) throw new Error(typeof what === "string" ? what : JSON.stringify(what));
}

const line = () => new Promise((heard) => createInterface({ input: process.stdin }).once("line", heard));

export async function story(client, call, url) {
  const { tools } = await client.listTools();
  const names = tools.map((tool) => tool.name);
  assert(["schedule_task", "run_script", "request_grant"].every((name) => names.includes(name)), names);

  const tried = await call("run_script", { code: "return params.n + 1;", params: { n: 41 } });
  assert(tried.structuredContent.result === 42, tried);

  const saved = await call("schedule_task", { name: "ask", code: CODE, params: { url }, schedule: HOURLY });
  const refused = await call("execute_task", { name: "ask" });
  assert(refused.isError && refused.structuredContent.error.kind === "denied", refused);

  console.log(`approve ${saved.structuredContent.approval.id}`);
  await line();
  const told = [];
  const ran = await call("execute_task", { name: "ask" }, { onprogress: (progress) => told.push(progress.message) });
  assert(!ran.isError && ran.structuredContent.result === 200, ran);
  assert(told.some((message) => message?.includes("asking")), told);

  const abort = new AbortController();
  const running = call("run_script", { code: ENDLESS, timeout_ms: 60000 }, { signal: abort.signal }).catch(() => "aborted");
  await new Promise((done) => setTimeout(done, 500));
  abort.abort();
  assert((await running) === "aborted", "the request was cancelled");
  let listed;
  for (let i = 0; i < 200; i += 1) {
    listed = await call("get_executions", { status: "cancelled" });
    if (listed.structuredContent.executions.length > 0) break;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert(listed.structuredContent.executions.length > 0, "the execution is cancelled with its request");

  const identity = ran.structuredContent.execution_id;
  const log = await client.readResource({ uri: `wardroom://execution/${identity}/log` });
  assert(log.contents[0].text.includes("asking"), log);
  const checked = await call("check_task", { name: "ask" });
  assert(checked.structuredContent.check.next.length === 5, checked);
  const wrong = await call("get_task", { name: "nothing" });
  assert(wrong.isError && wrong.structuredContent.error === "task_not_found", wrong);
  const prompt = await client.getPrompt({ name: "debug-execution", arguments: { execution: identity } });
  assert(prompt.messages[0].content.text.includes(identity), prompt);
  await client.close();
  console.log("done");
  process.exit(0);
}
