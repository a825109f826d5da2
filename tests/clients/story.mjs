// The whole story by an official TypeScript client; see story.py. `client` has
// listTools, callTool, readResource and getPrompt in common between the two.

import { execFileSync } from "node:child_process";
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

// What the command line changes is told: in the eras with `initialize` without
// asking, then to who listens.
async function notified(client, { binary, env, modern }) {
  const uri = "wardroom://task/ask";
  const wanted = new Set(["notifications/tools/list_changed", "notifications/resources/updated"]);
  const heard = new Promise((done) => {
    client.fallbackNotificationHandler = async ({ method }) => {
      wanted.delete(method);
      if (wanted.size === 0) done();
    };
  });
  const expose = (word) => execFileSync(binary, [word, "ask"], { env, stdio: "pipe" });
  const stream = modern ? await client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] }) : undefined;
  if (!modern) await client.subscribeResource({ uri });
  expose("expose");
  const late = setTimeout(() => assert(false, ["not told of", ...wanted]), 60000);
  await heard;
  clearTimeout(late);
  const { tools } = await client.listTools();
  assert(tools.some((tool) => tool.name === "task__ask"), "the tool that was told of");
  await stream?.close();
  expose("unexpose");
}

export async function story(client, call, url, server) {
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
  await notified(client, server);
  await client.close();
  console.log("done");
  process.exit(0);
}
